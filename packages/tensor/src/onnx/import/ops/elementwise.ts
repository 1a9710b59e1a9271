import type { DType, NDArray } from "../../../core/ndarray.ts";
import { isFloat } from "../../../core/ndarray.ts";
import type { Tensor } from "../../../core/tensor.ts";
import {
  celu,
  elu,
  geluTanh,
  hardSigmoid,
  hardSwish,
  leakyRelu,
  mish,
  softsign,
} from "../../../ops/activations.ts";
import {
  add,
  cast,
  clamp,
  div,
  equal,
  greater,
  greaterOrEqual,
  less,
  lessOrEqual,
  logicalAnd,
  logicalNot,
  logicalOr,
  maximum,
  minimum,
  mul,
  neg,
  pow,
  sub,
  where,
} from "../../../ops/arithmetic.ts";
import { full } from "../../../ops/create.ts";
import {
  abs,
  cos,
  erf,
  exp,
  floor,
  gelu,
  log,
  relu,
  sigmoid,
  sign,
  sin,
  softplus,
  sqrt,
  tanh,
} from "../../../ops/math.ts";
import { ceil, isNan, reciprocal, round } from "../../../ops/numeric.ts";
import { acos, acosh, asin, asinh, atan, atanh, cosh, sinh, tan } from "../../../ops/trigonometric.ts";
import type { NodeCall } from "../call.ts";
import { elementwise, quotient } from "../host.ts";
import { elementType } from "../tensors.ts";
import type { OpEntries, OpEntry } from "./entry.ts";

function unary(
  lazy: (x: Tensor, call: NodeCall) => Tensor,
  host?: (x: number) => number,
  attributes: readonly string[] = [],
): OpEntry {
  return {
    attributes,
    inputs: 1,
    lazy: (call) => lazy(call.tensor(0), call),
    ...(host && {
      fold: (call: NodeCall, [x]: readonly NDArray[]) =>
        elementwise(call, [x as NDArray], (x as NDArray).dtype, host),
    }),
  };
}

function binary(
  lazy: (a: Tensor, b: Tensor) => Tensor,
  host: (dtype: DType) => (a: number, b: number) => number,
  result?: DType,
): OpEntry {
  return {
    attributes: [],
    inputs: 2,
    lazy: (call) => lazy(call.tensor(0), call.tensor(1)),
    fold: (call, [a, b]) => {
      const [left, right] = [a as NDArray, b as NDArray];
      if (left.dtype !== right.dtype) call.fail(`operands are ${left.dtype} and ${right.dtype}`);
      return elementwise(call, [left, right], result ?? left.dtype, host(left.dtype));
    },
  };
}

/** An operator of any number of operands. */
function variadic(lazy: (a: Tensor, b: Tensor) => Tensor, host: (a: number, b: number) => number): OpEntry {
  return {
    attributes: [],
    lazy: (call) => call.inputs.map((_, i) => call.tensor(i)).reduce(lazy),
    fold: (call, inputs) =>
      elementwise(call, inputs, call.known(0, "operand").dtype, (...values) => values.reduce(host)),
  };
}

const comparison = (host: (a: number, b: number) => boolean) => () => (a: number, b: number) =>
  Number(host(a, b));

function numberOf(x: Tensor): number | undefined {
  const { source } = x.node;
  return source.kind === "constant" && source.value.data.length === 1
    ? Number(source.value.data[0])
    : undefined;
}

function power(call: NodeCall): Tensor {
  const [x, exponent] = [call.tensor(0), numberOf(call.tensor(1))];
  if (exponent === undefined) return call.fail("its exponent must be one number that is known beforehand");
  if (!isFloat(x.dtype) && !Number.isInteger(exponent)) call.fail(`${x.dtype} to the power of ${exponent}`);
  return exponent === 0.5 ? sqrt(x) : pow(x, exponent);
}

/** The remainder; its sign is that of the divisor, or with `fmod` that of the dividend. */
function remainder(fmod: boolean): (a: number, b: number) => number {
  return fmod ? (a, b) => a % b : (a, b) => a - b * Math.floor(a / b);
}

function clip(call: NodeCall): Tensor {
  const x = call.tensor(0);
  const bound = (index: number): Tensor | undefined => call.optional(index);
  const [low, high] = [bound(1), bound(2)];
  const [least, most] = [low && numberOf(low), high && numberOf(high)];
  if (least !== undefined && most !== undefined) return clamp(x, least, most);
  const raised = low ? where(less(x, low), low, x) : x;
  return high ? where(greater(raised, high), high, raised) : raised;
}

function scaledHardSigmoid(x: Tensor, alpha: number, beta: number): Tensor {
  // The usual factor, as float32 in the file, is an operation of its own.
  if (Math.fround(alpha) === Math.fround(1 / 6) && beta === 0.5) return hardSigmoid(x);
  return clamp(add(mul(x, alpha), beta), 0, 1);
}

/** Half to even, as ONNX rounds. */
function roundEven(x: number): number {
  const low = Math.floor(x);
  const rest = x - low;
  return rest > 0.5 || (rest === 0.5 && low % 2 !== 0) ? low + 1 : low;
}

function castTo(call: NodeCall, code: number): DType {
  return elementType(code, `the result of '${call.node.name}'`).dtype;
}

function castHost(call: NodeCall, x: NDArray, dtype: DType): NDArray {
  const whole = isFloat(x.dtype) && !isFloat(dtype) && dtype !== "bool";
  return elementwise(call, [x], dtype, whole ? Math.trunc : (v) => v);
}

export const elementwiseOps: OpEntries = {
  Tan: unary((x) => tan(x)),
  Sinh: unary((x) => sinh(x)),
  Cosh: unary((x) => cosh(x)),
  Atanh: unary((x) => atanh(x)),
  Atan: unary((x) => atan(x)),
  Asinh: unary((x) => asinh(x)),
  Asin: unary((x) => asin(x)),
  Acosh: unary((x) => acosh(x)),
  Acos: unary((x) => acos(x)),
  Abs: unary((x) => abs(x), Math.abs),
  Add: binary(add, () => (a, b) => a + b),
  And: binary(
    logicalAnd,
    comparison((a, b) => a !== 0 && b !== 0),
  ),
  Cast: {
    attributes: ["to", "saturate"],
    note: "float16 and bfloat16 are computed as float32, 8- and 16-bit integers as int32, unsigned ones as int64",
    lazy: (call) => cast(call.tensor(0), castTo(call, call.requiredInt("to"))),
    fold: (call, [x]) => castHost(call, x as NDArray, castTo(call, call.requiredInt("to"))),
  },
  CastLike: {
    attributes: ["saturate"],
    lazy: (call) => cast(call.tensor(0), call.value(1).dtype),
  },
  Ceil: unary((x) => ceil(x), Math.ceil),
  Celu: unary((x, call) => celu(x, call.floatAttribute("alpha", 1)), undefined, ["alpha"]),
  Clip: {
    attributes: [],
    lazy: clip,
    fold: (call, inputs) => {
      const low = call.has(1) ? call.number(1, "lower bound") : Number.NEGATIVE_INFINITY;
      const high = call.has(2) ? call.number(2, "upper bound") : Number.POSITIVE_INFINITY;
      const x = inputs[0] as NDArray;
      return elementwise(call, [x], x.dtype, (v) => Math.min(Math.max(v, low), high));
    },
  },
  Cos: unary((x) => cos(x), Math.cos),
  Div: binary(div, quotient),
  Dropout: {
    attributes: ["ratio", "seed"],
    note: "the identity, as in inference",
    lazy: (call) => {
      const x = call.tensor(0);
      return call.node.outputs.length > 1 ? [x, full(x.shape, 1, "bool")] : x;
    },
  },
  Elu: unary((x, call) => elu(x, call.floatAttribute("alpha", 1)), undefined, ["alpha"]),
  Equal: binary(
    equal,
    comparison((a, b) => a === b),
    "bool",
  ),
  Erf: unary((x) => erf(x)),
  Exp: unary((x) => exp(x), Math.exp),
  Floor: unary((x) => floor(x), Math.floor),
  Gelu: {
    attributes: ["approximate"],
    since: 20,
    lazy: (call) => {
      const kind = call.text("approximate", "none");
      if (kind !== "none" && kind !== "tanh") call.fail(`attribute 'approximate' is '${kind}'`);
      return kind === "tanh" ? geluTanh(call.tensor(0)) : gelu(call.tensor(0));
    },
  },
  Greater: binary(
    greater,
    comparison((a, b) => a > b),
    "bool",
  ),
  GreaterOrEqual: binary(
    greaterOrEqual,
    comparison((a, b) => a >= b),
    "bool",
  ),
  HardSigmoid: unary(
    (x, call) => scaledHardSigmoid(x, call.floatAttribute("alpha", 0.2), call.floatAttribute("beta", 0.5)),
    undefined,
    ["alpha", "beta"],
  ),
  HardSwish: { ...unary((x) => hardSwish(x)), since: 14 },
  Identity: { attributes: [], lazy: (call) => call.value(0) },
  IsNaN: unary((x) => isNan(x)),
  LeakyRelu: unary((x, call) => leakyRelu(x, call.floatAttribute("alpha", 0.01)), undefined, ["alpha"]),
  Less: binary(
    less,
    comparison((a, b) => a < b),
    "bool",
  ),
  LessOrEqual: binary(
    lessOrEqual,
    comparison((a, b) => a <= b),
    "bool",
  ),
  Log: unary((x) => log(x), Math.log),
  Max: variadic(maximum, Math.max),
  Mean: {
    attributes: [],
    lazy: (call) => div(call.inputs.map((_, i) => call.tensor(i)).reduce(add), call.inputs.length),
  },
  Min: variadic(minimum, Math.min),
  Mish: { ...unary((x) => mish(x)), since: 18 },
  Mod: {
    attributes: ["fmod"],
    note: "of integers only where they follow from shapes and constants",
    lazy: (call) => {
      const [a, b] = [call.float(0), call.float(1)];
      if (!call.flag("fmod", false)) return sub(a, mul(floor(div(a, b)), b));
      const whole = mul(sign(div(a, b)), floor(abs(div(a, b))));
      return sub(a, mul(whole, b));
    },
    fold: (call, inputs) =>
      elementwise(call, inputs, (inputs[0] as NDArray).dtype, remainder(call.flag("fmod", false))),
  },
  Mul: binary(mul, () => (a, b) => a * b),
  Neg: unary(
    (x) => neg(x),
    (x) => -x,
  ),
  Not: unary(
    (x) => logicalNot(x),
    (x) => Number(x === 0),
  ),
  Or: binary(
    logicalOr,
    comparison((a, b) => a !== 0 || b !== 0),
  ),
  Pow: {
    attributes: [],
    note: "the exponent is one number, known beforehand",
    lazy: power,
    fold: (call, inputs) => elementwise(call, inputs, (inputs[0] as NDArray).dtype, (a, b) => a ** b),
  },
  PRelu: {
    attributes: [],
    lazy: (call) => where(greater(call.tensor(0), 0), call.tensor(0), mul(call.tensor(0), call.tensor(1))),
  },
  Reciprocal: unary(
    (x) => reciprocal(x),
    (x) => 1 / x,
  ),
  Relu: unary(
    (x) => (isFloat(x.dtype) ? relu(x) : maximum(x, 0)),
    (x) => Math.max(x, 0),
  ),
  Round: unary((x) => round(x), roundEven),
  Selu: unary(
    (x, call) => mul(elu(x, call.floatAttribute("alpha", 1.6732632)), call.floatAttribute("gamma", 1.050701)),
    undefined,
    ["alpha", "gamma"],
  ),
  Sigmoid: unary((x) => sigmoid(x)),
  Sign: unary((x) => sign(x), Math.sign),
  Sin: unary((x) => sin(x), Math.sin),
  Softplus: unary((x) => softplus(x)),
  Softsign: unary((x) => softsign(x)),
  Sqrt: unary((x) => sqrt(x), Math.sqrt),
  Sub: binary(sub, () => (a, b) => a - b),
  Sum: variadic(add, (a, b) => a + b),
  Tanh: unary((x) => tanh(x), Math.tanh),
  ThresholdedRelu: unary(
    (x, call) => mul(x, cast(greater(x, call.floatAttribute("alpha", 1)), x.dtype)),
    undefined,
    ["alpha"],
  ),
  Where: {
    attributes: [],
    lazy: (call) => where(call.tensor(0), call.tensor(1), call.tensor(2)),
    fold: (call, inputs) => {
      const [, a, b] = inputs as [NDArray, NDArray, NDArray];
      if (a.dtype !== b.dtype) call.fail(`operands are ${a.dtype} and ${b.dtype}`);
      return elementwise(call, inputs, a.dtype, (condition, x, y) => (condition !== 0 ? x : y));
    },
  },
  Xor: binary(
    (a, b) => logicalNot(equal(a, b)),
    comparison((a, b) => (a !== 0) !== (b !== 0)),
  ),
};
