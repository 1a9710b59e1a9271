import {
  type EmbeddingParams,
  embedding,
  embeddingInit,
  type LinearParams,
  linear,
  linearInit,
  type TransformerParams,
  transformer,
  transformerInit,
} from "@concord/nn";
import {
  add,
  checkAxes,
  div,
  dropout,
  exp,
  expandDims,
  foldIn,
  foldInTensor,
  gather,
  type Key,
  l2Normalize,
  maximum,
  mul,
  type NDArray,
  ndarray,
  reshape,
  sub,
  sum,
  type Tensor,
  type Traced,
  zerosArray,
} from "@concord/tensor";

export interface SentenceEncoderShape {
  /** V */
  readonly vocabulary: number;
  /** D, the width of word vectors and of what comes out. */
  readonly width: number;
  /** H, the width in which words see each other. */
  readonly inner: number;
  readonly layers: number;
  readonly heads: number;
}

export interface SentenceEncoderParams {
  /** [V, D] */
  readonly words: EmbeddingParams;
  /** [V]: logarithm of what a word counts for in the mean. */
  readonly importance: NDArray;
  /** D → H */
  readonly narrow: LinearParams;
  readonly blocks: TransformerParams;
  /** H → D */
  readonly widen: LinearParams;
}

const LEAST_IMPORTANCE = 0.05;

/**
 * Parameters before training: random word vectors, weighted by the logarithm of how rare a word is, and a transformer
 * that adds nothing yet. The similarity of two texts is then, up to chance, the cosine of their tf-idf vectors; training
 * goes on from there.
 *
 * @param rarity  [V] ln(N / n_t) of each token, n_t of N texts having it
 */
export function sentenceEncoderInit(
  key: Key,
  { vocabulary, width, inner, layers }: SentenceEncoderShape,
  rarity: Float32Array,
): SentenceEncoderParams {
  const widen = linearInit(foldIn(key, 3), { inputs: inner, outputs: width, bias: false });
  return {
    words: embeddingInit(foldIn(key, 0), { vocabulary, width, deviation: 1 / Math.sqrt(width) }),
    importance: ndarray(
      rarity.map((value) => Math.log(Math.max(value, LEAST_IMPORTANCE))),
      { shape: [vocabulary] },
    ),
    narrow: linearInit(foldIn(key, 1), { inputs: width, outputs: inner }),
    blocks: transformerInit(foldIn(key, 2), { width: inner, layers, expansion: 2 }),
    widen: { ...widen, weight: zerosArray(widen.weight.shape) },
  };
}

/**
 * Texts to vectors: words with what the words around them add, averaged by importance.
 *
 *   x_t = E[w_t] + U · Transformer(N E[w])_t,     f = Σ_t m_t e^{a[w_t]} x_t / Σ_t m_t e^{a[w_t]}
 *
 * There are no positions: the order of words decides little for retrieval, and so texts may be of any length.
 *
 * @param ids   [B, T] token ids
 * @param mask  [B, T] 1 for tokens, 0 for padding
 * @param options.dropout  share of the channels of words and sums that a training step drops, by `key`
 * @returns [B, D], not normalised
 */
export function sentenceFeatures(
  params: Traced<SentenceEncoderParams>,
  ids: Tensor,
  mask: Tensor,
  options: { readonly heads: number; readonly dropout?: number; readonly key?: Tensor },
): Tensor {
  const { B, T } = checkAxes("sentenceFeatures", { ids: [ids, "B T"], mask: [mask, "B T"] });
  const { heads, dropout: rate = 0, key } = options;
  const drop = (x: Tensor, use: number) =>
    rate > 0 && key !== undefined ? dropout(foldInTensor(key, use), x, rate) : x;
  const words = embedding(params.words, ids);
  const weights = mul(exp(gather(params.importance, ids)), mask);
  const hidden = mul(sub(1, reshape(mask, [B, 1, 1, T])), -1e9);
  const total = maximum(sum(weights, { axes: 1, keepDims: true }), 1e-6);
  const shares = expandDims(div(weights, total), -1);
  const own = drop(sum(mul(words, shares), { axes: 1 }), 0);
  if (params.blocks.layers.length === 0) return own;
  const context = transformer(params.blocks, linear(params.narrow, words), { heads, mask: hidden });
  // The mean is linear: widening it is widening every word.
  const added = sum(mul(context, shares), { axes: 1 });
  return add(own, linear(params.widen, drop(added, 1)));
}

/** [B, D] of length 1: what is stored and compared. */
export function sentenceVectors(
  params: Traced<SentenceEncoderParams>,
  ids: Tensor,
  mask: Tensor,
  options: { readonly heads: number },
): Tensor {
  return l2Normalize(sentenceFeatures(params, ids, mask, options));
}
