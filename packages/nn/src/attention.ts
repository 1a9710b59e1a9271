import type { Key, Traced } from "@concord/tensor";
import {
  add,
  checkAxes,
  foldIn,
  gelu,
  layerNorm,
  matmul,
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

/** Query, key and value. The weights are parted, which are small, rather than the product, which is not. */
function projections(qkv: LinearWeights, x: Tensor): Tensor[] {
  const weights = split(qkv.weight, 3, 1);
  const biases = qkv.bias ? split(qkv.bias, 3) : [];
  return weights.map((weight, i) => linear(biases[i] ? { weight, bias: biases[i] } : { weight }, x));
}

/**
 * Multi-head self-attention: softmax(Q Kᵀ / √d + mask) V, heads side by side.
 *
 * @param x             [B, N, D]
 * @param options.mask  broadcasts to [B, heads, N, N]; added to the scores (0 keeps, a large negative number hides)
 * @returns [B, N, D]
 * @source Vaswani et al. 2017, section 3.2
 */
export function attention(
  params: { readonly qkv: LinearWeights; readonly output: LinearWeights },
  x: Tensor,
  options: { readonly heads: number; readonly mask?: Tensor },
): Tensor {
  const { B, N, D } = checkAxes("attention", { x: [x, "B N D"] });
  const { heads, mask } = options;
  if (D % heads !== 0) throw new RangeError(`attention: width ${D} does not part into ${heads} heads`);
  const size = D / heads;
  const [q, k, v] = projections(params.qkv, x).map((part) =>
    transpose(reshape(part, [B, N, heads, size]), [0, 2, 1, 3]),
  ) as [Tensor, Tensor, Tensor];
  const scores = matmul(q, k, { transposeB: true, scale: 1 / Math.sqrt(size) });
  const weights = softmax(mask ? add(scores, mask) : scores);
  const mixed = reshape(transpose(matmul(weights, v), [0, 2, 1, 3]), [B, N, D]);
  return linear(params.output, mixed);
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

/**
 * Pre-norm transformer: x ← x + Attention(LN x), x ← x + MLP(LN x) for each layer, then a final layer norm.
 *
 * @param x  [B, N, D]
 * @returns [B, N, D]
 */
export function transformer(
  params: Traced<TransformerParams>,
  x: Tensor,
  options: { readonly heads: number; readonly mask?: Tensor; readonly activation?: (x: Tensor) => Tensor },
): Tensor {
  const { activation = gelu } = options;
  const attentionOptions = { heads: options.heads, ...(options.mask && { mask: options.mask }) };
  const hidden = params.layers.reduce((state, layer) => {
    const { attentionNorm, mlpNorm, expand, contract } = layer;
    const weights = { ...layer.attention, qkv: drawIntoLinear(attentionNorm, layer.attention.qkv) };
    const attended = add(state, attention(weights, standardize(state), attentionOptions));
    const inner = activation(linear(drawIntoLinear(mlpNorm, expand), standardize(attended)));
    return add(attended, linear(contract, inner));
  }, x);
  return layerNorm(hidden, params.finalNorm.gain, params.finalNorm.bias);
}
