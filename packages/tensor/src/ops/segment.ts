import type { Spec } from "../core/tensor.ts";
import { checkDType, defineOp, defineUnitOp, type Tensor } from "../core/tensor.ts";
import { div, equal, maximum, stopGradient, sub, where } from "./arithmetic.ts";
import { arange, ones } from "./create.ts";
import { gather, segmentSum } from "./gather.ts";
import { checkSegments, scatterRows } from "./indices.ts";
import { exp } from "./math.ts";
import { reshape } from "./structure.ts";

/** A vector [N] or [segments] that broadcasts against [N, ...]. */
function alongRows(vector: Tensor, rank: number): Tensor {
  return reshape(vector, [-1, ...Array.from({ length: rank - 1 }, () => 1)]);
}

/** Mean of the rows of one segment, 0 for a segment without rows; [N, ...] and [N] to [segments, ...]. */
export function segmentMean(x: Tensor, ids: Tensor, segments: number): Tensor {
  checkSegments("segmentMean", x, ids);
  checkDType("segmentMean", [x]);
  const counts = segmentSum(ones(ids.shape, x.dtype), ids, segments);
  return div(segmentSum(x, ids, segments), alongRows(maximum(counts, 1), x.rank));
}

const firstRowOp = defineUnitOp<{ readonly segments: number }>({
  name: "segmentFirst",
  infer: ([rows], { segments }) => [{ shape: [segments, ...(rows as Spec).shape.slice(1)], dtype: "int64" }],
  lower: (graph, [rows, ids], { segments }, { inputs, outputs }) => {
    const spec = inputs[0] as Spec;
    const none = graph.scalar(spec.shape[0] as number, "int64");
    const start = graph.node("Expand", [none, graph.int64s((outputs[0] as Spec).shape)]);
    return [scatterRows(graph, start, ids as string, rows as string, spec, segments, "min")];
  },
});

interface SegmentMaxAttributes {
  readonly segments: number;
  readonly empty: number;
}

const segmentMaxOp = defineOp<SegmentMaxAttributes>({
  name: "segmentMax",
  infer: ([x], { segments }) => [
    { shape: [segments, ...(x as Spec).shape.slice(1)], dtype: (x as Spec).dtype },
  ],
  lower: (graph, [x, ids], { segments, empty }, { inputs, outputs }) => {
    const spec = inputs[0] as Spec;
    const lowest = graph.scalar(Number.NEGATIVE_INFINITY, spec.dtype);
    const start = graph.node("Expand", [lowest, graph.int64s((outputs[0] as Spec).shape)]);
    const result = scatterRows(graph, start, ids as string, x as string, spec, segments, "max");
    const untouched = graph.node("Equal", [result, lowest]);
    return [graph.node("Where", [untouched, graph.scalar(empty, spec.dtype), result])];
  },
  vjp: ({ inputs: [x, ids], outputs: [y], cotangents: [dy], attributes: { segments } }) => {
    const [values, at] = [x as Tensor, ids as Tensor];
    const own = alongRows(arange(values.shape[0] as number, "int64"), values.rank);
    const rows = where(equal(values, gather(y as Tensor, at)), own, values.shape[0] as number);
    const winners = firstRowOp([rows, at], { segments });
    return [where(equal(own, gather(winners, at)), gather(dy as Tensor, at), 0), null];
  },
});

export interface SegmentMaxOptions {
  /** Value of a segment without rows. Default 0. */
  readonly empty?: number;
}

/**
 * Largest entry of one segment in each column; [N, ...] and [N] to [segments, ...]. The whole gradient goes to one
 * entry, the first that attains the maximum.
 */
export function segmentMax(
  x: Tensor,
  ids: Tensor,
  segments: number,
  options: SegmentMaxOptions = {},
): Tensor {
  checkSegments("segmentMax", x, ids);
  checkDType("segmentMax", [x]);
  return segmentMaxOp([x, ids], { segments, empty: options.empty ?? 0 })[0] as Tensor;
}

/** Softmax among the rows of one segment, column by column: [N, ...] and [N] to [N, ...]. */
export function segmentSoftmax(x: Tensor, ids: Tensor, segments: number): Tensor {
  checkSegments("segmentSoftmax", x, ids);
  checkDType("segmentSoftmax", [x]);
  const raised = exp(sub(x, gather(stopGradient(segmentMax(x, ids, segments)), ids)));
  return div(raised, gather(segmentSum(raised, ids, segments), ids));
}
