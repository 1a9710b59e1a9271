import {
  add,
  div,
  log,
  mean,
  mul,
  neg,
  ShapeError,
  softmax,
  sub,
  sum,
  type Tensor,
  type TensorLike,
  uniform,
} from "@concord/tensor";

export interface EntropyOptions {
  /** Added to probabilities inside logarithms. Default 1e-8. */
  readonly epsilon?: number;
}

function checkPredictions(operation: string, logits: Tensor, epsilon: number): void {
  if (logits.rank !== 2)
    throw new ShapeError(
      `${operation}: logits have shape [${logits.shape.join(", ")}], expected axes [N, K]`,
    );
  if (!(epsilon > 0)) throw new RangeError(`${operation}: epsilon must be > 0, got ${epsilon}`);
}

/** -Σ p ln(p + ε) along the last axis. */
function entropy(p: Tensor, epsilon: number): Tensor {
  return neg(sum(mul(p, log(add(p, epsilon))), { axes: -1 }));
}

/**
 * Entropy of the mean prediction of a batch: large when all classes are predicted equally often.
 *
 *   H(p̄) = -Σ_k p̄_k ln p̄_k,   p̄ = mean_i softmax(s_i)
 *
 * SUBTRACTED from a loss it keeps predictions from collapsing into few classes.
 *
 * @param logits  [N, K]
 * @returns scalar in [0, ln K], nats
 * @throws ShapeError unless there are two axes; RangeError when ε is not positive
 * @source Assran et al. 2022 (mean-entropy maximisation); for novel classes: Cao et al. 2022 (ORCA)
 */
export function meanPredictionEntropy(logits: Tensor, { epsilon = 1e-8 }: EntropyOptions = {}): Tensor {
  checkPredictions("meanPredictionEntropy", logits, epsilon);
  return entropy(mean(softmax(logits), { axes: 0 }), epsilon);
}

/**
 * Predictions should be sure one by one and diverse together (information maximisation).
 *
 *   L = mean_i H(p_i) - H(mean_i p_i) = -I(input; class),   p_i = softmax(s_i)
 *
 * @param logits  [N, K] of rows without labels
 * @returns scalar in [-ln K, 0], nats
 * @throws ShapeError unless there are two axes; RangeError when ε is not positive
 * @source Krause et al. 2010; Liang et al. 2020 (SHOT), equations 3 and 4, whose ε is 1e-5
 */
export function informationMaximization(logits: Tensor, { epsilon = 1e-8 }: EntropyOptions = {}): Tensor {
  checkPredictions("informationMaximization", logits, epsilon);
  const p = softmax(logits);
  return sub(mean(entropy(p, epsilon)), entropy(mean(p, { axes: 0 }), epsilon));
}

/** Half the spacing of the numbers that `uniform` draws, so that none is 0 or 1. */
const HALF_STEP = 2 ** -25;

/**
 * Standard Gumbel numbers, -ln(-ln u): with them the largest of ln p_k + g_k is a draw from p.
 *
 * @param key    [2] key of a compiled step
 * @param shape  any
 * @returns float32
 * @source Gumbel 1954
 */
export function gumbel(key: Tensor, shape: readonly number[]): Tensor {
  return neg(log(neg(log(add(uniform(key, shape), HALF_STEP)))));
}

/**
 * A relaxed draw of a class: softmax((s + g) / τ). For τ → 0 it is one-hot, drawn from softmax(s).
 *
 * @param logits  [..., K]
 * @param noise   g of the same shape, from `gumbel`; an argument, so that one draw can serve twice
 * @param temperature  τ > 0, a number or a scalar tensor. Default 1
 * @returns [..., K], rows add up to 1
 * @throws RangeError when a number τ is not positive
 * @source Jang et al. 2017; Maddison et al. 2017
 */
export function gumbelSoftmax(logits: Tensor, noise: Tensor, temperature: TensorLike = 1): Tensor {
  if (typeof temperature === "number" && !(temperature > 0))
    throw new RangeError(`gumbelSoftmax: temperature must be > 0, got ${temperature}`);
  return softmax(div(add(logits, noise), temperature));
}
