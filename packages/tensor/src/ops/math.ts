import type { DType } from "../core/ndarray.ts";
import type { TensorLike } from "../core/tensor.ts";
import { asTensor, checkDType, defineOp, type Tensor } from "../core/tensor.ts";
import { add, cast, div, greater, less, mul, neg, sub } from "./arithmetic.ts";
import { defineElementwise, nodesOf, step } from "./elementwise.ts";
import { emitErf } from "./erf.ts";

const NUMBERS: readonly DType[] = ["float32", "float64", "int32", "int64"];

/** e^x */
export const exp = defineElementwise("exp", {
  lower: (nodes, x) => nodes("Exp", x),
  vjp: (_x, y, dy) => mul(dy, y),
});

/** ln x, x > 0 */
export const log = defineElementwise("log", {
  lower: (nodes, x) => nodes("Log", x),
  vjp: (x, _y, dy) => div(dy, x),
});

/** √x, x > 0 */
export const sqrt = defineElementwise("sqrt", {
  lower: (nodes, x) => nodes("Sqrt", x),
  vjp: (_x, y, dy) => div(mul(dy, 0.5), y),
});

/** tanh x */
export const tanh = defineElementwise("tanh", {
  lower: (nodes, x) => nodes("Tanh", x),
  vjp: (_x, y, dy) => mul(dy, sub(1, mul(y, y))),
});

/** 1 / (1 + e^-x) */
export const sigmoid = defineElementwise("sigmoid", {
  lower: (nodes, x) => nodes("Sigmoid", x),
  vjp: (_x, y, dy) => mul(dy, mul(y, sub(1, y))),
});

/** Gauss error function: 2/√π ∫₀ˣ e^(-t²) dt. In float64, for numerical checks, it costs 24 exponentials. */
export const erf = defineElementwise("erf", {
  lower: emitErf,
  vjp: (x, _y, dy) => mul(dy, mul(exp(neg(mul(x, x))), 2 / Math.sqrt(Math.PI))),
});

/** max(x, 0); the gradient at 0 is 0. */
export const relu = defineElementwise("relu", {
  lower: (nodes, x) => nodes("Relu", x),
  vjp: (x, _y, dy) => mul(dy, step(x)),
});

/** |x|; the gradient at 0 is 0. */
export const abs = defineElementwise("abs", {
  lower: (nodes, x) => nodes("Abs", x),
  vjp: (x, _y, dy) => mul(dy, sub(cast(greater(x, 0), x.dtype), cast(less(x, 0), x.dtype))),
  dtypes: NUMBERS,
});

/** sin x, x in radians */
export const sin = defineElementwise("sin", {
  lower: (nodes, x) => nodes("Sin", x),
  vjp: (x, _y, dy) => mul(dy, cos(x)),
});

/** cos x, x in radians */
export const cos = defineElementwise("cos", {
  lower: (nodes, x) => nodes("Cos", x),
  vjp: (x, _y, dy) => neg(mul(dy, sin(x))),
});

/** ln(1 + e^x), without overflow, and as e^x where that is lost beside 1. */
export const softplus = defineElementwise("softplus", {
  // max(x, 0) + ln(1 + e^-|x|): several times faster than the kernel of Softplus, and in float64 too.
  lower: (nodes, x) => {
    const decayed = nodes("Exp", nodes("Neg", nodes("Abs", x)));
    const shifted = nodes("Add", decayed, 1);
    // What rounding takes from 1 + e^-|x| is added to the logarithm, whose slope there is 1 where it matters.
    const lost = nodes("Sub", decayed, nodes("Sub", shifted, 1));
    return nodes("Add", nodes("Max", x, 0), nodes("Add", nodes("Log", shifted), lost));
  },
  vjp: (x, _y, dy) => mul(dy, sigmoid(x)),
});

/** Largest integer not above x; no gradient. */
export const floor = defineElementwise("floor", { lower: (nodes, x) => nodes("Floor", x) });

/** -1, 0 or 1; no gradient. */
export const sign = defineElementwise("sign", { lower: (nodes, x) => nodes("Sign", x), dtypes: NUMBERS });

/** x² */
export function square(x: TensorLike): Tensor {
  const input = asTensor(x);
  return mul(input, input);
}

/** ln σ(x) = -softplus(-x) */
export function logSigmoid(x: TensorLike): Tensor {
  return neg(softplus(neg(x)));
}

const geluOp = defineOp<undefined, [x: Tensor], [y: Tensor, cumulative: Tensor]>({
  name: "gelu",
  // The second output is the distribution function Φ(x), kept for the gradient.
  infer: ([x]) => {
    checkDType("gelu", [x]);
    return [x, x];
  },
  lower: (graph, [x], _attributes, { inputs, used }) => {
    const { dtype } = inputs[0];
    if (!used[1] && dtype === "float32") return [graph.node("Gelu", [x]), ""];
    const nodes = nodesOf(graph, dtype);
    const e = emitErf(nodes, nodes("Mul", x, Math.SQRT1_2), dtype);
    // (1 + e) / 2 in one pass over memory: the bounds of the hard sigmoid are never reached.
    const half = { alpha: { float: 0.5 }, beta: { float: 0.5 } };
    const cumulative =
      dtype === "float32" ? graph.node("HardSigmoid", [e], half) : nodes("Mul", nodes("Add", e, 1), 0.5);
    return [nodes("Mul", x, cumulative), cumulative];
  },
  vjp: ({ inputs, outputs, cotangents }) => {
    const [x, cumulative] = [inputs[0], outputs[1]];
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
 * approximation).
 *
 * @source Hendrycks, Gimpel 2016
 */
export function gelu(x: TensorLike): Tensor {
  return geluOp([asTensor(x)], undefined)[0];
}

/** x σ(1.702 x), the activation of the original CLIP. */
export function quickGelu(x: TensorLike): Tensor {
  const input = asTensor(x);
  return mul(input, sigmoid(mul(input, 1.702)));
}
