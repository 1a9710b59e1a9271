import * as engine from "../../src/index.ts";
import type { OperationFamily } from "../support/family.ts";
import { alongAxis, binary, reduction } from "../support/family.ts";

export const family: OperationFamily = {
  applications: {
    sum: reduction(engine.sum),
    mean: reduction(engine.mean),
    max: reduction(engine.max),
    min: reduction(engine.min),
    logSumExp: reduction(engine.logSumExp),
    variance: reduction(engine.variance),
    norm: reduction(engine.norm),
    softmax: alongAxis(engine.softmax),
    logSoftmax: alongAxis(engine.logSoftmax),
    argmax: alongAxis(engine.argmax),
    softmaxCrossEntropy: binary(engine.softmaxCrossEntropy),
  },
  withoutGradient: ["argmax"],
  positive: ["norm"],
};
