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
  mul,
  neg,
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
}

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

/**
 * Cross-entropy over similarities in both directions (InfoNCE, as used by CLIP).
 *
 *   L = -1/(2B) Σ_i [ log softmax_j(a_i·b_j / τ)_i + log softmax_j(b_i·a_j / τ)_i ]
 *
 * @param a  [B, D] embeddings of the first view, unit norm unless raw products are wanted
 * @param b  [B, D] embeddings of the second view; row i is the positive of a's row i unless `positives` says otherwise
 * @returns scalar, nats
 * @throws ShapeError when a and b differ in B or D; RangeError when the scale is not positive or given twice
 * @source Radford et al. 2021, section 2.3; several positives: Khosla et al. 2020, L_out
 */
export function infoNCE(a: Tensor, b: Tensor, options: InfoNceOptions = {}): Tensor {
  const { positives, symmetric = true } = options;
  const { B } = checkAxes("infoNCE", {
    a: [a, "B D"],
    b: [b, "B D"],
    ...(positives && { positives: [positives, "B B"] as const }),
  });
  const logits = mul(matmul(a, b, { transposeB: true }), scaleOf(options));
  const targets = positives ?? eye(B, a.dtype);
  const forward = oneDirection(logits, targets);
  return symmetric ? mul(add(forward, oneDirection(transpose(logits), transpose(targets))), 0.5) : forward;
}
