import type { TensorLike } from "../core/tensor.ts";
import { asOperands, checkDType, type Tensor } from "../core/tensor.ts";
import { add, cast, div, equal, greater, less, logicalAnd, mul, neg, sub, where } from "./arithmetic.ts";
import { defineElementwise } from "./elementwise.ts";
import { abs, sqrt, square } from "./math.ts";
import { rsqrt } from "./numeric.ts";

/** tan x, x in radians */
export const tan = defineElementwise("tan", {
  lower: (nodes, x, dtype) =>
    dtype === "float32" ? nodes("Tan", x) : nodes("Div", nodes("Sin", x), nodes("Cos", x)),
  vjp: (_x, y, dy) => mul(dy, add(square(y), 1)),
});

/** Angle in [-π/2, π/2] whose sine is x, -1 ≤ x ≤ 1. float32 only. */
export const asin = defineElementwise("asin", {
  lower: (nodes, x) => nodes("Asin", x),
  vjp: (x, _y, dy) => mul(dy, rsqrt(oneMinusSquare(x))),
  dtypes: ["float32"],
});

/** Angle in [0, π] whose cosine is x, -1 ≤ x ≤ 1. float32 only. */
export const acos = defineElementwise("acos", {
  lower: (nodes, x) => nodes("Acos", x),
  vjp: (x, _y, dy) => neg(mul(dy, rsqrt(oneMinusSquare(x)))),
  dtypes: ["float32"],
});

/** Angle in (-π/2, π/2) whose tangent is x. float32 only. */
export const atan = defineElementwise("atan", {
  lower: (nodes, x) => nodes("Atan", x),
  vjp: (x, _y, dy) => div(dy, add(square(x), 1)),
  dtypes: ["float32"],
});

/** 1 - x² as a product, which keeps its digits near |x| = 1. */
function oneMinusSquare(x: Tensor): Tensor {
  return mul(sub(1, x), add(x, 1));
}

/** (e^x - e^-x) / 2 */
export const sinh = defineElementwise("sinh", {
  lower: (nodes, x, dtype) => {
    if (dtype === "float32") return nodes("Sinh", x);
    // Near 0 the difference of exponentials loses its digits; the series does not.
    const squared = nodes("Mul", x, x);
    const series = [110, 72, 42, 20, 6].reduce(
      (tail, divisor) => nodes("Add", nodes("Mul", tail, nodes("Div", squared, divisor)), 1),
      nodes("Add", nodes("Div", squared, 156), 1),
    );
    const difference = nodes("Sub", nodes("Exp", x), nodes("Exp", nodes("Neg", x)));
    const near = nodes("Less", nodes("Abs", x), 0.5);
    return nodes("Where", near, nodes("Mul", x, series), nodes("Mul", difference, 0.5));
  },
  vjp: (x, _y, dy) => mul(dy, cosh(x)),
});

/** (e^x + e^-x) / 2 */
export const cosh = defineElementwise("cosh", {
  lower: (nodes, x, dtype) =>
    dtype === "float32"
      ? nodes("Cosh", x)
      : nodes("Mul", nodes("Add", nodes("Exp", x), nodes("Exp", nodes("Neg", x))), 0.5),
  vjp: (x, _y, dy) => mul(dy, sinh(x)),
});

/** Number whose hyperbolic sine is x. float32 only. */
export const asinh = defineElementwise("asinh", {
  lower: (nodes, x) => nodes("Asinh", x),
  vjp: (x, _y, dy) => mul(dy, rsqrt(add(square(x), 1))),
  dtypes: ["float32"],
});

/** Number ≥ 0 whose hyperbolic cosine is x, x ≥ 1. float32 only. */
export const acosh = defineElementwise("acosh", {
  lower: (nodes, x) => nodes("Acosh", x),
  vjp: (x, _y, dy) => div(dy, sqrt(mul(sub(x, 1), add(x, 1)))),
  dtypes: ["float32"],
});

/** Number whose hyperbolic tangent is x, -1 < x < 1. float32 only. */
export const atanh = defineElementwise("atanh", {
  lower: (nodes, x) => nodes("Atanh", x),
  vjp: (x, _y, dy) => div(dy, oneMinusSquare(x)),
  dtypes: ["float32"],
});

/**
 * Angle in (-π, π] of the point with abscissa x and ordinate y, elementwise with broadcasting; 0 at the origin, where
 * the gradient is 0 as well. float32 only.
 *
 * @throws ShapeError when shapes do not broadcast; DTypeError for other dtypes
 */
export function atan2(y: TensorLike, x: TensorLike): Tensor {
  const [ordinate, abscissa] = asOperands("atan2", y, x);
  checkDType("atan2", [ordinate], ["float32"]);
  // The quotient is at most 1: no overflow, and the gradient of no branch that is not taken becomes infinite.
  const steep = greater(abs(ordinate), abs(abscissa));
  const origin = logicalAnd(equal(ordinate, 0), equal(abscissa, 0));
  const small = where(steep, abscissa, ordinate);
  const large = where(origin, 1, where(steep, ordinate, abscissa));
  const angle = atan(div(small, large));
  const upwards = sub(mul(cast(greater(ordinate, 0), "float32"), Math.PI), Math.PI / 2);
  const leftwards = where(less(ordinate, 0), -Math.PI, Math.PI);
  const flat = where(less(abscissa, 0), add(angle, leftwards), angle);
  return where(origin, 0, where(steep, sub(upwards, angle), flat));
}
