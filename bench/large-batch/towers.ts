import { infoNCE } from "@concord/align";
import {
  attention,
  embedding,
  embeddingInit,
  linear,
  linearInit,
  type TransformerParams,
  transformerInit,
} from "@concord/nn";
import {
  add,
  dropout,
  exp,
  foldIn,
  foldInTensor,
  gelu,
  type Key,
  l2Normalize,
  layerNorm,
  mean,
  type NDArray,
  ndarray,
  normalArray,
  randomKey,
  reshape,
  type Tensor,
  type Traced,
  uniformArray,
} from "@concord/tensor";

/** Two towers of a CLIP-style model, with dropout after each attention and MLP. */
export interface TowerShape {
  readonly width: number;
  readonly layers: number;
  readonly patches: number;
  readonly patchSize: number;
  readonly words: number;
  readonly vocabulary: number;
}

export const defaultShape: TowerShape = {
  width: 128,
  layers: 4,
  patches: 64,
  patchSize: 48,
  words: 16,
  vocabulary: 512,
};
const HEADS = 4;
const DROPOUT = 0.1;

export function initialParams({ width, layers, patches, patchSize, words, vocabulary }: TowerShape) {
  const key = randomKey(7);
  const tower = (i: number, tokens: number) => ({
    positions: normalArray(foldIn(foldIn(key, i), 0), [tokens, width], 0, 0.02),
    blocks: transformerInit(foldIn(foldIn(key, i), 1), { width, layers }),
    head: linearInit(foldIn(foldIn(key, i), 2), { inputs: width, outputs: width }),
  });
  return {
    patches: linearInit(foldIn(key, 10), { inputs: patchSize, outputs: width }),
    words: embeddingInit(foldIn(key, 11), { vocabulary, width }),
    image: tower(1, patches),
    text: tower(2, words),
    logScale: ndarray(Math.log(1 / 0.07)),
  };
}
export type TwoTowers = Traced<ReturnType<typeof initialParams>>;

function transformerWithDropout(params: Traced<TransformerParams>, x: Tensor, key: Tensor): Tensor {
  const hidden = params.layers.reduce((state, layer, i) => {
    const norm = (p: typeof layer.mlpNorm, y: Tensor): Tensor => layerNorm(y, p.gain, p.bias);
    const mixed = attention(layer.attention, norm(layer.attentionNorm, state), { heads: HEADS });
    const attended = add(state, dropout(foldInTensor(key, 2 * i), mixed, DROPOUT));
    const wide = gelu(linear(layer.expand, norm(layer.mlpNorm, attended)));
    return add(attended, dropout(foldInTensor(key, 2 * i + 1), linear(layer.contract, wide), DROPOUT));
  }, x);
  return layerNorm(hidden, params.finalNorm.gain, params.finalNorm.bias);
}

function encode(params: TwoTowers["image"], tokens: Tensor, key: Tensor): Tensor {
  const mixed = transformerWithDropout(params.blocks, add(tokens, params.positions), key);
  return linear(params.head, mean(mixed, { axes: 1 }));
}

export const towers = {
  /** [B, patches, patchSize] */
  image: (p: TwoTowers, patches: Tensor, key: Tensor) => encode(p.image, linear(p.patches, patches), key),
  /** [B, words] int32 */
  text: (p: TwoTowers, ids: Tensor, key: Tensor) => encode(p.text, embedding(p.words, ids), key),
};

export function contrast(
  { image, text }: { readonly image: Tensor; readonly text: Tensor },
  p: TwoTowers,
): { readonly loss: Tensor; readonly scale: Tensor } {
  const scale = exp(p.logScale);
  const loss = infoNCE(l2Normalize(image), l2Normalize(text), { logitScale: scale });
  return { loss, scale: reshape(scale, []) };
}

/** Made-up pairs: an image's patches are noise around a direction that its words name. */
export function pairs(
  rows: number,
  { patches, patchSize, words, vocabulary }: TowerShape,
  key: Key = randomKey(3),
): { readonly image: NDArray; readonly text: NDArray } {
  const image = normalArray(foldIn(key, 0), [rows, patches, patchSize]);
  const draws = uniformArray(foldIn(key, 1), [rows, words]);
  const ids = Int32Array.from(draws.data, (u) => Math.floor(u * vocabulary));
  return { image, text: { dtype: "int32", shape: [rows, words], data: ids } };
}
