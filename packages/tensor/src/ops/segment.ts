import type { TensorLike } from "../core/tensor.ts";
import { checkDType, defineOp, defineUnitOp, type Tensor } from "../core/tensor.ts";
import { div, equal, maximum, stopGradient, sub, where } from "./arithmetic.ts";
import { arange, ones } from "./create.ts";
import { gather, segmentSum } from "./gather.ts";
import { scatterRows, segmentOperands } from "./indices.ts";
import { exp } from "./math.ts";
import { reshape } from "./structure.ts";

export { segmentSum } from "./gather.ts";

/** A vector [N] or [segments] that broadcasts against [N, ...]. */
function alongRows(vector: Tensor, rank: number): Tensor {
  return reshape(vector, [-1, ...Array.from({ length: rank - 1 }, () => 1)]);
}

/**
 * Means of the rows of each segment, 0 for a segment without rows.
 *
 * @param x         [N, ...]
 * @param ids       [N] int32 or int64 in [0, segments): the segment of each row, in any order
 * @param segments  number of segments
 * @returns [segments, ...]
 * @throws ShapeError unless there is one id for each row; DTypeError for ids or rows of another dtype
 */
export function segmentMean(x: TensorLike, ids: TensorLike, segments: number): Tensor {
  const [rows, at] = segmentOperands("segmentMean", x, ids);
  checkDType("segmentMean", [rows]);
  const counts = segmentSum(ones(at.shape, rows.dtype), at, segments);
  return div(segmentSum(rows, at, segments), alongRows(maximum(counts, 1), rows.rank));
}

const firstRowOp = defineUnitOp<{ readonly segments: number }, [rows: Tensor, ids: Tensor]>({
  name: "segmentFirst",
  infer: ([rows], { segments }) => [{ shape: [segments, ...rows.shape.slice(1)], dtype: "int64" }],
  lower: (graph, [rows, ids], { segments }, { inputs, outputs }) => {
    const spec = inputs[0];
    const none = graph.scalar(spec.shape[0] as number, "int64");
    const start = graph.node("Expand", [none, graph.int64s(outputs[0].shape)]);
    return [scatterRows(graph, start, ids, rows, spec, segments, "min")];
  },
});

interface SegmentMaxAttributes {
  readonly segments: number;
  readonly empty: number;
}

const segmentMaxOp = defineOp<SegmentMaxAttributes, [x: Tensor, ids: Tensor], [y: Tensor]>({
  name: "segmentMax",
  infer: ([x], { segments }) => {
    checkDType("segmentMax", [x]);
    const { shape, dtype } = x;
    return [{ shape: [segments, ...shape.slice(1)], dtype }];
  },
  lower: (graph, [x, ids], { segments, empty }, { inputs, outputs }) => {
    const spec = inputs[0];
    const lowest = graph.scalar(Number.NEGATIVE_INFINITY, spec.dtype);
    const start = graph.node("Expand", [lowest, graph.int64s(outputs[0].shape)]);
    const result = scatterRows(graph, start, ids, x, spec, segments, "max");
    const untouched = graph.node("Equal", [result, lowest]);
    return [graph.node("Where", [untouched, graph.scalar(empty, spec.dtype), result])];
  },
  vjp: ({ inputs: [x, ids], outputs: [y], cotangents: [dy], attributes: { segments } }) => {
    const [values, at] = [x, ids];
    const own = alongRows(arange(values.shape[0] as number, "int64"), values.rank);
    const rows = where(equal(values, gather(y, at)), own, values.shape[0] as number);
    const winners = firstRowOp([rows, at], { segments });
    return [where(equal(own, gather(winners, at)), gather(dy as Tensor, at), 0), null];
  },
});

export interface SegmentMaxOptions {
  /** Value of a segment without rows. Default 0. */
  readonly empty?: number;
}

/**
 * Largest entry of each segment, column by column. The whole gradient goes to one entry, the first that attains the
 * maximum (`max` shares it among equals).
 *
 * @param x         [N, ...]
 * @param ids       [N] int32 or int64 in [0, segments): the segment of each row, in any order
 * @param segments  number of segments
 * @returns [segments, ...]
 * @throws ShapeError unless there is one id for each row; DTypeError for ids or rows of another dtype
 */
export function segmentMax(
  x: TensorLike,
  ids: TensorLike,
  segments: number,
  options: SegmentMaxOptions = {},
): Tensor {
  const operands = segmentOperands("segmentMax", x, ids);
  return segmentMaxOp(operands, { segments, empty: options.empty ?? 0 })[0];
}

/**
 * Softmax among the rows of each segment, column by column.
 *
 * @param x         [N, ...]
 * @param ids       [N] int32 or int64 in [0, segments): the segment of each row, in any order
 * @param segments  number of segments
 * @returns [N, ...]
 * @throws ShapeError unless there is one id for each row; DTypeError for ids or rows of another dtype
 */
export function segmentSoftmax(x: TensorLike, ids: TensorLike, segments: number): Tensor {
  const [rows, at] = segmentOperands("segmentSoftmax", x, ids);
  checkDType("segmentSoftmax", [rows]);
  const raised = exp(sub(rows, gather(stopGradient(segmentMax(rows, at, segments)), at)));
  return div(raised, gather(segmentSum(raised, at, segments), at));
}
