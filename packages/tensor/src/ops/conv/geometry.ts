import { checkWindow } from "../../core/axes.ts";
import { formatShape, ShapeError } from "../../core/errors.ts";

/** Entries added before and after an axis. */
export type Border = readonly [before: number, after: number];

/** How a window moves over the spatial axes: one entry for each of them. */
export interface Geometry {
  readonly stride: readonly number[];
  readonly padding: readonly Border[];
  readonly dilation: readonly number[];
}

/** A convolution's window; channels fall into this many groups that do not see each other. */
export interface ConvGeometry extends Geometry {
  readonly groups: number;
}

/** One number for all spatial axes, or one for each. */
export type PerAxis = number | readonly number[];

/**
 * Zeros around the input: one number for all sides, or one entry for each spatial axis, a number or
 * [before, after] (a causal convolution pads [dilation · (k - 1), 0]). "same" pads so that the output has
 * ⌈size / stride⌉ positions; when the sum is odd, the last side gets more.
 */
export type Padding = number | "same" | readonly (number | Border)[];

/** The names of spatial axes, outermost first. */
export const SPATIAL_AXES: readonly string[] = ["D", "H", "W"];

export function perAxis(operation: string, option: string, value: PerAxis, rank: number): number[] {
  const list = typeof value === "number" ? Array.from({ length: rank }, () => value) : [...value];
  if (list.length !== rank)
    throw new ShapeError(
      `${operation}: ${option} must be a number or a list of ${rank}, got [${list.join(", ")}]`,
    );
  return list;
}

/** Positions that a window with `dilation - 1` gaps between neighbours spans. */
export function extent(kernel: number, dilation: number): number {
  return dilation * (kernel - 1) + 1;
}

function borders(
  operation: string,
  padding: Padding,
  image: readonly number[],
  kernel: readonly number[],
  { stride, dilation }: Pick<Geometry, "stride" | "dilation">,
): Border[] {
  if (padding === "same")
    return image.map((size, i) => {
      const step = stride[i] as number;
      const span = extent(kernel[i] as number, dilation[i] as number);
      const total = Math.max(0, (Math.ceil(size / step) - 1) * step + span - size);
      return [Math.floor(total / 2), Math.ceil(total / 2)];
    });
  const list = typeof padding === "number" ? image.map(() => padding) : padding;
  if (list.length !== image.length || list.some((side) => typeof side !== "number" && side.length !== 2))
    throw new ShapeError(
      `${operation}: padding must be a number, "same" or a list of ${image.length} numbers or [before, after], got ${JSON.stringify(padding)}`,
    );
  checkWindow(operation, { size: 1, stride: 1, padding: list.flat() });
  return list.map((side) => (typeof side === "number" ? [side, side] : side));
}

export interface GeometryOptions {
  readonly stride?: PerAxis;
  readonly padding?: Padding;
  readonly dilation?: PerAxis;
}

/**
 * Options with every default filled in, checked.
 *
 * @param image   sizes of the spatial axes
 * @param kernel  sizes of the window
 */
export function geometryOf(
  operation: string,
  image: readonly number[],
  kernel: readonly number[],
  { stride = 1, padding = 0, dilation = 1 }: GeometryOptions,
): Geometry {
  const steps = perAxis(operation, "stride", stride, image.length);
  const gaps = perAxis(operation, "dilation", dilation, image.length);
  checkWindow(operation, { size: kernel, stride: steps, padding: 0 });
  if (gaps.some((gap) => !Number.isInteger(gap) || gap < 1))
    throw new ShapeError(`${operation}: dilation must be an integer >= 1, got ${gaps.join(", ")}`);
  return {
    stride: steps,
    dilation: gaps,
    padding: borders(operation, padding, image, kernel, { stride: steps, dilation: gaps }),
  };
}

function describeBorder([before, after]: Border): string {
  return before === after ? `${before}` : `${before}+${after}`;
}

/** Positions of a window along each spatial axis: ⌊(n + before + after - span) / stride⌋ + 1. */
export function outputSizes(
  operation: string,
  shape: readonly number[],
  kernel: readonly number[],
  { stride, padding, dilation }: Geometry,
): number[] {
  const sizes = shape.slice(2).map((n, i) => {
    const [before, after] = padding[i] as Border;
    const span = extent(kernel[i] as number, dilation[i] as number);
    return Math.floor((n + before + after - span) / (stride[i] as number)) + 1;
  });
  if (sizes.some((n) => n < 1)) {
    const gaps = dilation.some((gap) => gap > 1) ? ` with dilation [${dilation.join(", ")}]` : "";
    throw new ShapeError(
      `${operation}: kernel ${kernel.join("x")}${gaps} does not fit into ${formatShape(shape)} with padding [${padding.map(describeBorder).join(", ")}]`,
    );
  }
  return sizes;
}

/** Positions at the far end of each axis that no window reaches. */
export function unreached(
  image: readonly number[],
  positions: readonly number[],
  kernel: readonly number[],
  { stride, padding, dilation }: Geometry,
): number[] {
  return image.map((n, i) => {
    const [before, after] = padding[i] as Border;
    const reached = ((positions[i] as number) - 1) * (stride[i] as number);
    return n + before + after - reached - extent(kernel[i] as number, dilation[i] as number);
  });
}

/** Borders in ONNX's order: all befores, then all afters. */
export function onnxPads(padding: readonly Border[]): number[] {
  return [...padding.map(([before]) => before), ...padding.map(([, after]) => after)];
}

/**
 * The stride-1 convolution that spreads a gradient back over its input, once dy has stride - 1 zeros between
 * neighbours and the kernel is flipped with its channel roles exchanged. Borders may be negative: then the rim of dy
 * is cut off.
 */
export function adjoint<G extends Geometry>(
  image: readonly number[],
  positions: readonly number[],
  kernel: readonly number[],
  geometry: G,
): G {
  const rest = unreached(image, positions, kernel, geometry);
  return {
    ...geometry,
    stride: geometry.stride.map(() => 1),
    padding: geometry.padding.map(([before, after], i): Border => {
      const reach = extent(kernel[i] as number, geometry.dilation[i] as number) - 1;
      return [reach - before, reach - after + (rest[i] as number)];
    }),
  };
}
