import type { Tensor } from "../../src/index.ts";
import * as engine from "../../src/index.ts";
import type { OperationFamily } from "../support/family.ts";

export const family: OperationFamily = {
  applications: {
    segmentMean: ([x, ids], { segments }) =>
      engine.segmentMean(x as Tensor, ids as Tensor, segments as number),
    segmentMax: ([x, ids], { segments, ...options }) =>
      engine.segmentMax(x as Tensor, ids as Tensor, segments as number, options),
    segmentSoftmax: ([x, ids], { segments }) =>
      engine.segmentSoftmax(x as Tensor, ids as Tensor, segments as number),
  },
};
