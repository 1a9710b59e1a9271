import { formatShape, ShapeError } from "../core/errors.ts";
import { isFloat, ndarray } from "../core/ndarray.ts";
import { asTensor, checkDType, type Tensor, type TensorLike } from "../core/tensor.ts";
import { gather } from "./gather.ts";
import type { AxisWeights } from "./separable.ts";
import { applySeparable } from "./separable.ts";

export interface ResizeOptions {
  /** Size of each spatial axis of the result; a number for all. Either this or `scale`. */
  readonly size?: number | readonly number[];
  /** Factor for each spatial axis; the size is ⌊n · scale⌋. Either this or `size`. */
  readonly scale?: number | readonly number[];
  /** Default `linear`. */
  readonly mode?: "nearest" | "linear" | "cubic";
  /** Whether the centres of the corner pixels meet, rather than the corners of the image. Default false. */
  readonly alignCorners?: boolean;
  /** Widens the filter when an axis shrinks, so that every input has its share. For linear and cubic. Default false. */
  readonly antialias?: boolean;
}

interface AxisOptions {
  readonly mode: "linear" | "cubic";
  readonly alignCorners: boolean;
  readonly antialias: boolean;
  /** Inputs for each output. */
  readonly ratio: number;
}

/** Keys' kernel: a = -3/4 for plain interpolation and -1/2 with antialiasing, as PyTorch and Pillow have it. */
function cubicKernel(distance: number, a: number): number {
  const x = Math.abs(distance);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

function tentKernel(distance: number): number {
  return Math.max(0, 1 - Math.abs(distance));
}

/** Weights of one output at a place between the inputs, those beyond the border counted for the border. */
function plainWeights(inputs: number, place: number, mode: "linear" | "cubic"): number[] {
  const row = new Array<number>(inputs).fill(0);
  const floor = Math.floor(place);
  const reach = mode === "linear" ? [0, 1] : [-1, 0, 1, 2];
  for (const offset of reach) {
    const distance = place - floor - offset;
    const at = Math.min(Math.max(floor + offset, 0), inputs - 1);
    row[at] = (row[at] as number) + (mode === "linear" ? tentKernel(distance) : cubicKernel(distance, -0.75));
  }
  return row;
}

/** Weights of one output, the kernel stretched over the inputs that fall into it and cut off at the border. */
function antialiasedWeights(
  inputs: number,
  output: number,
  ratio: number,
  mode: "linear" | "cubic",
): number[] {
  const stretch = Math.max(ratio, 1);
  const support = (mode === "linear" ? 1 : 2) * stretch;
  const centre = (output + 0.5) * ratio;
  const first = Math.max(Math.trunc(centre - support + 0.5), 0);
  const end = Math.min(Math.trunc(centre + support + 0.5), inputs);
  const row = Array.from({ length: inputs }, (_, i) => {
    if (i < first || i >= end) return 0;
    const distance = (i + 0.5 - centre) / stretch;
    return mode === "linear" ? tentKernel(distance) : cubicKernel(distance, -0.5);
  });
  const total = row.reduce((sum, weight) => sum + weight, 0);
  return row.map((weight) => weight / total);
}

function axisWeights(inputs: number, outputs: number, options: AxisOptions): AxisWeights {
  const { mode, alignCorners, antialias, ratio } = options;
  return Array.from({ length: outputs }, (_, i) => {
    if (antialias) return antialiasedWeights(inputs, i, ratio, mode);
    const between = (i + 0.5) * ratio - 0.5;
    const place = alignCorners ? (i * (inputs - 1)) / Math.max(outputs - 1, 1) : between;
    return plainWeights(inputs, mode === "linear" ? Math.max(place, 0) : place, mode);
  });
}

/** Which input each output shows: ⌊i · ratio⌋. */
function nearestIndices(inputs: number, outputs: number, scale: number | undefined): number[] {
  return Array.from({ length: outputs }, (_, i) =>
    Math.min(Math.floor(scale === undefined ? (i * inputs) / outputs : i / scale), inputs - 1),
  );
}

function oneHotRow(length: number, at: number): number[] {
  return Array.from({ length }, (_, i) => (i === at ? 1 : 0));
}

function resizeNearest(x: Tensor, size: readonly number[], scales: readonly number[] | undefined): Tensor {
  const space = x.shape.slice(2);
  const indices = new Map<number, number[]>();
  space.forEach((n, i) => {
    const list = nearestIndices(n, size[i] as number, scales?.[i]);
    if (list.length !== n || list.some((at, output) => at !== output)) indices.set(i + 2, list);
  });
  if (!isFloat(x.dtype))
    return [...indices].reduce((y, [axis, list]) => gather(y, ndarray(list, { dtype: "int32" }), axis), x);
  const weights = [...indices].map(([axis, list]): [number, AxisWeights] => [
    axis,
    list.map((at) => oneHotRow(x.shape[axis] as number, at)),
  ]);
  return applySeparable(x, new Map(weights));
}

function perAxis(name: string, value: number | readonly number[], x: Tensor): readonly number[] {
  const list = typeof value === "number" ? x.shape.slice(2).map(() => value) : value;
  if (list.length !== x.rank - 2)
    throw new ShapeError(
      `resize: ${name} has ${list.length} entries for the ${x.rank - 2} spatial axes of x ${formatShape(x.shape)}`,
    );
  return list;
}

/**
 * Resamples the spatial axes of images, signals or volumes: [B, C, ...] to [B, C, ...size].
 *
 * Output i of an axis stands at the input place (i + 1/2) · n / m - 1/2, or at i · (n - 1) / (m - 1) with
 * `alignCorners`; with `scale`, n / m is 1 / scale. Beyond the border the border is repeated. `nearest` shows input
 * ⌊i · n / m⌋. Values equal those of PyTorch's `interpolate`, except for `nearest` with a scale other than 2 that doubles
 * the size (2.4 of 2 inputs), where PyTorch shows each input twice whatever the scale.
 *
 * Each axis is one product with a constant matrix [m, n], which is faster than ONNX Resize up to some hundred pixels
 * and has its transpose as gradient; an infinite input or NaN spreads over its whole line.
 *
 * @param x  [B, C, ...] with at least one spatial axis; integers and booleans for `nearest` only
 * @throws ShapeError when sizes do not fit the axes or a size is below 1; RangeError for options that exclude each other
 */
export function resize(x: TensorLike, options: ResizeOptions): Tensor {
  const input = asTensor(x);
  const { mode = "linear", alignCorners = false, antialias = false } = options;
  if (input.rank < 3)
    throw new ShapeError(`resize: x needs the axes [B, C, ...], got ${formatShape(input.shape)}`);
  if ((options.size === undefined) === (options.scale === undefined))
    throw new RangeError("resize: needs either size or scale");
  if (mode === "nearest" && (alignCorners || antialias))
    throw new RangeError("resize: alignCorners and antialias do not apply to mode 'nearest'");
  if (alignCorners && antialias)
    throw new RangeError("resize: antialias works on areas, alignCorners on points; choose one");
  const scales = options.scale === undefined ? undefined : perAxis("scale", options.scale, input);
  const space = input.shape.slice(2);
  const size = scales
    ? space.map((n, i) => Math.floor(n * (scales[i] as number)))
    : perAxis("size", options.size as number | readonly number[], input);
  if (size.some((n) => !Number.isInteger(n) || n < 1) || space.includes(0))
    throw new ShapeError(`resize: ${formatShape(input.shape)} cannot become ${formatShape(size)}`);
  if (mode === "nearest") return resizeNearest(input, size, scales);
  checkDType("resize", [input]);
  const weights = new Map<number, AxisWeights>();
  space.forEach((inputs, i) => {
    const outputs = size[i] as number;
    const ratio = scales ? 1 / (scales[i] as number) : inputs / outputs;
    if (inputs !== outputs || (ratio !== 1 && !alignCorners))
      weights.set(i + 2, axisWeights(inputs, outputs, { mode, alignCorners, antialias, ratio }));
  });
  return applySeparable(input, weights);
}
