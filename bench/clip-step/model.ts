/** The step that all engines run: a small CLIP, forward, backward and Adam. Shapes only; see each engine's file. */
export const model = {
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
} as const;

export const imageTokens = (model.imageSize / model.patchSize) ** 2;

/** Floating-point operations of one step: matrix products only, the backward pass counted as twice the forward. */
export function stepFlops(): number {
  const { batch, width, layers, expansion, patchSize, channels, textTokens } = model;
  const tower = (tokens: number): number => {
    const perToken = 2 * width * width * (4 + 2 * expansion);
    const scores = 2 * 2 * tokens * tokens * width;
    return layers * (tokens * perToken + scores) + 2 * width * width;
  };
  const patches = imageTokens * 2 * patchSize * patchSize * channels * width;
  const forward = batch * (tower(imageTokens) + tower(textTokens) + patches) + 2 * batch * batch * width;
  return 3 * forward;
}
