import type { OperationFamily } from "../support/family.ts";

/** Basic functions whose fixtures are no list of cases, and those that no fixture fits. */
export const family: OperationFamily = {
  applications: {},
  testedElsewhere: {
    adamw: "optimisers.test.ts",
    sgd: "optimisers.test.ts",
    globalNorm: "optimisers.test.ts",
    clipByGlobalNorm: "optimisers.test.ts",
    cosineSchedule: "optimisers.test.ts",
    minimise: "optimisers.test.ts",
    full: "create.test.ts",
    zeros: "create.test.ts",
    ones: "create.test.ts",
    zerosLike: "create.test.ts",
    arange: "create.test.ts",
    eye: "create.test.ts",
    keyTensor: "random.test.ts",
    keyArray: "random.test.ts",
    foldInTensor: "random.test.ts",
    uniform: "random.test.ts",
    normal: "random.test.ts",
    dropout: "random.test.ts",
  },
};
