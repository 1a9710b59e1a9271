import type { Tensor } from "../../src/index.ts";
import * as engine from "../../src/index.ts";
import type { OperationFamily } from "../support/family.ts";
import { binary } from "../support/family.ts";

export const family: OperationFamily = {
  applications: {
    matmul: ([a, b], attributes) => engine.matmul(a as Tensor, b as Tensor, attributes),
    dot: binary(engine.dot),
    outer: binary(engine.outer),
  },
};
