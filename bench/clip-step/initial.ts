import { textTransformerInit, visionTransformerInit } from "@concord/nn";
import { foldIn, ndarray, randomKey, uniformArray } from "@concord/tensor";
import type { ClipModel } from "./model.ts";

/** The parameters and the fixed batch that every engine starts from, so that their losses can be compared. */
export function initialState(model: ClipModel) {
  const { batch, width, layers, imageSize, patchSize, channels, textTokens, vocabulary } = model;
  const key = randomKey(0);
  const ids = uniformArray(foldIn(key, 2), [batch, textTokens], 0, vocabulary);
  const text = { vocabulary, context: textTokens, width, layers, outputs: width };
  return {
    params: {
      image: visionTransformerInit(foldIn(key, 0), { imageSize, patchSize, width, layers, outputs: width }),
      text: textTransformerInit(foldIn(key, 1), text),
    },
    images: uniformArray(foldIn(key, 3), [batch, channels, imageSize, imageSize]),
    ids: ndarray(Array.from(ids.data, Math.floor), { shape: ids.shape, dtype: "int32" }),
  };
}
