import type { Tensor } from "../../src/index.ts";
import * as engine from "../../src/index.ts";
import type { OperationFamily } from "../support/family.ts";

export const family: OperationFamily = {
  applications: {
    gather: ([x, indices], { axis }) => engine.gather(x as Tensor, indices as Tensor, axis as number),
    segmentSum: ([x, ids], { segments }) => engine.segmentSum(x as Tensor, ids as Tensor, segments as number),
    takeAlong: ([x, indices], { axis }) => engine.takeAlong(x as Tensor, indices as Tensor, axis as number),
    scatterAddAlong: ([x, indices], { shape, axis }) =>
      engine.scatterAddAlong(x as Tensor, indices as Tensor, shape as number[], axis as number),
    oneHot: ([indices], { depth }) => engine.oneHot(indices as Tensor, depth as number),
  },
  withoutGradient: ["oneHot"],
};
