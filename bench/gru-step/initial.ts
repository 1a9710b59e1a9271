import { embeddingInit, linearInit, recurrentInit } from "@concord/nn";
import { foldIn, ndarray, randomKey, uniformArray } from "@concord/tensor";
import type { GruModel } from "./model.ts";

/** Sequences run along the first axis. */
export function initialState({ batch, steps, vocabulary, width, hidden }: GruModel) {
  const key = randomKey(0);
  const tokens = uniformArray(foldIn(key, 3), [(steps + 1) * batch], 0, vocabulary).data;
  const from = (start: number) =>
    ndarray(Array.from(tokens.subarray(start, start + steps * batch), Math.floor), {
      shape: [steps, batch],
      dtype: "int32",
    });
  return {
    params: {
      words: embeddingInit(foldIn(key, 0), { vocabulary, width, deviation: 0.1 }),
      gru: recurrentInit(foldIn(key, 1), { kind: "gru", inputs: width, hidden }),
      head: linearInit(foldIn(key, 2), { inputs: hidden, outputs: vocabulary }),
    },
    ids: from(0),
    targets: from(batch),
  };
}
