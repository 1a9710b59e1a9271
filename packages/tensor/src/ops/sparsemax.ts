import { normalizeAxis } from "../core/axes.ts";
import { formatShape, ShapeError } from "../core/errors.ts";
import { ndarray } from "../core/ndarray.ts";
import type { TensorLike } from "../core/tensor.ts";
import { asTensor, checkDType, defineUnitOp, type Tensor } from "../core/tensor.ts";
import { div, mul, sub } from "./arithmetic.ts";
import { emitStep, nodesOf, step } from "./elementwise.ts";
import { sum } from "./structure.ts";

/** So many largest entries are sorted; a complete sort takes most of the time of long rows. */
const SORTED = 64;
/**
 * Steps from the threshold of the sorted entries, a lower bound, to that of the whole row. Each step divides
 * (excess over 1) · (entries above the threshold) by at least 4 and is the last one when no entry drops below; rows of
 * 16,384 entries of normal, uniform and polynomial distributions take up to 5.
 */
const STEPS = 10;

const sparsemaxOp = defineUnitOp<{ readonly axis: number }, [x: Tensor]>({
  name: "sparsemax",
  infer: ([x]) => {
    checkDType("sparsemax", [x]);
    return [x];
  },
  lower: (graph, [x], { axis }, { inputs }) => {
    const { shape, dtype } = inputs[0];
    const n = shape[axis] as number;
    const k = Math.min(n, SORTED);
    const emit = nodesOf(graph, dtype);
    const along = graph.int64s([axis]);
    const reduce = (opType: string, value: string): string =>
      graph.node(opType, [value, along], { keepdims: 1 });
    // Entries more than 1 below the largest are never in the support; drawn up to there, they leave sums exact.
    const shifted = emit("Max", emit("Sub", x, reduce("ReduceMax", x)), -1);
    const [sorted] = graph.nodeWithOutputs("TopK", [shifted, graph.int64s([k])], 2, { axis }) as [string];
    const sums = graph.node("CumSum", [sorted, graph.scalar(axis, "int32")]);
    const ranks = graph.constant(
      ndarray(
        Array.from({ length: k }, (_, i) => i + 1),
        { shape: shape.map((_, i) => (i === axis ? k : 1)), dtype },
      ),
    );
    const leading = graph.cast(emit("Greater", emit("Add", emit("Mul", sorted, ranks), 1), sums), dtype);
    const total = reduce("ReduceSum", emit("Mul", sorted, leading));
    let threshold = emit("Div", emit("Sub", total, 1), reduce("ReduceSum", leading));
    for (let i = 0; i < (k < n ? STEPS : 0); i++) {
      const above = emit("Max", emit("Sub", shifted, threshold), 0);
      const count = reduce("ReduceSum", emitStep(emit, above, dtype));
      const excess = emit("Sub", reduce("ReduceSum", above), 1);
      threshold = emit("Add", threshold, emit("Div", excess, count));
    }
    return [emit("Max", emit("Sub", shifted, threshold), 0)];
  },
  vjp: ({ outputs: [y], cotangents: [dy], attributes: { axis } }) => {
    const support = step(y);
    const onRow = { axes: axis, keepDims: true };
    const inside = mul(dy, support);
    const share = div(sum(inside, onRow), sum(support, onRow));
    return [sub(inside, mul(support, share))];
  },
});

/**
 * Projection on the probability simplex along an axis: argmin_p ‖p - x‖² over p ≥ 0, Σ p = 1. As softmax, but small
 * entries become exactly 0. The threshold comes from the 64 largest entries, sorted, and for
 * longer rows from Newton steps over all of them.
 *
 * The gradient spreads over the support S alone: dx_i = dp_i - mean_{j ∈ S} dp_j for i in S, 0 elsewhere.
 *
 * @param x     [..., N, ...]
 * @param axis  default: the last
 * @throws ShapeError when x has no such axis or it is empty; DTypeError for integers
 * @source Martins, Astudillo 2016
 */
export function sparsemax(x: TensorLike, axis = -1): Tensor {
  const input = asTensor(x);
  const along = normalizeAxis("sparsemax", axis, input.rank);
  if (input.shape[along] === 0)
    throw new ShapeError(`sparsemax: axis ${axis} of ${formatShape(input.shape)} is empty`);
  return sparsemaxOp([input], { axis: along });
}
