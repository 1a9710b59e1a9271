import { checkAxes } from "../core/axes.ts";
import { checkDType, defineOp, type Tensor } from "../core/tensor.ts";
import { add, mul, sub } from "./arithmetic.ts";
import { nodesOf } from "./elementwise.ts";
import type { NormOptions } from "./norm-options.ts";
import { mean } from "./reduce.ts";
import { reshape, sum } from "./structure.ts";

const rmsNormOp = defineOp<
  { readonly epsilon: number },
  [x: Tensor, gain: Tensor],
  [y: Tensor, inverse: Tensor]
>({
  name: "rmsNorm",
  // The second output is the inverse root of the mean square, kept for the gradient.
  infer: (inputs) => {
    checkDType("rmsNorm", inputs);
    const [x] = inputs;
    const { shape, dtype } = x;
    return [x, { shape: [...shape.slice(0, -1), 1], dtype }];
  },
  lower: (graph, [x, gain], { epsilon }, { inputs, used }) => {
    const { dtype } = inputs[0];
    // In float64 that kernel still gives the second result in float32.
    if (graph.target.contribOps && dtype === "float32") {
      const attributes = { axis: -1, epsilon: { float: epsilon } };
      return graph.nodeWithOutputs("SimplifiedLayerNormalization", [x, gain], used[1] ? 2 : 1, attributes);
    }
    const emit = nodesOf(graph, dtype);
    const squares = graph.node("ReduceMean", [emit("Mul", x, x), graph.int64s([-1])], {
      keepdims: 1,
    });
    const inverse = emit("Reciprocal", emit("Sqrt", emit("Add", squares, epsilon)));
    return [emit("Mul", emit("Mul", x, inverse), gain), inverse];
  },
  vjp: ({ inputs, outputs, cotangents }) => {
    const [x, gain] = inputs;
    const inverse = outputs[1];
    const [dy, dInverse] = cotangents;
    const scaled = mul(x, inverse);
    const onRow = { axes: -1, keepDims: true };
    const cubed = dInverse && mul(dInverse, mul(mul(inverse, inverse), -1 / (x.shape.at(-1) as number)));
    const ofInverse = cubed && mul(scaled, cubed);
    if (!dy) return [ofInverse ?? null, null];
    const slope = mul(dy, gain);
    const ofValue = mul(sub(slope, mul(scaled, mean(mul(slope, scaled), onRow))), inverse);
    const dGain = sum(reshape(mul(dy, scaled), [-1, ...gain.shape]), { axes: 0 });
    return [ofInverse ? add(ofValue, ofInverse) : ofValue, dGain];
  },
});

/**
 * Divides each row of the last axis by its root mean square, then scales: y = x / √(mean(x²) + ε) · gain.
 *
 * @param x     [..., D]
 * @param gain  [D]
 * @param options.epsilon  default 1e-6
 * @returns [..., D]
 * @throws ShapeError when gain has not one entry for each of the last axis; DTypeError for integers
 * @source Zhang, Sennrich 2019
 */
export function rmsNorm(x: Tensor, gain: Tensor, options: NormOptions = {}): Tensor {
  checkAxes("rmsNorm", { x: [x, "... D"], gain: [gain, "D"] });
  return rmsNormOp([x, gain], { epsilon: options.epsilon ?? 1e-6 })[0];
}
