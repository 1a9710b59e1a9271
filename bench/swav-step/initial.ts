import { linearInit, normInit, resnetInit, resnetStatistics, runningStatistics } from "@concord/nn";
import { foldIn, normalArray, randomKey } from "@concord/tensor";
import type { SwavModel } from "./model.ts";

/** Crops are batches of their own: all images' first crop, then all images' second, and so on. */
export function initialState(model: SwavModel) {
  const { batch, large, small, channels, widths, blocks, hidden, outputs, prototypes } = model;
  const key = randomKey(0);
  const encoder = resnetInit(foldIn(key, 0), {
    preset: { block: "basic", blocks },
    channels,
    widths,
    stem: "small",
  });
  const crops = (index: number, { crops: count, size }: SwavModel["large"]) =>
    normalArray(foldIn(key, index), [count * batch, channels, size, size]);
  return {
    params: {
      encoder,
      projector: {
        hidden: linearInit(foldIn(key, 1), { inputs: widths.at(-1) as number, outputs: hidden }),
        norm: normInit(hidden),
        output: linearInit(foldIn(key, 2), { inputs: hidden, outputs }),
      },
      prototypes: normalArray(foldIn(key, 3), [prototypes, outputs]),
    },
    statistics: { encoder: resnetStatistics(encoder), projector: runningStatistics(hidden) },
    large: crops(4, large),
    small: crops(5, small),
  };
}
