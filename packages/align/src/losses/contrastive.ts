import {
  add,
  cast,
  div,
  eye,
  greater,
  logSoftmax,
  matmul,
  maximum,
  mean,
  mul,
  neg,
  pairLogSumExp,
  sub,
  sum,
  type Tensor,
  transpose,
} from "@concord/tensor";
import { type PairOptions, type Relation, relationBetween } from "./relations.ts";
import { checkSoftmaxOptions, type SoftmaxOptions, scaleOf, softmaxDirection } from "./softmax-rows.ts";

export interface InfoNceOptions extends PairOptions, SoftmaxOptions {
  /** τ > 0: logits are a·b / τ. Default 0.07. */
  readonly temperature?: number;
  /** s > 0: logits are s · a·b. A number, or a scalar tensor when the scale is learned. Excludes `temperature`. */
  readonly logitScale?: number | Tensor;
  /**
   * [N, M] non-negative weights, or booleans, when rows have other or several positives; default: the identity. Entry
   * (i, j) pairs a_i with b_j. Each direction normalises its rows to sum 1; a row without positives is left out of the
   * mean.
   */
  readonly positives?: Tensor;
  /** Average of a → b and b → a; with false a → b only. Default true. */
  readonly symmetric?: boolean;
}

/** Largest batch whose similarity matrix is held as a whole by default: 4 MiB each time it is written. */
const WHOLE_ROWS = 1024;

/** Mean over rows of the cross-entropy against the normalised positives. */
function oneDirection(logits: Tensor, positives: Tensor): Tensor {
  const mass = sum(positives, { axes: -1, keepDims: true });
  const counted = cast(greater(mass, 0), logits.dtype);
  const targets = div(positives, add(mass, cast(greater(1, counted), logits.dtype)));
  return div(neg(sum(mul(targets, logSoftmax(logits)))), maximum(sum(counted), 1));
}

/** The same by blocks of rows: a softmax over pairs is its log-sum-exp, and targets meet the products of vectors. */
function blockedInfoNce(
  a: Tensor,
  b: Tensor,
  { positives, symmetric = true, blockRows }: InfoNceOptions,
): Tensor {
  const pairs = pairLogSumExp(a, b, blockRows === undefined ? {} : { blockRows });
  const direction = (relative: Tensor, x: Tensor, y: Tensor, transposed: boolean): Tensor => {
    if (!positives) return mean(relative);
    const mass = sum(positives, { axes: transposed ? 0 : 1 });
    const counted = cast(greater(mass, 0), a.dtype);
    const divisor = add(mass, cast(greater(1, counted), a.dtype));
    const attracted = sum(mul(x, matmul(positives, y, { transposeA: transposed })), { axes: 1 });
    const losses = div(sub(mul(mass, add(relative, pairs.diagonal)), attracted), divisor);
    return div(sum(losses), maximum(sum(counted), 1));
  };
  const forward = direction(pairs.rows, a, b, false);
  return symmetric ? mul(add(forward, direction(pairs.columns, b, a, true)), 0.5) : forward;
}

/** What the products of whole sets of equal size with weighted positives cover, at the lowest cost. */
function isPlain({ queries, rows, columns }: Relation, options: InfoNceOptions): boolean {
  const { positives, labels, mask, severalPositives, denominator, average, margin = 0 } = options;
  const others = labels !== undefined || mask !== undefined || margin !== 0;
  const usual = severalPositives !== "inside" && (denominator ?? "all") === "all" && average !== "pairs";
  const fits = positives === undefined || positives.dtype === queries.dtype;
  return rows === columns && fits && !others && usual;
}

/**
 * Cross-entropy over similarities in both directions (InfoNCE, as used by CLIP).
 *
 *   L = -1/(2B) Σ_i [ log softmax_j(a_i·b_j / τ)_i + log softmax_j(b_i·a_j / τ)_i ]
 *
 * The sets may differ in size: more rows in b than in a are further negatives, for instance of a memory queue (append
 * them with `concat`, wrapped in `stopGradient`), and are not queries themselves. N-pair loss is one direction with
 * temperature 1 on raw products.
 *
 * @param a  [N, D] embeddings of the first view, unit norm unless raw products are wanted
 * @param b  [M, D] embeddings of the second view; row i is the positive of a's row i unless `positives` or `labels` say
 *   otherwise
 * @returns scalar, nats; 0 when no row has a positive
 * @throws ShapeError when a and b differ in D, or the pairs do not fit them; RangeError when the scale is not positive
 *   or given twice, for positives and labels at once, or when blockRows is not a whole number >= 1
 * @source Radford et al. 2021, section 2.3; queues: He et al. 2020; several positives: Khosla et al. 2020, L_out and
 *   L_in; denominator of negatives: Yeh et al. 2022
 */
export function infoNCE(a: Tensor, b: Tensor, options: InfoNceOptions = {}): Tensor {
  const { positives, symmetric = true, blockRows } = options;
  const relation = relationBetween("infoNCE", a, b, options);
  checkSoftmaxOptions("infoNCE", options);
  const scale = scaleOf("infoNCE", options, 0.07);
  if (!isPlain(relation, options)) {
    const forward = softmaxDirection(relation, scale, blockRows, options);
    if (!symmetric) return forward;
    return mul(add(forward, softmaxDirection(relation.transposed(), scale, blockRows, options)), 0.5);
  }
  const B = relation.rows;
  if (blockRows === undefined ? B > WHOLE_ROWS : blockRows < B)
    return blockedInfoNce(mul(a, scale), b, options);
  const logits = mul(matmul(a, b, { transposeB: true }), scale);
  const targets = positives ?? eye(B, a.dtype);
  const forward = oneDirection(logits, targets);
  return symmetric ? mul(add(forward, oneDirection(transpose(logits), transpose(targets))), 0.5) : forward;
}
