import type { Key, Traced } from "@concord/tensor";
import { checkAxes, conv2d, foldIn, groupNorm, relu, reshape, type Tensor, transpose } from "@concord/tensor";
import { normInit } from "./batch-norm.ts";
import type { ConvParams } from "./convolution.ts";
import { convInit } from "./convolution.ts";
import type { NormedConvParams } from "./resnet.ts";

export interface ConvStemOptions {
  /** Input channels. Default 3. */
  readonly channels?: number;
  /** Filters of each 3×3 convolution of stride 2, e.g. [32, 64, 128]; every one halves the sides. */
  readonly filters: readonly number[];
  /** Width of the tokens. */
  readonly width: number;
}

export interface ConvStemParams {
  readonly stages: readonly NormedConvParams[];
  /** 1×1 convolution to the width of the tokens. */
  readonly projection: ConvParams;
}

/**
 * Parameters of a convolutional stem.
 *
 * @throws RangeError when there are no stages
 */
export function convStemInit(key: Key, { channels = 3, filters, width }: ConvStemOptions): ConvStemParams {
  const last = filters.at(-1);
  if (last === undefined) throw new RangeError("convStem: needs at least one stage");
  return {
    stages: filters.map((outputs, i) => ({
      conv: convInit(foldIn(key, i), { inputs: filters[i - 1] ?? channels, outputs, kernel: [3, 3] }),
      norm: normInit(outputs),
    })),
    projection: convInit(foldIn(key, filters.length), {
      inputs: last,
      outputs: width,
      kernel: [1, 1],
      bias: true,
    }),
  };
}

/**
 * Tokens of a vision transformer by convolutions instead of a linear map of patches: 3×3 of stride 2 with normalisation
 * and ReLU, then 1×1.
 *
 * @param images  [B, C, H, W]
 * @returns [B, N, D], N positions row by row
 * @throws ShapeError when the channels differ from those of the parameters
 * @source Xiao et al. 2021, "Early convolutions help transformers see better"; group norm with one group in place of
 * batch norm, which needs running statistics
 */
export function convStem(params: Traced<ConvStemParams>, images: Tensor): Tensor {
  const { B } = checkAxes("convStem", { images: [images, "B C H W"] });
  const features = params.stages.reduce((x, { conv, norm }) => {
    const filtered = conv2d(x, conv.weight, { stride: 2, padding: 1 });
    return relu(groupNorm(filtered, norm.gain, norm.bias, { groups: 1 }));
  }, images);
  const { weight, bias } = params.projection;
  const projected = conv2d(features, weight, bias ? { bias } : {});
  const [, width] = projected.shape as [number, number];
  return transpose(reshape(projected, [B, width, -1]), [0, 2, 1]);
}
