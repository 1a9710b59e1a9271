import type { Tensor, TopKOptions } from "../../src/index.ts";
import * as engine from "../../src/index.ts";
import type { OperationFamily } from "../support/family.ts";

export const family: OperationFamily = {
  applications: {
    topK: ([x], { k, ...options }) => {
      const { values, indices } = engine.topK(x as Tensor, k as number, options as TopKOptions);
      return [values, indices];
    },
    sort: ([x], options) => engine.sort(x as Tensor, options),
    argsort: ([x], options) => engine.argsort(x as Tensor, options),
    argmin: ([x], { axis }) => engine.argmin(x as Tensor, axis as number),
    searchSorted: ([boundaries, values], options) =>
      engine.searchSorted(boundaries as Tensor, values as Tensor, options),
  },
  withoutGradient: ["argsort", "argmin", "searchSorted"],
};
