import { normalizeAxis, sameShape } from "../core/axes.ts";
import { formatShape, ShapeError } from "../core/errors.ts";
import { ndarray, sizeOf } from "../core/ndarray.ts";
import type { TensorLike } from "../core/tensor.ts";
import { asTensor, defineUnitOp, type Tensor } from "../core/tensor.ts";
import { add, mul } from "./arithmetic.ts";
import { checkIndices, scatterRows, segmentOperands } from "./indices.ts";
import { narrow } from "./shape.ts";
import { reshape, squeeze, transpose } from "./structure.ts";

// Reading by indices and adding up by indices are each other's gradient, and so the pairs `gather` and `segmentSum`,
// `takeAlong` and `scatterAddAlong` cannot stand in two files. `segment.ts` and `scatter.ts` pass theirs on.

const gatherOp = defineUnitOp<{ readonly axis: number }, [x: Tensor, indices: Tensor]>({
  name: "gather",
  infer: ([x, indices], { axis }) => {
    const { shape, dtype } = x;
    return [{ shape: [...shape.slice(0, axis), ...indices.shape, ...shape.slice(axis + 1)], dtype }];
  },
  lower: (graph, inputs, { axis }) => [graph.node("Gather", inputs, { axis })],
  vjp: ({ inputs, cotangents, attributes: { axis } }) => {
    const [x, indices] = inputs;
    const dy = cotangents[0];
    // Bring the indexed axes to the front, add up there, and bring the axis back.
    const order = Array.from({ length: dy.rank }, (_, i) => i);
    const front = [...order.splice(axis, indices.rank), ...order];
    const rest = [...x.shape.slice(0, axis), ...x.shape.slice(axis + 1)];
    const updates = reshape(transpose(dy, front), [sizeOf(indices.shape), ...rest]);
    const summed = segmentSum(updates, reshape(indices, [-1]), x.shape[axis] as number);
    const back = [...rest.map((_, i) => i + 1)];
    back.splice(axis, 0, 0);
    return [transpose(summed, back), null];
  },
});

/**
 * Entries of x at the indices along an axis. With axis 0 and a table [V, D] this is an embedding. The gradient adds up
 * what entries that were read several times get.
 *
 * @param x        [..., N, ...]
 * @param indices  [I...] int32 or int64 in [0, N)
 * @param axis     default: the first
 * @returns [..., I..., ...], the axes of the indices in the place of the axis
 * @throws DTypeError when the indices are no integers; ShapeError when x has no such axis
 */
export function gather(x: TensorLike, indices: TensorLike, axis = 0): Tensor {
  const input = asTensor(x);
  const at = asTensor(indices, "int32");
  checkIndices("gather", at);
  return gatherOp([input, at], { axis: normalizeAxis("gather", axis, input.rank) });
}

const segmentSumOp = defineUnitOp<{ readonly segments: number }, [x: Tensor, ids: Tensor]>({
  name: "segmentSum",
  infer: ([x], { segments }) => [{ shape: [segments, ...x.shape.slice(1)], dtype: x.dtype }],
  lower: (graph, [x, ids], { segments }, { inputs, outputs }) => {
    const spec = inputs[0];
    const zeros = graph.node("Expand", [
      graph.constant(ndarray([0], { shape: [], dtype: spec.dtype })),
      graph.int64s(outputs[0].shape),
    ]);
    return [scatterRows(graph, zeros, ids, x, spec, segments, "add")];
  },
  vjp: ({ inputs: [, ids], cotangents: [dy] }) => [gather(dy, ids), null],
});

/**
 * Sums of the rows of each segment: y_s = Σ_{i: ids_i = s} x_i, 0 for a segment without rows.
 *
 * @param x         [N, ...]
 * @param ids       [N] int32 or int64 in [0, segments): the segment of each row, in any order
 * @param segments  number of segments
 * @returns [segments, ...]
 * @throws ShapeError unless there is one id for each row; DTypeError when the ids are no integers
 */
export function segmentSum(x: TensorLike, ids: TensorLike, segments: number): Tensor {
  return segmentSumOp(segmentOperands("segmentSum", x, ids), { segments });
}

const takeAlongOp = defineUnitOp<{ readonly axis: number }, [x: Tensor, indices: Tensor]>({
  name: "takeAlong",
  infer: ([x, indices]) => [{ shape: indices.shape, dtype: x.dtype }],
  lower: (graph, inputs, { axis }) => [graph.node("GatherElements", inputs, { axis })],
  vjp: ({ inputs, cotangents, attributes: { axis } }) => {
    const [x, indices] = inputs;
    return [scatterAddAlong(cotangents[0], indices, x.shape, axis), null];
  },
});

/**
 * One entry for each index: y[i][j] = x[i][indices[i][j]] for the last axis.
 *
 * @param x        [..., N, ...]
 * @param indices  [..., K, ...] int32 or int64 in [0, N), of the sizes of x along all other axes
 * @param axis     default: the last
 * @returns [..., K, ...]
 * @throws ShapeError when the sizes along other axes differ; DTypeError when the indices are no integers
 */
export function takeAlong(x: TensorLike, indices: TensorLike, axis = -1): Tensor {
  const input = asTensor(x);
  const at = asTensor(indices, "int32");
  checkIndices("takeAlong", at);
  const along = normalizeAxis("takeAlong", axis, input.rank);
  if (at.rank !== input.rank || !sameShape(at.shape.with(along, 0), input.shape.with(along, 0))) {
    throw new ShapeError(
      `takeAlong: ${formatShape(input.shape)} and indices ${formatShape(at.shape)} differ outside axis ${axis}`,
    );
  }
  return takeAlongOp([input, at], { axis: along });
}

const scatterAddAlongOp = defineUnitOp<
  { readonly shape: readonly number[]; readonly axis: number },
  [x: Tensor, indices: Tensor]
>({
  name: "scatterAddAlong",
  infer: ([x], { shape }) => [{ shape, dtype: x.dtype }],
  lower: (graph, [x, indices], { shape, axis }, { inputs }) => {
    const zeros = graph.node("Expand", [
      graph.constant(ndarray([0], { shape: [], dtype: inputs[0].dtype })),
      graph.int64s(shape),
    ]);
    return [graph.node("ScatterElements", [zeros, indices, x], { axis, reduction: "add" })];
  },
  vjp: ({ inputs: [, indices], cotangents: [dy], attributes: { axis } }) => [
    takeAlong(dy, indices, axis),
    null,
  ],
});

/**
 * Adds each update to a tensor of zeros at its index: y[i][indices[i][j]] += updates[i][j] for the last axis. The
 * transpose of `takeAlong`.
 *
 * @param updates  [..., K, ...]
 * @param indices  [..., K, ...] int32 or int64 in [0, N)
 * @param shape    shape of the result, [..., N, ...]
 * @param axis     default: the last
 * @throws ShapeError when the sizes along other axes differ; DTypeError when the indices are no integers
 */
export function scatterAddAlong(
  updates: TensorLike,
  indices: TensorLike,
  shape: readonly number[],
  axis = -1,
): Tensor {
  const [added, at] = [asTensor(updates), asTensor(indices, "int32")];
  checkIndices("scatterAddAlong", at);
  const along = normalizeAxis("scatterAddAlong", axis, added.rank);
  if (
    !sameShape(added.shape, at.shape) ||
    shape.length !== added.rank ||
    !sameShape(shape.with(along, 0), added.shape.with(along, 0))
  ) {
    throw new ShapeError(
      `scatterAddAlong: updates ${formatShape(added.shape)}, indices ${formatShape(at.shape)} and result ${formatShape(shape)} differ outside axis ${axis} of the result`,
    );
  }
  return scatterAddAlongOp([added, at], { shape: [...shape], axis: along });
}

/**
 * Entries at whole positions of the K leading axes.
 *
 * @param x        [N_1, …, N_K, ...]
 * @param indices  [I..., K] int32 or int64, the k-th coordinate in [0, N_k)
 * @returns [I..., ...]
 * @throws ShapeError when a position has more coordinates than x has axes; DTypeError when they are no integers
 */
export function gatherNd(x: TensorLike, indices: TensorLike): Tensor {
  const input = asTensor(x);
  const at = asTensor(indices, "int32");
  checkIndices("gatherNd", at);
  const depth = at.shape.at(-1) ?? 0;
  if (depth < 1 || depth > input.rank)
    throw new ShapeError(
      `gatherNd: indices ${formatShape(at.shape)} name positions of ${depth} axes, x has shape ${formatShape(input.shape)}`,
    );
  let flat: Tensor | undefined;
  for (let axis = 0; axis < depth; axis++) {
    const coordinate = squeeze(narrow(at, -1, axis, 1), -1);
    flat = flat ? add(mul(flat, input.shape[axis] as number), coordinate) : coordinate;
  }
  return gather(reshape(input, [-1, ...input.shape.slice(depth)]), flat as Tensor);
}
