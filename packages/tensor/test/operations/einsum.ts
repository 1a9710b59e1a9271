import * as engine from "../../src/index.ts";
import type { OperationFamily } from "../support/family.ts";

export const family: OperationFamily = {
  applications: { einsum: (tensors, { equation }) => engine.einsum(equation as string, ...tensors) },
};
