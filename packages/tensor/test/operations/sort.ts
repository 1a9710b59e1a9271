import type { Tensor } from "../../src/index.ts";
import * as engine from "../../src/index.ts";
import type { Attributes, OperationFamily } from "../support/family.ts";

function sorting(op: (x: Tensor, axis?: number, options?: engine.SortOptions) => Tensor) {
  return ([x]: readonly Tensor[], { axis, ...options }: Attributes): Tensor =>
    op(x as Tensor, axis as number | undefined, options);
}

export const family: OperationFamily = {
  applications: {
    topK: ([x], { k, axis, ...options }) => {
      const { values, indices } = engine.topK(x as Tensor, k as number, axis as number | undefined, options);
      return [values, indices];
    },
    sort: sorting(engine.sort),
    argsort: sorting(engine.argsort),
    argmin: ([x], { axis }) => engine.argmin(x as Tensor, axis as number),
    searchSorted: ([boundaries, values], options) =>
      engine.searchSorted(boundaries as Tensor, values as Tensor, options),
  },
  withoutGradient: ["argsort", "argmin", "searchSorted"],
};
