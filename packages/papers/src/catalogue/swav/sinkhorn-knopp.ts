import { sinkhornCodes } from "@concord/align";
import type { Tensor } from "@concord/tensor";
import { PAPER_DEFAULTS } from "./defaults.ts";

export interface SinkhornKnoppOptions {
  /** ε > 0: weight of the codes' entropy. Default 0.05. */
  readonly eps?: number;
  /** Rounds, an integer ≥ 1. Default 3. */
  readonly iters?: number;
}

/**
 * Codes of a batch by Sinkhorn-Knopp, a constant for gradients.
 *
 *   M = exp(S / ε)ᵀ;   `iters` times: rows of M scaled to 1 / K, then columns to 1 / B;   Q = (B M)ᵀ
 *
 * Every sample's code adds up to 1, as samples are scaled last; each prototype gets about B / K in all.
 *
 * @param scores  [B, K] cosines of samples and prototypes; all samples that are to be balanced together
 * @returns [B, K]
 * @throws ShapeError for other shapes; RangeError when ε or the rounds are out of range
 * @source section 3.1 and equations 3 to 5; defaults and order of the scalings: released code
 */
export function sinkhornKnopp(
  scores: Tensor,
  { eps = PAPER_DEFAULTS.eps, iters = PAPER_DEFAULTS.iters }: SinkhornKnoppOptions = {},
): Tensor {
  return sinkhornCodes(scores, { epsilon: eps, iterations: iters });
}
