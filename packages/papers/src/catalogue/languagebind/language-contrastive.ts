import { infoNCE } from "@concord/align";
import { add, checkAxes, clamp, exp, l2Normalize, mul, type Tensor } from "@concord/tensor";
import { PAPER_DEFAULTS } from "./defaults.ts";

export interface LanguageContrastiveParts {
  /** (m2t + t2m) / 2, in nats */
  readonly loss: Tensor;
  /** Modality to text: each sample among the texts of the batch. */
  readonly m2t: Tensor;
  /** Text to modality. */
  readonly t2m: Tensor;
}

/**
 * Contrast of one modality with language. With x and y of unit length and s = e^θ:
 *
 *   L_M2T = -1/K Σ_i log( exp(s x_i·y_i) / Σ_j exp(s x_i·y_j) ),   L_T2M over columns,   L = (L_M2T + L_T2M) / 2
 *
 * Texts come from a frozen encoder; the gradient that a caller takes for `text` is meant for nobody.
 *
 * @param modality  [K, D] features of the modality, normalised here
 * @param text      [K, D] features of the texts, normalised here; row i describes sample i
 * @param logScale  θ, a scalar; starts at ln(1/0.07) and is kept in [0, ln 100] by `clampLogScale`
 * @returns three scalars
 * @throws ShapeError when the sets differ in K or D
 * @source released code, open_clip/loss.py:102-131
 */
export function languageContrastiveLoss(
  modality: Tensor,
  text: Tensor,
  logScale: Tensor,
): LanguageContrastiveParts {
  checkAxes("languageContrastiveLoss", { modality: [modality, "K D"], text: [text, "K D"] });
  const [x, y] = [l2Normalize(modality), l2Normalize(text)];
  const logitScale = exp(logScale);
  const m2t = infoNCE(x, y, { logitScale, symmetric: false });
  const t2m = infoNCE(y, x, { logitScale, symmetric: false });
  return { loss: mul(add(m2t, t2m), 0.5), m2t, t2m };
}

/** θ at the start: ln(1 / 0.07). */
export const INITIAL_LOG_SCALE = -Math.log(PAPER_DEFAULTS.temperature);

/**
 * θ after a step, brought back to [0, ln 100]: the factor on cosines stays between 1 and 100.
 *
 * @source released code, training/train.py:177-179
 */
export function clampLogScale(logScale: Tensor): Tensor {
  return clamp(logScale, 0, Math.log(PAPER_DEFAULTS.maxLogitScale));
}
