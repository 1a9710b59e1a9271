import type { NDArray } from "../../../core/ndarray.ts";
import type { Tensor } from "../../../core/tensor.ts";
import { cast, mul, neg } from "../../../ops/arithmetic.ts";
import { abs, log, sqrt } from "../../../ops/math.ts";
import { argmax, logSoftmax, logSumExp, max, mean, min, softmax } from "../../../ops/reduce.ts";
import type { ReduceOptions } from "../../../ops/structure.ts";
import { expandDims, reshape, sum } from "../../../ops/structure.ts";
import type { NodeCall } from "../call.ts";
import { axisOf } from "../call.ts";
import { build, reduceHost } from "../host.ts";
import type { OpEntries, OpEntry } from "./entry.ts";
import { reshaped } from "./rearrange.ts";

type Reduction = (x: Tensor, options: ReduceOptions) => Tensor;
type Fold = readonly [start: number, combine: (total: number, value: number) => number];

/** Axes given as an attribute or, in newer opsets, as an input; none means all, or nothing if the node says so. */
function axesOf(call: NodeCall, rank: number): number[] {
  const given = call.integersOrAttribute("axes", 1);
  if (given && given.length > 0) return given.map((axis) => axisOf(call, axis, rank));
  return call.flag("noop_with_empty_axes", false) ? [] : Array.from({ length: rank }, (_, i) => i);
}

function reduction(
  reduce: Reduction,
  host?: Fold,
  finish?: (total: number, count: number) => number,
): OpEntry {
  return {
    attributes: ["axes", "keepdims", "noop_with_empty_axes"],
    lazy: (call) => {
      const x = call.tensor(0);
      return reduce(x, { axes: axesOf(call, x.rank), keepDims: call.flag("keepdims", true) });
    },
    ...(host && {
      fold: (call: NodeCall, [input]: readonly NDArray[]) => {
        const x = input as NDArray;
        const axes = axesOf(call, x.shape.length);
        const { totals, shape, count } = reduceHost(call, x, axes, ...host);
        const result = build(call, shape, x.dtype, (i) =>
          finish ? finish(totals[i] as number, count) : (totals[i] as number),
        );
        const kept = call.flag("keepdims", true);
        return kept
          ? result
          : reshaped(
              call,
              result,
              shape.filter((_, axis) => !axes.includes(axis)),
            );
      },
    }),
  };
}

function product(call: NodeCall): Tensor {
  return call.fail("products are only computed where values follow from shapes and constants");
}

/** Index of the largest entry. */
function argExtreme(call: NodeCall, sign: 1 | -1): Tensor {
  const x = call.tensor(0);
  if (call.flag("select_last_index", false)) call.fail("select_last_index is not supported");
  const axis = axisOf(call, call.int("axis", 0), x.rank);
  const index = cast(argmax(sign === 1 ? x : neg(x), axis), "int64");
  return call.flag("keepdims", true) ? expandDims(index, axis) : index;
}

/** Softmax over one axis; before opset 13 over all axes from that one on. */
function alongAxis(apply: (x: Tensor, axis: number) => Tensor): OpEntry {
  return {
    attributes: ["axis"],
    lazy: (call) => {
      const x = call.float(0);
      const modern = call.version >= 13;
      const axis = axisOf(call, call.int("axis", modern ? -1 : 1), Math.max(x.rank, 1));
      if (modern) return apply(x, axis);
      const rows = x.shape.slice(0, axis).reduce((a, b) => a * b, 1);
      return reshape(apply(reshape(x, [rows, -1]), 1), x.shape);
    },
  };
}

export const reductionOps: OpEntries = {
  ArgMax: {
    attributes: ["axis", "keepdims", "select_last_index"],
    lazy: (call) => argExtreme(call, 1),
  },
  ArgMin: {
    attributes: ["axis", "keepdims", "select_last_index"],
    lazy: (call) => argExtreme(call, -1),
  },
  LogSoftmax: alongAxis(logSoftmax),
  ReduceL1: reduction((x, options) => sum(abs(x), options)),
  ReduceL2: reduction((x, options) => sqrt(sum(mul(x, x), options))),
  ReduceLogSum: reduction((x, options) => log(sum(x, options))),
  ReduceLogSumExp: reduction(logSumExp),
  ReduceMax: reduction(max, [Number.NEGATIVE_INFINITY, Math.max]),
  ReduceMean: {
    ...reduction(
      (x, options) => mean(x, options),
      [0, (a, b) => a + b],
      (total, count) => total / count,
    ),
    note: "of floats",
  },
  ReduceMin: reduction(min, [Number.POSITIVE_INFINITY, Math.min]),
  ReduceProd: {
    ...reduction(sum, [1, (a, b) => a * b]),
    note: "only where values follow from shapes and constants",
    lazy: product,
  },
  ReduceSum: reduction(sum, [0, (a, b) => a + b]),
  ReduceSumSquare: reduction((x, options) => sum(mul(x, x), options), [0, (a, b) => a + b * b]),
  Softmax: alongAxis(softmax),
};
