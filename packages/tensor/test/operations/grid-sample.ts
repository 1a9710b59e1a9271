import type { GridOptions, SampleOptions, Tensor } from "../../src/index.ts";
import * as engine from "../../src/index.ts";
import type { OperationFamily } from "../support/family.ts";

export const family: OperationFamily = {
  applications: {
    gridSample: ([x, grid], attributes) =>
      engine.gridSample(x as Tensor, grid as Tensor, attributes as SampleOptions & GridOptions),
    warp: ([x, displacement], attributes) =>
      engine.warp(x as Tensor, displacement as Tensor, attributes as SampleOptions),
    affineGrid: ([matrices], { size, ...options }) =>
      engine.affineGrid(matrices as Tensor, size as number[], options as GridOptions),
  },
  // Random places may lie on the lines between pixels, where the gradient jumps; those of the fixtures do not.
  fixedInputs: ["gridSample", "warp"],
};
