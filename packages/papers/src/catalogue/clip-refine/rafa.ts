import {
  add,
  checkAxes,
  div,
  foldInTensor,
  full,
  mean,
  mul,
  type NDArray,
  normal,
  square,
  stopGradient,
  sub,
  sum,
  type Tensor,
  type TensorLike,
  uniform,
  zeros,
} from "@concord/tensor";
import { PAPER_DEFAULTS } from "./defaults.ts";

/** The distribution p(z) that references are drawn from. */
export type ReferencePrior =
  /** N(mean, deviation² I); `mean` and `deviation` are numbers or one value per dimension, [D]. The paper's is N(0, I). */
  | {
      readonly kind: "normal";
      readonly mean: number | NDArray | Tensor;
      readonly deviation: number | NDArray | Tensor;
    }
  /** Uniform in [low, high) in every dimension. */
  | { readonly kind: "uniform"; readonly low: number; readonly high: number }
  /** No noise: every reference is the mean, a number or [D]. */
  | { readonly kind: "fixed"; readonly mean: number | NDArray | Tensor };

/** N(0, I), the paper's default. */
export const STANDARD_NORMAL_PRIOR: ReferencePrior = {
  kind: "normal",
  mean: PAPER_DEFAULTS.priorMean,
  deviation: PAPER_DEFAULTS.priorDeviation,
};

/** One reference vector for each image and each text of a batch: [B, D] each, equal when shared. */
export interface References {
  readonly image: Tensor;
  readonly text: Tensor;
}

/**
 * References from noise: mean + deviation · noise for a normal prior, low + (high - low) · noise for a uniform one, the
 * mean for a fixed one.
 *
 * @param noise  [B, D] standard normal numbers, or uniform ones in [0, 1) for a uniform prior
 * @returns [B, D]
 */
export function referenceFromNoise(noise: Tensor, prior: ReferencePrior): Tensor {
  checkAxes("referenceFromNoise", { noise: [noise, "B D"] });
  const moved = (offset: TensorLike, factor: TensorLike): Tensor => add(mul(noise, factor), offset);
  switch (prior.kind) {
    case "normal":
      return moved(prior.mean, prior.deviation);
    case "uniform":
      return moved(prior.low, prior.high - prior.low);
    case "fixed":
      return typeof prior.mean === "number"
        ? full(noise.shape, prior.mean, noise.dtype)
        : add(zeros(noise.shape, noise.dtype), prior.mean);
  }
}

/**
 * Draws the references of one step inside the graph.
 *
 * @param key             int32 [2]; another key in every step
 * @param shape           [B, D] of the features
 * @param options.prior   default N(0, I)
 * @param options.shared  the same reference for the image and the text of a pair. Default true; without it nothing ties
 *   the two modalities together (kept as an ablation)
 */
export function drawReferences(
  key: Tensor,
  shape: readonly number[],
  options: { readonly prior?: ReferencePrior; readonly shared?: boolean } = {},
): References {
  const { prior = STANDARD_NORMAL_PRIOR, shared = true } = options;
  const draw = (stream: number): Tensor => {
    const own = foldInTensor(key, stream);
    const noise = prior.kind === "uniform" ? uniform(own, shape) : normal(own, shape);
    return referenceFromNoise(noise, prior);
  };
  const image = draw(0);
  return { image, text: shared ? image : draw(1) };
}

export interface RafaOptions {
  /**
   * `elementMean` (default, what the released code computes and its weight 1 refers to) or `paper` (the formula as
   * printed, which is D / 2 times larger).
   */
  readonly reduction?: "elementMean" | "paper";
}

/**
 * Random feature alignment: both features of a pair are pulled to the same random reference.
 *
 *   elementMean:  L = 1/(B D) Σ_ik (img_ik - ref_ik)² + 1/(B D) Σ_ik (txt_ik - ref_ik)²
 *   paper:        L = 1/(2B) Σ_i ( ‖img_i - ref_i‖² + ‖txt_i - ref_i‖² )
 *
 * @param image       [B, D] features as the encoder gives them, NOT normalised: on the unit sphere a target of norm √D
 *   hardly has a direction to pull in
 * @param text        [B, D] likewise
 * @param references  [B, D] each; no gradient flows to them
 * @returns scalar
 * @throws ShapeError when the shapes differ
 * @source section on RaFA; element mean: released code
 */
export function rafa(image: Tensor, text: Tensor, references: References, options: RafaOptions = {}): Tensor {
  checkAxes("rafa", {
    image: [image, "B D"],
    text: [text, "B D"],
    "image references": [references.image, "B D"],
    "text references": [references.text, "B D"],
  });
  const distances = (features: Tensor, reference: Tensor): Tensor => {
    const squares = square(sub(features, stopGradient(reference)));
    return options.reduction === "paper" ? div(mean(sum(squares, { axes: -1 })), 2) : mean(squares);
  };
  return add(distances(image, references.image), distances(text, references.text));
}

/**
 * Weight of RaFA that falls linearly from 1 at the first step to 0 at the end of training: 1 - step / steps.
 * Off by default in the released configuration (`regularization_decay`).
 *
 * @param step   steps already done, a scalar
 * @param steps  steps of the whole training
 */
export function linearDecay(step: Tensor, steps: number): Tensor {
  if (!(steps > 0)) throw new RangeError(`linearDecay: steps must be > 0, got ${steps}`);
  return sub(1, div(step, steps));
}
