import { checkAxes, normalizeAxis, sameShape } from "../core/axes.ts";
import { DTypeError, formatShape, ShapeError } from "../core/errors.ts";
import type { TensorLike } from "../core/tensor.ts";
import { asOperands, asTensor, checkDType, defineUnitOp, type Tensor } from "../core/tensor.ts";
import { add, cast, div, equal, mul, neg, sub, where } from "./arithmetic.ts";
import { nodesOf } from "./elementwise.ts";
import { gather, takeAlong } from "./gather.ts";
import { softplus } from "./math.ts";
import { clampMax, clampMin, notEqual } from "./numeric.ts";
import { logSoftmax, mean } from "./reduce.ts";
import { expandDims, reshape, squeeze, sum } from "./structure.ts";

/** Predictions and targets of one shape and dtype. */
function pairOf(operation: string, predictions: TensorLike, targets: TensorLike): [Tensor, Tensor] {
  const [found, wanted] = asOperands(operation, predictions, targets);
  checkDType(operation, [found]);
  if (!sameShape(found.shape, wanted.shape))
    throw new ShapeError(
      `${operation}: predictions ${formatShape(found.shape)} and targets ${formatShape(wanted.shape)} differ`,
    );
  return [found, wanted];
}

export interface BceOptions {
  /** Factor on each term; broadcasts to the logits. */
  readonly weight?: TensorLike;
  /** Factor on the terms of positive targets, against imbalance; broadcasts to the logits. */
  readonly positiveWeight?: TensorLike;
}

/**
 * Binary cross-entropy of logits, elementwise, in nats: -w (p t ln σ(x) + (1 - t) ln(1 - σ(x))), computed as
 * w ((1 - t) x + (1 + (p - 1) t) ln(1 + e^-x)), which neither overflows nor loses small values.
 *
 * @param logits   any shape
 * @param targets  the same shape, in [0, 1]
 * @returns one number for each logit; take the mean or sum that the method wants
 * @throws ShapeError when logits and targets differ in shape
 */
export function bceWithLogits(logits: TensorLike, targets: TensorLike, options: BceOptions = {}): Tensor {
  const [x, t] = pairOf("bceWithLogits", logits, targets);
  const { weight, positiveWeight } = options;
  const excess = softplus(neg(x));
  const weighted =
    positiveWeight === undefined
      ? excess
      : mul(excess, add(mul(t, sub(positiveWeight, asTensor(1, x.dtype))), 1));
  const loss = add(mul(sub(1, t), x), weighted);
  return weight === undefined ? loss : mul(loss, weight);
}

export interface CrossEntropyOptions {
  /** Axis of the classes in the logits. Default: the last. */
  readonly axis?: number;
  /** Targets of this value do not count. Default: every target counts. */
  readonly ignoreIndex?: number;
  /** Share ε in [0, 1) of each target that is spread evenly over all classes. Default 0. */
  readonly labelSmoothing?: number;
  /** Factor for each class: [C]. */
  readonly classWeights?: TensorLike;
  /** `mean` divides by the summed class weights of the targets that count. Default `mean`. */
  readonly reduction?: "mean" | "sum" | "none";
}

/**
 * Cross-entropy between logits and class numbers, in nats, as PyTorch's `cross_entropy`:
 *
 *   l_i = (1 - ε) w_{t_i} (ln Σ_c e^{x_ic} - x_{i t_i}) + ε / C Σ_c w_c (ln Σ_j e^{x_ij} - x_ic)
 *
 * @param logits   [..., C], or with the classes along `axis`, as [B, C, H, W] with axis 1
 * @param targets  int32 or int64 in [0, C) or `ignoreIndex`: the shape of the logits without the classes
 * @returns a scalar, or the shape of the targets with reduction `none`. Without any target that counts the mean is 0
 * @throws ShapeError when logits and targets do not fit, RangeError for a smoothing outside [0, 1)
 * @source Szegedy et al. 2016, section 7 (label smoothing)
 */
export function crossEntropy(
  logits: TensorLike,
  targets: TensorLike,
  options: CrossEntropyOptions = {},
): Tensor {
  const { axis = -1, ignoreIndex, labelSmoothing = 0, classWeights, reduction = "mean" } = options;
  const [x, given] = [asTensor(logits), asTensor(targets, "int32")];
  checkDType("crossEntropy", [x]);
  if (given.dtype !== "int32" && given.dtype !== "int64")
    throw new DTypeError(`crossEntropy: targets must be int32 or int64, got ${given.dtype}`);
  if (!(labelSmoothing >= 0 && labelSmoothing < 1))
    throw new RangeError(`crossEntropy: label smoothing must be in [0, 1), got ${labelSmoothing}`);
  const along = normalizeAxis("crossEntropy", axis, x.rank);
  const classes = x.shape[along] as number;
  if (
    !sameShape(
      given.shape,
      x.shape.filter((_, i) => i !== along),
    )
  )
    throw new ShapeError(
      `crossEntropy: targets ${formatShape(given.shape)} do not fit logits ${formatShape(x.shape)} with classes along axis ${along}`,
    );
  const weights = classWeights === undefined ? undefined : asOperands("crossEntropy", x, classWeights)[1];
  if (weights) checkAxes("crossEntropy", { classWeights: [weights, String(classes)] });

  const counts = ignoreIndex === undefined ? undefined : notEqual(given, ignoreIndex);
  const classOf = counts ? where(counts, given, 0) : given;
  // The kernel of LogSoftmax is several times faster than that of ReduceLogSumExp.
  const logs = logSoftmax(x, along);
  const chosen = neg(squeeze(takeAlong(logs, expandDims(classOf, along), along), along));
  const ofTarget = weights && gather(weights, classOf);
  let loss = ofTarget ? mul(chosen, ofTarget) : chosen;
  if (labelSmoothing > 0) {
    const row = x.shape.map((_, i) => (i === along ? classes : 1));
    const spread = neg(mean(weights ? mul(logs, reshape(weights, row)) : logs, { axes: along }));
    loss = add(mul(loss, 1 - labelSmoothing), mul(spread, labelSmoothing));
  }
  if (counts) loss = where(counts, loss, 0);
  if (reduction === "none") return loss;
  if (reduction === "sum") return sum(loss);
  if (!counts && !ofTarget) return mean(loss);
  const factors = ofTarget ?? cast(counts as Tensor, x.dtype);
  const divisor = sum(counts && ofTarget ? where(counts, factors, 0) : factors);
  return div(sum(loss), where(equal(divisor, 0), 1, divisor));
}

const smoothL1Op = defineUnitOp<{ readonly beta: number }, [x: Tensor]>({
  name: "smoothL1",
  infer: ([x]) => [x],
  lower: (graph, [x], { beta }, { inputs }) => {
    const emit = nodesOf(graph, inputs[0].dtype);
    const distance = emit("Abs", x);
    const near = emit("Min", distance, beta);
    return [emit("Mul", near, emit("Sub", emit("Mul", distance, 1 / beta), emit("Mul", near, 0.5 / beta)))];
  },
  vjp: ({ inputs: [x], cotangents: [dy], attributes: { beta } }) => [
    mul(dy, clampMax(clampMin(mul(x, 1 / beta), -1), 1)),
  ],
});

/**
 * Elementwise distance that is quadratic near 0 and linear beyond: d² / (2 β) for |d| < β, else |d| - β / 2, with
 * d = prediction - target.
 *
 * @param options.beta  where the quadratic part ends, > 0. Default 1
 * @throws ShapeError when predictions and targets differ in shape, RangeError when β is not positive
 * @source Girshick 2015
 */
export function smoothL1(
  predictions: TensorLike,
  targets: TensorLike,
  options: { readonly beta?: number } = {},
): Tensor {
  const { beta = 1 } = options;
  if (!(beta > 0)) throw new RangeError(`smoothL1: beta must be positive, got ${beta}`);
  return smoothL1Op([sub(...pairOf("smoothL1", predictions, targets))], { beta });
}

/**
 * Mean of squared differences over all entries: a scalar.
 *
 * @throws ShapeError when predictions and targets differ in shape
 */
export function mse(predictions: TensorLike, targets: TensorLike): Tensor {
  const difference = sub(...pairOf("mse", predictions, targets));
  return mean(mul(difference, difference));
}
