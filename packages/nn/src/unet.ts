import type { Key, Traced } from "@concord/tensor";
import {
  checkAxes,
  concat,
  conv2d,
  conv3d,
  convTranspose2d,
  convTranspose3d,
  foldIn,
  groupNorm,
  instanceNorm,
  narrow,
  relu,
  resize,
  type Tensor,
} from "@concord/tensor";
import { normInit } from "./batch-norm.ts";
import type { ConvParams } from "./convolution.ts";
import { convInit, samePadding } from "./convolution.ts";
import type { NormedConvParams } from "./resnet.ts";

export interface UNetOptions {
  /** Input channels. */
  readonly channels: number;
  /** Width of each level, from full size down; every level halves the sides, e.g. [16, 32, 64]. */
  readonly widths: readonly number[];
  /** Output channels at full size, e.g. classes. */
  readonly outputs: number;
  /** "transposed" (default): a 2ⁿ transposed convolution; "resize": linear interpolation and a 3ⁿ convolution. */
  readonly upsampling?: "transposed" | "resize";
  /** Convolutions a level, on the way down as on the way up. Default 2. */
  readonly convolutions?: number;
}

export interface UNetDecoderParams {
  /** Transposed, [C, O, 2, 2, …], or after a resize, [O, C, 3, 3, …]. */
  readonly up: ConvParams;
  readonly layers: readonly NormedConvParams[];
}

export interface UNetParams {
  /** The convolutions of each level; the first of every level but the topmost has a stride of 2. */
  readonly encoder: readonly (readonly NormedConvParams[])[];
  /** From the level above the deepest up to full size. */
  readonly decoder: readonly UNetDecoderParams[];
  /** 1ⁿ convolution with bias. */
  readonly head: ConvParams;
}

export interface UNetMode {
  /** Default "instance". */
  readonly norm?: "instance" | "group";
  /** Groups of the group norm. Default 8. */
  readonly groups?: number;
  /** Default relu. */
  readonly activation?: (x: Tensor) => Tensor;
}

export interface UNetResult {
  /** [B, outputs, ...], the size of the input. Not normalised. */
  readonly y: Tensor;
  /** The deepest level: [B, D, ...]. Who uses nothing else does not pay for the decoder. */
  readonly features: Tensor;
}

function unetInit(dimensions: 2 | 3, key: Key, options: UNetOptions): UNetParams {
  const { channels, widths, outputs, upsampling = "transposed", convolutions = 2 } = options;
  if (widths.length < 2) throw new RangeError(`unet: needs at least two levels, got ${widths.length}`);
  if (!Number.isInteger(convolutions) || convolutions < 1)
    throw new RangeError(`unet: convolutions a level must be an integer >= 1, got ${convolutions}`);
  const cube = (size: number): number[] => Array.from({ length: dimensions }, () => size);
  const layer = (layerKey: Key, inputs: number, width: number): NormedConvParams => ({
    conv: convInit(layerKey, { inputs, outputs: width, kernel: cube(3) }),
    norm: normInit(width),
  });
  const level = (levelKey: Key, inputs: number, width: number): NormedConvParams[] =>
    Array.from({ length: convolutions }, (_, i) =>
      layer(foldIn(levelKey, i), i === 0 ? inputs : width, width),
    );
  const up = (upKey: Key, inputs: number, width: number): ConvParams =>
    upsampling === "resize"
      ? convInit(upKey, { inputs, outputs: width, kernel: cube(3) })
      : convInit(upKey, { inputs: width, outputs: inputs, kernel: cube(2) });
  const [encoderKey, decoderKey] = [foldIn(key, 0), foldIn(key, 1)];
  return {
    encoder: widths.map((width, i) => level(foldIn(encoderKey, i), widths[i - 1] ?? channels, width)),
    decoder: widths
      .slice(0, -1)
      .map((width, i) => {
        const levelKey = foldIn(decoderKey, i);
        const below = widths[i + 1] as number;
        // Keys of convolutions count from 0.
        const upKey = foldIn(levelKey, Math.max(2, convolutions));
        return { up: up(upKey, below, width), layers: level(levelKey, 2 * width, width) };
      })
      .reverse(),
    head: convInit(foldIn(key, 2), { inputs: widths[0] as number, outputs, kernel: cube(1), bias: true }),
  };
}

/** Crops the far end of each axis of space to the size of another map. */
function cropTo(x: Tensor, { shape }: Tensor): Tensor {
  return shape.slice(2).reduce((y, size, i) => (y.shape[i + 2] === size ? y : narrow(y, i + 2, 0, size)), x);
}

/** Normalised and activated convolutions one after another. */
function blocks(dimensions: 2 | 3, { norm = "instance", groups = 8, activation = relu }: UNetMode) {
  const conv = dimensions === 2 ? conv2d : conv3d;
  const normalize = (y: Tensor, { gain, bias }: Traced<NormedConvParams>["norm"]): Tensor =>
    norm === "instance" ? instanceNorm(y, gain, bias) : groupNorm(y, gain, bias, { groups });
  return (layers: readonly Traced<NormedConvParams>[], input: Tensor, stride: number): Tensor =>
    layers.reduce((y, layer, i) => {
      const padding = samePadding(layer.conv.weight);
      const filtered = conv(y, layer.conv.weight, { stride: i === 0 ? stride : 1, padding });
      return activation(normalize(filtered, layer.norm));
    }, input);
}

/** The way down, from full size to the deepest level. */
function wayDown(
  dimensions: 2 | 3,
  encoder: Traced<UNetParams["encoder"]>,
  x: Tensor,
  mode: UNetMode,
): Tensor[] {
  const apply = blocks(dimensions, mode);
  const levels: Tensor[] = [];
  for (const [i, layers] of encoder.entries())
    levels.push(apply(layers, levels.at(-1) ?? x, i === 0 ? 1 : 2));
  return levels;
}

function unet(dimensions: 2 | 3, params: Traced<UNetParams>, x: Tensor, mode: UNetMode): UNetResult {
  const conv = dimensions === 2 ? conv2d : conv3d;
  const convTranspose = dimensions === 2 ? convTranspose2d : convTranspose3d;
  const apply = blocks(dimensions, mode);
  const upsample = ({ weight }: Traced<ConvParams>, y: Tensor, skip: Tensor): Tensor => {
    if (weight.shape[2] === 2) return cropTo(convTranspose(y, weight, { stride: 2 }), skip);
    return conv(resize(y, { size: skip.shape.slice(2) }), weight, { padding: samePadding(weight) });
  };
  const levels = wayDown(dimensions, params.encoder, x, mode);
  const features = levels.at(-1) as Tensor;
  const decoded = params.decoder.reduce((y, level, i) => {
    const skip = levels[levels.length - 2 - i] as Tensor;
    return apply(level.layers, concat([skip, upsample(level.up, y, skip)], 1), 1);
  }, features);
  const { weight, bias } = params.head;
  return { y: conv(decoded, weight, bias ? { bias } : {}), features };
}

/**
 * Parameters of a U-Net for images.
 *
 * @throws RangeError when there are fewer than two levels, or less than one convolution a level
 */
export function unet2dInit(key: Key, options: UNetOptions): UNetParams {
  return unetInit(2, key, options);
}

/**
 * U-Net: levels of 3×3 convolutions with normalisation and activation, halved by stride 2 on the way down, doubled
 * on the way up, where each level joins the map of its size from the way down.
 *
 * @param x  [B, C, H, W] of any size; odd sides are cropped on the way up
 * @returns y [B, outputs, H, W], the deepest map
 * @throws ShapeError when channels differ from those of the parameters, or do not part into the groups
 * @source Ronneberger et al. 2015; strides and instance norm as in nnU-Net (Isensee et al. 2021)
 */
export function unet2d(params: Traced<UNetParams>, x: Tensor, mode: UNetMode = {}): UNetResult {
  checkAxes("unet2d", { x: [x, "B C H W"] });
  return unet(2, params, x, mode);
}

/**
 * Parameters of a U-Net for volumes.
 *
 * @throws RangeError when there are fewer than two levels, or less than one convolution a level
 */
export function unet3dInit(key: Key, options: UNetOptions): UNetParams {
  return unetInit(3, key, options);
}

/**
 * U-Net with 3×3×3 convolutions: `unet2d` for volumes.
 *
 * @param x  [B, C, D, H, W]
 * @returns y [B, outputs, D, H, W] and the deepest map
 * @source Çiçek et al. 2016
 */
export function unet3d(params: Traced<UNetParams>, x: Tensor, mode: UNetMode = {}): UNetResult {
  checkAxes("unet3d", { x: [x, "B C D H W"] });
  return unet(3, params, x, mode);
}

/**
 * The way down of a U-Net alone, e.g. to train an encoder that gets its decoder later.
 *
 * @param encoder  the `encoder` of a U-Net's parameters
 * @param x        [B, C, D, H, W]
 * @returns the map of each level, from full size to the deepest: [B, C_i, ...]
 */
export function unet3dLevels(
  encoder: Traced<UNetParams["encoder"]>,
  x: Tensor,
  mode: UNetMode = {},
): readonly Tensor[] {
  checkAxes("unet3dLevels", { x: [x, "B C D H W"] });
  return wayDown(3, encoder, x, mode);
}
