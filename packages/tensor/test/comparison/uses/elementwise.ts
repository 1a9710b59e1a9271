import type { Draft, Use, Uses } from "../../support/random-graph-draft.ts";

function anywhere(op: string): Use {
  return (draft) => draft.step(op, [draft.tensor()]);
}

function within(op: string, range: readonly [number, number]): Use {
  return (draft) => draft.step(op, [draft.bounded()], {}, range);
}

function pair(op: string): Use {
  return (draft) => {
    const a = draft.tensor();
    const operands = [a, draft.partner(a)];
    draft.step(op, draft.once(2) ? operands : operands.reverse());
  };
}

function logical(op: string): Use {
  return (draft) => {
    const a = draft.condition(draft.tensor());
    const x = draft.shaped(draft.shape(a));
    draft.step(op, [a, draft.step(draft.pick(["less", "equal", "lessOrEqual"]), [x, draft.input([])])]);
  };
}

export const uses: Uses = {
  add: pair("add"),
  sub: pair("sub"),
  mul: pair("mul"),
  div: (draft) => {
    const a = draft.tensor();
    draft.step("div", [a, draft.positive(draft.partner(a))]);
  },
  maximum: pair("maximum"),
  minimum: pair("minimum"),
  greater: pair("greater"),
  greaterOrEqual: pair("greaterOrEqual"),
  less: pair("less"),
  lessOrEqual: pair("lessOrEqual"),
  equal: pair("equal"),
  logicalAnd: logical("logicalAnd"),
  logicalOr: logical("logicalOr"),
  logicalNot: (draft) => draft.step("logicalNot", [draft.condition(draft.tensor())]),
  neg: anywhere("neg"),
  pow: (draft) => {
    const whole = draft.once(2);
    const exponent = draft.pick(whole ? [0, 1, 2, 3, 4] : [0.5, 1.5, -1, -2, -0.5, 2.5]);
    draft.step("pow", [whole ? draft.bounded() : draft.positive()], { exponent });
  },
  cast: (draft) => draft.step("cast", [draft.tensor()], { dtype: draft.pick(["int32", "int64", "bool"]) }),
  where: (draft: Draft) => {
    const a = draft.tensor();
    const condition = draft.condition(a);
    draft.step("where", [condition, a, draft.shaped(draft.shape(a))]);
  },
  clamp: (draft) => {
    const low = draft.pick([-1, -0.5, 0]);
    draft.step("clamp", [draft.tensor()], { low, high: low + draft.pick([0.5, 1, 2]) });
  },
  stopGradient: anywhere("stopGradient"),
  exp: within("exp", [0.3, 2.8]),
  log: (draft) => draft.step("log", [draft.positive()]),
  sqrt: (draft) => draft.step("sqrt", [draft.positive()]),
  tanh: anywhere("tanh"),
  sigmoid: anywhere("sigmoid"),
  erf: anywhere("erf"),
  relu: anywhere("relu"),
  abs: anywhere("abs"),
  sin: anywhere("sin"),
  cos: anywhere("cos"),
  softplus: anywhere("softplus"),
  floor: anywhere("floor"),
  sign: anywhere("sign"),
  square: (draft) => draft.step("square", [draft.bounded()]),
  logSigmoid: anywhere("logSigmoid"),
  gelu: anywhere("gelu"),
  quickGelu: anywhere("quickGelu"),
};

export const gradientByIntent = ["stopGradient", "cast", "floor", "sign"];
