import {
  type AttentionParams,
  attentionInit,
  attentionWithWeights,
  type LayerNormParams,
  type LinearParams,
  layerNormInit,
  linear,
  linearInit,
} from "@concord/nn";
import type { Key, Traced } from "@concord/tensor";
import {
  add,
  checkAxes,
  foldIn,
  l2Normalize,
  layerNorm,
  mul,
  relu,
  reshape,
  split,
  squeeze,
  stack,
  type Tensor,
} from "@concord/tensor";
import {
  type AdaptiveGatedSelectionParams,
  adaptiveGatedSelection,
  adaptiveGatedSelectionInit,
  type ScanLayout,
} from "./adaptive-gated-selection.ts";
import { PAPER_DEFAULTS } from "./defaults.ts";
import { type Drop, dropouts } from "./dropouts.ts";
import { type GrnParams, grn, grnInit } from "./grn.ts";

/** A transformer layer with its norms after the sums. */
export interface PostNormLayerParams {
  readonly attention: AttentionParams;
  readonly attentionNorm: LayerNormParams;
  readonly expand: LinearParams;
  readonly contract: LinearParams;
  readonly feedForwardNorm: LayerNormParams;
}

export interface FusionParams {
  /** [C, C] each, shared by both modalities */
  readonly input: LinearParams;
  readonly output: LinearParams;
  /** Without one the inputs themselves take the place of what it makes of them. */
  readonly selection?: AdaptiveGatedSelectionParams;
  /** [C] and [2 C] */
  readonly selectionNorm: GrnParams;
  readonly jointNorm: GrnParams;
  /** Width 2 C. */
  readonly layer: PostNormLayerParams;
}

export interface FusionInitOptions {
  /** C */
  readonly width: number;
  /** Hidden width of the transformer layer, default 2048. */
  readonly feedForward?: number;
  /** N of the state-space block, default 16. */
  readonly states?: number;
  /** False leaves the adaptive gated selection out: an ablation. Default true. */
  readonly selection?: boolean;
}

/** Parameters of the fusion of two modalities. */
export function fusionInit(key: Key, options: FusionInitOptions): FusionParams {
  const { width, feedForward, states, selection = true } = options;
  const joint = 2 * width;
  const hidden = feedForward ?? PAPER_DEFAULTS.feedForward;
  return {
    input: linearInit(foldIn(key, 0), { inputs: width, outputs: width }),
    output: linearInit(foldIn(key, 1), { inputs: width, outputs: width }),
    ...(selection && {
      selection: adaptiveGatedSelectionInit(foldIn(key, 2), { width, ...(states && { states }) }),
    }),
    selectionNorm: grnInit(width),
    jointNorm: grnInit(joint),
    layer: {
      attention: attentionInit(foldIn(key, 3), joint),
      attentionNorm: layerNormInit(joint),
      expand: linearInit(foldIn(key, 4), { inputs: joint, outputs: hidden }),
      contract: linearInit(foldIn(key, 5), { inputs: hidden, outputs: joint }),
      feedForwardNorm: layerNormInit(joint),
    },
  };
}

export interface FusionOptions {
  /** Tokens of the scan: see `ScanLayout`. Default "modality". */
  readonly scan?: ScanLayout;
  /** "sample" (default): every sample is a sequence of one token; "batch": the mini-batch is one sequence, as released. */
  readonly attention?: "sample" | "batch";
  /** Heads of the transformer layer, default 4. */
  readonly heads?: number;
  /** Dropout in training only: a key [2] of the step and a rate, 0.1 in the paper. */
  readonly dropout?: Drop;
}

/**
 * Fusion of the features of two modalities by the adaptive gated selection and a transformer layer (FusionTransMamba):
 *
 *   s = Lin_in(u), Lin_in(v),   m = adaptiveGatedSelection(u, v),   μ = Lin_out(grn(m))
 *   r = grn'([½ μ_u + ½ s_u ; ½ μ_v + ½ s_v]),   r ← TransformerLayer(r),   r ← r / ‖r‖₂,   out = the halves of r
 *
 * @param u  [B, C]
 * @param v  [B, C]
 * @returns [B, C] each; row i depends on row i alone unless an option says "batch"
 * @throws ShapeError when axes do not fit
 * @throws RangeError when the heads do not divide 2 C
 * @source section on adaptive gated selection fusion; released code (hash_model.py). One token a sample is ours: the
 *   code hands the layer a matrix, which is read as one sequence of B tokens, so that codes depend on batch mates.
 */
export function fuse(
  params: Traced<FusionParams>,
  u: Tensor,
  v: Tensor,
  options: FusionOptions = {},
): readonly [u: Tensor, v: Tensor] {
  checkAxes("fuse", { u: [u, "B C"], v: [v, "B C"] });
  const { scan = "modality" } = options;
  const pair = stack([u, v], 1);
  const selected = params.selection ? adaptiveGatedSelection(params.selection, pair, { layout: scan }) : pair;
  const direct = linear(params.input, pair);
  const mixed = linear(params.output, grn(selected, params.selectionNorm));
  const joined = mul(add(mixed, direct), 0.5);
  const [B, , C] = joined.shape as [number, number, number];
  const r = grn(reshape(joined, [B, 2 * C]), params.jointNorm);
  const parts = split(l2Normalize(transformerLayer(params.layer, r, options)), 2, -1);
  return parts as [Tensor, Tensor];
}

/** x ← LN(x + Attention(x)), x ← LN(x + W₂ ReLU(W₁ x)) with dropout, [B, D]. */
function transformerLayer(params: Traced<PostNormLayerParams>, x: Tensor, options: FusionOptions): Tensor {
  const { attention = "sample", heads = PAPER_DEFAULTS.fusionHeads, dropout: given } = options;
  const [B, D] = x.shape as [number, number];
  const hiddenWidth = params.expand.weight.shape[1] as number;
  const axis = attention === "sample" ? 1 : 0;
  // Of every head, each token of a sequence weighs all of them: itself alone, or the whole mini-batch.
  const drops = dropouts(given, B, [D, hiddenWidth, D, axis === 1 ? heads : heads * B]);
  const { output } = attentionWithWeights(
    params.attention,
    { queries: reshape(x, axis === 1 ? [B, 1, D] : [1, B, D]) },
    { heads, onWeights: (weights) => reshape(drops(3, reshape(weights, [B, -1])), weights.shape) },
  );
  const { attentionNorm, feedForwardNorm } = params;
  const attended = layerNorm(add(x, drops(0, squeeze(output, axis))), attentionNorm.gain, attentionNorm.bias);
  const hidden = drops(1, relu(linear(params.expand, attended)));
  const summed = add(attended, drops(2, linear(params.contract, hidden)));
  return layerNorm(summed, feedForwardNorm.gain, feedForwardNorm.bias);
}
