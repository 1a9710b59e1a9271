import type { Tensor } from "../../src/index.ts";
import * as engine from "../../src/index.ts";
import type { Attributes, OperationFamily } from "../support/family.ts";

function batchNormOf(inputs: readonly Tensor[], attributes: Attributes): readonly Tensor[] {
  const [x, gain, bias, mean, variance] = inputs as [Tensor, Tensor, Tensor, Tensor, Tensor];
  const { y, running } = engine.batchNorm(x, gain, bias, { mean, variance }, attributes);
  return [y, running.mean, running.variance];
}

export const family: OperationFamily = {
  applications: {
    layerNorm: ([x, gain, bias], attributes) =>
      engine.layerNorm(x as Tensor, gain as Tensor, bias as Tensor, attributes),
    batchNorm: batchNormOf,
    batchNormInference: (inputs, attributes) => {
      const [x, gain, bias, mean, variance] = inputs as [Tensor, Tensor, Tensor, Tensor, Tensor];
      return engine.batchNormInference(x, gain, bias, { mean, variance }, attributes);
    },
    l2Normalize: ([x], attributes) => engine.l2Normalize(x as Tensor, attributes),
  },
  positive: ["batchNorm", "batchNormInference"],
};
