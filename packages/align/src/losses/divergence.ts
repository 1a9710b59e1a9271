import {
  greater,
  log,
  logSoftmax,
  mean,
  mul,
  neg,
  ShapeError,
  sub,
  sum,
  type Tensor,
  where,
} from "@concord/tensor";

/** Below this probability t · ln t is under 1e-28 and counts as 0, so that ln never meets 0 or a subnormal number. */
const SMALLEST_PROBABILITY = 1e-30;

function checkRows(operation: string, targets: Tensor, logits: Tensor): void {
  const fits = targets.rank >= 1 && targets.shape.join() === logits.shape.join();
  if (!fits) {
    throw new ShapeError(
      `${operation}: targets [${targets.shape.join(", ")}] and logits [${logits.shape.join(", ")}] must have the same axes [..., C]`,
    );
  }
}

/** Σ_j t_j ln softmax(s)_j of each row; entries without target mass add nothing, whatever their logit. */
function expectedLogLikelihood(targets: Tensor, logits: Tensor): Tensor {
  const products = mul(targets, logSoftmax(logits));
  return sum(where(greater(targets, 0), products, 0), { axes: -1 });
}

/**
 * Cross-entropy of rows of logits against soft targets, averaged over rows.
 *
 *   L = -mean_rows Σ_j t_j ln softmax(s)_j
 *
 * @param targets  [..., C] non-negative, each row adds up to 1
 * @param logits   [..., C]
 * @returns scalar, nats
 * @throws ShapeError when the shapes differ
 */
export function softCrossEntropy(targets: Tensor, logits: Tensor): Tensor {
  checkRows("softCrossEntropy", targets, logits);
  return neg(mean(expectedLogLikelihood(targets, logits)));
}

/**
 * Kullback-Leibler divergence of the softmax of rows of logits from soft targets, averaged over rows.
 *
 *   L = mean_rows Σ_j t_j (ln t_j - ln softmax(s)_j),   0 · ln 0 = 0
 *
 * The gradient flows to the targets too; wrap them in `stopGradient` when they come from a teacher.
 *
 * @param targets  [..., C] non-negative, each row adds up to 1
 * @param logits   [..., C]
 * @returns scalar, nats, not below 0
 * @throws ShapeError when the shapes differ
 */
export function klDivergence(targets: Tensor, logits: Tensor): Tensor {
  checkRows("klDivergence", targets, logits);
  const logTargets = log(where(greater(targets, SMALLEST_PROBABILITY), targets, 1));
  const negativeEntropy = sum(mul(targets, logTargets), { axes: -1 });
  return mean(sub(negativeEntropy, expectedLogLikelihood(targets, logits)));
}
