import type { Tensor } from "../../src/index.ts";
import * as engine from "../../src/index.ts";
import type { OperationFamily } from "../support/family.ts";
import { binary, unary } from "../support/family.ts";

export const family: OperationFamily = {
  applications: {
    reciprocal: unary(engine.reciprocal),
    rsqrt: unary(engine.rsqrt),
    expm1: unary(engine.expm1),
    log1p: unary(engine.log1p),
    ceil: unary(engine.ceil),
    round: unary(engine.round),
    trunc: unary(engine.trunc),
    isNan: unary(engine.isNan),
    isInf: unary(engine.isInf),
    isFiniteValue: unary(engine.isFiniteValue),
    fmod: binary(engine.fmod),
    remainder: binary(engine.remainder),
    clampMin: ([x], { low }) => engine.clampMin(x as Tensor, low as number),
    clampMax: ([x], { high }) => engine.clampMax(x as Tensor, high as number),
    nanToNum: ([x], attributes) => engine.nanToNum(x as Tensor, attributes),
    notEqual: binary(engine.notEqual),
    logicalXor: binary(engine.logicalXor),
  },
  withoutGradient: ["isNan", "isInf", "isFiniteValue", "notEqual", "logicalXor"],
  positive: ["reciprocal", "rsqrt", "log1p"],
  fixedInputs: ["fmod", "remainder", "clampMin", "clampMax"],
};
