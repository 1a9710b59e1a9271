import type { LayerNormParams } from "@concord/nn";
import {
  add,
  broadcastTo,
  checkAxes,
  expandDims,
  layerNorm,
  matmul,
  type NDArray,
  narrow,
  reshape,
  softmax,
  type Tensor,
  type Traced,
  transpose,
} from "@concord/tensor";
import { type AdaptableLinear, type LoraLinearOptions, loraLinear } from "./lora-linear.ts";

/** Multi-head attention with maps of their own for query, key, value and output, each of which may carry adapters. */
export interface AttentionMaps {
  readonly query: AdaptableLinear;
  readonly key: AdaptableLinear;
  readonly value: AdaptableLinear;
  readonly output: AdaptableLinear;
}

export interface AttentionMapsOptions {
  readonly heads: number;
  /** Rank and alpha of adapters, where the maps carry any. */
  readonly lora?: LoraLinearOptions;
  /** Q in [1, N]: only the first so many tokens ask and are returned, all are looked at. Default N. */
  readonly queries?: number;
}

/** Only read where a map has a pair. */
const NO_LORA: LoraLinearOptions = { rank: 1 };

/**
 * Multi-head self-attention: softmax(Q Kᵀ / √d) V, heads side by side.
 *
 * @param x  [B, N, D]
 * @returns [B, Q, D]: of the first Q tokens, by default of all N
 * @throws RangeError when the heads do not divide the width, or Q is no integer in [1, N]
 * @source Vaswani et al. 2017, section 3.2
 */
export function adaptedAttention(
  params: Traced<AttentionMaps>,
  x: Tensor,
  { heads, lora = NO_LORA, queries }: AttentionMapsOptions,
): Tensor {
  const { B, N, D } = checkAxes("adaptedAttention", { x: [x, "B N D"] });
  const Q = queries ?? N;
  if (!Number.isInteger(Q) || Q < 1 || Q > N)
    throw new RangeError(`adaptedAttention: queries must be an integer from 1 to ${N}, got ${Q}`);
  if (D % heads !== 0) throw new RangeError(`adaptedAttention: width ${D} does not part into ${heads} heads`);
  const size = D / heads;
  const byHead = (map: Traced<AdaptableLinear>, tokens: Tensor, count: number): Tensor =>
    transpose(reshape(loraLinear(map, tokens, lora), [B, count, heads, size]), [0, 2, 1, 3]);
  const asking = byHead(params.query, Q < N ? narrow(x, 1, 0, Q) : x, Q);
  const scores = matmul(asking, byHead(params.key, x, N), {
    transposeB: true,
    scale: 1 / Math.sqrt(size),
  });
  const mixed = matmul(softmax(scores), byHead(params.value, x, N));
  return loraLinear(params.output, reshape(transpose(mixed, [0, 2, 1, 3]), [B, Q, D]), lora);
}

/** What a block needs to look along time. */
export interface TemporalParams {
  /** e_t, [T, D]: a vector for each frame, of its own in every block. */
  readonly frames: NDArray;
  readonly norm: LayerNormParams;
  readonly attention: AttentionMaps;
}

/**
 * Attention over the frames of a clip, for each token position apart, before the spatial part of a block:
 *
 *   u = h + e_t,   h ← u + Attention_t(LN(u))
 *
 * @param params  maps and norm start as copies of the block's spatial ones, e_t as N(0, 1/√D)
 * @param h       [B T, N, D], the frames of a clip beside each other
 * @returns [B T, N, D]
 * @throws ShapeError when the batch does not part into clips of T frames
 * @source released code, model/process_clip.py:291-382 and 561-598
 */
export function temporalAttentionStep(
  params: Traced<TemporalParams>,
  h: Tensor,
  options: AttentionMapsOptions,
): Tensor {
  const { N, D } = checkAxes("temporalAttentionStep", { h: [h, "BT N D"] });
  const { T } = checkAxes("temporalAttentionStep", { frames: [params.frames, "T D"] });
  const clips = (h.shape[0] as number) / T;
  checkAxes("temporalAttentionStep", { h: [h, `${Math.ceil(clips) * T} N D`] });
  // [B T, N, D] -> [B N, T, D]: one sequence for each place in the picture.
  const byPlace = reshape(transpose(reshape(h, [clips, T, N, D]), [0, 2, 1, 3]), [clips * N, T, D]);
  const marked = add(byPlace, broadcastTo(expandDims(params.frames, 0), [1, T, D]));
  const attended = adaptedAttention(
    params.attention,
    layerNorm(marked, params.norm.gain, params.norm.bias),
    options,
  );
  const moved = add(marked, attended);
  return reshape(transpose(reshape(moved, [clips, N, T, D]), [0, 2, 1, 3]), [clips * T, N, D]);
}
