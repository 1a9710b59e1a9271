import { normalizeAxes, normalizeAxis } from "../core/axes.ts";
import { formatShape, ShapeError } from "../core/errors.ts";
import type { DType } from "../core/ndarray.ts";
import { ndarray } from "../core/ndarray.ts";
import type { TensorLike } from "../core/tensor.ts";
import { asTensor, checkDType, constant, defineUnitOp, type Tensor, type UnitOp } from "../core/tensor.ts";
import { equal, where } from "./arithmetic.ts";
import { arange } from "./create.ts";
import { concat, narrow, slice } from "./shape.ts";
import { broadcastTo, expandDims, reshape, sum } from "./structure.ts";

const flipOp = defineUnitOp<{ readonly axes: readonly number[] }, [x: Tensor]>({
  name: "flip",
  infer: ([x]) => [x],
  lower: (graph, [x], { axes }) => {
    const all = (value: number): string => graph.int64s(axes.map(() => value));
    return [graph.node("Slice", [x, all(-1), all(-(2 ** 31)), graph.int64s(axes), all(-1)])];
  },
  vjp: ({ cotangents: [dy], attributes: { axes } }) => [flip(dy, axes)],
});

/**
 * The same entries in reverse order along axes (all when none are given); the shape stays.
 *
 * @throws ShapeError when x has no such axis or an axis is named twice
 */
export function flip(x: TensorLike, axes?: number | readonly number[]): Tensor {
  const input = asTensor(x);
  const along = normalizeAxes("flip", axes, input.rank);
  return along.length === 0 ? input : flipOp([input], { axes: along });
}

/**
 * Entries moved by `shift` places along an axis; those that leave at one end enter at the other. The shape stays.
 *
 * @param shift  an integer, negative towards the start
 * @param axis   default: the last
 * @throws RangeError when the shift is no integer; ShapeError when x has no such axis
 */
export function roll(x: TensorLike, shift: number, axis = -1): Tensor {
  const input = asTensor(x);
  const along = normalizeAxis("roll", axis, input.rank);
  if (!Number.isInteger(shift)) throw new RangeError(`roll: the shift must be an integer, got ${shift}`);
  const size = input.shape[along] as number;
  const by = size === 0 ? 0 : ((shift % size) + size) % size;
  if (by === 0) return input;
  return concat([narrow(input, along, size - by, by), narrow(input, along, 0, size - by)], along);
}

/**
 * The whole tensor several times along each axis: an axis of size n becomes n · repeats.
 *
 * @param repeats  one integer >= 1 for each axis
 * @throws ShapeError unless there is one for each axis
 */
export function tile(x: TensorLike, repeats: readonly number[]): Tensor {
  const input = asTensor(x);
  if (repeats.length !== input.rank || repeats.some((n) => !Number.isInteger(n) || n < 1))
    throw new ShapeError(
      `tile: needs one integer >= 1 for each axis of ${formatShape(input.shape)}, got [${repeats.join(", ")}]`,
    );
  const split = reshape(
    input,
    input.shape.flatMap((n) => [1, n]),
  );
  const wide = broadcastTo(
    split,
    input.shape.flatMap((n, axis) => [repeats[axis] as number, n]),
  );
  return reshape(
    wide,
    input.shape.map((n, axis) => n * (repeats[axis] as number)),
  );
}

/**
 * Each entry `times` times in a row along an axis: [a, b] becomes [a, a, b, b], and [..., N, ...] becomes
 * [..., N · times, ...].
 *
 * @param times  an integer >= 1
 * @param axis   default: the last
 * @throws RangeError when `times` is out of range; ShapeError when x has no such axis
 */
export function repeat(x: TensorLike, times: number, axis = -1): Tensor {
  const input = asTensor(x);
  const along = normalizeAxis("repeat", axis, input.rank);
  if (!Number.isInteger(times) || times < 1)
    throw new RangeError(`repeat: needs an integer >= 1, got ${times}`);
  const wide = expandDims(input, along + 1);
  const shape = wide.shape.with(along + 1, times);
  return reshape(broadcastTo(wide, shape), input.shape.with(along, (input.shape[along] as number) * times));
}

function checkMatrix(operation: string, x: Tensor): readonly [number, number] {
  if (x.rank < 2)
    throw new ShapeError(`${operation}: expected axes [..., M, N], got ${formatShape(x.shape)}`);
  return [x.shape.at(-2) as number, x.shape.at(-1) as number];
}

interface TriangleAttributes {
  readonly upper: boolean;
  readonly offset: number;
}

const triangleOp: UnitOp<TriangleAttributes, [x: Tensor]> = defineUnitOp({
  name: "triangle",
  infer: ([x], { upper }) => {
    checkDType(upper ? "triu" : "tril", [x], ["float32", "float64", "int64"]);
    return [x];
  },
  lower: (graph, [x], { upper, offset }) => [
    graph.node("Trilu", [x, graph.scalar(offset, "int64")], { upper: Number(upper) }),
  ],
  vjp: ({ cotangents: [dy], attributes }) => [triangleOp([dy], attributes)],
});

function triangle(operation: string, x: TensorLike, upper: boolean, offset: number): Tensor {
  const input = asTensor(x);
  checkMatrix(operation, input);
  return triangleOp([input], { upper, offset });
}

/**
 * Entries on and below the diagonal (shifted up by `offset`), 0 elsewhere: [..., M, N], of floats or int64.
 *
 * @throws ShapeError when x has fewer than two axes; DTypeError for other dtypes
 */
export function tril(x: TensorLike, offset = 0): Tensor {
  return triangle("tril", x, false, offset);
}

/**
 * Entries on and above the diagonal (shifted up by `offset`), 0 elsewhere: [..., M, N], of floats or int64.
 *
 * @throws ShapeError when x has fewer than two axes; DTypeError for other dtypes
 */
export function triu(x: TensorLike, offset = 0): Tensor {
  return triangle("triu", x, true, offset);
}

/**
 * Diagonal of the last two axes, `offset` places above the main one: [..., M, N] to [..., K].
 *
 * @throws ShapeError when that diagonal has no entries
 */
export function diagonal(x: TensorLike, offset = 0): Tensor {
  const input = asTensor(x);
  const [rows, columns] = checkMatrix("diagonal", input);
  const length = Math.min(rows + Math.min(offset, 0), columns - Math.max(offset, 0));
  if (!Number.isInteger(offset) || length < 1)
    throw new ShapeError(`diagonal: ${formatShape(input.shape)} has no diagonal with offset ${offset}`);
  const lead = input.shape.slice(0, -2);
  const start = offset < 0 ? -offset * columns : offset;
  const end = start + (length - 1) * (columns + 1) + 1;
  return slice(
    reshape(input, [...lead, rows * columns]),
    [...lead.map(() => 0), start],
    [...lead, end],
    [...lead.map(() => 1), columns + 1],
  );
}

/**
 * Matrices with these diagonals and 0 elsewhere: [..., N] to [..., N, N].
 *
 * @throws ShapeError for a scalar
 */
export function diagonalMatrix(x: TensorLike): Tensor {
  const input = asTensor(x);
  const size = input.shape.at(-1);
  if (size === undefined) throw new ShapeError("diagonalMatrix: expected axes [..., N], got a scalar");
  const index = arange(size, "int32");
  return where(equal(expandDims(index, 1), expandDims(index, 0)), expandDims(input, -2), 0);
}

/**
 * Sum of the diagonal of the last two axes: [..., M, N] to [...].
 *
 * @throws ShapeError when x has fewer than two axes
 */
export function trace(x: TensorLike): Tensor {
  return sum(diagonal(x), { axes: -1 });
}

/**
 * `count` numbers from `start` to `stop`, both included, at equal distances: [count].
 *
 * @throws RangeError when the count is no integer >= 1
 */
export function linspace(start: number, stop: number, count: number, dtype: DType = "float32"): Tensor {
  if (!Number.isInteger(count) || count < 1)
    throw new RangeError(`linspace: needs an integer count >= 1, got ${count}`);
  const step = count === 1 ? 0 : (stop - start) / (count - 1);
  // From both ends, so that the last number is exactly `stop`.
  const values = Array.from({ length: count }, (_, i) =>
    2 * i < count ? start + i * step : stop - (count - 1 - i) * step,
  );
  return constant(ndarray(values, { dtype }));
}

/**
 * Coordinates of a grid: vectors of sizes N_1, …, N_K to K tensors [N_1, …, N_K], the k-th varying along axis k.
 *
 * @throws ShapeError when one of them is no vector
 */
export function meshgrid(...vectors: readonly Tensor[]): Tensor[] {
  for (const vector of vectors)
    if (vector.rank !== 1)
      throw new ShapeError(`meshgrid: expected vectors, got shape ${formatShape(vector.shape)}`);
  const shape = vectors.map((vector) => vector.shape[0] as number);
  return vectors.map((vector, k) =>
    broadcastTo(
      reshape(
        vector,
        shape.map((n, axis) => (axis === k ? n : 1)),
      ),
      shape,
    ),
  );
}
