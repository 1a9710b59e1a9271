import type { Use, Uses } from "../../support/random-graph-draft.ts";

function anywhere(op: string): Use {
  return (draft) => draft.step(op, [draft.tensor()]);
}

function bounded(op: string, limit = 1): Use {
  return (draft) => draft.step(op, [draft.bounded(draft.tensor(), limit)]);
}

function positive(op: string): Use {
  return (draft) => draft.step(op, [draft.positive()]);
}

function withNumber(op: string, name: string, numbers: readonly number[]): Use {
  return (draft) => draft.step(op, [draft.tensor()], draft.once(4) ? {} : { [name]: draft.pick(numbers) });
}

function divided(op: string): Use {
  return (draft) => {
    const a = draft.tensor();
    draft.step(op, [a, draft.positive(draft.partner(a))]);
  };
}

export const uses: Uses = {
  leakyRelu: withNumber("leakyRelu", "slope", [0.2, 1.5, -0.3]),
  prelu: (draft) => {
    const x = draft.ranked(1, 4);
    const channels = draft.rank(x) > 1 && draft.once(2) ? draft.along(x, 1) : 1;
    draft.step("prelu", [x, draft.shaped([channels])]);
  },
  elu: withNumber("elu", "alpha", [0.5, 2]),
  selu: anywhere("selu"),
  celu: withNumber("celu", "alpha", [0.5, 2]),
  silu: anywhere("silu"),
  mish: anywhere("mish"),
  hardSigmoid: anywhere("hardSigmoid"),
  hardSwish: anywhere("hardSwish"),
  hardTanh: anywhere("hardTanh"),
  softsign: anywhere("softsign"),
  geluTanh: anywhere("geluTanh"),
  reciprocal: positive("reciprocal"),
  rsqrt: positive("rsqrt"),
  expm1: bounded("expm1"),
  log1p: positive("log1p"),
  ceil: anywhere("ceil"),
  round: anywhere("round"),
  trunc: anywhere("trunc"),
  isNan: anywhere("isNan"),
  isInf: anywhere("isInf"),
  isFiniteValue: anywhere("isFiniteValue"),
  fmod: divided("fmod"),
  remainder: divided("remainder"),
  clampMin: (draft) => draft.step("clampMin", [draft.tensor()], { low: draft.pick([-0.5, 0.2]) }),
  clampMax: (draft) => draft.step("clampMax", [draft.tensor()], { high: draft.pick([-0.2, 0.7]) }),
  nanToNum: anywhere("nanToNum"),
  notEqual: (draft) => {
    const a = draft.tensor();
    draft.step("notEqual", [a, draft.partner(a)]);
  },
  logicalXor: (draft) => {
    const a = draft.condition(draft.tensor());
    draft.step("logicalXor", [a, draft.step("less", [draft.shaped(draft.shape(a)), draft.input([])])]);
  },
  tan: bounded("tan"),
  asin: bounded("asin", 0.8),
  acos: bounded("acos", 0.8),
  atan: anywhere("atan"),
  atan2: divided("atan2"),
  sinh: bounded("sinh"),
  cosh: bounded("cosh"),
  asinh: anywhere("asinh"),
  acosh: (draft) =>
    draft.step("acosh", [draft.step("add", [draft.positive(), draft.given({ shape: [], data: [1] })])]),
  atanh: bounded("atanh", 0.8),
  standardize: (draft) => draft.step("standardize", [draft.ranked(1)], { epsilon: draft.pick([0.1, 0.5]) }),
};

export const gradientByIntent = ["ceil", "round", "trunc"];
