import {
  attentionWithWeights,
  drawIntoLinear,
  type EmbeddingParams,
  embedding,
  embeddingInit,
  type LayerNormParams,
  type LinearParams,
  layerNormInit,
  linear,
  type TransformerLayerParams,
  transformerInit,
} from "@concord/nn";
import {
  add,
  checkAxes,
  div,
  dropout,
  expandDims,
  foldIn,
  foldInTensor,
  gelu,
  type Key,
  layerNorm,
  maximum,
  mul,
  type NDArray,
  narrow,
  reshape,
  squeeze,
  standardize,
  sub,
  sum,
  type Tensor,
  type Traced,
  zerosArray,
} from "@concord/tensor";

export interface EncoderConfig {
  /** D */
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
  /** Dropout of word vectors, attention weights and what each block adds, as in BERT. */
  readonly dropout: number;
  /** `first`: the last layer's vector of the first token, [CLS], as in the paper; `mean`: over all tokens. */
  readonly pooling: "first" | "mean";
  /** Factor on what each block adds at the start; near 0 the encoder starts as the mean of its word vectors. */
  readonly branchScale: number;
  /** A layer norm after the last block. */
  readonly finalNorm: boolean;
}

export interface EncoderParams {
  readonly words: EmbeddingParams;
  /** [T, D] */
  readonly positions: NDArray;
  readonly layers: readonly TransformerLayerParams[];
  readonly norm?: LayerNormParams;
}

/** Added to the scores of padding. */
const HIDDEN = -1e9;

function scaled(params: LinearParams, factor: number): LinearParams {
  const times = ({ shape, data }: NDArray): NDArray<"float32"> => ({
    dtype: "float32",
    shape,
    data: Float32Array.from(data as Float32Array, (value) => value * factor),
  });
  return { weight: times(params.weight), ...(params.bias && { bias: times(params.bias) }) };
}

/** Parameters of the encoder; positions start at 0. */
export function encoderInit(
  key: Key,
  config: EncoderConfig,
  { vocabulary, context }: { readonly vocabulary: number; readonly context: number },
): EncoderParams {
  const { width, layers, branchScale } = config;
  return {
    words: embeddingInit(foldIn(key, 0), { vocabulary, width }),
    positions: zerosArray([context, width]),
    layers: transformerInit(foldIn(key, 1), { width, layers }).layers.map((layer) => ({
      ...layer,
      attention: { ...layer.attention, output: scaled(layer.attention.output, branchScale) },
      contract: scaled(layer.contract, branchScale),
    })),
    ...(config.finalNorm && { norm: layerNormInit(width) }),
  };
}

/**
 * Sentences to pooled features h: word vectors and positions, pre-norm transformer blocks, pooling.
 *
 * With a key every entry of [N, T, D] is dropped on its own, so copies of a sentence in other rows get other masks.
 *
 * @param ids   [N, T] int32
 * @param mask  [N, T] float32: 1 for tokens, 0 for padding
 * @param key   int32 [2] for dropout; without it nothing is dropped
 * @returns [N, D], not normalised
 * @throws ShapeError when axes do not fit; RangeError when the heads do not divide D
 */
export function encode(
  params: Traced<EncoderParams>,
  ids: Tensor,
  mask: Tensor,
  config: Pick<EncoderConfig, "heads" | "dropout" | "pooling">,
  key?: Tensor,
): Tensor {
  const { N, T } = checkAxes("encode", {
    ids: [ids, "N T"],
    mask: [mask, "N T"],
    positions: [params.positions, "T D"],
  });
  let site = 0;
  const dropped = (x: Tensor): Tensor => (key ? dropout(foldInTensor(key, site++), x, config.dropout) : x);
  const hidden = mul(sub(1, reshape(mask, [N, 1, 1, T])), HIDDEN);
  let state = dropped(add(embedding(params.words, ids), params.positions));
  for (const layer of params.layers) {
    const qkv = drawIntoLinear(layer.attentionNorm, layer.attention.qkv);
    const attended = attentionWithWeights(
      { qkv, output: layer.attention.output },
      { queries: standardize(state) },
      { heads: config.heads, mask: hidden, onWeights: dropped },
    ).output;
    state = add(state, dropped(attended));
    const inner = gelu(linear(drawIntoLinear(layer.mlpNorm, layer.expand), standardize(state)));
    state = add(state, dropped(linear(layer.contract, inner)));
  }
  if (params.norm) state = layerNorm(state, params.norm.gain, params.norm.bias);
  if (config.pooling === "first") return squeeze(narrow(state, 1, 0, 1), 1);
  const weights = div(mask, maximum(sum(mask, { axes: 1, keepDims: true }), 1));
  return sum(mul(state, expandDims(weights, -1)), { axes: 1 });
}
