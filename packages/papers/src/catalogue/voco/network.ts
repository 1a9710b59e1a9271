import {
  type ConvParams,
  type LinearParams,
  linear,
  linearInit,
  type UNetParams,
  unet3dInit,
  unet3dLevels,
} from "@concord/nn";
import {
  add,
  concat,
  conv3d,
  div,
  foldIn,
  globalAveragePool,
  type Key,
  type NDArray,
  ndarray,
  normalArray,
  reshape,
  resize,
  sub,
  type Tensor,
  type Traced,
  transpose,
  zerosArray,
} from "@concord/tensor";
import { type VocoProjectorParams, vocoProjectorInit } from "./projector.ts";

/** A convolutional encoder: the way down of a U-Net. */
export interface NetworkConfig {
  /** Channels of each level, from full size down; every level halves the sides. */
  readonly widths: readonly number[];
  /** Convolutions a level. */
  readonly convolutions: number;
  /** Of the group norm; divides every width. */
  readonly groups: number;
  /** Widths of VoCo's projector. */
  readonly hidden: number;
  readonly embedding: number;
}

export type EncoderParams = UNetParams["encoder"];

/** Sides of an input must be multiples of this. */
export function strideOf({ widths }: NetworkConfig): number {
  return 2 ** (widths.length - 1);
}

/** Length of the pooled features. */
export function featureWidth({ widths }: NetworkConfig): number {
  return widths.reduce((sum, width) => sum + width, 0);
}

/** An encoder with scores of the classes read off every level. */
export interface SegmenterParams {
  readonly encoder: EncoderParams;
  /** 1 × 1 × 1 convolution of each level to the classes. */
  readonly heads: readonly ConvParams[];
}

/** Random weights for so many classes, the background included. */
export function segmenterInit(
  key: Key,
  { widths, convolutions }: NetworkConfig,
  classes: number,
): SegmenterParams {
  const { encoder } = unet3dInit(foldIn(key, 0), { channels: 1, widths, convolutions, outputs: classes });
  // Levels add up: each has its share of the variance of a score.
  const deviation = 1 / Math.sqrt(widths.length);
  const heads = widths.map((inputs, i) => ({
    weight: normalArray(
      foldIn(foldIn(key, 1), i),
      [classes, inputs, 1, 1, 1],
      0,
      deviation / Math.sqrt(inputs),
    ),
    bias: zerosArray([classes]),
  }));
  return { encoder, heads };
}

/** Mean and deviation of scans in [0, 1], roughly. */
const INPUT = { mean: 0.4, deviation: 0.25 } as const;

/**
 * Scans around 0. Without it every channel of the first convolution has a mean of its own, and the group norm that follows
 * standardises those means instead of what is seen.
 */
function centred(x: Tensor): Tensor {
  return div(sub(x, INPUT.mean), INPUT.deviation);
}

const mode = ({ groups }: NetworkConfig) => ({ norm: "group", groups }) as const;

/**
 * Scores of the classes: those of each level, brought to full size by linear interpolation, added up.
 *
 *   z = Σ_l resize(W_l h_l + b_l)
 *
 * What the encoder knows reaches the scores without a decoder that would first have to be learned from few labels.
 *
 * @param x  [N, 1, S, S, D]
 * @returns [N, C, S, S, D]
 * @source Long et al. 2015 (fully convolutional networks), with all levels
 */
export function segment(params: Traced<SegmenterParams>, x: Tensor, config: NetworkConfig): Tensor {
  const size = x.shape.slice(2);
  const scores = unet3dLevels(params.encoder, centred(x), mode(config)).map((level, i) => {
    const { weight, bias } = params.heads[i] as Traced<ConvParams>;
    const own = conv3d(level, weight, bias ? { bias } : {});
    return i === 0 ? own : resize(own, { size });
  });
  return scores.reduce(add);
}

/** Every level of the encoder averaged over its positions, one after another: [N, 1, S, S, D] to [N, F]. */
export function pooledFeatures(encoder: Traced<EncoderParams>, x: Tensor, config: NetworkConfig): Tensor {
  return concat(unet3dLevels(encoder, centred(x), mode(config)).map(globalAveragePool), 1);
}

export function projectorInit(key: Key, config: NetworkConfig): VocoProjectorParams {
  return vocoProjectorInit(key, {
    inputs: featureWidth(config),
    hidden: config.hidden,
    outputs: config.embedding,
  });
}

/** Where in the plane a crop lies: pooled features to two numbers. */
export function placeHeadInit(key: Key, config: NetworkConfig): LinearParams {
  return linearInit(key, { inputs: featureWidth(config), outputs: 2 });
}

/** What masked reconstruction trains beside the encoder. */
export interface ReconstructionParams {
  /** Stands where the voxels of a masked block were: a scalar. */
  readonly token: NDArray;
  /** Deepest features to the block of voxels above them. */
  readonly voxels: LinearParams;
}

export function reconstructionInit(key: Key, config: NetworkConfig): ReconstructionParams {
  const inputs = config.widths.at(-1) as number;
  return {
    token: ndarray([0], { shape: [] }),
    voxels: linearInit(foldIn(key, 0), { inputs, outputs: strideOf(config) ** 3 }),
  };
}

/**
 * Voxels out of the deepest level by one affine map, each position its block: [N, 1, S, S, D] of masked crops to the same
 * shape.
 *
 * @source Xie et al. 2022 (SimMIM): one layer as decoder
 */
export function reconstruct(
  encoder: Traced<EncoderParams>,
  params: Traced<ReconstructionParams>,
  x: Tensor,
  config: NetworkConfig,
): Tensor {
  const deepest = unet3dLevels(encoder, centred(x), mode(config)).at(-1) as Tensor;
  const [N, , A, B, C] = deepest.shape as [number, number, number, number, number];
  const s = strideOf(config);
  const blocks = reshape(linear(params.voxels, transpose(deepest, [0, 2, 3, 4, 1])), [N, A, B, C, s, s, s]);
  return reshape(transpose(blocks, [0, 1, 4, 2, 5, 3, 6]), [N, 1, A * s, B * s, C * s]);
}
