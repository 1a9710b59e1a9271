import { sumSquares } from "../../src/index.ts";
import type { OperationFamily } from "../support/family.ts";
import { reduction } from "../support/family.ts";

export const family: OperationFamily = { applications: { sumSquares: reduction(sumSquares) } };
