import type { Key, NDArray, Traced } from "@concord/tensor";
import {
  add,
  checkAxes,
  conv2d,
  foldIn,
  mean,
  normalArray,
  relu,
  reshape,
  type Tensor,
  transpose,
  uniformArray,
  zerosArray,
} from "@concord/tensor";
import type { TransformerParams } from "./attention.ts";
import { transformer, transformerInit } from "./attention.ts";
import type { LinearParams } from "./linear.ts";
import { linear, linearInit } from "./linear.ts";

export interface Conv2dParams {
  /** [O, C, kh, kw] */
  readonly weight: NDArray;
  /** [O] */
  readonly bias: NDArray;
}

/** A square kernel, uniform in ±√(6 / fan-in) (He et al. 2015), and a bias of zeros. */
export function conv2dInit(
  key: Key,
  options: { readonly inputs: number; readonly outputs: number; readonly kernel: number },
): Conv2dParams {
  const { inputs, outputs, kernel } = options;
  const bound = Math.sqrt(6 / (inputs * kernel * kernel));
  return {
    weight: uniformArray(key, [outputs, inputs, kernel, kernel], -bound, bound),
    bias: zerosArray([outputs]),
  };
}

export interface ConvEncoderOptions {
  /** Input channels. Default 3. */
  readonly channels?: number;
  /** Side of the square input in pixels; halved (rounded up) by every stage. */
  readonly imageSize: number;
  /** Filters of each stride-2 stage, e.g. [32, 64, 96]. */
  readonly filters: readonly number[];
  readonly outputs: number;
}

export interface ConvEncoderParams {
  readonly stages: readonly Conv2dParams[];
  readonly head: LinearParams;
}

/** Parameters of a small image encoder: 3×3 convolutions of stride 2 and a linear head on the flattened map. */
export function convEncoderInit(
  key: Key,
  { channels = 3, imageSize, filters, outputs }: ConvEncoderOptions,
): ConvEncoderParams {
  const side = filters.reduce((size) => Math.ceil(size / 2), imageSize);
  const last = filters.at(-1);
  if (last === undefined) throw new RangeError("convEncoder: needs at least one stage");
  return {
    stages: filters.map((n, i) =>
      conv2dInit(foldIn(key, i), { inputs: filters[i - 1] ?? channels, outputs: n, kernel: 3 }),
    ),
    head: linearInit(foldIn(key, filters.length), { inputs: last * side * side, outputs }),
  };
}

/** Images to vectors: [B, C, S, S] to [B, outputs]. Not normalised. */
export function convEncoder(params: Traced<ConvEncoderParams>, images: Tensor): Tensor {
  const { B } = checkAxes("convEncoder", { images: [images, "B C S S"] });
  const features = params.stages.reduce(
    (x, stage) => relu(conv2d(x, stage.weight, { stride: 2, padding: 1, bias: stage.bias })),
    images,
  );
  return linear(params.head, reshape(features, [B, -1]));
}

export interface VisionTransformerOptions {
  /** Input channels. Default 3. */
  readonly channels?: number;
  readonly imageSize: number;
  readonly patchSize: number;
  readonly width: number;
  readonly layers: number;
  readonly outputs: number;
}

export interface VisionTransformerParams {
  readonly patches: LinearParams;
  /** [N, D] */
  readonly positions: NDArray;
  readonly blocks: TransformerParams;
  readonly head: LinearParams;
}

/** Parameters of a vision transformer: patch embedding, learned positions, blocks, a linear head. */
export function visionTransformerInit(key: Key, options: VisionTransformerOptions): VisionTransformerParams {
  const { channels = 3, imageSize, patchSize, width, layers, outputs } = options;
  const side = imageSize / patchSize;
  if (!Number.isInteger(side))
    throw new RangeError(
      `visionTransformer: image size ${imageSize} does not part into patches of ${patchSize}`,
    );
  return {
    patches: linearInit(foldIn(key, 0), { inputs: channels * patchSize * patchSize, outputs: width }),
    positions: normalArray(foldIn(key, 1), [side * side, width], 0, 0.02),
    blocks: transformerInit(foldIn(key, 2), { width, layers }),
    head: linearInit(foldIn(key, 3), { inputs: width, outputs, bias: false }),
  };
}

/** Cuts images into flattened patches: [B, C, S, S] to [B, (S/p)², C p²]. */
export function patchify(images: Tensor, patchSize: number): Tensor {
  const { B, C, S } = checkAxes("patchify", { images: [images, "B C S S"] });
  const side = S / patchSize;
  const grid = reshape(images, [B, C, side, patchSize, side, patchSize]);
  return reshape(transpose(grid, [0, 2, 4, 1, 3, 5]), [B, side * side, C * patchSize * patchSize]);
}

/**
 * Vision transformer: linear patches, learned positions, pre-norm blocks, mean over tokens, linear head.
 * [B, C, S, S] to [B, outputs], not normalised.
 *
 * @source Dosovitskiy et al. 2021; mean pooling instead of a class token
 */
export function visionTransformer(
  params: Traced<VisionTransformerParams>,
  images: Tensor,
  options: { readonly patchSize: number; readonly heads: number },
): Tensor {
  const tokens = add(linear(params.patches, patchify(images, options.patchSize)), params.positions);
  return linear(params.head, mean(transformer(params.blocks, tokens, { heads: options.heads }), { axes: 1 }));
}
