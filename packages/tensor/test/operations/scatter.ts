import type { Tensor } from "../../src/index.ts";
import * as engine from "../../src/index.ts";
import type { OperationFamily } from "../support/family.ts";

export const family: OperationFamily = {
  applications: {
    scatterSet: ([x, indices, updates], { axis }) =>
      engine.scatterSet(x as Tensor, indices as Tensor, updates as Tensor, axis as number),
    scatterSetAlong: ([x, indices, updates], { axis }) =>
      engine.scatterSetAlong(x as Tensor, indices as Tensor, updates as Tensor, axis as number),
    gatherNd: ([x, indices]) => engine.gatherNd(x as Tensor, indices as Tensor),
  },
};
