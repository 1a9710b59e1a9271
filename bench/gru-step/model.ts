import type { WorkloadModel } from "../workload.ts";

/** A language model: word vectors, one GRU layer, and the next token at every position. */
export interface GruModel {
  readonly batch: number;
  readonly steps: number;
  readonly vocabulary: number;
  readonly width: number;
  readonly hidden: number;
  readonly learningRate: number;
}

const full: GruModel = { batch: 64, steps: 64, vocabulary: 256, width: 128, hidden: 256, learningRate: 1e-3 };

export const workload: WorkloadModel<GruModel> = {
  title: "GRU language model",
  sizes: { full, tiny: { ...full, batch: 3, steps: 5, vocabulary: 7, width: 4, hidden: 6 } },
  describe: ({ batch, steps, vocabulary, width, hidden }) =>
    `word vectors of width ${width}, one GRU layer of width ${hidden} over ${steps} steps, the next of ${vocabulary} tokens at ` +
    `every step, batch ${batch}, Adam`,
  flops: ({ batch, steps, vocabulary, width, hidden }) =>
    3 * batch * steps * 2 * hidden * (3 * (width + hidden) + vocabulary),
};
