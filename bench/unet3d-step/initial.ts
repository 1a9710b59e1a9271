import { unet3dInit } from "@concord/nn";
import { foldIn, ndarray, normalArray, randomKey, uniformArray } from "@concord/tensor";
import type { UnetModel } from "./model.ts";

export function initialState({ batch, size, channels, widths, classes }: UnetModel) {
  const key = randomKey(0);
  const labels = uniformArray(foldIn(key, 2), [batch, size, size, size], 0, classes);
  return {
    params: unet3dInit(foldIn(key, 0), { channels, widths, outputs: classes }),
    volumes: normalArray(foldIn(key, 1), [batch, channels, size, size, size]),
    labels: ndarray(Array.from(labels.data, Math.floor), { shape: [batch * size ** 3], dtype: "int32" }),
  };
}
