import { textTransformerInit, visionTransformerInit } from "@concord/nn";
import type { NDArray, Tree } from "@concord/tensor";
import { encodeSafetensors, foldIn, ndarray, randomKey, uniformArray } from "@concord/tensor";
import { model } from "./model.ts";

/** The parameters and the fixed batch that every engine starts from, so that their losses can be compared. */
export function initialState() {
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

/** The same as the bytes of a safetensors file, for the engines that do not know Concord. */
export function initialStateFile(): Uint8Array {
  // Interfaces such as those of the parameters have no index signature, which Tree asks for.
  return Buffer.concat(encodeSafetensors(initialState() as unknown as Tree<NDArray>));
}
