import {
  cast,
  checkAxes,
  expandDims,
  greater,
  l2Normalize,
  less,
  logicalAnd,
  maskedLogSumExp,
  maskedMean,
  mean,
  mul,
  relu,
  softplus,
  square,
  sub,
  sum,
  type Tensor,
  where,
} from "@concord/tensor";
import { type BlockOptions, checkBlockRows, overRowBlocks } from "./blocks.ts";

export interface ScoredOptions {
  /** [N] bool: false for pairs that are left out. */
  readonly mask?: Tensor;
}

/** Cosines of rows with the same number, [N]. */
function cosinesOf(
  operation: string,
  a: Tensor,
  b: Tensor,
  scores: readonly [name: string, values: Tensor],
  mask: Tensor | undefined,
): Tensor {
  const [name, values] = scores;
  checkAxes(operation, {
    a: [a, "N D"],
    b: [b, "N D"],
    [name]: [values, "N"],
    ...(mask && { mask: [mask, "N"] as const }),
  });
  return sum(mul(l2Normalize(a), l2Normalize(b)), { axes: 1 });
}

function meanOf(values: Tensor, mask: Tensor | undefined): Tensor {
  return mask ? maskedMean(values, mask) : mean(values);
}

/**
 * Cosine embedding loss of pairs that are known to match or not: mean of 1 - cos(a_i, b_i) for pairs that match and of
 * max(0, cos(a_i, b_i) - m) for pairs that do not.
 *
 * @param a        [N, D]
 * @param b        [N, D]
 * @param matched  [N] bool, or numbers: > 0 for pairs that match
 * @param options.margin  m in [-1, 1]. Default 0
 * @returns scalar; 0 when the mask leaves out all pairs
 * @throws ShapeError when the shapes do not fit; RangeError for a margin outside [-1, 1]
 * @source PyTorch's CosineEmbeddingLoss
 */
export function cosineEmbeddingLoss(
  a: Tensor,
  b: Tensor,
  matched: Tensor,
  options: ScoredOptions & { readonly margin?: number } = {},
): Tensor {
  const { margin = 0, mask } = options;
  if (!(margin >= -1 && margin <= 1))
    throw new RangeError(`cosineEmbeddingLoss: margin must lie in [-1, 1], got ${margin}`);
  const cosines = cosinesOf("cosineEmbeddingLoss", a, b, ["matched", matched], mask);
  const matches = matched.dtype === "bool" ? matched : greater(matched, 0);
  return meanOf(where(matches, sub(1, cosines), relu(sub(cosines, margin))), mask);
}

/**
 * Mean squared difference of the cosines of pairs and their scores: L = mean_i (cos(a_i, b_i) - y_i)².
 *
 * @param a       [N, D]
 * @param b       [N, D]
 * @param scores  [N] in [-1, 1], e.g. gold similarities
 * @returns scalar; 0 when the mask leaves out all pairs
 * @throws ShapeError when the shapes do not fit
 * @source Reimers, Gurevych 2019, section 3 (regression objective)
 */
export function cosineScoreLoss(a: Tensor, b: Tensor, scores: Tensor, { mask }: ScoredOptions = {}): Tensor {
  const cosines = cosinesOf("cosineScoreLoss", a, b, ["scores", scores], mask);
  return meanOf(square(sub(cosines, cast(scores, cosines.dtype))), mask);
}

/**
 * CoSENT: the cosines of pairs should be in the order of their scores. Only this order matters, not the scores' scale.
 *
 *   L = ln(1 + Σ_{i, j: y_i > y_j} e^{λ (c_j - c_i)}),   c_i = cos(a_i, b_i)
 *
 * @param a       [N, D]
 * @param b       [N, D]
 * @param scores  [N] any numbers, e.g. gold similarities or 0 and 1; pairs with equal scores are not compared
 * @param options.scale  λ > 0. Default 20
 * @returns scalar, nats; 0 when all scores are equal
 * @throws ShapeError when the shapes do not fit; RangeError when the scale is not positive
 * @source Su 2022 (CoSENT)
 */
export function coSentLoss(
  a: Tensor,
  b: Tensor,
  scores: Tensor,
  options: ScoredOptions & BlockOptions & { readonly scale?: number } = {},
): Tensor {
  const { scale = 20, mask, blockRows } = options;
  if (!(scale > 0)) throw new RangeError(`coSentLoss: scale must be > 0, got ${scale}`);
  checkBlockRows("coSentLoss", blockRows);
  const scaled = mul(cosinesOf("coSentLoss", a, b, ["scores", scores], mask), scale);
  const N = scaled.shape[0] as number;
  const rows = overRowBlocks(N, N, blockRows, (at) => {
    const column = (x: Tensor): Tensor => expandDims(at.rowsOf(x), 1);
    const better = less(expandDims(scores, 0), column(scores));
    const kept = mask ? logicalAnd(better, logicalAnd(expandDims(mask, 0), column(mask))) : better;
    const gaps = sub(expandDims(scaled, 0), column(scaled));
    return {
      total: maskedLogSumExp(gaps, kept, { axes: 1 }),
      compared: sum(cast(kept, scaled.dtype), { axes: 1 }),
    };
  });
  const any = greater(rows.compared, 0);
  return where(greater(sum(rows.compared), 0), softplus(maskedLogSumExp(rows.total, any)), 0);
}
