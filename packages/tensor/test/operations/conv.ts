import type { Conv2dOptions, Tensor } from "../../src/index.ts";
import * as engine from "../../src/index.ts";
import type { OperationFamily } from "../support/family.ts";
import { unary } from "../support/family.ts";

export const family: OperationFamily = {
  applications: {
    conv2d: ([x, weights, bias], attributes) =>
      engine.conv2d(x as Tensor, weights as Tensor, {
        ...(attributes as Conv2dOptions),
        ...(bias && { bias }),
      }),
    maxPool2d: ([x], { size, ...options }) => engine.maxPool2d(x as Tensor, size as number, options),
    averagePool2d: ([x], { size, ...options }) => engine.averagePool2d(x as Tensor, size as number, options),
    globalAveragePool: unary(engine.globalAveragePool),
  },
  float32Only: ["conv2d", "averagePool2d"],
};
