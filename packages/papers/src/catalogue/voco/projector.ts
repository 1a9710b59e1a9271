import { type LinearParams, linear, linearInit } from "@concord/nn";
import {
  batchStatisticsNorm,
  checkAxes,
  foldIn,
  type Key,
  ones,
  relu,
  type Tensor,
  type Traced,
  zeros,
} from "@concord/tensor";
import { PAPER_DEFAULTS } from "./defaults.ts";

export interface VocoProjectorParams {
  readonly layers: readonly [LinearParams, LinearParams, LinearParams];
}

export interface VocoProjectorOptions {
  /** Pooled features of the encoder. Default 1152. */
  readonly inputs?: number;
  /** Default 2048. */
  readonly hidden?: number;
  /** Default 2048. */
  readonly outputs?: number;
}

/** Three affine layers of the given widths. */
export function vocoProjectorInit(
  key: Key,
  {
    inputs = PAPER_DEFAULTS.features,
    hidden = PAPER_DEFAULTS.embedding,
    outputs = PAPER_DEFAULTS.embedding,
  }: VocoProjectorOptions = {},
): VocoProjectorParams {
  return {
    layers: [
      linearInit(foldIn(key, 0), { inputs, outputs: hidden }),
      linearInit(foldIn(key, 1), { inputs: hidden, outputs: hidden }),
      linearInit(foldIn(key, 2), { inputs: hidden, outputs }),
    ],
  };
}

/**
 * Features of crops to embeddings: affine, standardise, ReLU, twice, then affine.
 *
 * The standardisation has neither gain nor bias nor running statistics: it is always by the crops that come in (biased
 * variance, ε 1e-5), so give it ALL crops of the step together, random and base, of all volumes. One crop alone would
 * become zeros.
 *
 * @param x  [N, D_in], N >= 2
 * @returns [N, D_out]
 * @throws ShapeError when D_in is not that of the first layer
 * @source released code, projection head
 */
export function vocoProjector({ layers }: Traced<VocoProjectorParams>, x: Tensor): Tensor {
  checkAxes("vocoProjector", { x: [x, "N D_in"], weight: [layers[0].weight, "D_in H"] });
  const standardised = (y: Tensor): Tensor => {
    const width = [y.shape[1] as number];
    return batchStatisticsNorm(y, ones(width, y.dtype), zeros(width, y.dtype), { epsilon: 1e-5 });
  };
  const [first, second, last] = layers;
  const hidden = relu(standardised(linear(first, x)));
  return linear(last, relu(standardised(linear(second, hidden))));
}
