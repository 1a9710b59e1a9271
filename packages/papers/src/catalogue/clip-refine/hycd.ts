import { cosineSimilarity, dotSimilarity, klDivergence } from "@concord/align";
import {
  add,
  checkAxes,
  div,
  eye,
  mean,
  mul,
  softmax,
  square,
  stopGradient,
  sub,
  type Tensor,
  transpose,
} from "@concord/tensor";
import { PAPER_DEFAULTS } from "./defaults.ts";

/** Features of the pairs of a batch as the encoders give them: [B, D] each. */
export interface PairFeatures {
  readonly image: Tensor;
  readonly text: Tensor;
}

/**
 * How logits come from features. `raw`: inner products without scale, as in the paper (CLIP's features have norms near
 * 10, so these are about 100 × cosine). `cosine`: the model's own logit scale times the cosine, for encoders whose
 * norms say nothing.
 */
export type LogitRule =
  | { readonly logits?: "raw" }
  | { readonly logits: "cosine"; readonly logitScale: number | Tensor };

export type HycdOptions = LogitRule & {
  /** Weight of the ground-truth pairing in the targets, in [0, 1]. Default 0.5; 0 is self-distillation, 1 InfoNCE. */
  readonly alpha?: number;
  /** T > 0. Default 1. */
  readonly temperature?: number;
};

/** Logits of all image-text pairs of a batch: [B, B], rows are images. */
export function pairLogits({ image, text }: PairFeatures, rule: LogitRule = {}): Tensor {
  return rule.logits === "cosine"
    ? mul(cosineSimilarity(image, text), rule.logitScale)
    : dotSimilarity(image, text);
}

/**
 * Hybrid targets: the teacher's soft pairing mixed, after its softmax, with the true one.
 *
 *   q_ij = α [i = j] + (1 - α) softmax_j(S'_ij / T)
 *
 * @param teacherLogits  [B, B]; no gradient flows to them
 * @returns [B, B], rows add up to 1
 */
export function hybridTargets(teacherLogits: Tensor, alpha: number, temperature: number): Tensor {
  const { B } = checkAxes("hybridTargets", { "teacher logits": [teacherLogits, "B B"] });
  if (!(alpha >= 0 && alpha <= 1))
    throw new RangeError(`hybridTargets: alpha must lie in [0, 1], got ${alpha}`);
  if (!(temperature > 0)) throw new RangeError(`hybridTargets: temperature must be > 0, got ${temperature}`);
  const soft = softmax(stopGradient(div(teacherLogits, temperature)));
  return add(mul(soft, 1 - alpha), mul(eye(B, soft.dtype), alpha));
}

/** One direction of HyCD: T² / B Σ_ij q_ij (ln q_ij - ln softmax_j(S_ij / T)). Both logits [B, B]; a scalar. */
export function hybridDivergence(
  studentLogits: Tensor,
  teacherLogits: Tensor,
  { alpha = PAPER_DEFAULTS.alpha, temperature = PAPER_DEFAULTS.temperature }: HycdOptions = {},
): Tensor {
  const targets = hybridTargets(teacherLogits, alpha, temperature);
  return mul(klDivergence(targets, div(studentLogits, temperature)), temperature ** 2);
}

/**
 * Hybrid contrastive distillation: the student's pairing of a batch follows a frozen teacher's, mixed with the truth.
 *
 *   L = (L_I2T + L_T2I) / 2,   L_I2T = T² / B Σ_ij q_ij (ln q_ij - ln softmax_j(S_ij / T)),   L_T2I with Sᵀ, S'ᵀ
 *
 * with S and S' the logits of student and teacher and q the hybrid targets.
 *
 * @param student  [B, D] features of the model in training, not normalised
 * @param teacher  [B, D'] features of the frozen copy on the same batch; no gradient flows to them
 * @returns scalar, nats · T²
 * @throws ShapeError when the batches differ; RangeError when alpha or temperature lie outside their ranges
 * @source section on HyCD; raw products and T = 1: released code
 */
export function hycd(student: PairFeatures, teacher: PairFeatures, options: HycdOptions = {}): Tensor {
  checkPairs("hycd", student, teacher);
  const logits = pairLogits(student, options);
  const teacherLogits = pairLogits(teacher, options);
  const imageToText = hybridDivergence(logits, teacherLogits, options);
  const textToImage = hybridDivergence(transpose(logits), transpose(teacherLogits), options);
  return div(add(imageToText, textToImage), 2);
}

/**
 * Feature distillation, a baseline of the released code ("fd"): mse(img, img') + mse(txt, txt').
 *
 * @param student  [B, D] each
 * @param teacher  [B, D] each; no gradient flows to them
 * @returns scalar
 */
export function featureDistillation(student: PairFeatures, teacher: PairFeatures): Tensor {
  checkAxes("featureDistillation", {
    image: [student.image, "B D"],
    text: [student.text, "B D"],
    "teacher image": [teacher.image, "B D"],
    "teacher text": [teacher.text, "B D"],
  });
  return add(meanSquaredError(student.image, teacher.image), meanSquaredError(student.text, teacher.text));
}

/**
 * Logit distillation, a baseline of the released code ("ld"): the mean over all pairs of (S_ij - S'_ij)².
 * Shapes as `hycd`; a scalar.
 */
export function logitDistillation(
  student: PairFeatures,
  teacher: PairFeatures,
  rule: LogitRule = {},
): Tensor {
  checkPairs("logitDistillation", student, teacher);
  return meanSquaredError(pairLogits(student, rule), pairLogits(teacher, rule));
}

function meanSquaredError(x: Tensor, target: Tensor): Tensor {
  return mean(square(sub(x, stopGradient(target))));
}

function checkPairs(operation: string, student: PairFeatures, teacher: PairFeatures): void {
  checkAxes(operation, {
    "student image": [student.image, "B D"],
    "student text": [student.text, "B D"],
    "teacher image": [teacher.image, "B D_teacher"],
    "teacher text": [teacher.text, "B D_teacher"],
  });
}
