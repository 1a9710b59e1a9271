import type { Key, Traced } from "@concord/tensor";
import {
  add,
  arange,
  cast,
  checkAxes,
  equal,
  expandDims,
  foldIn,
  gather,
  gelu,
  layerNorm,
  matmul,
  mean,
  reshape,
  softmax,
  split,
  standardize,
  type Tensor,
  transpose,
} from "@concord/tensor";
import type { LayerNormParams, LinearParams, LinearWeights } from "./linear.ts";
import { drawIntoLinear, layerNormInit, linear, linearInit } from "./linear.ts";

export interface AttentionParams {
  /** Query, key and value of all heads at once: [D, 3 D]. */
  readonly qkv: LinearParams;
  readonly output: LinearParams;
}

/** Parameters of a multi-head attention: one map to queries, keys and values together, one back. */
export function attentionInit(key: Key, width: number): AttentionParams {
  return {
    qkv: linearInit(foldIn(key, 0), { inputs: width, outputs: 3 * width }),
    output: linearInit(foldIn(key, 1), { inputs: width, outputs: width }),
  };
}

/** The maps to query, key and value. The weights are parted, which are small, rather than the product, which is not. */
function projections(qkv: LinearWeights): ((x: Tensor) => Tensor)[] {
  const weights = split(qkv.weight, 3, 1);
  const biases = qkv.bias ? split(qkv.bias, 3) : [];
  return weights.map((weight, i) => (x) => linear(biases[i] ? { weight, bias: biases[i] } : { weight }, x));
}

export interface AttentionOptions {
  readonly heads: number;
  /** Broadcasts to [B, heads, N, M]; added to the scores (0 keeps, a large negative number hides). */
  readonly mask?: Tensor;
}

export interface AttentionInputs {
  /** [B, N, D] */
  readonly queries: Tensor;
  /** [B, M, D]. Default: the queries. */
  readonly keys?: Tensor;
  /** [B, M, D]. Default: the keys. */
  readonly values?: Tensor;
}

/**
 * Multi-head attention between two sequences, or with positions in queries and keys only, that also returns its
 * weights: softmax(Q Kᵀ / √d + mask) V, heads side by side.
 *
 * @param options.onWeights  applied to the weights of all heads [B, heads, N, M] before they meet the values, as
 *                           dropout is
 * @returns the output [B, N, D], and the weights averaged over heads [B, N, M] with their gradient, after `onWeights`
 * @throws RangeError when the heads do not divide the width
 * @source Vaswani et al. 2017, section 3.2
 */
export function attentionWithWeights(
  params: { readonly qkv: LinearWeights; readonly output: LinearWeights },
  { queries, keys = queries, values = keys }: AttentionInputs,
  options: AttentionOptions & { readonly onWeights?: (weights: Tensor) => Tensor },
): { readonly output: Tensor; readonly weights: Tensor } {
  const { B, N, M, D } = checkAxes("attention", {
    queries: [queries, "B N D"],
    keys: [keys, "B M D"],
    values: [values, "B M D"],
  });
  const { heads, mask, onWeights } = options;
  if (D % heads !== 0) throw new RangeError(`attention: width ${D} does not part into ${heads} heads`);
  const size = D / heads;
  const [toQuery, toKey, toValue] = projections(params.qkv) as [
    (x: Tensor) => Tensor,
    (x: Tensor) => Tensor,
    (x: Tensor) => Tensor,
  ];
  const byHead = (x: Tensor, length: number): Tensor =>
    transpose(reshape(x, [B, length, heads, size]), [0, 2, 1, 3]);
  const [q, k, v] = [byHead(toQuery(queries), N), byHead(toKey(keys), M), byHead(toValue(values), M)];
  const scores = matmul(q, k, { transposeB: true, scale: 1 / Math.sqrt(size) });
  const plain = softmax(mask ? add(scores, mask) : scores);
  const weights = onWeights ? onWeights(plain) : plain;
  const mixed = reshape(transpose(matmul(weights, v), [0, 2, 1, 3]), [B, N, D]);
  return { output: linear(params.output, mixed), weights: mean(weights, { axes: 1 }) };
}

/**
 * Multi-head self-attention: softmax(Q Kᵀ / √d + mask) V, heads side by side.
 *
 * @param x  [B, N, D]
 * @returns [B, N, D]
 * @source Vaswani et al. 2017, section 3.2
 */
export function attention(
  params: { readonly qkv: LinearWeights; readonly output: LinearWeights },
  x: Tensor,
  options: AttentionOptions,
): Tensor {
  checkAxes("attention", { x: [x, "B N D"] });
  return attentionWithWeights(
    params,
    { queries: x },
    { heads: options.heads, ...(options.mask && { mask: options.mask }) },
  ).output;
}

export interface TransformerLayerParams {
  readonly attentionNorm: LayerNormParams;
  readonly attention: AttentionParams;
  readonly mlpNorm: LayerNormParams;
  readonly expand: LinearParams;
  readonly contract: LinearParams;
}

export interface TransformerOptions {
  readonly width: number;
  readonly layers: number;
  /** Hidden width of the MLP over the width. Default 4. */
  readonly expansion?: number;
}

export interface TransformerParams {
  readonly layers: readonly TransformerLayerParams[];
  readonly finalNorm: LayerNormParams;
}

/** Parameters of a transformer: its blocks and the layer norm after the last. */
export function transformerInit(
  key: Key,
  { width, layers, expansion = 4 }: TransformerOptions,
): TransformerParams {
  return {
    layers: Array.from({ length: layers }, (_, i) => {
      const layerKey = foldIn(key, i);
      return {
        attentionNorm: layerNormInit(width),
        attention: attentionInit(foldIn(layerKey, 0), width),
        mlpNorm: layerNormInit(width),
        expand: linearInit(foldIn(layerKey, 1), { inputs: width, outputs: width * expansion }),
        contract: linearInit(foldIn(layerKey, 2), { inputs: width * expansion, outputs: width }),
      };
    }),
    finalNorm: layerNormInit(width),
  };
}

export interface TransformerMode {
  readonly heads: number;
  /** As in `attention`. */
  readonly mask?: Tensor;
  /** Between the two maps of the MLP. Default gelu. */
  readonly activation?: (x: Tensor) => Tensor;
}

export interface TransformerBlocksMode extends TransformerMode {
  /**
   * Places [B, R] int32 of the tokens that are read: the last layer computes no others, though they attend to all.
   * Default: all are read. A mask must be [N, N] then.
   */
  readonly read?: Tensor;
}

/**
 * Pre-norm transformer blocks without the layer norm after the last: x ← x + Attention(LN x), x ← x + MLP(LN x) for
 * each layer.
 *
 * @param x  [B, N, D]
 * @returns [B, N, D], or [B, R, D] where `read` names R tokens
 * @throws ShapeError when `read` is not [B, R] or the mask beside it not [N, N]
 * @throws RangeError for `read` without a layer
 */
export function transformerBlocks(
  layers: Traced<readonly TransformerLayerParams[]>,
  x: Tensor,
  { heads, mask, activation = gelu, read }: TransformerBlocksMode,
): Tensor {
  if (read && layers.length === 0) throw new RangeError("transformerBlocks: `read` needs at least one layer");
  return layers.reduce((state, layer, i) => {
    const { attentionNorm, mlpNorm, expand, contract } = layer;
    const weights = { ...layer.attention, qkv: drawIntoLinear(attentionNorm, layer.attention.qkv) };
    const keys = standardize(state);
    const rows = read && i === layers.length - 1 ? rowsAt(state, read, mask) : undefined;
    const { output } = attentionWithWeights(
      weights,
      { queries: rows ? rows.pick(keys) : keys, keys },
      { heads, ...(mask && { mask: rows?.mask ?? mask }) },
    );
    const attended = add(rows ? rows.pick(state) : state, output);
    const inner = activation(linear(drawIntoLinear(mlpNorm, expand), standardize(attended)));
    return add(attended, linear(contract, inner));
  }, x);
}

/** Some tokens of each sequence, and their rows of the mask. */
function rowsAt(x: Tensor, places: Tensor, mask: Tensor | undefined) {
  const { B, N, R } = checkAxes("transformerBlocks", {
    x: [x, "B N D"],
    read: [places, "B R"],
    ...(mask && { mask: [mask, "N N"] as const }),
  });
  // As a product, whose gradient is one, too: adding up by indices is slower.
  const picked = cast(equal(expandDims(places, -1), arange(N as number, "int32")), x.dtype);
  return {
    pick: (tokens: Tensor): Tensor => matmul(picked, tokens),
    mask: mask && reshape(gather(mask, places), [B as number, 1, R as number, N as number]),
  };
}

/**
 * Pre-norm transformer: x ← x + Attention(LN x), x ← x + MLP(LN x) for each layer, then a final layer norm.
 *
 * @param x  [B, N, D]
 * @returns [B, N, D]
 */
export function transformer(params: Traced<TransformerParams>, x: Tensor, options: TransformerMode): Tensor {
  const hidden = transformerBlocks(params.layers, x, options);
  return layerNorm(hidden, params.finalNorm.gain, params.finalNorm.bias);
}
