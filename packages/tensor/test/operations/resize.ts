import type { BoxFilterOptions, ResizeOptions, Tensor } from "../../src/index.ts";
import * as engine from "../../src/index.ts";
import type { OperationFamily } from "../support/family.ts";

export const family: OperationFamily = {
  applications: {
    resize: ([x], attributes) => engine.resize(x as Tensor, attributes as ResizeOptions),
    boxFilter: ([x], { size, border }) =>
      engine.boxFilter(
        x as Tensor,
        size as number | number[],
        border ? ({ border } as BoxFilterOptions) : {},
      ),
  },
};
