import type { Tensor } from "../../src/index.ts";
import { standardize } from "../../src/index.ts";
import type { OperationFamily } from "../support/family.ts";

export const family: OperationFamily = {
  applications: { standardize: ([x], attributes) => standardize(x as Tensor, attributes) },
};
