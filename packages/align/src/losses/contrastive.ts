import {
  add,
  cast,
  checkAxes,
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

export interface InfoNceOptions {
  /** τ > 0: logits are a·b / τ. Default 0.07. */
  readonly temperature?: number;
  /** s > 0: logits are s · a·b. A number, or a scalar tensor when the scale is learned. Excludes `temperature`. */
  readonly logitScale?: number | Tensor;
  /**
   * [B, B] non-negative weights when rows have other or several positives; default: the identity. Entry (i, j) pairs
   * a_i with b_j. Each direction normalises its rows to sum 1; a row without positives is left out of the mean.
   */
  readonly positives?: Tensor;
  /** Average of a → b and b → a; with false a → b only. Default true. */
  readonly symmetric?: boolean;
  /**
   * Rows of the similarity matrix in memory at a time, so that beside `positives` value and gradient need
   * O(B · blockRows) memory; Infinity for all of them. Default: all up to B = 1024, above that as many as fill 2²⁰
   * entries. Value and gradient do not depend on it but for rounding; second derivatives need the whole matrix.
   */
  readonly blockRows?: number;
}

/** Largest batch whose similarity matrix is held as a whole by default: 4 MiB each time it is written. */
const WHOLE_ROWS = 1024;

/** Scale on the products: `logitScale`, or 1 / temperature. */
function scaleOf({ temperature, logitScale }: InfoNceOptions): number | Tensor {
  if (logitScale !== undefined) {
    if (temperature !== undefined)
      throw new RangeError("infoNCE: give either temperature or logitScale, not both");
    if (typeof logitScale === "number" && !(logitScale > 0))
      throw new RangeError(`infoNCE: logitScale must be > 0, got ${logitScale}`);
    return logitScale;
  }
  const tau = temperature ?? 0.07;
  if (!(tau > 0)) throw new RangeError(`infoNCE: temperature must be > 0, got ${tau}`);
  return 1 / tau;
}

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

/**
 * Cross-entropy over similarities in both directions (InfoNCE, as used by CLIP).
 *
 *   L = -1/(2B) Σ_i [ log softmax_j(a_i·b_j / τ)_i + log softmax_j(b_i·a_j / τ)_i ]
 *
 * @param a  [B, D] embeddings of the first view, unit norm unless raw products are wanted
 * @param b  [B, D] embeddings of the second view; row i is the positive of a's row i unless `positives` says otherwise
 * @returns scalar, nats
 * @throws ShapeError when a and b differ in B or D; RangeError when the scale is not positive or given twice, or
 *   when blockRows is not a whole number >= 1
 * @source Radford et al. 2021, section 2.3; several positives: Khosla et al. 2020, L_out
 */
export function infoNCE(a: Tensor, b: Tensor, options: InfoNceOptions = {}): Tensor {
  const { positives, symmetric = true, blockRows } = options;
  if (blockRows !== undefined && !(blockRows >= 1))
    throw new RangeError(`infoNCE: blockRows must be >= 1, got ${blockRows}`);
  const { B } = checkAxes("infoNCE", {
    a: [a, "B D"],
    b: [b, "B D"],
    ...(positives && { positives: [positives, "B B"] as const }),
  });
  if (blockRows === undefined ? B > WHOLE_ROWS : blockRows < B)
    return blockedInfoNce(mul(a, scaleOf(options)), b, options);
  const logits = mul(matmul(a, b, { transposeB: true }), scaleOf(options));
  const targets = positives ?? eye(B, a.dtype);
  const forward = oneDirection(logits, targets);
  return symmetric ? mul(add(forward, oneDirection(transpose(logits), transpose(targets))), 0.5) : forward;
}
