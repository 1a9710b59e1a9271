import type { Tensor } from "../../src/index.ts";
import * as engine from "../../src/index.ts";
import type { OperationFamily } from "../support/family.ts";
import { unary } from "../support/family.ts";

export const family: OperationFamily = {
  applications: {
    leakyRelu: ([x], { slope }) => engine.leakyRelu(x as Tensor, slope as number | undefined),
    prelu: ([x, slope]) => engine.prelu(x as Tensor, slope as Tensor),
    elu: ([x], { alpha }) => engine.elu(x as Tensor, alpha as number | undefined),
    selu: unary(engine.selu),
    celu: ([x], { alpha }) => engine.celu(x as Tensor, alpha as number | undefined),
    silu: unary(engine.silu),
    mish: unary(engine.mish),
    hardSigmoid: unary(engine.hardSigmoid),
    hardSwish: unary(engine.hardSwish),
    hardTanh: unary(engine.hardTanh),
    softsign: unary(engine.softsign),
    geluTanh: unary(engine.geluTanh),
  },
};
