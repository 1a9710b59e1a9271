import { infoNCE } from "@concord/align";
import {
  add,
  checkAxes,
  diagonal,
  l2Normalize,
  logSoftmax,
  logSumExp,
  matmul,
  mean,
  mul,
  neg,
  ShapeError,
  stack,
  type Tensor,
} from "@concord/tensor";
import { PAPER_DEFAULTS } from "./defaults.ts";

/** `sum`: one InfoNCE a positive, added. `weighted`: the logarithm of the weighted sum of the positives' probabilities. */
export type MultiPositiveMode = "sum" | "weighted";

export interface MultiPositiveOptions {
  /** τ > 0. Default 0.05 (released code). */
  readonly temperature?: number;
  /** Default "sum" (released code). */
  readonly mode?: MultiPositiveMode;
  /** P - 1 numbers >= 0, not all 0, of mode "weighted". Default 1, 0.8 (released code, commented out), for P = 3. */
  readonly weights?: readonly number[];
}

function checkWeights(weights: readonly number[], positives: number): void {
  const valid = weights.every((weight) => weight >= 0 && Number.isFinite(weight));
  if (weights.length !== positives || !valid || !weights.some((weight) => weight > 0))
    throw new RangeError(
      `multiPositiveInfoNCE: needs ${positives} weights >= 0, one for each positive and not all 0, got [${weights.join(", ")}]`,
    );
}

/** Squared: √(‖x‖² + ε²) keeps ‖x‖ from 0 as the released code's bound ε = 1e-8 does. */
const NORM_EPSILON = 1e-8 ** 2;

/** ln softmax_j(a_i·b_j / τ)_i of each row i: [B]. */
function logProbabilities(a: Tensor, b: Tensor, temperature: number): Tensor {
  return diagonal(logSoftmax(mul(matmul(a, b, { transposeB: true }), 1 / temperature)));
}

/**
 * Contrast of an anchor with several positives, against the positives of the other sentences. With
 * c_m[i, j] = cos(z_0[i], z_m[j]) / τ:
 *
 *   sum        L = Σ_{m=1}^{P-1} 1/B Σ_i ( ln Σ_j e^{c_m[i, j]} - c_m[i, i] )
 *   weighted   L = -1/B Σ_i ln Σ_m w_m softmax_j(c_m[i, :])_i
 *
 * From the anchor to the positives only; other anchors are no negatives. The sum over m is not averaged. A row of zeros has
 * the cosine 0 with all others.
 *
 * @param views  P >= 2 times [B, D]; views[0] is the anchor, row i of each belongs to sentence i
 * @returns scalar, nats; of mode "weighted" below 0 where weights sum to more than 1
 * @throws ShapeError when there are fewer than two views or they differ in shape; RangeError when the temperature is
 *   not positive or the weights do not fit
 * @source released code, models.py:224-238 (sum) and 240-252 (weighted, commented out)
 */
export function multiPositiveInfoNCE(views: readonly Tensor[], options: MultiPositiveOptions = {}): Tensor {
  const {
    temperature = PAPER_DEFAULTS.temperature,
    mode = "sum",
    weights = PAPER_DEFAULTS.weights,
  } = options;
  if (views.length < 2)
    throw new ShapeError(
      `multiPositiveInfoNCE: needs an anchor and at least one positive, got ${views.length} views`,
    );
  if (!(temperature > 0))
    throw new RangeError(`multiPositiveInfoNCE: temperature must be > 0, got ${temperature}`);
  checkAxes(
    "multiPositiveInfoNCE",
    Object.fromEntries(views.map((view, m) => [`views[${m}]`, [view, "B D"] as const])),
  );
  const [anchor, ...positives] = views.map((view) => l2Normalize(view, { epsilon: NORM_EPSILON })) as [
    Tensor,
    ...Tensor[],
  ];
  if (mode === "sum")
    return positives.map((view) => infoNCE(anchor, view, { temperature, symmetric: false })).reduce(add);
  checkWeights(weights, positives.length);
  // A weight of 0 would be a logarithm of -∞: its positive is left out.
  const found = positives.flatMap((view, m) => {
    const weight = weights[m] as number;
    return weight > 0 ? [add(logProbabilities(anchor, view, temperature), Math.log(weight))] : [];
  });
  return neg(mean(logSumExp(stack(found, 1), { axes: 1 })));
}
