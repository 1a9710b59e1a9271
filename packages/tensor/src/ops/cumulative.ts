import { normalizeAxis } from "../core/axes.ts";
import type { TensorLike } from "../core/tensor.ts";
import { asTensor, checkDType, defineUnitOp, type Tensor } from "../core/tensor.ts";
import { mul } from "./arithmetic.ts";
import { ones } from "./create.ts";
import { narrow, pad } from "./shape.ts";

export interface CumulativeOptions {
  /** Leave the entry itself out. Default false. */
  readonly exclusive?: boolean;
  /** Start at the end of the axis. Default false. */
  readonly reverse?: boolean;
}

const cumsumOp = defineUnitOp<{ readonly axis: number } & Required<CumulativeOptions>, [x: Tensor]>({
  name: "cumsum",
  infer: ([x]) => {
    checkDType("cumsum", [x], ["float32", "float64", "int32", "int64"]);
    return [x];
  },
  lower: (graph, [x], { axis, exclusive, reverse }) => [
    graph.node("CumSum", [x, graph.scalar(axis, "int64")], {
      exclusive: Number(exclusive),
      reverse: Number(reverse),
    }),
  ],
  vjp: ({ cotangents: [dy], attributes: { axis, exclusive, reverse } }) => [
    cumsum(dy, axis, { exclusive, reverse: !reverse }),
  ],
});

/**
 * Running sum along an axis: y_i = Σ_{j ≤ i} x_j; j < i with `exclusive`, j ≥ i with `reverse`. The shape stays.
 *
 * @param axis  default: the last
 * @throws ShapeError when x has no such axis; DTypeError for booleans and uint8
 */
export function cumsum(x: TensorLike, axis = -1, options: CumulativeOptions = {}): Tensor {
  const input = asTensor(x);
  const { exclusive = false, reverse = false } = options;
  return cumsumOp([input], { axis: normalizeAxis("cumsum", axis, input.rank), exclusive, reverse });
}

/**
 * Running product along an axis: y_i = Π_{j ≤ i} x_j, with options as `cumsum`. Products of 1, 2, 4, … neighbours, so
 * log₂ N passes; the gradient is right at zeros too. The shape stays.
 *
 * @param axis  default: the last
 * @throws ShapeError when x has no such axis; DTypeError for integers
 */
export function cumprod(x: TensorLike, axis = -1, options: CumulativeOptions = {}): Tensor {
  const input = asTensor(x);
  checkDType("cumprod", [input]);
  const along = normalizeAxis("cumprod", axis, input.rank);
  const size = input.shape[along] as number;
  /** Entries moved by some places in the running direction, with ones in front. */
  const moved = (values: Tensor, by: number): Tensor => {
    const kept = narrow(values, along, options.reverse ? by : 0, size - by);
    const amounts = input.shape.map((_, i): [number, number] =>
      i !== along ? [0, 0] : options.reverse ? [0, by] : [by, 0],
    );
    return pad(kept, amounts, 1);
  };
  let result = input;
  for (let reach = 1; reach < size; reach *= 2) result = mul(result, moved(result, reach));
  if (!options.exclusive) return result;
  return size === 1 ? ones(input.shape, input.dtype) : moved(result, 1);
}
