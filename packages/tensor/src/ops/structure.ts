import { broadcastShapes, normalizeAxes, normalizeAxis, sameShape } from "../core/axes.ts";
import { formatShape, ShapeError } from "../core/errors.ts";
import { sizeOf } from "../core/ndarray.ts";
import type { TensorLike } from "../core/tensor.ts";
import { asTensor, compiledInputs, defineUnitOp, type Tensor } from "../core/tensor.ts";

const reshapeOp = defineUnitOp<{ readonly shape: readonly number[] }, [x: Tensor]>({
  name: "reshape",
  infer: ([x], { shape }) => [{ shape, dtype: x.dtype }],
  lower: (graph, [x], { shape }, { inputs: [input] }) => [graph.reshape(x, shape, input.shape)],
  vjp: ({ inputs: [x], cotangents: [dy] }) => [reshape(dy, x.shape)],
});

/**
 * The same values in another shape (row-major order). One entry of `shape` may be -1 and is then inferred.
 *
 * @throws ShapeError when the number of elements differs
 */
export function reshape(x: TensorLike, shape: readonly number[]): Tensor {
  const input = asTensor(x);
  const size = sizeOf(input.shape);
  const open = shape.indexOf(-1);
  const rest = shape.reduce((product, n, i) => (i === open ? product : product * n), 1);
  const full = open < 0 ? [...shape] : shape.map((n, i) => (i === open ? size / rest : n));
  if (sizeOf(full) !== size || full.some((n) => !Number.isInteger(n) || n < 0)) {
    throw new ShapeError(
      `reshape: ${formatShape(input.shape)} (${size} elements) does not fit ${formatShape(shape)}`,
    );
  }
  if (sameShape(full, input.shape)) return input;
  const attributes = { shape: full };
  const origin = compiledInputs(input, "reshape");
  return reshapeOp([input], attributes, origin && { inputs: origin, attributes });
}

const broadcastToOp = defineUnitOp<{ readonly shape: readonly number[] }, [x: Tensor]>({
  name: "broadcastTo",
  infer: ([x], { shape }) => [{ shape, dtype: x.dtype }],
  lower: (graph, [x], { shape }) => [graph.node("Expand", [x, graph.int64s(shape)])],
  vjp: ({ inputs: [x], cotangents: [dy] }) => [sumTo(dy, x.shape)],
});

/**
 * Repeats size-1 and missing leading axes until the shape is reached.
 *
 * @throws ShapeError when x does not broadcast to exactly this shape
 */
export function broadcastTo(x: TensorLike, shape: readonly number[]): Tensor {
  const input = asTensor(x);
  if (sameShape(input.shape, shape)) return input;
  if (!sameShape(broadcastShapes("broadcastTo", input.shape, shape), shape)) {
    throw new ShapeError(
      `broadcastTo: ${formatShape(input.shape)} does not broadcast to ${formatShape(shape)}`,
    );
  }
  return broadcastToOp([input], { shape: [...shape] });
}

/**
 * The operand without a broadcast that the operation would do by itself, so that repeated values are not written
 * to memory.
 */
export function withoutBroadcast(x: Tensor, other: readonly number[], result: readonly number[]): Tensor {
  const origin = compiledInputs(x, "broadcastTo")?.[0];
  return origin && sameShape(broadcastShapes("broadcast", origin.shape, other), result) ? origin : x;
}

interface ReduceAttributes {
  readonly axes: readonly number[];
}

/** Shape after reduction: the axes stay with size 1. */
export function reducedShape(shape: readonly number[], axes: readonly number[]): number[] {
  return shape.map((n, axis) => (axes.includes(axis) ? 1 : n));
}

const sumOp = defineUnitOp<ReduceAttributes, [x: Tensor]>({
  name: "sum",
  infer: ([x], { axes }) => [{ shape: reducedShape(x.shape, axes), dtype: x.dtype }],
  lower: (graph, [x], { axes }, { inputs, outputs }) => {
    const { shape, dtype } = inputs[0];
    const leading = axes.every((axis, i) => axis === i);
    const rows = sizeOf(shape.slice(0, axes.length));
    if (!leading || axes.length === shape.length || dtype !== "float32" || rows <= 1) {
      return [graph.node("ReduceSum", [x, graph.int64s(axes)], { keepdims: 1 })];
    }
    // Sums over leading axes (gradients of biases) run faster as a product with a row of ones.
    const ones = graph.constant({ dtype, shape: [rows], data: new Float32Array(rows).fill(1) });
    const columns = sizeOf(shape) / rows;
    const product = graph.node("MatMul", [ones, graph.reshape(x, [rows, columns], shape)]);
    return [graph.reshape(product, outputs[0].shape, [columns])];
  },
  vjp: ({ inputs: [x], cotangents: [dy] }) => [broadcastTo(dy, x.shape)],
});

export interface ReduceOptions {
  /** Axes to reduce over (negative: from the end); all when left out. */
  readonly axes?: number | readonly number[];
  /** Keep reduced axes with size 1. Default false. */
  readonly keepDims?: boolean;
}

/** Applies a reduction that keeps its axes, and drops them afterwards unless they are wanted. */
export function reduceWith(
  name: string,
  x: TensorLike,
  options: ReduceOptions,
  reduce: (x: Tensor, axes: number[]) => Tensor,
): Tensor {
  const input = asTensor(x);
  const axes = normalizeAxes(name, options.axes, input.rank);
  const kept = axes.length === 0 ? input : reduce(input, axes);
  return options.keepDims
    ? kept
    : reshape(
        kept,
        input.shape.filter((_, axis) => !axes.includes(axis)),
      );
}

/**
 * Sum over axes: y = Σ x. The axes are dropped, or stay with size 1.
 *
 * @throws ShapeError when x has no such axis or an axis is named twice
 */
export function sum(x: TensorLike, options: ReduceOptions = {}): Tensor {
  return reduceWith("sum", x, options, (input, axes) => sumOp([input], { axes }));
}

/**
 * Sums over the axes that broadcasting added, so that the result has the given shape.
 *
 * @throws ShapeError when the shape does not broadcast to that of x
 */
export function sumTo(x: Tensor, shape: readonly number[]): Tensor {
  if (sameShape(x.shape, shape)) return x;
  if (!sameShape(broadcastShapes("sumTo", shape, x.shape), x.shape))
    throw new ShapeError(`sumTo: ${formatShape(shape)} does not broadcast to ${formatShape(x.shape)}`);
  const lead = x.rank - shape.length;
  const axes = x.shape
    .map((_, axis) => axis)
    .filter((axis) => axis < lead || (shape[axis - lead] === 1 && x.shape[axis] !== 1));
  return reshape(sum(x, { axes, keepDims: true }), shape);
}

const transposeOp = defineUnitOp<{ readonly order: readonly number[] }, [x: Tensor]>({
  name: "transpose",
  infer: ([x], { order }) => [{ shape: order.map((axis) => x.shape[axis] as number), dtype: x.dtype }],
  lower: (graph, [x], { order }) => [graph.node("Transpose", [x], { perm: order })],
  vjp: ({ cotangents: [dy], attributes: { order } }) => [
    transpose(
      dy,
      order.map((_, axis) => order.indexOf(axis)),
    ),
  ],
});

/**
 * Axes in another order; without an order the last two are swapped.
 *
 * @throws ShapeError when `order` is not a permutation of the axes
 */
export function transpose(x: TensorLike, order?: readonly number[]): Tensor {
  const input = asTensor(x);
  const { rank } = input;
  if (!order && rank < 2)
    throw new ShapeError(`transpose: needs at least two axes, got shape ${formatShape(input.shape)}`);
  const axes = order
    ? order.map((axis) => normalizeAxis("transpose", axis, rank))
    : input.shape.map((_, axis) => (axis < rank - 2 ? axis : 2 * rank - 3 - axis));
  if (axes.length !== rank || new Set(axes).size !== rank) {
    throw new ShapeError(
      `transpose: [${(order ?? []).join(", ")}] is not a permutation of the axes of ${formatShape(input.shape)}`,
    );
  }
  return axes.every((axis, i) => axis === i) ? input : transposeOp([input], { order: axes });
}

/**
 * Inserts an axis of size 1, which is axis `axis` of the result (negative: from the end).
 *
 * @throws ShapeError when the result has no such axis
 */
export function expandDims(x: TensorLike, axis: number): Tensor {
  const input = asTensor(x);
  const at = normalizeAxis("expandDims", axis, input.rank + 1);
  return reshape(input, [...input.shape.slice(0, at), 1, ...input.shape.slice(at)]);
}

/**
 * Removes an axis of size 1.
 *
 * @throws ShapeError when x has no such axis or it is longer
 */
export function squeeze(x: TensorLike, axis: number): Tensor {
  const input = asTensor(x);
  const at = normalizeAxis("squeeze", axis, input.rank);
  if (input.shape[at] !== 1)
    throw new ShapeError(`squeeze: axis ${axis} of ${formatShape(input.shape)} is not of size 1`);
  return reshape(
    input,
    input.shape.filter((_, i) => i !== at),
  );
}
