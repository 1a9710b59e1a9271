import type { Tensor } from "../../src/index.ts";
import * as engine from "../../src/index.ts";
import type { Application, Attributes, OperationFamily } from "../support/family.ts";

function ofChannels(
  op: (x: Tensor, gain: Tensor, bias: Tensor, options: { epsilon?: number }) => Tensor,
): Application {
  return ([x, gain, bias], attributes) => op(x as Tensor, gain as Tensor, bias as Tensor, attributes);
}

export const family: OperationFamily = {
  applications: {
    groupNorm: ([x, gain, bias], attributes) =>
      engine.groupNorm(
        x as Tensor,
        gain as Tensor,
        bias as Tensor,
        attributes as Attributes & { groups: number },
      ),
    instanceNorm: ofChannels(engine.instanceNorm),
    globalLayerNorm: ofChannels(engine.globalLayerNorm),
    batchStatisticsNorm: ofChannels(engine.batchStatisticsNorm),
    rmsNorm: ([x, gain], attributes) => engine.rmsNorm(x as Tensor, gain as Tensor, attributes),
    weightNorm: ([direction, magnitude], attributes) =>
      engine.weightNorm(direction as Tensor, magnitude as Tensor, attributes),
  },
};
