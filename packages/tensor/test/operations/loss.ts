import type { CrossEntropyOptions, Tensor } from "../../src/index.ts";
import * as engine from "../../src/index.ts";
import type { OperationFamily } from "../support/family.ts";

export const family: OperationFamily = {
  applications: {
    bceWithLogits: ([x, t, ...factors], { weighted, positive }) =>
      engine.bceWithLogits(x as Tensor, t as Tensor, {
        ...(weighted === true && { weight: factors[0] as Tensor }),
        ...(positive === true && { positiveWeight: factors.at(-1) as Tensor }),
      }),
    crossEntropy: ([x, t, classWeights], attributes) =>
      engine.crossEntropy(x as Tensor, t as Tensor, {
        ...(attributes as CrossEntropyOptions),
        ...(classWeights && { classWeights }),
      }),
    smoothL1: ([x, y], attributes) => engine.smoothL1(x as Tensor, y as Tensor, attributes),
    mse: ([x, y]) => engine.mse(x as Tensor, y as Tensor),
  },
};
