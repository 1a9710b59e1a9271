import { whiten } from "@concord/align";
import {
  argsort,
  checkAxes,
  constant,
  foldInTensor,
  reshape,
  ShapeError,
  split,
  squeeze,
  stack,
  type Tensor,
  uniform,
} from "@concord/tensor";
import { PAPER_DEFAULTS, TRAINING_RIDGE } from "./defaults.ts";

export interface WhiteningOptions {
  /** G, a divisor of D; null for `automaticGroups`. Default 128 (released code). */
  readonly groups?: number | null;
  /** W is a constant in the backward pass, as in the released code. Default true. */
  readonly stopGradient?: boolean;
  /** Share of the group's mean variance that is added to the diagonal of its covariance. Default 1e-5 (ours). */
  readonly ridge?: number;
}

/**
 * Groups where none are named: G = ⌈2 D / N⌉, so that a group has at most about half as many channels as the batch has
 * rows.
 *
 * @source released code, shuffled_group_whitening.py:32-33
 */
export function automaticGroups(rows: number, width: number): number {
  return Math.ceil((2 * width) / rows);
}

/**
 * Shuffled group whitening of the features of one view: the channels, in the order of a permutation, are parted into
 * G groups; in each of them the batch gets mean 0 and covariance I; then every channel goes back to its place.
 *
 *   Y_g = (X_g - μ_g) W_g,   Σ_g = 1/N Σ_i (x_i - μ_g)(x_i - μ_g)ᵀ,   W_g = Σ_g^(-1/2)   (ZCA)
 *
 * Statistics are those of the batch, so N must exceed D / G clearly, and a row's result depends on the others: for
 * training only. The roots are good while the smallest eigenvalue of a group is above about 1e-6 of the sum of all.
 *
 * @param x            [N, D]
 * @param permutation  [D] int32, an order of the channels; group g takes permutation[g D/G], ..., permutation[(g+1) D/G - 1]
 * @returns [N, D]
 * @throws ShapeError when G does not divide D or the permutation has another length
 * @source section on SGW; released code, shuffled_group_whitening.py:24-125
 */
export function shuffledGroupWhitening(
  x: Tensor,
  permutation: Tensor,
  options: WhiteningOptions = {},
): Tensor {
  const { groups = PAPER_DEFAULTS.groups, stopGradient = true, ridge = TRAINING_RIDGE } = options;
  const { N, D } = checkAxes("shuffledGroupWhitening", {
    x: [x, "N D"],
    permutation: [permutation, "D"],
  });
  return whiten(x, {
    groups: groups ?? automaticGroups(N, D),
    permutation,
    ridge,
    stopMatrix: stopGradient,
  });
}

/**
 * Which rows share a permutation and statistics. `per-view`: those of one copy, as the paper says. `released-code`: a
 * run of B rows of the sentence-major batch (copies of sentence 0, then of sentence 1, ...), so that a run holds all
 * copies of a P-th of the sentences and positives share grouping and statistics.
 */
export type SgwLayout = "per-view" | "released-code";

export interface SgwViewsOptions extends WhiteningOptions {
  /** Default "per-view". */
  readonly layout?: SgwLayout;
}

/**
 * Shuffled group whitening of P copies of a batch, with a permutation of its own for each.
 *
 * @param views         P times [B, D]; row i of each is a copy of sentence i
 * @param permutations  P times [D] int32
 * @returns P times [B, D]
 * @throws ShapeError when the copies differ in shape or there are not as many permutations
 * @source abstract ("randomly divide the feature into multiple groups ... shuffling the group division")
 */
export function sgwViews(
  views: readonly Tensor[],
  permutations: readonly Tensor[],
  options: SgwViewsOptions = {},
): Tensor[] {
  if (views.length === 0 || views.length !== permutations.length)
    throw new ShapeError(
      `sgwViews: every view needs its permutation, got ${views.length} views and ${permutations.length} permutations`,
    );
  checkAxes("sgwViews", Object.fromEntries(views.map((view, m) => [`views[${m}]`, [view, "B D"] as const])));
  const { layout = "per-view", ...whitening } = options;
  const whitened = (parts: readonly Tensor[]): Tensor[] =>
    parts.map((part, m) => shuffledGroupWhitening(part, permutations[m] as Tensor, whitening));
  if (layout === "per-view") return whitened(views);
  const P = views.length;
  const [B, D] = (views[0] as Tensor).shape as [number, number];
  const sentenceMajor = reshape(stack(views, 1), [P * B, D]);
  const result = reshape(stack(whitened(split(sentenceMajor, P, 0)), 0), [B, P, D]);
  return split(result, P, 1).map((part) => squeeze(part, 1));
}

/**
 * Random orders of the channels inside a graph, one for each view, all independent.
 *
 * @param key  int32 [2], another one in every step
 * @returns `views` times [D] int32
 */
export function drawPermutations(key: Tensor, views: number, width: number): Tensor[] {
  return Array.from({ length: views }, (_, m) => argsort(uniform(foldInTensor(key, m), [width])));
}

/** The channels as they are, for each view: group whitening without shuffling. */
export function unshuffled(views: number, width: number): Tensor[] {
  const order = constant({
    dtype: "int32",
    shape: [width],
    data: Int32Array.from({ length: width }, (_, k) => k),
  });
  return Array.from({ length: views }, () => order);
}
