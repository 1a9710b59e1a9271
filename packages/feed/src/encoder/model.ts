import { type EmbeddingParams, embedding, embeddingInit } from "@concord/nn";
import {
  add,
  cast,
  checkAxes,
  div,
  dropout,
  equal,
  exp,
  expandDims,
  gather,
  type Key,
  l2Normalize,
  log,
  maximum,
  mul,
  type NDArray,
  ndarray,
  sum,
  type Tensor,
  type Traced,
} from "@concord/tensor";

export interface SentenceEncoderShape {
  /** S, the number of stems. */
  readonly stems: number;
  /** D, the width of the vectors. */
  readonly width: number;
}

export interface SentenceEncoderParams {
  /** [S, D] */
  readonly words: EmbeddingParams;
  /** [S]: logarithm of what a stem counts for. */
  readonly importance: NDArray;
}

const LEAST_IMPORTANCE = 0.05;

/**
 * Parameters before training: random vectors of stems, weighted by the logarithm of how rare a stem is. The similarity
 * of two texts is then, up to chance, the cosine of their tf-idf vectors; training goes on from there.
 *
 * @param rarity  [S] ln(N / n_s) of each stem, n_s of N texts having it
 */
export function sentenceEncoderInit(
  key: Key,
  { stems, width }: SentenceEncoderShape,
  rarity: Float32Array,
): SentenceEncoderParams {
  return {
    words: embeddingInit(key, { vocabulary: stems, width, deviation: 1 / Math.sqrt(width) }),
    importance: ndarray(
      rarity.map((value) => Math.log(Math.max(value, LEAST_IMPORTANCE))),
      { shape: [stems] },
    ),
  };
}

/**
 * Texts to vectors: the mean of the vectors of their stems, by importance and by the logarithm of how often each occurs.
 *
 *   f = Σ_s (1 + ln c_s) e^{a_s} E_s / Σ_s (1 + ln c_s) e^{a_s},   c_s = occurrences of stem s in the text
 *
 * There are no positions and no layers between words: what a transformer on top learned, with the tens of thousands of
 * papers that a store has, was the training papers by heart.
 *
 * @param ids   [B, T] stem ids
 * @param mask  [B, T] 1 for words, 0 for padding
 * @param options.dropout  share of the channels that a training step drops, by `key`
 * @returns [B, D], not normalised
 */
export function sentenceFeatures(
  params: Traced<SentenceEncoderParams>,
  ids: Tensor,
  mask: Tensor,
  options: { readonly dropout?: number; readonly key?: Tensor } = {},
): Tensor {
  checkAxes("sentenceFeatures", { ids: [ids, "B T"], mask: [mask, "B T"] });
  const { dropout: rate = 0, key } = options;
  // Every occurrence of a stem gets its share of 1 + ln c.
  const same = cast(equal(expandDims(ids, 2), expandDims(ids, 1)), "float32");
  const occurrences = maximum(sum(mul(same, expandDims(mask, 1)), { axes: 2 }), 1);
  const often = div(add(1, log(occurrences)), occurrences);
  const weights = mul(mul(exp(gather(params.importance, ids)), often), mask);
  const shares = div(weights, maximum(sum(weights, { axes: 1, keepDims: true }), 1e-6));
  const mean = sum(mul(embedding(params.words, ids), expandDims(shares, -1)), { axes: 1 });
  return rate > 0 && key !== undefined ? dropout(key, mean, rate) : mean;
}

/** [B, D] of length 1: what is stored and compared. */
export function sentenceVectors(params: Traced<SentenceEncoderParams>, ids: Tensor, mask: Tensor): Tensor {
  return l2Normalize(sentenceFeatures(params, ids, mask));
}
