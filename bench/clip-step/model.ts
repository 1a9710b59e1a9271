import type { WorkloadModel } from "../workload.ts";

/** A small CLIP: two transformers and InfoNCE. Shapes only; see each engine's file. */
export interface ClipModel {
  readonly batch: number;
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
  readonly expansion: number;
  readonly imageSize: number;
  readonly patchSize: number;
  readonly channels: number;
  readonly textTokens: number;
  readonly vocabulary: number;
  readonly temperature: number;
  readonly learningRate: number;
}

const full: ClipModel = {
  batch: 64,
  width: 128,
  layers: 4,
  heads: 4,
  expansion: 4,
  imageSize: 32,
  patchSize: 4,
  channels: 3,
  textTokens: 16,
  vocabulary: 512,
  temperature: 0.07,
  learningRate: 1e-4,
};

export function imageTokens({ imageSize, patchSize }: ClipModel): number {
  return (imageSize / patchSize) ** 2;
}

export const workload: WorkloadModel<ClipModel> = {
  title: "CLIP-style transformer",
  sizes: {
    full,
    tiny: { ...full, batch: 8, width: 16, layers: 1, heads: 2, patchSize: 8, textTokens: 4, vocabulary: 16 },
  },
  describe: (model) => {
    const { batch, layers, width, heads, textTokens, vocabulary } = model;
    return (
      `two transformers of ${layers} layers, width ${width}, ${heads} heads, over ${imageTokens(model)} image and ` +
      `${textTokens} text tokens of ${vocabulary} words, batch ${batch}, InfoNCE, Adam`
    );
  },
  flops: (model) => {
    const { batch, width, layers, expansion, patchSize, channels, textTokens } = model;
    const tower = (tokens: number): number => {
      const perToken = 2 * width * width * (4 + 2 * expansion);
      const scores = 2 * 2 * tokens * tokens * width;
      return layers * (tokens * perToken + scores) + 2 * width * width;
    };
    const images = imageTokens(model);
    const patches = images * 2 * patchSize * patchSize * channels * width;
    return 3 * (batch * (tower(images) + tower(textTokens) + patches) + 2 * batch * batch * width);
  },
};
