import { resnetInit, resnetStatistics } from "@concord/nn";
import { foldIn, ndarray, normalArray, randomKey, uniformArray } from "@concord/tensor";
import type { CnnModel } from "./model.ts";

export function initialState(model: CnnModel) {
  const { batch, imageSize, channels, widths, blocks, classes } = model;
  const key = randomKey(0);
  const params = resnetInit(foldIn(key, 0), {
    preset: { block: "basic", blocks },
    channels,
    widths,
    stem: "small",
    outputs: classes,
  });
  const labels = uniformArray(foldIn(key, 2), [batch], 0, classes);
  return {
    params,
    statistics: resnetStatistics(params),
    images: normalArray(foldIn(key, 1), [batch, channels, imageSize, imageSize]),
    labels: ndarray(Array.from(labels.data, Math.floor), { dtype: "int32" }),
  };
}
