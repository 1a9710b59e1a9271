import { checkAxes } from "../core/axes.ts";
import { formatShape, ShapeError } from "../core/errors.ts";
import { asOperands, checkDType, type Tensor } from "../core/tensor.ts";
import type { Padding, PerAxis } from "./conv/geometry.ts";
import { extent, geometryOf, perAxis, SPATIAL_AXES } from "./conv/geometry.ts";
import { convOp, convTransposeOp } from "./conv/operators.ts";

export type { Border, Padding, PerAxis } from "./conv/geometry.ts";

export interface ConvOptions {
  /** Step of the window: one number, or one for each spatial axis. Default 1. */
  readonly stride?: PerAxis;
  /** Zeros around the input, see `Padding`. Default 0. */
  readonly padding?: Padding;
  /** Distance of neighbouring kernel entries in the input: one number, or one for each spatial axis. Default 1. */
  readonly dilation?: PerAxis;
  /** Channels fall into this many groups that do not see each other (C: a depthwise convolution). Default 1. */
  readonly groups?: number;
  /** [O], added to every position. */
  readonly bias?: Tensor;
}

export interface ConvTransposeOptions extends ConvOptions {
  /** Zeros that the convolution whose transpose this is would add: they are cut from the result. Default 0. */
  readonly padding?: Exclude<Padding, "same">;
  /** Positions added at the far end of each spatial axis, smaller than the stride. Default 0. */
  readonly outputPadding?: PerAxis;
}

function checkGroups(
  operation: string,
  { groups = 1 }: ConvOptions,
  channels: number,
  filters: number,
): number {
  if (!Number.isInteger(groups) || groups < 1 || channels % groups !== 0 || filters % groups !== 0)
    throw new ShapeError(
      `${operation}: ${channels} input channels and ${filters} output channels do not part into ${groups} groups`,
    );
  return groups;
}

/** Checks shapes and dtypes of the operands. `filters` is the number of output channels. */
function checkOperands(
  operation: string,
  rank: number,
  { x, weights, filters }: { readonly x: Tensor; readonly weights: Tensor; readonly filters: number },
  { groups = 1, bias }: ConvOptions,
  transposed = false,
): void {
  const axes = SPATIAL_AXES.slice(-rank);
  const kernel = axes.map((axis) => `k${axis.toLowerCase()}`).join(" ");
  // In groups the second axis of the weights is a part of the channels, which has no name to be compared by.
  const [first, second] = transposed ? ["C", "O"] : ["O", "C"];
  checkAxes(operation, {
    x: [x, `B C ${axes.join(" ")}`],
    weights: [weights, `${first} ${groups === 1 ? second : "part"} ${kernel}`],
    ...(bias && { bias: [bias, groups === 1 ? "O" : `${filters}`] as const }),
  });
  for (const other of bias ? [weights, bias] : [weights]) asOperands(operation, x, other);
  checkDType(operation, [x]);
}

function convolution(
  operation: string,
  rank: number,
  x: Tensor,
  weights: Tensor,
  options: ConvOptions,
): Tensor {
  const { bias } = options;
  const [channels, filters] = [x.shape[1] as number, weights.shape[0] as number];
  checkOperands(operation, rank, { x, weights, filters }, options);
  const groups = checkGroups(operation, options, channels, filters);
  if ((weights.shape[1] as number) * groups !== channels)
    throw new ShapeError(
      `${operation}: weights ${formatShape(weights.shape)} in ${groups} groups see ${(weights.shape[1] as number) * groups} channels, but x ${formatShape(x.shape)} has ${channels}`,
    );
  const window = geometryOf(operation, x.shape.slice(2), weights.shape.slice(2), options);
  return convOp([x, weights, ...(bias ? [bias] : [])], { operation, groups, ...window });
}

function convTranspose(
  operation: string,
  rank: number,
  x: Tensor,
  weights: Tensor,
  options: ConvTransposeOptions,
): Tensor {
  const { bias } = options;
  const [batch, channels, ...positions] = x.shape as [number, number, ...number[]];
  const filters = (weights.shape[1] as number) * (options.groups ?? 1);
  checkOperands(operation, rank, { x, weights, filters }, options, true);
  const groups = checkGroups(operation, options, channels, filters);
  const kernel = weights.shape.slice(2);
  const window = geometryOf(operation, positions, kernel, options);
  const extra = perAxis(operation, "outputPadding", options.outputPadding ?? 0, rank);
  if (extra.some((n, i) => !Number.isInteger(n) || n < 0 || n >= (window.stride[i] as number)))
    throw new ShapeError(
      `${operation}: outputPadding must be an integer >= 0 below the stride [${window.stride.join(", ")}], got ${extra.join(", ")}`,
    );
  const image = positions.map((n, i) => {
    const [before, after] = window.padding[i] as readonly [number, number];
    const span = extent(kernel[i] as number, window.dilation[i] as number);
    return (n - 1) * (window.stride[i] as number) + span - before - after + (extra[i] as number);
  });
  if (image.some((n) => n < 1))
    throw new ShapeError(
      `${operation}: padding ${JSON.stringify(options.padding ?? 0)} leaves nothing of ${formatShape(x.shape)}`,
    );
  return convTransposeOp([x, weights, ...(bias ? [bias] : [])], {
    operation,
    groups,
    ...window,
    shape: [batch, filters, ...image],
  });
}

/**
 * One-dimensional cross-correlation (what deep learning calls convolution).
 *
 *   y[b, o, t] = bias[o] + Σ_{c, i} w[o, c, i] · x[b, c, t·stride + i·dilation - padding]
 *
 * With groups, output channel o sees the C / groups channels of its group only. Causal: `padding: [[k - 1, 0]]`.
 *
 * @param x        [B, C, W]
 * @param weights  [O, C / groups, kw]
 * @returns [B, O, ⌊(W + before + after - dilation · (kw - 1) - 1) / stride⌋ + 1]
 * @throws ShapeError when channels differ, the kernel does not fit or an option is out of range; DTypeError unless
 *   all operands are float32 or all are float64
 */
export function conv1d(x: Tensor, weights: Tensor, options: ConvOptions = {}): Tensor {
  return convolution("conv1d", 1, x, weights, options);
}

/**
 * Two-dimensional cross-correlation (what deep learning calls convolution).
 *
 *   y[b, o, r, s] = bias[o] + Σ_{c, i, j} w[o, c, i, j] · x[b, c, r·stride + i·dilation - padding, s·stride + j·dilation - padding]
 *
 * Options per axis are ordered [rows, columns]. Groups and errors as in `conv1d`.
 *
 * @param x        [B, C, H, W]
 * @param weights  [O, C / groups, kh, kw]
 * @returns [B, O, ⌊(H + before + after - dilation · (kh - 1) - 1) / stride⌋ + 1, … W likewise]
 */
export function conv2d(x: Tensor, weights: Tensor, options: ConvOptions = {}): Tensor {
  return convolution("conv2d", 2, x, weights, options);
}

/**
 * Three-dimensional cross-correlation; the equation of `conv2d` with one more axis. Options per axis are ordered
 * [depth, rows, columns].
 *
 * @param x        [B, C, D, H, W]
 * @param weights  [O, C / groups, kd, kh, kw]
 * @returns [B, O, ⌊(D + before + after - dilation · (kd - 1) - 1) / stride⌋ + 1, … H and W likewise]
 */
export function conv3d(x: Tensor, weights: Tensor, options: ConvOptions = {}): Tensor {
  return convolution("conv3d", 3, x, weights, options);
}

/**
 * Transpose of `conv1d` as a map of x (also called deconvolution, or convolution with fractional stride).
 *
 *   y[b, o, t] = bias[o] + Σ_{c, i, s: s·stride + i·dilation - padding = t} w[c, o, i] · x[b, c, s]
 *
 * @param x        [B, C, W]
 * @param weights  [C, O / groups, kw]
 * @returns [B, O, (W - 1) · stride - before - after + dilation · (kw - 1) + 1 + outputPadding]
 * @throws ShapeError when channels differ, nothing is left or an option is out of range; DTypeError as `conv1d`
 */
export function convTranspose1d(x: Tensor, weights: Tensor, options: ConvTransposeOptions = {}): Tensor {
  return convTranspose("convTranspose1d", 1, x, weights, options);
}

/**
 * Transpose of `conv2d` as a map of x, see `convTranspose1d`.
 *
 * @param x        [B, C, H, W]
 * @param weights  [C, O / groups, kh, kw]
 * @returns [B, O, (H - 1) · stride - before - after + dilation · (kh - 1) + 1 + outputPadding, … W likewise]
 */
export function convTranspose2d(x: Tensor, weights: Tensor, options: ConvTransposeOptions = {}): Tensor {
  return convTranspose("convTranspose2d", 2, x, weights, options);
}

/**
 * Transpose of `conv3d` as a map of x, see `convTranspose1d`.
 *
 * @param x        [B, C, D, H, W]
 * @param weights  [C, O / groups, kd, kh, kw]
 * @returns [B, O, (D - 1) · stride - before - after + dilation · (kd - 1) + 1 + outputPadding, … H and W likewise]
 */
export function convTranspose3d(x: Tensor, weights: Tensor, options: ConvTransposeOptions = {}): Tensor {
  return convTranspose("convTranspose3d", 3, x, weights, options);
}
