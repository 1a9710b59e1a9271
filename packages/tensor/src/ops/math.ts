import type { DType } from "../core/ndarray.ts";
import type { Spec, TensorLike } from "../core/tensor.ts";
import { asTensor, checkDType, defineOp, defineUnitOp, type Tensor } from "../core/tensor.ts";
import { add, cast, div, greater, less, mul, neg, sub } from "./arithmetic.ts";

/** An elementwise operation of one operand. `vjp` gets input, output and gradient of the output. */
function defineUnary(
  name: string,
  opType: string,
  vjp?: (x: Tensor, y: Tensor, dy: Tensor) => Tensor,
  dtypes: readonly DType[] = ["float32", "float64"],
): (x: TensorLike) => Tensor {
  const op = defineUnitOp<undefined>({
    name,
    infer: ([x]) => {
      checkDType(name, [x], dtypes);
      return [x as Spec];
    },
    lower: (graph, inputs) => [graph.node(opType, inputs)],
    vjp: ({ inputs, outputs, cotangents }) => [
      vjp ? vjp(inputs[0] as Tensor, outputs[0] as Tensor, cotangents[0] as Tensor) : null,
    ],
  });
  return (x) => op([asTensor(x)], undefined);
}

/** 1 where x > 0, else 0; constant almost everywhere, so without a gradient. */
const positiveOp = defineUnitOp<undefined>({
  name: "positive",
  infer: ([x]) => [x as Spec],
  lower: (graph, [x], _attributes, { inputs }) => {
    const { dtype } = inputs[0] as Spec;
    // min(max(3.4e38 x, 0), 1) in one pass over memory: numbers small enough to stay below 1 are denormal.
    if (dtype === "float32") {
      const steep = { alpha: { float: 3.4e38 }, beta: { float: 0 } };
      return [graph.node("HardSigmoid", [x as string], steep)];
    }
    return [graph.cast(graph.node("Greater", [x as string, graph.scalar(0, dtype)]), dtype)];
  },
  vjp: () => [null],
});

/** e^x */
export const exp = defineUnary("exp", "Exp", (_x, y, dy) => mul(dy, y));
/** ln x, x > 0 */
export const log = defineUnary("log", "Log", (x, _y, dy) => div(dy, x));
/** √x, x > 0 */
export const sqrt = defineUnary("sqrt", "Sqrt", (_x, y, dy) => div(mul(dy, 0.5), y));
/** tanh x */
export const tanh = defineUnary("tanh", "Tanh", (_x, y, dy) => mul(dy, sub(1, mul(y, y))));
/** 1 / (1 + e^-x) */
export const sigmoid = defineUnary("sigmoid", "Sigmoid", (_x, y, dy) => mul(dy, mul(y, sub(1, y))));
/** Gauss error function: 2/√π ∫₀ˣ e^(-t²) dt. float32 only. */
export const erf = defineUnary(
  "erf",
  "Erf",
  (x, _y, dy) => mul(dy, mul(exp(neg(mul(x, x))), 2 / Math.sqrt(Math.PI))),
  ["float32"],
);
/** max(x, 0); the gradient at 0 is 0. */
export const relu = defineUnary("relu", "Relu", (x, _y, dy) => mul(dy, positiveOp([x], undefined)));
/** |x|; the gradient at 0 is 0. */
export const abs = defineUnary(
  "abs",
  "Abs",
  (x, _y, dy) => mul(dy, sub(cast(greater(x, 0), x.dtype), cast(less(x, 0), x.dtype))),
  ["float32", "float64", "int32", "int64"],
);
/** sin x, x in radians */
export const sin = defineUnary("sin", "Sin", (x, _y, dy) => mul(dy, cos(x)));
/** cos x, x in radians */
export const cos = defineUnary("cos", "Cos", (x, _y, dy) => neg(mul(dy, sin(x))));
/** ln(1 + e^x), computed without overflow. float32 only. */
export const softplus = defineUnary("softplus", "Softplus", (x, _y, dy) => mul(dy, sigmoid(x)), ["float32"]);
/** Largest integer not above x; no gradient. */
export const floor = defineUnary("floor", "Floor");
/** -1, 0 or 1; no gradient. */
export const sign = defineUnary("sign", "Sign", undefined, ["float32", "float64", "int32", "int64"]);

/** x² */
export function square(x: TensorLike): Tensor {
  const input = asTensor(x);
  return mul(input, input);
}

/** ln σ(x) = -softplus(-x). float32 only. */
export function logSigmoid(x: TensorLike): Tensor {
  return neg(softplus(neg(x)));
}

const geluOp = defineOp<undefined>({
  name: "gelu",
  // The second output is the distribution function Φ(x), kept for the gradient.
  infer: ([x]) => {
    checkDType("gelu", [x], ["float32"]);
    return [x as Spec, x as Spec];
  },
  lower: (graph, [x], _attributes, { inputs, used }) => {
    if (!used[1]) return [graph.node("Gelu", [x as string]), ""];
    const scaled = graph.node("Mul", [x as string, graph.scalar(Math.SQRT1_2, (inputs[0] as Spec).dtype)]);
    // (1 + e) / 2 in one pass over memory: the bounds of the hard sigmoid are never reached.
    const half = { alpha: { float: 0.5 }, beta: { float: 0.5 } };
    const cumulative = graph.node("HardSigmoid", [graph.node("Erf", [scaled])], half);
    return [graph.node("Mul", [x as string, cumulative]), cumulative];
  },
  vjp: ({ inputs, outputs, cotangents }) => {
    const [x, cumulative] = [inputs[0] as Tensor, outputs[1] as Tensor];
    // x φ(x) = t e^(-t²) / √π with t = x / √2, the constant drawn into the exponent.
    const t = mul(x, Math.SQRT1_2);
    const slope = add(cumulative, mul(t, exp(sub(Math.log(1 / Math.sqrt(Math.PI)), mul(t, t)))));
    const ofValue = cotangents[0] && mul(cotangents[0], slope);
    if (!cotangents[1]) return [ofValue ?? null];
    const ofCumulative = mul(cotangents[1], exp(sub(Math.log(1 / Math.sqrt(2 * Math.PI)), mul(t, t))));
    return [ofValue ? add(ofValue, ofCumulative) : ofCumulative];
  },
});

/**
 * Gaussian error linear unit: x Φ(x), Φ the standard normal distribution function (the exact form, not the tanh
 * approximation). float32 only.
 *
 * @source Hendrycks, Gimpel 2016
 */
export function gelu(x: TensorLike): Tensor {
  return geluOp([asTensor(x)], undefined)[0] as Tensor;
}

/** x σ(1.702 x), the activation of the original CLIP. */
export function quickGelu(x: TensorLike): Tensor {
  const input = asTensor(x);
  return mul(input, sigmoid(mul(input, 1.702)));
}
