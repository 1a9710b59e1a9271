import { add, div, mean, mul, sqrt, square, stopGradient, sub, type Tensor } from "@concord/tensor";
import { PAPER_DEFAULTS } from "./defaults.ts";
import {
  checkForm,
  type PredictionLoss,
  predictionLossOfLogits,
  similarityLogits,
  type VocoForm,
  vocoPredictionLoss,
} from "./prediction-loss.ts";
import { vocoRegularisationLoss } from "./regularisation-loss.ts";

/** Embeddings of the crops of each volume. */
export interface VolumeEmbeddings {
  /** [V, R, D] of the random crops */
  readonly crops: Tensor;
  /** [V, n, D] of the base crops */
  readonly bases: Tensor;
}

export interface VocoLossOptions {
  /** Default paper. */
  readonly form?: VocoForm;
  /** λ, weight of the regularisation. Default 1. */
  readonly lambdaReg?: number;
  /** ε of the prediction loss. Default 1e-6. */
  readonly eps?: number;
  /** What a momentum teacher makes of the same crops, for the released form. */
  readonly teacher?: VolumeEmbeddings;
}

export interface VocoLoss {
  readonly loss: Tensor;
  readonly prediction: Tensor;
  readonly regularisation: Tensor;
  /** [V, R, n] */
  readonly logits: Tensor;
  /** The two parts of the released prediction loss. */
  readonly positive?: Tensor;
  readonly negative?: Tensor;
}

/** Each side against the other's bases: ½ [l(p_s, q_t) + l(p_t, q_s)]. The teacher itself gets no gradient. */
function crossedPrediction(
  student: VolumeEmbeddings,
  teacher: VolumeEmbeddings,
  labels: Tensor,
  eps: number,
): PredictionLoss {
  const towards = similarityLogits(student.crops, stopGradient(teacher.bases));
  const back = similarityLogits(stopGradient(teacher.crops), student.bases);
  return predictionLossOfLogits(mul(add(towards, back), 0.5), labels, { form: "released", eps });
}

/**
 * VoCo: crops say where in the volume they are, bases are pushed apart.
 *
 *   L = L_pred(p, sg(q), y) + λ L_reg(q)
 *
 * In the paper's form bases learn through L_reg only and random crops through L_pred only. The released form takes the
 * mean of student-crop/teacher-base and teacher-crop/student-base similarities, so that gradient reaches the student's
 * bases through the prediction, too. Contrast stays inside each volume; volumes are averaged.
 *
 * @param student  [V, R, D] random crops and [V, n, D] base crops
 * @param labels   [V, R, n] overlaps, see `positionLabels`
 * @throws RangeError for an unknown form, a weight that is not >= 0, or a teacher with the paper's form; ShapeError
 *   when shapes do not fit
 * @source equation 7 (paper); released code, VoCoHead.forward (released)
 */
export function vocoLoss(
  student: VolumeEmbeddings,
  labels: Tensor,
  {
    form = "paper",
    lambdaReg = PAPER_DEFAULTS.lambdaReg,
    eps = PAPER_DEFAULTS.epsilon,
    teacher,
  }: VocoLossOptions = {},
): VocoLoss {
  checkForm("vocoLoss", form, eps);
  if (!(Number.isFinite(lambdaReg) && lambdaReg >= 0))
    throw new RangeError(`vocoLoss: lambdaReg must be a number >= 0, got ${lambdaReg}`);
  if (teacher && form === "paper")
    throw new RangeError('vocoLoss: the paper\'s form has no teacher; ask for form "released"');
  const { loss: prediction, ...rest } = teacher
    ? crossedPrediction(student, teacher, labels, eps)
    : vocoPredictionLoss(student.crops, student.bases, labels, { form, eps });
  const regularisation = vocoRegularisationLoss(student.bases, { form });
  const loss = lambdaReg === 0 ? prediction : add(prediction, mul(regularisation, lambdaReg));
  return { loss, prediction, regularisation, ...rest };
}

/**
 * Pearson's correlation of similarities and overlaps: what a falling loss may hide.
 *
 * @param logits, labels  of one shape
 */
export function overlapCorrelation(logits: Tensor, labels: Tensor): Tensor {
  const [x, y] = [sub(logits, mean(logits)), sub(labels, mean(labels))];
  return div(mean(mul(x, y)), sqrt(add(mul(mean(square(x)), mean(square(y))), 1e-12)));
}
