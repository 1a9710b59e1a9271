import {
  checkAxes,
  greater,
  logSumExp,
  maskedLogSumExp,
  mean,
  mul,
  square,
  sub,
  sum,
  type Tensor,
} from "@concord/tensor";
import { type BlockOptions, checkBlockRows, overRowBlocks } from "./blocks.ts";
import { distancesOf } from "./distances.ts";
import { relationWithin } from "./relations.ts";

/**
 * Mean squared distance of pairs: L = mean_i ‖a_i - b_i‖².
 *
 * @param a  [B, D] unit-norm embeddings of the first view
 * @param b  [B, D] unit-norm embeddings of the second view
 * @returns scalar in [0, 4] for unit vectors
 * @throws ShapeError when a and b differ in B or D
 * @source Wang, Isola 2020, equation 5 with α = 2
 */
export function alignmentLoss(a: Tensor, b: Tensor): Tensor {
  checkAxes("alignmentLoss", { a: [a, "B D"], b: [b, "B D"] });
  return mean(sum(square(sub(a, b)), { axes: -1 }));
}

/**
 * Logarithm of the mean Gaussian potential over all pairs of different rows: L = ln mean_{i<j} exp(-t ‖x_i - x_j‖²).
 * Lower is more uniform.
 *
 * @param x          [N, D] unit-norm embeddings, N ≥ 2
 * @param options.t  t > 0. Default 2
 * @returns scalar in [-4t, 0] for unit vectors
 * @throws ShapeError when x is not a matrix; RangeError for a single row, t ≤ 0, or blockRows that is no integer >= 1
 * @source Wang, Isola 2020, equation 6
 */
export function uniformityLoss(x: Tensor, options: BlockOptions & { readonly t?: number } = {}): Tensor {
  const { N } = checkAxes("uniformityLoss", { x: [x, "N D"] });
  const { t = 2, blockRows } = options;
  if (N < 2) throw new RangeError("uniformityLoss: needs at least two rows");
  if (!(t > 0)) throw new RangeError(`uniformityLoss: t must be > 0, got ${t}`);
  checkBlockRows("uniformityLoss", blockRows);
  const relation = relationWithin("uniformityLoss", x, {}, "unmatched");
  const distances = distancesOf("uniformityLoss", relation, "squared");
  // Logarithms throughout: of rows far from each other all potentials may lie below the smallest number.
  const { totals } = overRowBlocks(N, N, blockRows, (at) => ({
    totals: maskedLogSumExp(mul(distances(at), -t), greater(relation.block(at).allowed, 0), { axes: 1 }),
  }));
  return sub(logSumExp(totals), Math.log(N * (N - 1)));
}
