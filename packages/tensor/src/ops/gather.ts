import { normalizeAxis, sameShape } from "../core/axes.ts";
import { formatShape, ShapeError } from "../core/errors.ts";
import { ndarray, sizeOf } from "../core/ndarray.ts";
import type { Spec, TensorLike } from "../core/tensor.ts";
import { asTensor, defineUnitOp, type Tensor } from "../core/tensor.ts";
import { checkIndices, checkSegments, scatterRows } from "./indices.ts";
import { reshape, transpose } from "./structure.ts";

const gatherOp = defineUnitOp<{ readonly axis: number }>({
  name: "gather",
  infer: ([x, indices], { axis }) => {
    const { shape, dtype } = x as Spec;
    return [
      { shape: [...shape.slice(0, axis), ...(indices as Spec).shape, ...shape.slice(axis + 1)], dtype },
    ];
  },
  lower: (graph, inputs, { axis }) => [graph.node("Gather", inputs, { axis })],
  vjp: ({ inputs, cotangents, attributes: { axis } }) => {
    const [x, indices] = inputs as [Tensor, Tensor];
    const dy = cotangents[0] as Tensor;
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
 * Entries of x at the indices along an axis: [..., n, ...] and [I...] to [..., I..., ...]. With axis 0 and a table
 * [V, D] this is an embedding.
 */
export function gather(x: TensorLike, indices: TensorLike, axis = 0): Tensor {
  const input = asTensor(x);
  const at = asTensor(indices, "int32");
  checkIndices("gather", at);
  return gatherOp([input, at], { axis: normalizeAxis("gather", axis, input.rank) });
}

const segmentSumOp = defineUnitOp<{ readonly segments: number }>({
  name: "segmentSum",
  infer: ([x], { segments }) => [
    { shape: [segments, ...(x as Spec).shape.slice(1)], dtype: (x as Spec).dtype },
  ],
  lower: (graph, [x, ids], { segments }, { inputs, outputs }) => {
    const spec = inputs[0] as Spec;
    const zeros = graph.node("Expand", [
      graph.constant(ndarray([0], { shape: [], dtype: spec.dtype })),
      graph.int64s((outputs[0] as Spec).shape),
    ]);
    return [scatterRows(graph, zeros, ids as string, x as string, spec, segments, "add")];
  },
  vjp: ({ inputs: [, ids], cotangents: [dy] }) => [gather(dy as Tensor, ids as Tensor), null],
});

/** Sums rows of one segment: y_s = Σ_{i: ids_i = s} x_i; [N, ...] and [N] to [segments, ...]. */
export function segmentSum(x: Tensor, ids: Tensor, segments: number): Tensor {
  checkSegments("segmentSum", x, ids);
  return segmentSumOp([x, ids], { segments });
}

const takeAlongOp = defineUnitOp<{ readonly axis: number }>({
  name: "takeAlong",
  infer: ([x, indices]) => [{ shape: (indices as Spec).shape, dtype: (x as Spec).dtype }],
  lower: (graph, inputs, { axis }) => [graph.node("GatherElements", inputs, { axis })],
  vjp: ({ inputs, cotangents, attributes: { axis } }) => {
    const [x, indices] = inputs as [Tensor, Tensor];
    return [scatterAddAlong(cotangents[0] as Tensor, indices, x.shape, axis), null];
  },
});

/** One entry for each index: y[i][j] = x[i][indices[i][j]] for the last axis; other axes must agree in size. */
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

const scatterAddAlongOp = defineUnitOp<{ readonly shape: readonly number[]; readonly axis: number }>({
  name: "scatterAddAlong",
  infer: ([x], { shape }) => [{ shape, dtype: (x as Spec).dtype }],
  lower: (graph, [x, indices], { shape, axis }, { inputs }) => {
    const zeros = graph.node("Expand", [
      graph.constant(ndarray([0], { shape: [], dtype: (inputs[0] as Spec).dtype })),
      graph.int64s(shape),
    ]);
    return [
      graph.node("ScatterElements", [zeros, indices as string, x as string], { axis, reduction: "add" }),
    ];
  },
  vjp: ({ inputs: [, indices], cotangents: [dy], attributes: { axis } }) => [
    takeAlong(dy as Tensor, indices as Tensor, axis),
    null,
  ],
});

/** Adds each update to a tensor of zeros at its index along an axis: the transpose of `takeAlong`. */
export function scatterAddAlong(
  updates: Tensor,
  indices: Tensor,
  shape: readonly number[],
  axis = -1,
): Tensor {
  checkIndices("scatterAddAlong", indices);
  const along = normalizeAxis("scatterAddAlong", axis, updates.rank);
  if (
    !sameShape(updates.shape, indices.shape) ||
    shape.length !== updates.rank ||
    !sameShape(shape.with(along, 0), updates.shape.with(along, 0))
  ) {
    throw new ShapeError(
      `scatterAddAlong: updates ${formatShape(updates.shape)}, indices ${formatShape(indices.shape)} and result ${formatShape(shape)} differ outside axis ${axis} of the result`,
    );
  }
  return scatterAddAlongOp([updates, indices], { shape: [...shape], axis: along });
}
