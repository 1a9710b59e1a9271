import {
  add,
  checkAxes,
  div,
  greater,
  matmul,
  mul,
  softplus,
  sub,
  sum,
  type Tensor,
  where,
} from "@concord/tensor";
import { overRowBlocks } from "./blocks.ts";
import { type PairOptions, relationBetween } from "./relations.ts";
import { scaleOf } from "./softmax-rows.ts";

export interface SigmoidOptions extends PairOptions {
  /** τ > 0: logits are a·b / τ + bias. Default 0.1. */
  readonly temperature?: number;
  /** s > 0: logits are s · a·b + bias. A number, or a scalar tensor when it is learned. Excludes `temperature`. */
  readonly logitScale?: number | Tensor;
  /** Added to each logit; a number, or a scalar tensor when it is learned. Default -10. */
  readonly bias?: number | Tensor;
  /** Divide the sum over pairs by the rows of a (SigLIP), or by the number of pairs. Default `rows`. */
  readonly average?: "rows" | "pairs";
}

/**
 * Sigmoid loss of pairs (SigLIP): each pair is judged by itself, as matched or not.
 *
 *   L = 1/N Σ_ij [ t_ij ln(1 + e^{-z_ij}) + (1 - t_ij) ln(1 + e^{z_ij}) ],   z_ij = s a_i·b_j + bias
 *
 * t is the identity, or 1 where labels agree, or the positives, which must lie in [0, 1]. Weights of the mask weigh the
 * terms, and pairs whose weight is 0 are left out. No row needs a positive.
 *
 * @param a  [N, D] unit norm
 * @param b  [M, D] unit norm; row i matches row i of a unless `positives` or `labels` say otherwise
 * @returns scalar, nats
 * @throws ShapeError when a and b differ in D, the pairs do not fit, or a learned bias is no scalar; RangeError when the
 *   scale is not positive or given twice
 * @source Zhai et al. 2023, equation 1
 */
export function sigmoidLoss(a: Tensor, b: Tensor, options: SigmoidOptions = {}): Tensor {
  const { bias = -10, average = "rows", blockRows } = options;
  const scale = scaleOf("sigmoidLoss", options, 0.1);
  if (typeof bias !== "number") checkAxes("sigmoidLoss", { bias: [bias, ""] });
  const relation = relationBetween("sigmoidLoss", a, b, options);
  const scaled = mul(a, scale);
  const rows = overRowBlocks(relation.rows, relation.columns, blockRows, (at) => {
    const products = matmul(at.rowsOf(scaled), b, { transposeB: true });
    const logits = add(products, bias);
    const { positives, allowed } = relation.block(at);
    const terms = sub(mul(allowed, softplus(logits)), mul(positives, logits));
    return { loss: sum(terms, { axes: 1 }), weight: sum(allowed, { axes: 1 }) };
  });
  if (average === "rows") return div(sum(rows.loss), relation.rows);
  const weight = sum(rows.weight);
  return div(sum(rows.loss), where(greater(weight, 0), weight, 1));
}
