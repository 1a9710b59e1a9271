import {
  abs,
  add,
  cast,
  checkAxes,
  div,
  equal,
  l2Normalize,
  log,
  matmul,
  max,
  maximum,
  mean,
  minimum,
  mul,
  neg,
  relu,
  ShapeError,
  square,
  stopGradient,
  sub,
  sum,
  type Tensor,
  where,
} from "@concord/tensor";
import { PAPER_DEFAULTS } from "./defaults.ts";

/** `paper`: the method of CVPR 2024; `released`: what the released code computes instead. */
export type VocoForm = "paper" | "released";

export interface PredictionLossOptions {
  /** Default paper. */
  readonly form?: VocoForm;
  /** ε inside the logarithm. Default 1e-6. */
  readonly eps?: number;
}

export interface PredictionLoss {
  /** Scalar, nats. */
  readonly loss: Tensor;
  /** [..., R, n] in [0, 1] */
  readonly logits: Tensor;
  /** The two parts of the released form. */
  readonly positive?: Tensor;
  readonly negative?: Tensor;
}

/** @throws RangeError for a form that there is not, or an ε that is not above 0 */
export function checkForm(operation: string, form: string, eps = PAPER_DEFAULTS.epsilon as number): void {
  if (form !== "paper" && form !== "released")
    throw new RangeError(`${operation}: form must be "paper" or "released", got ${JSON.stringify(form)}`);
  if (!(eps > 0 && eps < 1)) throw new RangeError(`${operation}: eps must lie in (0, 1), got ${eps}`);
}

/** Rows whose largest number lies between these have squares that float32 holds, beside the ε of a length, too. */
const ORDINARY = [1e-2, 1e15] as const;
/** Rows with no number above it count as zeros: float32 has not its full precision below. */
const SMALLEST = 1e-30;

/**
 * Rows of length 1, of whatever size they are; zeros stay zeros. Very small and very large ones are divided by their
 * largest number first.
 */
export function directions(x: Tensor): Tensor {
  const largest = stopGradient(max(abs(x), { axes: -1, keepDims: true }));
  const ordinary = equal(largest, minimum(maximum(largest, ORDINARY[0]), ORDINARY[1]));
  return l2Normalize(div(x, where(ordinary, 1, maximum(largest, SMALLEST))));
}

/**
 * The positive part of all cosines within each volume: max(0, cos(p_r, q_i)). Gradient reaches both sides.
 *
 * Rounding takes cosines of long vectors beyond 1 by more than the ε of the loss, which then has no value: they end at 1.
 *
 * @throws ShapeError when the two differ in D or in their volumes
 */
export function similarityLogits(crops: Tensor, bases: Tensor): Tensor {
  checkAxes("vocoLogits", { crops: [crops, "... R D"], bases: [bases, "... n D"] });
  const [ofCrops, ofBases] = [crops, bases].map(({ shape }) => shape.slice(0, -2).join(", "));
  if (ofCrops !== ofBases)
    throw new ShapeError(`vocoLogits: crops of volumes [${ofCrops}], but bases of volumes [${ofBases}]`);
  return minimum(relu(matmul(directions(crops), directions(bases), { transposeB: true })), 1);
}

/**
 * Volume contrast: how much a random crop overlaps each base crop, answered by similarity alone.
 *
 *   l_ri = max(0, cos(p_r, sg(q_i)))
 *
 * The bases get no gradient from it (sg); with it they would drift to the crops until all point one way. Without the
 * positive part |y - l| can exceed 1, where the loss has no value.
 *
 * @param crops  [..., R, D] embeddings of the random crops of a volume
 * @param bases  [..., n, D] embeddings of its base crops
 * @returns [..., R, n] in [0, 1]
 * @throws ShapeError when the two differ in D or in the number of volumes
 * @source method figure (stop-gradient); released code (ReLU)
 */
export function vocoLogits(crops: Tensor, bases: Tensor): Tensor {
  return similarityLogits(crops, stopGradient(bases));
}

/**
 * The prediction loss of given logits; see `vocoPredictionLoss`.
 *
 * @param logits  [..., R, n] in [0, 1]
 * @param labels  [..., R, n] in [0, 1]
 */
export function predictionLossOfLogits(
  logits: Tensor,
  labels: Tensor,
  { form = "paper", eps = PAPER_DEFAULTS.epsilon }: PredictionLossOptions = {},
): PredictionLoss {
  checkForm("vocoPredictionLoss", form, eps);
  checkAxes("vocoPredictionLoss", { logits: [logits, "... R n"], labels: [labels, "... R n"] });
  if (logits.rank !== labels.rank)
    throw new ShapeError(`vocoPredictionLoss: logits have ${logits.rank} axes, labels ${labels.rank}`);
  const surprise = neg(log(add(sub(1, abs(sub(labels, logits))), eps)));
  if (form === "paper") return { loss: mean(surprise), logits };
  const ofVolume = { axes: [-2, -1] } as const;
  const away = cast(equal(labels, 0), logits.dtype);
  const positive = mean(div(sum(mul(labels, surprise), ofVolume), add(sum(labels, ofVolume), eps)));
  const negative = mean(div(sum(mul(away, square(logits)), ofVolume), add(sum(away, ofVolume), eps)));
  return { loss: add(positive, negative), logits, positive, negative };
}

/**
 * How far the logits are from the overlaps.
 *
 *   paper:     L = -1/(R n) Σ_ri log(1 - |y_ri - l_ri| + ε)
 *   released:  L = -Σ y log(1 - |y - l| + ε) / (Σ y + ε)  +  Σ_{y = 0} l² / (#{y = 0} + ε)
 *
 * Every base counts the same in the paper's form, overlap or not. The sums of the released form run over all random
 * crops of a volume; several volumes are averaged. No softmax anywhere: the labels are areas, not classes.
 *
 * @param crops   [..., R, D] embeddings of random crops
 * @param bases   [..., n, D] embeddings of base crops; no gradient reaches them
 * @param labels  [..., R, n] overlaps in [0, 1]
 * @throws ShapeError when shapes do not fit; RangeError for an unknown form or eps
 * @source equation 3 (paper); released code, ce_loss (released)
 */
export function vocoPredictionLoss(
  crops: Tensor,
  bases: Tensor,
  labels: Tensor,
  options: PredictionLossOptions = {},
): PredictionLoss {
  return predictionLossOfLogits(vocoLogits(crops, bases), labels, options);
}
