import type { Tensor } from "../../src/index.ts";
import * as engine from "../../src/index.ts";
import type { OperationFamily } from "../support/family.ts";

export const family: OperationFamily = {
  applications: {
    cumsum: ([x], { axis, ...options }) => engine.cumsum(x as Tensor, axis as number, options),
    cumprod: ([x], { axis, ...options }) => engine.cumprod(x as Tensor, axis as number, options),
  },
};
