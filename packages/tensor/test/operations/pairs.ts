import type { Tensor } from "../../src/index.ts";
import * as engine from "../../src/index.ts";
import type { OperationFamily } from "../support/family.ts";

/** All pairs of rows, some at a time. */
export const family: OperationFamily = {
  applications: {
    pairLogSumExp: ([a, b], attributes) => {
      const { rows, columns, diagonal } = engine.pairLogSumExp(a as Tensor, b as Tensor, attributes);
      return [rows, columns, diagonal];
    },
  },
};
