import type { ReduceOptions, Tensor } from "../../src/index.ts";
import * as engine from "../../src/index.ts";
import type { Application, OperationFamily } from "../support/family.ts";
import { alongAxis } from "../support/family.ts";

function onAxis(op: (x: Tensor, mask: Tensor, axis: number) => Tensor): Application {
  return ([x, mask], { axis }) => op(x as Tensor, mask as Tensor, axis as number);
}

function over(op: (x: Tensor, mask: Tensor, options: ReduceOptions) => Tensor): Application {
  return ([x, mask], attributes) => op(x as Tensor, mask as Tensor, attributes);
}

export const family: OperationFamily = {
  applications: {
    maskedSoftmax: onAxis(engine.maskedSoftmax),
    maskedLogSoftmax: onAxis(engine.maskedLogSoftmax),
    maskedLogSumExp: over(engine.maskedLogSumExp),
    maskedMean: over(engine.maskedMean),
    sparsemax: alongAxis(engine.sparsemax),
  },
};
