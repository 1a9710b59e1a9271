import type { AveragePoolOptions, PerAxis, PoolOptions, Tensor } from "../../src/index.ts";
import * as engine from "../../src/index.ts";
import type { Application, OperationFamily } from "../support/family.ts";
import { unary } from "../support/family.ts";

type Pool<O> = (x: Tensor, size: PerAxis, options: O) => Tensor;

function application<O extends PoolOptions>(op: Pool<O>): Application {
  return ([x], { size, ...options }) => op(x as Tensor, size as PerAxis, options as unknown as O);
}

export const family: OperationFamily = {
  applications: {
    maxPool1d: application<PoolOptions>(engine.maxPool1d),
    maxPool2d: application<PoolOptions>(engine.maxPool2d),
    maxPool3d: application<PoolOptions>(engine.maxPool3d),
    averagePool1d: application<AveragePoolOptions>(engine.averagePool1d),
    averagePool2d: application<AveragePoolOptions>(engine.averagePool2d),
    averagePool3d: application<AveragePoolOptions>(engine.averagePool3d),
    globalAveragePool: unary(engine.globalAveragePool),
    globalMaxPool: unary(engine.globalMaxPool),
  },
};
