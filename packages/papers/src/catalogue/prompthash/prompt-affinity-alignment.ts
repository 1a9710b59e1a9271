import { infoNCE } from "@concord/align";
import {
  add,
  checkAxes,
  div,
  l2Normalize,
  log,
  logSoftmax,
  mean,
  mul,
  softmax,
  stopGradient,
  sub,
  sum,
  type Tensor,
} from "@concord/tensor";
import { PAPER_DEFAULTS } from "./defaults.ts";

/** Added to squared norms: small enough for features of any scale, as their lengths are not bounded below. */
const NORM_EPSILON = 1e-24;

export interface PromptAffinityAlignmentOptions {
  /** τ of image against text, default 0.07. */
  readonly globalTemperature?: number;
  /** τ of image against prompt before the divergence scales it, default 0.07. */
  readonly localTemperature?: number;
  /** Default 5. */
  readonly globalWeight?: number;
  /** Default 5. */
  readonly localWeight?: number;
}

/** Scalars; `global` and `local` before their weights. */
export interface PromptAffinityAlignment {
  readonly loss: Tensor;
  readonly global: Tensor;
  readonly local: Tensor;
  /** Divergence of image and prompt features, ≥ 0, in nats. */
  readonly divergence: Tensor;
  /** τ / (1 + divergence) */
  readonly localTemperature: Tensor;
}

/**
 * How far image and prompt features lie apart, as distributions over channels:
 *
 *   ½ mean KL(m ‖ p) + ½ mean KL(m ‖ q),   p = softmax(image), q = softmax(prompt), m = (p + q) / 2
 *
 * The Jensen-Shannon divergence with its arguments exchanged, as the released code has it.
 *
 * @param image   [N, C] unit rows
 * @param prompt  [N, C] unit rows
 * @returns scalar ≥ 0, nats
 * @throws ShapeError when the shapes differ
 * @source released code (local prompt alignment loss)
 */
export function affinityDivergence(image: Tensor, prompt: Tensor): Tensor {
  checkAxes("affinityDivergence", { image: [image, "N C"], prompt: [prompt, "N C"] });
  const m = mul(add(softmax(image), softmax(prompt)), 0.5);
  const between = mul(add(logSoftmax(image), logSoftmax(prompt)), 0.5);
  return mean(sum(mul(m, sub(log(m), between)), { axes: -1 }));
}

/**
 * Contrastive alignment of images with texts (global) and with prompts (local), cross-entropy in both directions:
 *
 *   L = w_g NCE(image, text; τ_g) + w_l NCE(image, prompt; τ_l / (1 + d)),   d = affinityDivergence(image, prompt)
 *
 * d carries no gradient. Between unit vectors it is tiny, so the local temperature is about τ_l.
 *
 * @param features  [N, C] each, normalised here; row i of all three belongs to item i
 * @throws ShapeError when the shapes differ
 * @throws RangeError when a temperature is not positive
 * @source section on prompt affinity alignment; released code for weights, temperatures and the divergence
 */
export function promptAffinityAlignment(
  features: { readonly image: Tensor; readonly text: Tensor; readonly prompt: Tensor },
  options: PromptAffinityAlignmentOptions = {},
): PromptAffinityAlignment {
  const {
    globalTemperature = PAPER_DEFAULTS.globalTemperature,
    localTemperature = PAPER_DEFAULTS.localTemperature,
    globalWeight = PAPER_DEFAULTS.globalWeight,
    localWeight = PAPER_DEFAULTS.localWeight,
  } = options;
  if (!(localTemperature > 0))
    throw new RangeError(`promptAffinityAlignment: localTemperature must be > 0, got ${localTemperature}`);
  checkAxes("promptAffinityAlignment", {
    image: [features.image, "N C"],
    text: [features.text, "N C"],
    prompt: [features.prompt, "N C"],
  });
  const [image, text, prompt] = [features.image, features.text, features.prompt].map((x) =>
    l2Normalize(x, { epsilon: NORM_EPSILON }),
  ) as [Tensor, Tensor, Tensor];
  const divergence = stopGradient(affinityDivergence(image, prompt));
  const global = infoNCE(image, text, { temperature: globalTemperature });
  const local = infoNCE(image, prompt, { logitScale: div(add(divergence, 1), localTemperature) });
  return {
    loss: add(mul(global, globalWeight), mul(local, localWeight)),
    global,
    local,
    divergence,
    localTemperature: div(localTemperature, add(divergence, 1)),
  };
}
