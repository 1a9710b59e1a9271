import type { Tensor } from "../../src/index.ts";
import * as engine from "../../src/index.ts";
import type { OperationFamily } from "../support/family.ts";

export const family: OperationFamily = {
  applications: {
    straightThrough: ([hard, soft]) => engine.straightThrough(hard as Tensor, soft as Tensor),
    gradientReversal: ([x], { scale }) => engine.gradientReversal(x as Tensor, scale as number | undefined),
    scaleGradient: ([x], { factor }) => engine.scaleGradient(x as Tensor, factor as number),
    customGradient: ([x]) =>
      engine.customGradient(
        (a: Tensor) => engine.mul(a, engine.square(a)),
        ({ inputs: [a], cotangents: [dy] }) => [
          engine.mul(dy as Tensor, engine.mul(engine.square(a as Tensor), 3)),
        ],
      )(x as Tensor),
    recompute: ([x, weights]) =>
      engine.recompute((a: Tensor) => {
        const hidden = engine.tanh(engine.matmul(a, weights as Tensor));
        return [hidden, engine.add(engine.square(hidden), engine.sin(a))];
      })(x as Tensor),
    clampGradient: ([x], { limit }) => engine.clampGradient(x as Tensor, limit as number),
  },
  otherGradient: ["straightThrough", "gradientReversal", "scaleGradient", "clampGradient"],
};
