import { broadcastShapes } from "../core/axes.ts";
import type { DType } from "../core/ndarray.ts";
import { isFloat } from "../core/ndarray.ts";
import type { TensorLike } from "../core/tensor.ts";
import { asOperands, asTensor, checkDType, defineUnitOp, type Tensor } from "../core/tensor.ts";
import {
  add,
  cast,
  div,
  equal,
  greater,
  greaterOrEqual,
  less,
  lessOrEqual,
  logicalAnd,
  logicalNot,
  logicalOr,
  mul,
  neg,
  sub,
  where,
} from "./arithmetic.ts";
import type { Nodes } from "./elementwise.ts";
import { defineBinary, defineElementwise, nodesOf } from "./elementwise.ts";
import { sumTo } from "./structure.ts";

/** 1 / x */
export const reciprocal = defineElementwise("reciprocal", {
  lower: (nodes, x) => nodes("Reciprocal", x),
  vjp: (_x, y, dy) => neg(mul(dy, mul(y, y))),
});

/** 1 / √x, x > 0 */
export const rsqrt = defineElementwise("rsqrt", {
  lower: (nodes, x) => nodes("Reciprocal", nodes("Sqrt", x)),
  vjp: (x, y, dy) => mul(dy, mul(div(y, x), -0.5)),
});

/**
 * e^x - 1 without the cancellation near 0.
 *
 * @source Higham 2002, Accuracy and Stability of Numerical Algorithms, section 1.14.1 (the float64 form)
 */
export const expm1 = defineElementwise("expm1", {
  lower: (nodes, x, dtype) => {
    if (dtype === "float32") {
      // 2 sinh(x/2) e^(x/2). Below the bound the result is -1, and further down 0 · ∞ would come.
      const half = nodes("Mul", nodes("Max", x, -100), 0.5);
      return nodes("Mul", nodes("Mul", nodes("Sinh", half), nodes("Exp", half)), 2);
    }
    const power = nodes("Exp", x);
    const difference = nodes("Sub", power, 1);
    const corrected = nodes("Div", nodes("Mul", difference, x), nodes("Log", power));
    const near = nodes("Where", nodes("Equal", power, 1), x, corrected);
    return nodes("Where", nodes("Less", nodes("Abs", x), 0.5), near, difference);
  },
  vjp: (_x, y, dy) => mul(dy, add(y, 1)),
});

/**
 * ln(1 + x), x > -1, without the cancellation near 0.
 *
 * @source Higham 2002, Accuracy and Stability of Numerical Algorithms, section 1.14.1
 */
export const log1p = defineElementwise("log1p", {
  lower: (nodes, x) => {
    const shifted = nodes("Add", x, 1);
    const plain = nodes("Log", shifted);
    const corrected = nodes("Mul", plain, nodes("Div", x, nodes("Sub", shifted, 1)));
    const near = nodes("Where", nodes("Equal", shifted, 1), x, corrected);
    return nodes("Where", nodes("Less", nodes("Abs", x), 1), near, plain);
  },
  vjp: (x, _y, dy) => div(dy, add(x, 1)),
});

/** Smallest integer not below x; no gradient. */
export const ceil = defineElementwise("ceil", { lower: (nodes, x) => nodes("Ceil", x) });
/** Nearest integer, the even one between two (as ONNX, NumPy and PyTorch round); no gradient. */
export const round = defineElementwise("round", { lower: (nodes, x) => nodes("Round", x) });
/** x without its fraction, towards 0; no gradient. */
export const trunc = defineElementwise("trunc", {
  lower: (nodes, x) => nodes("Mul", nodes("Sign", x), nodes("Floor", nodes("Abs", x))),
});

/** Whether x is not a number. */
export const isNan = defineElementwise("isNan", { lower: (nodes, x) => nodes("IsNaN", x), result: "bool" });
/** Whether x is ∞ or -∞. */
export const isInf = defineElementwise("isInf", { lower: (nodes, x) => nodes("IsInf", x), result: "bool" });

/** Whether x is a number and not infinite. (`isFinite` would hide the global function of JavaScript.) */
export function isFiniteValue(x: TensorLike): Tensor {
  return logicalNot(logicalOr(isNan(x), isInf(x)));
}

const NUMBERS: readonly DType[] = ["float32", "float64", "int32", "int64"];

/** a - b · q with whole q, which is minus the gradient with respect to b. */
function defineRest(
  name: string,
  lower: (nodes: Nodes, a: string, b: string, dtype: DType) => string,
): (a: TensorLike, b: TensorLike) => Tensor {
  const op = defineUnitOp<undefined, [a: Tensor, b: Tensor]>({
    name,
    infer: ([a, b]) => {
      checkDType(name, [a], NUMBERS);
      return [
        {
          shape: broadcastShapes(name, a.shape, b.shape),
          dtype: a.dtype,
        },
      ];
    },
    lower: (graph, [a, b], _attributes, { inputs }) => {
      const { dtype } = inputs[0];
      return [lower(nodesOf(graph, dtype), a, b, dtype)];
    },
    vjp: ({ inputs, outputs, cotangents }) => {
      const [a, b] = inputs;
      const dy = cotangents[0];
      const quotient = round(div(sub(a, outputs[0]), b));
      return [sumTo(dy, a.shape), neg(sumTo(mul(dy, quotient), b.shape))];
    },
  });
  return (a, b) => op(asOperands(name, a, b), undefined);
}

/**
 * Rest of the division that rounds towards 0, elementwise with broadcasting: a - b · trunc(a / b), with the sign of
 * a (% in JavaScript, fmod in C; `remainder` takes the sign of b). The gradient is 1 with respect to a and -trunc(a / b) with respect to b.
 */
export const fmod = defineRest("fmod", (nodes, a, b) => nodes.graph.node("Mod", [a, b], { fmod: 1 }));

/**
 * Rest of the division that rounds down, elementwise with broadcasting: a - b · ⌊a / b⌋, with the sign of b (% in
 * Python). The gradient is 1 with respect to a and -⌊a / b⌋ with respect to b.
 */
export const remainder = defineRest("remainder", (nodes, a, b, dtype) => {
  if (!isFloat(dtype)) return nodes("Mod", a, b);
  const rest = nodes.graph.node("Mod", [a, b], { fmod: 1 });
  const opposite = nodes("Less", nodes("Mul", nodes("Sign", rest), nodes("Sign", b)), 0);
  return nodes("Where", opposite, nodes("Add", rest, b), rest);
});

interface Bounds {
  readonly low?: number;
  readonly high?: number;
}

const clipOp = defineUnitOp<Bounds, [x: Tensor]>({
  name: "clamp",
  infer: ([x]) => {
    checkDType("clamp", [x], NUMBERS);
    return [x];
  },
  lower: (graph, [x], { low, high }, { inputs }) => {
    const nodes = nodesOf(graph, inputs[0].dtype);
    const raised = low === undefined ? x : nodes("Max", x, low);
    return [high === undefined ? raised : nodes("Min", raised, high)];
  },
  vjp: ({ inputs: [x], cotangents: [dy], attributes: { low, high } }) => {
    const input = x;
    const inside = [
      ...(low === undefined ? [] : [greaterOrEqual(input, low)]),
      ...(high === undefined ? [] : [lessOrEqual(input, high)]),
    ];
    return [mul(dy, cast(inside.reduce(logicalAnd), input.dtype))];
  },
});

/** max(x, low); NaN stays NaN. The gradient is 1 on the bound and 0 below. */
export function clampMin(x: TensorLike, low: number): Tensor {
  return clipOp([asTensor(x)], { low });
}

/** min(x, high); NaN stays NaN. The gradient is 1 on the bound and 0 above. */
export function clampMax(x: TensorLike, high: number): Tensor {
  return clipOp([asTensor(x)], { high });
}

/** Largest finite numbers. */
const LARGEST = { float32: 3.4028234663852886e38, float64: Number.MAX_VALUE };

/**
 * Numbers in place of NaN and infinities. No gradient flows through what was replaced.
 *
 * @param options.nan       replaces NaN. Default 0
 * @param options.infinity  replaces ∞, its negative -∞. Default: the largest finite number of the dtype
 */
export function nanToNum(
  x: TensorLike,
  options: { readonly nan?: number; readonly infinity?: number } = {},
): Tensor {
  const input = asTensor(x);
  checkDType("nanToNum", [input]);
  const { nan = 0, infinity = LARGEST[input.dtype as "float32" | "float64"] } = options;
  const ofMinus = where(less(input, 0), asTensor(-infinity, input.dtype), nan);
  return where(isFiniteValue(input), input, where(greater(input, 0), infinity, ofMinus));
}

/** a ≠ b */
export function notEqual(a: TensorLike, b: TensorLike): Tensor {
  return logicalNot(equal(a, b));
}

const xorOp = defineBinary("logicalXor", "Xor", undefined, "bool");

/** Either a or b and not both, of booleans. */
export function logicalXor(a: TensorLike, b: TensorLike): Tensor {
  const [left, right] = [asTensor(a, "bool"), asTensor(b, "bool")];
  checkDType("logicalXor", [left, right], ["bool"]);
  return xorOp(left, right);
}
