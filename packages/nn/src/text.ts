import type { Key, NDArray, Traced } from "@concord/tensor";
import {
  add,
  checkAxes,
  div,
  expandDims,
  foldIn,
  maximum,
  mul,
  normalArray,
  reshape,
  sub,
  sum,
  type Tensor,
} from "@concord/tensor";
import type { TransformerParams } from "./attention.ts";
import { transformer, transformerInit } from "./attention.ts";
import type { EmbeddingParams, LinearParams } from "./linear.ts";
import { embedding, embeddingInit, linear, linearInit } from "./linear.ts";
import type { MlpParams } from "./mlp.ts";
import { mlp, mlpInit } from "./mlp.ts";

export interface BagOfWordsOptions {
  readonly vocabulary: number;
  readonly width: number;
  /** Hidden widths of the MLP, e.g. [192]. */
  readonly hidden: readonly number[];
  readonly outputs: number;
}

export interface BagOfWordsParams {
  readonly words: EmbeddingParams;
  readonly head: MlpParams;
}

/** Parameters of the simplest text encoder: word vectors, summed, and an MLP. */
export function bagOfWordsInit(
  key: Key,
  { vocabulary, width, hidden, outputs }: BagOfWordsOptions,
): BagOfWordsParams {
  return {
    words: embeddingInit(foldIn(key, 0), { vocabulary, width, deviation: 1 / Math.sqrt(width) }),
    head: mlpInit(foldIn(key, 1), [width, ...hidden, outputs]),
  };
}

/**
 * Sum of the word vectors of real tokens, then an MLP.
 *
 * @param ids   [B, T] int32
 * @param mask  [B, T] float32: 1 for tokens, 0 for padding
 * @returns [B, outputs], not normalised
 */
export function bagOfWords(params: Traced<BagOfWordsParams>, ids: Tensor, mask: Tensor): Tensor {
  checkAxes("bagOfWords", { ids: [ids, "B T"], mask: [mask, "B T"] });
  return mlp(params.head, sum(mul(embedding(params.words, ids), expandDims(mask, -1)), { axes: 1 }));
}

export interface TextTransformerOptions {
  readonly vocabulary: number;
  /** Longest text in tokens. */
  readonly context: number;
  readonly width: number;
  readonly layers: number;
  readonly outputs: number;
}

export interface TextTransformerParams {
  readonly words: EmbeddingParams;
  /** [T, D] */
  readonly positions: NDArray;
  readonly blocks: TransformerParams;
  readonly head: LinearParams;
}

/** Parameters of a transformer text encoder: word vectors, learned positions, blocks, a linear head. */
export function textTransformerInit(
  key: Key,
  { vocabulary, context, width, layers, outputs }: TextTransformerOptions,
): TextTransformerParams {
  return {
    words: embeddingInit(foldIn(key, 0), { vocabulary, width }),
    positions: normalArray(foldIn(key, 1), [context, width], 0, 0.01),
    blocks: transformerInit(foldIn(key, 2), { width, layers }),
    head: linearInit(foldIn(key, 3), { inputs: width, outputs, bias: false }),
  };
}

/**
 * Bidirectional text transformer with mean pooling over real tokens.
 *
 * @param ids   [B, T] int32
 * @param mask  [B, T] float32: 1 for tokens, 0 for padding
 * @returns [B, outputs], not normalised
 */
export function textTransformer(
  params: Traced<TextTransformerParams>,
  ids: Tensor,
  mask: Tensor,
  options: { readonly heads: number },
): Tensor {
  const { B, T } = checkAxes("textTransformer", {
    ids: [ids, "B T"],
    mask: [mask, "B T"],
    positions: [params.positions, "T D"],
  });
  const hidden = mul(sub(1, reshape(mask, [B, 1, 1, T])), -1e9);
  const tokens = transformer(params.blocks, add(embedding(params.words, ids), params.positions), {
    heads: options.heads,
    mask: hidden,
  });
  const weights = div(mask, maximum(sum(mask, { axes: 1, keepDims: true }), 1));
  return linear(params.head, sum(mul(tokens, expandDims(weights, -1)), { axes: 1 }));
}
