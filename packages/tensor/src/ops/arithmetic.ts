import { broadcastShapes } from "../core/axes.ts";
import { DTypeError } from "../core/errors.ts";
import { holds, isFloat } from "../core/ndarray.ts";
import type { Spec, TensorLike } from "../core/tensor.ts";
import {
  asOperands,
  asTensor,
  compiledInputs,
  defineUnitOp,
  scalarConstant,
  type Tensor,
} from "../core/tensor.ts";
import { applyBinary, defineBinary, defineBinaryOp } from "./elementwise.ts";
import { sumTo } from "./structure.ts";

const addOp = defineBinary("add", "Add", (_a, _b, dy) => [dy, dy]);
const subOp = defineBinary("sub", "Sub", (_a, _b, dy) => [dy, neg(dy)]);
const mulOp = defineBinaryOp("mul", "Mul", (a, b, dy) => [mul(dy, b), mul(dy, a)]);
const divOp = defineBinary("div", "Div", (_a, b, dy, y) => [div(dy, b), neg(div(mul(dy, y), b))]);

/** a + b, elementwise with broadcasting. */
export function add(a: TensorLike, b: TensorLike): Tensor {
  if (b === 0) return asTensor(a);
  if (a === 0) return asTensor(b);
  return addOp(a, b);
}

/** a - b, elementwise with broadcasting. */
export function sub(a: TensorLike, b: TensorLike): Tensor {
  return b === 0 ? asTensor(a) : subOp(a, b);
}

/** a · b, elementwise with broadcasting. Constant factors one after another are compiled to one. */
export function mul(a: TensorLike, b: TensorLike): Tensor {
  if (b === 1) return asTensor(a);
  if (a === 1) return asTensor(b);
  const [left, right] = asOperands("mul", a, b);
  const [x, factor] = scalarConstant(left) === undefined ? [left, right] : [right, left];
  const [origin, known] = compiledInputs(x, "mul") ?? [];
  const [before, now] = [known && scalarConstant(known), scalarConstant(factor)];
  if (!origin || before === undefined || now === undefined || !isFloat(x.dtype))
    return applyBinary(mulOp, "mul", x, factor);
  return mulOp([x, factor], undefined, {
    inputs: [origin, asTensor(before * now, x.dtype)],
    attributes: undefined,
  });
}

/** a / b, elementwise with broadcasting. */
export function div(a: TensorLike, b: TensorLike): Tensor {
  const x = typeof a === "number" ? undefined : asTensor(a);
  if (typeof b === "number" && x && isFloat(x.dtype)) return mul(x, 1 / b);
  return divOp(a, b);
}

/** -x */
export function neg(x: TensorLike): Tensor {
  return mul(x, -1);
}

/** Elementwise larger value. Where both are equal the gradient goes to each by half. */
export const maximum = defineBinary("maximum", "Max", (a, b, dy) => {
  const share = shareOf(a, b);
  return [mul(dy, share), mul(dy, sub(1, share))];
});

/** Elementwise smaller value. Where both are equal the gradient goes to each by half. */
export const minimum = defineBinary("minimum", "Min", (a, b, dy) => {
  const share = shareOf(a, b);
  return [mul(dy, sub(1, share)), mul(dy, share)];
});

/** 1 where a > b, 1/2 where equal, 0 where a < b. */
function shareOf(a: Tensor, b: Tensor): Tensor {
  const as = a.dtype;
  return mul(add(cast(greater(a, b), as), cast(greaterOrEqual(a, b), as)), 0.5);
}

/**
 * x^exponent for a constant exponent; x > 0 unless the exponent is an integer.
 *
 * @throws DTypeError when x holds integers and the exponent is none
 */
export function pow(x: TensorLike, exponent: number): Tensor {
  const input = asTensor(x);
  if (exponent === 1) return input;
  if (!holds(input.dtype, exponent))
    throw new DTypeError(
      `pow: the exponent ${exponent} needs a float, got ${input.dtype}; convert with cast()`,
    );
  return exponent === 2 ? mul(input, input) : powOp([input], { exponent });
}

const powOp = defineUnitOp<{ readonly exponent: number }, [x: Tensor]>({
  name: "pow",
  infer: ([x]) => [x],
  lower: (graph, [x], { exponent }, { inputs }) => [
    graph.node("Pow", [x, graph.scalar(exponent, inputs[0].dtype)]),
  ],
  vjp: ({ inputs: [x], cotangents: [dy], attributes: { exponent } }) => [
    exponent === 0 ? null : mul(dy, mul(pow(x, exponent - 1), exponent)),
  ],
});

/** a > b */
export const greater = defineBinary("greater", "Greater", undefined, "bool");
/** a ≥ b */
export const greaterOrEqual = defineBinary("greaterOrEqual", "GreaterOrEqual", undefined, "bool");
/** a < b */
export const less = defineBinary("less", "Less", undefined, "bool");
/** a ≤ b */
export const lessOrEqual = defineBinary("lessOrEqual", "LessOrEqual", undefined, "bool");
/** a = b */
export const equal = defineBinary("equal", "Equal", undefined, "bool");

function asBooleans(op: string, x: TensorLike): Tensor {
  const input = asTensor(x, "bool");
  if (input.dtype !== "bool") throw new DTypeError(`${op}: expected booleans, got ${input.dtype}`);
  return input;
}

const andOp = defineBinary("logicalAnd", "And", undefined, "bool");
const orOp = defineBinary("logicalOr", "Or", undefined, "bool");

/** a and b, of booleans */
export function logicalAnd(a: TensorLike, b: TensorLike): Tensor {
  return andOp(asBooleans("logicalAnd", a), asBooleans("logicalAnd", b));
}

/** a or b, of booleans */
export function logicalOr(a: TensorLike, b: TensorLike): Tensor {
  return orOp(asBooleans("logicalOr", a), asBooleans("logicalOr", b));
}

const notOp = defineUnitOp<undefined, [x: Tensor]>({
  name: "logicalNot",
  infer: ([x]) => [x],
  lower: (graph, [x]) => [graph.node("Not", [x])],
});

/** not x, of booleans */
export function logicalNot(x: TensorLike): Tensor {
  return notOp([asBooleans("logicalNot", x)], undefined);
}

const castOp = defineUnitOp<{ readonly dtype: Spec["dtype"] }, [x: Tensor]>({
  name: "cast",
  infer: ([x], { dtype }) => [{ shape: x.shape, dtype }],
  lower: (graph, [x], { dtype }) => [graph.cast(x, dtype)],
  vjp: ({ inputs: [x], cotangents: [dy], attributes: { dtype } }) => {
    const from = x.dtype;
    return [isFloat(from) && isFloat(dtype) ? cast(dy, from) : null];
  },
});

/**
 * The same values as another dtype; floats become integers by truncation, everything but 0 becomes true.
 * Gradients flow between float dtypes only.
 */
export function cast(x: TensorLike, dtype: Spec["dtype"]): Tensor {
  const input = asTensor(x);
  return input.dtype === dtype ? input : castOp([input], { dtype });
}

const whereOp = defineUnitOp<undefined, [condition: Tensor, a: Tensor, b: Tensor]>({
  name: "where",
  infer: ([condition, a, b]) => [
    {
      shape: broadcastShapes("where", broadcastShapes("where", a.shape, b.shape), condition.shape),
      dtype: a.dtype,
    },
  ],
  lower: (graph, inputs) => [graph.node("Where", inputs)],
  vjp: ({ inputs, cotangents }) => {
    const [condition, a, b] = inputs;
    const dy = cotangents[0];
    return [null, sumTo(where(condition, dy, 0), a.shape), sumTo(where(condition, 0, dy), b.shape)];
  },
});

/**
 * a where the condition holds, else b; all three broadcast.
 *
 * @throws ShapeError when they do not broadcast; DTypeError when the condition is no bool or the dtypes of a and b differ
 */
export function where(condition: TensorLike, a: TensorLike, b: TensorLike): Tensor {
  const [left, right] = asOperands("where", a, b);
  return whereOp([asBooleans("where", condition), left, right], undefined);
}

const stopGradientOp = defineUnitOp<undefined, [x: Tensor]>({
  name: "stopGradient",
  infer: ([x]) => [x],
  lower: (_graph, inputs) => inputs,
  vjp: () => [null],
});

/** The same value, through which no gradient flows. */
export function stopGradient(x: TensorLike): Tensor {
  return stopGradientOp([asTensor(x)], undefined);
}

/** Keeps x between two bounds; NaN stays NaN. The gradient is 1 on the bounds and 0 outside. */
export function clamp(x: TensorLike, low: number, high: number): Tensor {
  const input = asTensor(x);
  return where(less(input, low), low, where(greater(input, high), high, input));
}
