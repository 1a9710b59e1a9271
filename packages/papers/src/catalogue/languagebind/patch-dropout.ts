import {
  broadcastTo,
  checkAxes,
  concat,
  expandDims,
  foldInTensor,
  narrow,
  normal,
  reshape,
  type Tensor,
  takeAlong,
  topK,
} from "@concord/tensor";

export interface PatchDropoutOptions {
  /** p in [0, 1): share of the patches that is left out. */
  readonly rate: number;
  /** T, frames of a clip; they lie beside each other in the batch and keep the same patches. Default 1. */
  readonly frames?: number;
}

/** How many of N patches stay: int(N (1 - p)), at least 1. */
export function keptPatches(patches: number, rate: number): number {
  if (!(rate >= 0 && rate < 1))
    throw new RangeError(`patchDropout: the rate must lie in [0, 1), got ${rate}`);
  // In doubles, as the released code computes it: 20 patches at p = 0.8 leave 3, as 20 · (1 - 0.8) is 3.9999999999999991.
  return Math.max(1, Math.floor(patches * (1 - rate)));
}

/**
 * Leaves out random patches in training, after positions were added and before the first block. The class token stays;
 * of N patches the int(N (1 - p)) with the largest noise stay, in the order of falling noise. All frames of a clip keep
 * the same ones.
 *
 * @param tokens  [B T, 1 + N, D], the class token first
 * @param noise   [B, N] standard normal numbers, one row for each clip
 * @returns [B T, 1 + K, D], and which patches stayed, int32 [B, K]
 * @throws RangeError for a rate outside [0, 1); ShapeError when noise and tokens do not fit
 * @source released code, open_clip/transformer.py:47-100
 */
export function patchDropout(
  tokens: Tensor,
  noise: Tensor,
  { rate, frames = 1 }: PatchDropoutOptions,
): { readonly tokens: Tensor; readonly kept: Tensor } {
  const { B, N } = checkAxes("patchDropout", { noise: [noise, "B N"] });
  const { D } = checkAxes("patchDropout", { tokens: [tokens, `${B * frames} ${N + 1} D`] });
  const K = keptPatches(N, rate);
  const kept = topK(noise, K).indices;
  const patches = narrow(tokens, 1, 1, N);
  const perFrame = reshape(broadcastTo(expandDims(kept, 1), [B, frames, K]), [B * frames, K, 1]);
  const chosen = takeAlong(patches, broadcastTo(perFrame, [B * frames, K, D]), 1);
  return { tokens: concat([narrow(tokens, 1, 0, 1), chosen], 1), kept };
}

/** The noise of a step: [B, N], one row for each clip. @param key int32 [2], another one in every step */
export function patchNoise(key: Tensor, clips: number, patches: number): Tensor {
  return normal(foldInTensor(key, 0), [clips, patches]);
}
