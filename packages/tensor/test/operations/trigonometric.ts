import * as engine from "../../src/index.ts";
import type { OperationFamily } from "../support/family.ts";
import { binary, unary } from "../support/family.ts";

const FLOAT32 = ["asin", "acos", "atan", "asinh", "acosh", "atanh", "atan2"];

export const family: OperationFamily = {
  applications: {
    tan: unary(engine.tan),
    asin: unary(engine.asin),
    acos: unary(engine.acos),
    atan: unary(engine.atan),
    atan2: binary(engine.atan2),
    sinh: unary(engine.sinh),
    cosh: unary(engine.cosh),
    asinh: unary(engine.asinh),
    acosh: unary(engine.acosh),
    atanh: unary(engine.atanh),
  },
  float32Only: FLOAT32,
  fixedInputs: ["tan", "asin", "acos", "acosh", "atanh", "atan2"],
};
