import { formatShape, ShapeError } from "../core/errors.ts";
import type { TensorLike } from "../core/tensor.ts";
import { asOperands, asTensor, checkDType, defineUnitOp, type Tensor } from "../core/tensor.ts";
import { add, cast, greater, less, mul, sub, where } from "./arithmetic.ts";
import { defineElementwise, nodesOf, step } from "./elementwise.ts";
import { abs, sigmoid, softplus, square, tanh } from "./math.ts";
import { clampMax, clampMin } from "./numeric.ts";
import { reshape, sumTo } from "./structure.ts";

const leakyReluOp = defineUnitOp<{ readonly slope: number }, [x: Tensor]>({
  name: "leakyRelu",
  infer: ([x]) => {
    checkDType("leakyRelu", [x]);
    return [x];
  },
  lower: (graph, [x], { slope }, { inputs }) => {
    const { dtype } = inputs[0];
    if (dtype === "float32") return [graph.node("LeakyRelu", [x], { alpha: { float: slope } })];
    const nodes = nodesOf(graph, dtype);
    return [nodes("Where", nodes("Greater", x, 0), x, nodes("Mul", x, slope))];
  },
  vjp: ({ inputs: [x], cotangents: [dy], attributes: { slope } }) => [
    mul(dy, add(mul(step(x), 1 - slope), slope)),
  ],
});

/**
 * x where x > 0, else slope · x; the gradient at 0 is the slope.
 *
 * @param slope  default 0.01
 * @source Maas, Hannun, Ng 2013
 */
export function leakyRelu(x: TensorLike, slope = 0.01): Tensor {
  return leakyReluOp([asTensor(x)], { slope });
}

const preluOp = defineUnitOp<undefined, [x: Tensor, slope: Tensor]>({
  name: "prelu",
  infer: ([x]) => {
    checkDType("prelu", [x]);
    return [x];
  },
  lower: (graph, [x, slope], _attributes, { inputs }) => {
    const { dtype } = inputs[0];
    if (dtype === "float32") return [graph.node("PRelu", [x, slope])];
    const nodes = nodesOf(graph, dtype);
    const scaled = nodes("Mul", x, slope);
    return [nodes("Where", nodes("Greater", x, 0), x, scaled)];
  },
  vjp: ({ inputs, cotangents }) => {
    const [x, slope] = inputs;
    const dy = cotangents[0];
    return [where(greater(x, 0), dy, mul(dy, slope)), sumTo(mul(dy, clampMax(x, 0)), slope.shape)];
  },
});

/**
 * As `leakyRelu` with learned slopes: x where x > 0, else slope · x.
 *
 * @param x      [B, C, ...] for one slope a channel, any shape for a single one
 * @param slope  [C], [1] or []
 * @throws ShapeError when there is neither one slope nor one for each channel
 * @source He, Zhang, Ren, Sun 2015
 */
export function prelu(x: TensorLike, slope: TensorLike): Tensor {
  const [input, slopes] = asOperands("prelu", x, slope);
  const count = slopes.shape.reduce((product, n) => product * n, 1);
  if (slopes.rank > 1 || (count !== 1 && count !== input.shape[1]))
    throw new ShapeError(
      `prelu: expected one slope or one for each channel of x ${formatShape(input.shape)}, got ${formatShape(slopes.shape)}`,
    );
  const tail = input.shape.slice(2).map(() => 1);
  return preluOp([input, reshape(slopes, count === 1 ? [] : [count, ...tail])], undefined);
}

interface EluAttributes {
  readonly alpha: number;
  readonly gamma: number;
}

const eluOp = defineUnitOp<EluAttributes, [x: Tensor]>({
  name: "elu",
  infer: ([x]) => {
    checkDType("elu", [x]);
    return [x];
  },
  lower: (graph, [x], { alpha, gamma }, { inputs }) => {
    const { dtype } = inputs[0];
    if (dtype === "float32")
      return [graph.node("Selu", [x], { alpha: { float: alpha }, gamma: { float: gamma } })];
    const nodes = nodesOf(graph, dtype);
    const below = nodes("Sub", nodes("Exp", nodes("Min", x, 0)), 1);
    const sum = nodes("Add", nodes("Max", x, 0), nodes("Mul", below, alpha));
    return [nodes("Mul", sum, gamma)];
  },
  vjp: ({ inputs: [x], outputs: [y], cotangents: [dy], attributes: { alpha, gamma } }) => {
    // γ above 0 and y + γα below; for α = 1 both are min(y, 0) + γ.
    const below = clampMax(y, 0);
    const base = add(mul(step(x), gamma * (1 - alpha)), gamma * alpha);
    return [mul(dy, add(below, alpha === 1 ? gamma : base))];
  },
});

function checkAlpha(operation: string, alpha: number): void {
  if (!(alpha > 0)) throw new RangeError(`${operation}: alpha must be positive, got ${alpha}`);
}

/**
 * Exponential linear unit: x where x > 0, else α (e^x - 1).
 *
 * @param alpha  α > 0. Default 1
 * @throws RangeError when α is not positive
 * @source Clevert, Unterthiner, Hochreiter 2016
 */
export function elu(x: TensorLike, alpha = 1): Tensor {
  checkAlpha("elu", alpha);
  return eluOp([asTensor(x)], { alpha, gamma: 1 });
}

/**
 * Self-normalising unit: λ · elu(x, α) with α = 1.6733, λ = 1.0507.
 *
 * @source Klambauer, Unterthiner, Mayr, Hochreiter 2017
 */
export function selu(x: TensorLike): Tensor {
  return eluOp([asTensor(x)], { alpha: 1.6732632423543772, gamma: 1.0507009873554805 });
}

/**
 * Continuously differentiable exponential linear unit: max(x, 0) + min(α (e^(x/α) - 1), 0).
 *
 * @param alpha  α > 0. Default 1
 * @throws RangeError when α is not positive
 * @source Barron 2017
 */
export function celu(x: TensorLike, alpha = 1): Tensor {
  checkAlpha("celu", alpha);
  return mul(elu(mul(x, 1 / alpha)), alpha);
}

/**
 * x σ(x), also called swish.
 *
 * @source Elfwing, Uchibe, Doya 2018
 */
export const silu = defineElementwise("silu", {
  lower: (nodes, x) =>
    nodes.graph.target.contribOps
      ? nodes.graph.node("QuickGelu", [x], { alpha: { float: 1 } }, "com.microsoft")
      : nodes("Mul", x, nodes("Sigmoid", x)),
  vjp: (x, y, dy) => {
    const gate = sigmoid(x);
    return mul(dy, add(y, mul(gate, sub(1, y))));
  },
});

/**
 * x tanh(ln(1 + e^x))
 *
 * @source Misra 2019
 */
export function mish(x: TensorLike): Tensor {
  const input = asTensor(x);
  return mul(input, tanh(softplus(input)));
}

/**
 * min(max(x / 6 + 1/2, 0), 1); the gradient is 0 where |x| ≥ 3.
 *
 * @source Howard et al. 2019
 */
export const hardSigmoid = defineElementwise("hardSigmoid", {
  lower: (nodes, x, dtype) =>
    dtype === "float32"
      ? nodes.graph.node("HardSigmoid", [x], { alpha: { float: 1 / 6 }, beta: { float: 0.5 } })
      : nodes("Min", nodes("Max", nodes("Add", nodes("Div", x, 6), 0.5), 0), 1),
  vjp: (x, _y, dy) => mul(dy, mul(cast(less(abs(x), 3), x.dtype), 1 / 6)),
});

/**
 * x · hardSigmoid(x)
 *
 * @source Howard et al. 2019
 */
export function hardSwish(x: TensorLike): Tensor {
  const input = asTensor(x);
  return mul(input, hardSigmoid(input));
}

/** x kept between -1 and 1; the gradient is 1 on the bounds and 0 outside. */
export function hardTanh(x: TensorLike): Tensor {
  return clampMax(clampMin(x, -1), 1);
}

/** x / (1 + |x|) */
export const softsign = defineElementwise("softsign", {
  lower: (nodes, x, dtype) =>
    dtype === "float32" ? nodes("Softsign", x) : nodes("Div", x, nodes("Add", nodes("Abs", x), 1)),
  vjp: (_x, y, dy) => mul(dy, square(sub(1, abs(y)))),
});

const TANH_SCALE = Math.sqrt(2 / Math.PI);
const CUBIC = 0.044715;

/**
 * The approximation x (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2 of `gelu`, as GPT-2 and many published weights use it.
 *
 * @source Hendrycks, Gimpel 2016
 */
export const geluTanh = defineElementwise("geluTanh", {
  lower: (nodes, x, dtype, rank) => {
    // FastGelu refuses scalars.
    if (dtype === "float32" && rank > 0 && nodes.graph.target.contribOps)
      return nodes.graph.node("FastGelu", [x], {}, "com.microsoft");
    const cubic = nodes("Add", nodes("Mul", nodes("Mul", x, x), TANH_SCALE * CUBIC), TANH_SCALE);
    const t = nodes("Tanh", nodes("Mul", x, cubic));
    return nodes("Mul", nodes("Mul", x, 0.5), nodes("Add", t, 1));
  },
  vjp: (x, _y, dy) => {
    const squared = square(x);
    const t = tanh(mul(x, add(mul(squared, TANH_SCALE * CUBIC), TANH_SCALE)));
    const inner = mul(x, add(mul(squared, 1.5 * TANH_SCALE * CUBIC), TANH_SCALE / 2));
    return mul(dy, add(mul(add(t, 1), 0.5), mul(inner, sub(1, square(t)))));
  },
});
