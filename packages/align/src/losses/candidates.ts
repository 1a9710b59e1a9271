import {
  add,
  arange,
  cast,
  checkAxes,
  equal,
  expandDims,
  greater,
  logicalNot,
  matmul,
  mul,
  ones,
  squeeze,
  type Tensor,
} from "@concord/tensor";
import {
  checkSoftmaxOptions,
  lessMargin,
  meanOfRows,
  rowLosses,
  type SoftmaxOptions,
  scaleOf,
} from "./softmax-rows.ts";

export interface CandidateOptions extends SoftmaxOptions {
  /** τ > 0: logits are a·c / τ. Default 0.07. */
  readonly temperature?: number;
  /** s > 0: logits are s · a·c. A number, or a scalar tensor when the scale is learned. Excludes `temperature`. */
  readonly logitScale?: number | Tensor;
  /** [N, K] true, or a weight > 0, for candidates that match. Default: the first of each row. */
  readonly positives?: Tensor;
  /** [N, K] false or 0 for candidates that are left out, e.g. padding; weights multiply exponentials. */
  readonly mask?: Tensor;
}

/**
 * InfoNCE of rows that each have candidates of their own, such as sampled or mined negatives:
 *
 *   L = -1/N Σ_i ln [ e^{a_i·c_i0 / τ} / Σ_k e^{a_i·c_ik / τ} ]
 *
 * A row whose positives are all left out does not count.
 *
 * @param a           [N, D] unit norm for cosines
 * @param candidates  [N, K, D]; the first of each row matches unless `positives` say otherwise
 * @returns scalar, nats; 0 when no row has a positive
 * @throws ShapeError when the shapes do not fit; RangeError when the scale is not positive or given twice
 * @source van den Oord et al. 2018, equation 4
 */
export function candidateNCE(a: Tensor, candidates: Tensor, options: CandidateOptions = {}): Tensor {
  const operation = "candidateNCE";
  const { positives, mask, margin, average } = options;
  const { N, K } = checkAxes(operation, {
    a: [a, "N D"],
    candidates: [candidates, "N K D"],
    ...(positives && { positives: [positives, "N K"] as const }),
    ...(mask && { mask: [mask, "N K"] as const }),
  });
  checkSoftmaxOptions(operation, options);
  const scale = scaleOf(operation, options, 0.07);
  const { dtype } = a;
  const weights = mask ? cast(mask, dtype) : ones([N, K], dtype);
  const matching = positives ? cast(positives, dtype) : cast(equal(arange(K, "int32"), 0), dtype);
  const matched = mul(weights, matching);
  const negatives = mul(weights, cast(logicalNot(greater(matching, 0)), dtype));
  const pairs = {
    positives: matched,
    negatives,
    allowed: add(mul(weights, cast(greater(matching, 0), dtype)), negatives),
    weighted: mask !== undefined && mask.dtype !== "bool",
  };
  const products = squeeze(matmul(candidates, expandDims(mul(a, scale), 2)), 2);
  const { loss, mass } = rowLosses(lessMargin(products, matched, scale, margin), pairs, options);
  return meanOfRows(loss, mass, average);
}
