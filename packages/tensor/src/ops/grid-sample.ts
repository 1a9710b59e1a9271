import { checkAxes } from "../core/axes.ts";
import { DTypeError, formatShape, ShapeError } from "../core/errors.ts";
import { isFloat, ndarray, sizeOf } from "../core/ndarray.ts";
import type { Spec } from "../core/tensor.ts";
import { asTensor, checkDType, defineUnitOp, type Tensor } from "../core/tensor.ts";
import { add, cast, equal, greater, less, logicalAnd, mul, neg, sub, where } from "./arithmetic.ts";
import { ones, zeros } from "./create.ts";
import { nodesOf } from "./elementwise.ts";
import { gather, scatterAddAlong, segmentSum, takeAlong } from "./gather.ts";
import { emitSampleRows } from "./grid-sample-rows.ts";
import { abs, floor } from "./math.ts";
import { matmul } from "./matmul.ts";
import { clampMax, clampMin, fmod, isNan, round } from "./numeric.ts";
import { narrow, stack } from "./shape.ts";
import { broadcastTo, reshape, sum, transpose } from "./structure.ts";

export interface SampleOptions {
  /** `linear` (bilinear, trilinear) or `nearest`, halves to the even pixel. Default `linear`. */
  readonly mode?: "linear" | "nearest";
  /** What stands beyond the border: zeros, the border, or the image mirrored at it. Default `zeros`. */
  readonly padding?: "zeros" | "border" | "reflection";
}

export interface GridOptions {
  /** Whether -1 and 1 are the centres of the corner pixels, rather than the borders of the image. Default false. */
  readonly alignCorners?: boolean;
}

type SampleAttributes = Required<SampleOptions & GridOptions>;

/**
 * How far out a place is followed. Zeros and border end within a distance of 4 of images of any size; places farther
 * out, which pixel numbers could not hold, are drawn in to there.
 */
function reachOf({ padding }: SampleAttributes): number {
  return padding === "reflection" ? 1e6 : 4;
}

/** What one of the two neighbours along one axis contributes, as [B, P] each. */
interface Neighbour {
  /** Number of the pixel along the axis, kept inside. */
  readonly index: Tensor;
  /** Its share, 0 if the neighbour is outside. */
  readonly share: Tensor;
  /** Derivative of the share with respect to the coordinate. */
  readonly slope: Tensor;
}

/** Pixel position of coordinates [B, P] along an axis of n pixels, and its derivative, which is constant almost everywhere. */
function pixelOf(
  coordinate: Tensor,
  n: number,
  { padding, alignCorners }: SampleAttributes,
): readonly [position: Tensor, derivative: Tensor | number] {
  const factor = (alignCorners ? n - 1 : n) / 2;
  const place = add(mul(coordinate, factor), (n - 1) / 2);
  if (padding === "zeros") return [place, factor];
  const strictlyInside = (p: Tensor): Tensor =>
    cast(logicalAnd(greater(p, 0), less(p, n - 1)), coordinate.dtype);
  const inside = (p: Tensor): Tensor => where(greater(p, 0), where(less(p, n - 1), p, n - 1), 0);
  if (padding === "border") return [inside(place), mul(strictlyInside(place), factor)];
  const low = alignCorners ? 0 : -0.5;
  const span = alignCorners ? Math.max(n - 1, 1) : n;
  const distance = sub(place, low);
  const rest = fmod(abs(distance), 2 * span);
  const turned = greater(rest, span);
  const mirrored = add(where(turned, sub(2 * span, rest), rest), low);
  const signed = (negative: Tensor): Tensor => where(negative, asTensor(-1, place.dtype), 1);
  const direction = mul(mul(signed(turned), signed(less(distance, 0))), factor);
  return [inside(mirrored), mul(strictlyInside(mirrored), direction)];
}

function neighboursOf(coordinate: Tensor, n: number, attributes: SampleAttributes): readonly Neighbour[] {
  const { dtype } = coordinate;
  const [place, derivative] = pixelOf(coordinate, n, attributes);
  const kept = (number: Tensor): Pick<Neighbour, "index" | "share"> => {
    const index = clampMax(clampMin(number, 0), n - 1);
    return { index, share: cast(equal(index, number), dtype) };
  };
  if (attributes.mode === "nearest") {
    const { index, share } = kept(round(place));
    return [{ index, share, slope: share }];
  }
  const base = floor(place);
  const part = sub(place, base);
  const [first, second] = [kept(base), kept(add(base, 1))];
  const slope = mul(second.share, derivative);
  return [
    { ...first, share: mul(sub(1, part), first.share), slope: neg(mul(first.share, derivative)) },
    { ...second, share: mul(part, second.share), slope },
  ];
}

/** A pixel that takes part in samples. */
interface Corner {
  /** Number of the pixel among all of the batch: [B · P], int32. */
  readonly rows: Tensor;
  /** What it is along each axis of the grid. */
  readonly along: readonly Neighbour[];
}

/** The 2^D neighbours of places [B, P, D] (D counts from the last axis), or the nearest pixel alone. */
function cornersOf(grid: Tensor, space: readonly number[], attributes: SampleAttributes): readonly Corner[] {
  const [batch, points, axes] = grid.shape as [number, number, number];
  const reach = reachOf(attributes);
  const finite = clampMax(clampMin(where(isNan(grid), -reach, grid), -reach), reach);
  const along = Array.from({ length: axes }, (_, axis) =>
    neighboursOf(
      reshape(narrow(finite, 2, axis, 1), [batch, points]),
      space[axes - 1 - axis] as number,
      attributes,
    ),
  );
  const first = ndarray(
    Array.from({ length: batch }, (_, b) => b * sizeOf(space)),
    { shape: [batch, 1], dtype: "int32" },
  );
  const strides = along.map((_, axis) => sizeOf(space.slice(axes - axis)));
  return Array.from({ length: attributes.mode === "linear" ? 2 ** axes : 1 }, (_, corner) => {
    const chosen = along.map((pair, axis) => pair[(corner >> axis) & 1] as Neighbour);
    const rows = chosen.reduce(
      (row, { index }, axis) => add(row, mul(cast(index, "int32"), strides[axis] as number)),
      asTensor(first),
    );
    return { rows: reshape(rows, [batch * points]), along: chosen };
  });
}

/** [B, C, ...] to one row of channels for each pixel of the batch, [B · N, C]. */
function toRows(x: Tensor): Tensor {
  const [batch, channels, ...space] = x.shape as [number, number, ...number[]];
  const flat = transpose(reshape(x, [batch, channels, sizeOf(space)]), [0, 2, 1]);
  return reshape(flat, [batch * sizeOf(space), channels]);
}

/** The way back from `toRows`. */
function fromRows(rows: Tensor, shape: readonly number[]): Tensor {
  const [batch, channels, ...space] = shape as [number, number, ...number[]];
  return reshape(transpose(reshape(rows, [batch, sizeOf(space), channels]), [0, 2, 1]), shape);
}

/** Rows of [N, C] at indices. Rows of one number have a much faster kernel of their own. */
function takeRows(table: Tensor, rows: Tensor): Tensor {
  if (table.shape[1] !== 1) return gather(table, rows);
  return reshape(takeAlong(reshape(table, [-1]), rows, 0), [-1, 1]);
}

/** Sums of rows [M, C] at indices of [N, C]: the transpose of `takeRows`. */
function sumRows(values: Tensor, rows: Tensor, count: number): Tensor {
  if (values.shape[1] !== 1) return segmentSum(values, rows, count);
  return reshape(scatterAddAlong(reshape(values, [-1]), rows, [count], 0), [count, 1]);
}

function total(terms: readonly Tensor[]): Tensor {
  return terms.slice(1).reduce((result, term) => add(result, term), terms[0] as Tensor);
}

function product(factors: readonly Tensor[]): Tensor {
  return factors.slice(1).reduce((result, factor) => mul(result, factor), factors[0] as Tensor);
}

/** From this many channels on, volumes are sampled by rows of channels. */
const ROW_CHANNELS = 6;

/** Values [B, C, P] of x [B, C, ...] at places [B, P, D] between -1 and 1. */
const sampleOp = defineUnitOp<SampleAttributes, [x: Tensor, grid: Tensor]>({
  name: "gridSample",
  infer: ([x, grid]) => {
    const { shape, dtype } = x;
    return [{ shape: [...shape.slice(0, 2), grid.shape[1] as number], dtype }];
  },
  lower: (graph, [x, grid], attributes, { inputs, outputs }) => {
    const [{ shape, dtype }, { shape: places }] = inputs;
    const emit = nodesOf(graph, dtype);
    const reach = reachOf(attributes);
    const known = emit("Where", emit("IsNaN", grid), -reach, grid);
    const finite = emit("Min", emit("Max", known, -reach), reach);
    const { mode, padding, alignCorners } = attributes;
    if (
      mode === "linear" &&
      padding !== "reflection" &&
      shape.length === 5 &&
      (shape[1] as number) >= ROW_CHANNELS
    )
      return [emitSampleRows(graph, x, finite, { padding, alignCorners }, inputs as [Spec, Spec])];
    const lines = shape.slice(3).map(() => 1);
    const [batch, points, axes] = places as [number, number, number];
    const shaped = graph.reshape(finite, [batch, ...lines, points, axes]);
    const y = graph.node("GridSample", [x, shaped], {
      mode,
      padding_mode: padding,
      align_corners: Number(alignCorners),
    });
    return [graph.reshape(y, outputs[0].shape)];
  },
  vjp: ({ inputs, cotangents, attributes }) => {
    const [x, grid] = inputs;
    const [batch, points, axes] = grid.shape as [number, number, number];
    const pixels = toRows(x);
    const dy = toRows(cotangents[0]);
    const corners = cornersOf(grid, x.shape.slice(2), attributes);
    const spread = corners.reduce<Tensor | undefined>((sum, { rows, along }) => {
      const share = reshape(product(along.map(({ share }) => share)), [-1, 1]);
      const part = sumRows(mul(dy, share), rows, pixels.shape[0] as number);
      return sum ? add(sum, part) : part;
    }, undefined);
    const dx = fromRows(spread as Tensor, x.shape);
    if (attributes.mode === "nearest") return [dx, null];
    const projections = corners.map(({ rows }) => {
      const projected = mul(takeRows(pixels, rows), dy);
      return reshape(x.shape[1] === 1 ? projected : sum(projected, { axes: -1 }), [batch, points]);
    });
    const dGrid = Array.from({ length: axes }, (_, axis) =>
      total(
        corners.map(({ along }, k) =>
          product([
            ...along.map(({ slope, share }, other) => (other === axis ? slope : share)),
            projections[k] as Tensor,
          ]),
        ),
      ),
    );
    return [dx, stack(dGrid, -1)];
  },
});

/** As `sampleOp` for integers and booleans, which ONNX GridSample does not take. */
function sampleNearest(x: Tensor, grid: Tensor, attributes: SampleAttributes): Tensor {
  const [{ rows, along }] = cornersOf(grid, x.shape.slice(2), attributes) as [Corner];
  const inside = greater(reshape(product(along.map(({ share }) => share)), [-1, 1]), 0);
  const found = takeRows(toRows(x), rows);
  const kept = x.dtype === "bool" ? logicalAnd(inside, found) : where(inside, found, zeros([], x.dtype));
  return fromRows(kept, [...x.shape.slice(0, 2), grid.shape[1] as number]);
}

/** Samples x at places [B, P, D] between -1 and 1: [B, C, P]. */
function sample(x: Tensor, grid: Tensor, options: SampleOptions & GridOptions): Tensor {
  const attributes: SampleAttributes = {
    mode: options.mode ?? "linear",
    padding: options.padding ?? "zeros",
    alignCorners: options.alignCorners ?? false,
  };
  return isFloat(x.dtype) ? sampleOp([x, grid], attributes) : sampleNearest(x, grid, attributes);
}

/** Sizes of a batch of images or volumes. */
function checkImage(operation: string, x: Tensor, options: SampleOptions): number {
  if (x.rank !== 4 && x.rank !== 5)
    throw new ShapeError(
      `${operation}: x needs the axes [B, C, H, W] or [B, C, D, H, W], got ${formatShape(x.shape)}`,
    );
  if (sizeOf(x.shape.slice(2)) === 0)
    throw new ShapeError(`${operation}: x ${formatShape(x.shape)} has no pixels`);
  if (options.mode !== "nearest") checkDType(operation, [x]);
  return x.rank - 2;
}

function checkPlaces(operation: string, x: Tensor, places: Tensor, name: string): void {
  checkDType(operation, [places]);
  if (isFloat(x.dtype) && x.dtype !== places.dtype)
    throw new DTypeError(`${operation}: x is ${x.dtype}, ${name} ${places.dtype}; convert one with cast()`);
}

/**
 * Values of images or volumes at places of a grid, [B, C, ...] and [B, ..., D] to [B, C, ...]: linear between the
 * nearest 2^D pixels. Values and gradients equal those of PyTorch's `grid_sample`.
 *
 * The gradient flows to the image and, with mode `linear`, to the grid. It visits the 2^D neighbours of all places one
 * after another; for each, memory of about twice the size of the result is in use (for the sums at repeated pixels
 * four times, their positions being 64-bit). Forward, no more than three times the result is in use.
 *
 * @param x     [B, C, H, W] or [B, C, D, H, W]; integers and booleans with mode `nearest` only
 * @param grid  [B, ..., 2] or [B, ..., 3] with any axes between: x, y (and z) of each place, x along the last axis of
 *              the image; -1 and 1 are its borders. A place that is NaN or far outside counts as beyond the border
 * @throws ShapeError when the grid has another batch size or number of coordinates
 * @source Jaderberg, Simonyan, Zisserman, Kavukcuoglu 2015
 */
export function gridSample(x: Tensor, grid: Tensor, options: SampleOptions & GridOptions = {}): Tensor {
  const axes = checkImage("gridSample", x, options);
  checkPlaces("gridSample", x, grid, "the grid");
  if (grid.rank < 3 || grid.shape[0] !== x.shape[0] || grid.shape.at(-1) !== axes)
    throw new ShapeError(
      `gridSample: x ${formatShape(x.shape)} needs a grid [${x.shape[0]}, ..., ${axes}], got ${formatShape(grid.shape)}`,
    );
  const places = grid.shape.slice(1, -1);
  const [batch, channels] = x.shape as [number, number];
  return reshape(sample(x, reshape(grid, [batch, sizeOf(places), axes]), options), [
    batch,
    channels,
    ...places,
  ]);
}

/**
 * Images or volumes moved by a field of displacements: y(p) = x(p + u(p)), p in pixels.
 *
 * @param x             [B, C, H, W] or [B, C, D, H, W]
 * @param displacement  u in pixels, [B, 2, H, W] or [B, 3, D, H, W]: channel i moves along the i-th spatial axis
 * @throws ShapeError when the field does not fit the image
 */
export function warp(x: Tensor, displacement: Tensor, options: SampleOptions = {}): Tensor {
  const axes = checkImage("warp", x, options);
  checkPlaces("warp", x, displacement, "the displacement");
  const [batch, , ...space] = x.shape as [number, number, ...number[]];
  const wanted = [batch, axes, ...space];
  if (formatShape(displacement.shape) !== formatShape(wanted))
    throw new ShapeError(
      `warp: x ${formatShape(x.shape)} needs a displacement ${formatShape(wanted)}, got ${formatShape(displacement.shape)}`,
    );
  const count = sizeOf(space);
  const moved = Array.from({ length: axes }, (_, i) => {
    const axis = axes - 1 - i;
    const n = space[axis] as number;
    const own = ndarray(
      Array.from({ length: n }, (_, at) => (2 * at + 1) / n - 1),
      { shape: space.map((_, other) => (other === axis ? n : 1)), dtype: displacement.dtype },
    );
    const along = reshape(narrow(displacement, 1, axis, 1), [batch, ...space]);
    return reshape(add(mul(along, 2 / n), own), [batch, count]);
  });
  return reshape(sample(x, stack(moved, -1), options), x.shape);
}

/**
 * The grid that an affine map makes of the places of an image, for `gridSample`: place (x, y, 1) or (x, y, z, 1) of
 * each output pixel times the matrix.
 *
 * @param matrices  [B, 2, 3] or [B, 3, 4]
 * @param size      spatial sizes of the result, [H, W] or [D, H, W]
 * @returns [B, H, W, 2] or [B, D, H, W, 3]
 * @throws ShapeError when matrices and size do not fit
 * @source Jaderberg, Simonyan, Zisserman, Kavukcuoglu 2015
 */
export function affineGrid(matrices: Tensor, size: readonly number[], options: GridOptions = {}): Tensor {
  const axes = size.length;
  checkDType("affineGrid", [matrices]);
  if ((axes !== 2 && axes !== 3) || size.some((n) => !Number.isInteger(n) || n < 1))
    throw new ShapeError(`affineGrid: expected sizes [H, W] or [D, H, W], got ${formatShape(size)}`);
  const { B } = checkAxes("affineGrid", { matrices: [matrices, `B ${axes} ${axes + 1}`] }) as { B: number };
  const coordinate = (at: number, n: number): number => {
    if (options.alignCorners) return n === 1 ? 0 : (2 * at) / (n - 1) - 1;
    return (2 * at + 1) / n - 1;
  };
  // Lines are constants, places made of them in the graph: a volume of places would swell the model.
  const places = Array.from({ length: axes }, (_, i) => {
    const axis = axes - 1 - i;
    const n = size[axis] as number;
    const line = ndarray(
      Array.from({ length: n }, (_, at) => coordinate(at, n)),
      { shape: size.map((_, other) => (other === axis ? n : 1)), dtype: matrices.dtype },
    );
    return reshape(broadcastTo(line, size), [-1]);
  });
  const base = stack([...places, ones([sizeOf(size)], matrices.dtype)], -1);
  return reshape(matmul(base, matrices, { transposeB: true }), [B, ...size, axes]);
}
