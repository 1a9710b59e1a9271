import type { Spec, TensorLike } from "../core/tensor.ts";
import { asTensor, defineUnitOp, type Tensor } from "../core/tensor.ts";
import { add, cast, div, greater, less, mul, neg, sub } from "./arithmetic.ts";

/** An elementwise operation of one operand. `vjp` gets input, output and gradient of the output. */
function defineUnary(
  name: string,
  opType: string,
  vjp?: (x: Tensor, y: Tensor, dy: Tensor) => Tensor,
): (x: TensorLike) => Tensor {
  const op = defineUnitOp<undefined>({
    name,
    infer: ([x]) => [x as Spec],
    lower: (graph, inputs) => [graph.node(opType, inputs)],
    vjp: ({ inputs, outputs, cotangents }) => [
      vjp ? vjp(inputs[0] as Tensor, outputs[0] as Tensor, cotangents[0] as Tensor) : null,
    ],
  });
  return (x) => op([asTensor(x)], undefined);
}

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
export const erf = defineUnary("erf", "Erf", (x, _y, dy) =>
  mul(dy, mul(exp(neg(mul(x, x))), 2 / Math.sqrt(Math.PI))),
);
/** max(x, 0); the gradient at 0 is 0. */
export const relu = defineUnary("relu", "Relu", (x, _y, dy) => mul(dy, cast(greater(x, 0), x.dtype)));
/** |x|; the gradient at 0 is 0. */
export const abs = defineUnary("abs", "Abs", (x, _y, dy) =>
  mul(dy, sub(cast(greater(x, 0), x.dtype), cast(less(x, 0), x.dtype))),
);
export const sin = defineUnary("sin", "Sin", (x, _y, dy) => mul(dy, cos(x)));
export const cos = defineUnary("cos", "Cos", (x, _y, dy) => neg(mul(dy, sin(x))));
/** ln(1 + e^x), computed without overflow */
export const softplus = defineUnary("softplus", "Softplus", (x, _y, dy) => mul(dy, sigmoid(x)));
/** Largest integer not above x; no gradient. */
export const floor = defineUnary("floor", "Floor");
/** -1, 0 or 1; no gradient. */
export const sign = defineUnary("sign", "Sign");

/** x² */
export function square(x: TensorLike): Tensor {
  const input = asTensor(x);
  return mul(input, input);
}

/** ln σ(x) = -softplus(-x) */
export function logSigmoid(x: TensorLike): Tensor {
  return neg(softplus(neg(x)));
}

const geluOp = defineUnitOp<undefined>({
  name: "gelu",
  infer: ([x]) => [x as Spec],
  lower: (graph, inputs) => [graph.node("Gelu", inputs)],
  vjp: ({ inputs, cotangents }) => {
    const x = inputs[0] as Tensor;
    const cumulative = mul(add(erf(mul(x, Math.SQRT1_2)), 1), 0.5);
    const density = mul(exp(mul(mul(x, x), -0.5)), 1 / Math.sqrt(2 * Math.PI));
    return [mul(cotangents[0] as Tensor, add(cumulative, mul(x, density)))];
  },
});

/**
 * Gaussian error linear unit: x Φ(x), Φ the standard normal distribution function (the exact form, not the tanh
 * approximation). float32 only.
 *
 * @source Hendrycks, Gimpel 2016
 */
export function gelu(x: TensorLike): Tensor {
  return geluOp([asTensor(x)], undefined);
}

/** x σ(1.702 x), the activation of the original CLIP. */
export function quickGelu(x: TensorLike): Tensor {
  const input = asTensor(x);
  return mul(input, sigmoid(mul(input, 1.702)));
}
