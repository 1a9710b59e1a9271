import { infoNCE } from "@concord/align";
import { add, l2Normalize, mul, type Tensor, zeros } from "@concord/tensor";
import { PAPER_DEFAULTS } from "./defaults.ts";
import { type HycdOptions, hycd, type PairFeatures } from "./hycd.ts";
import { type RafaOptions, type References, rafa } from "./rafa.ts";

export interface ClipRefineWeights {
  /** λ_cont, default 0. When it is not 0 `logitScale` must be given. */
  readonly lambdaContrastive?: number;
  /** λ_rand, default 1. A scalar tensor when it changes during training, see `linearDecay`. */
  readonly lambdaRafa?: number | Tensor;
  /** λ_kd, default 1. */
  readonly lambdaHycd?: number;
}

export type ClipRefineOptions = ClipRefineWeights &
  RafaOptions &
  HycdOptions & {
    /** Scale of the cosines in InfoNCE, and in HyCD with `logits: "cosine"`. */
    readonly logitScale?: number | Tensor;
  };

/** The objective and its parts before weighting: scalars. A part whose weight is 0 is not computed and reads 0. */
export interface ClipRefineLoss {
  readonly loss: Tensor;
  readonly contrastive: Tensor;
  readonly rafa: Tensor;
  readonly hycd: Tensor;
}

/**
 * The objective of CLIP-Refine.
 *
 *   L = λ_cont L_InfoNCE + λ_rand L_RaFA + λ_kd L_HyCD
 *
 * InfoNCE is on normalised features times `logitScale`.
 *
 * @param student     [B, D] features of the model in training, not normalised
 * @param teacher     [B, D'] features of its frozen copy on the same batch
 * @param references  [B, D] each, drawn anew in every step
 * @throws RangeError when InfoNCE is wanted without a logit scale
 * @source section on the objective; weights: released configuration
 */
export function clipRefineObjective(
  student: PairFeatures,
  teacher: PairFeatures,
  references: References,
  options: ClipRefineOptions = {},
): ClipRefineLoss {
  const {
    lambdaContrastive = PAPER_DEFAULTS.lambdaContrastive,
    lambdaRafa = PAPER_DEFAULTS.lambdaRafa,
    lambdaHycd = PAPER_DEFAULTS.lambdaHycd,
    logitScale,
  } = options;
  const part = (weight: number | Tensor, compute: () => Tensor): Tensor =>
    weight === 0 ? zeros([], student.image.dtype) : compute();
  const contrastive = part(lambdaContrastive, () => {
    if (logitScale === undefined)
      throw new RangeError("clipRefineObjective: lambdaContrastive needs a logitScale");
    return infoNCE(l2Normalize(student.image), l2Normalize(student.text), { logitScale });
  });
  const randomAlignment = part(lambdaRafa, () => rafa(student.image, student.text, references, options));
  const distillation = part(lambdaHycd, () => hycd(student, teacher, options));
  const loss = add(
    add(mul(contrastive, lambdaContrastive), mul(randomAlignment, lambdaRafa)),
    mul(distillation, lambdaHycd),
  );
  return { loss, contrastive, rafa: randomAlignment, hycd: distillation };
}
