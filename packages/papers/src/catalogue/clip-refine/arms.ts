import type { Arm } from "../../harness/contract.ts";
import type { ReferencePrior } from "./rafa.ts";
import { STANDARD_NORMAL_PRIOR } from "./rafa.ts";

/** What an arm minimises; a part left out has weight 0. */
export interface ArmRecipe {
  readonly contrastive?: true;
  /** HyCD with this share of the truth in its targets. */
  readonly hycd?: { readonly alpha: number };
  readonly rafa?: { readonly prior: ReferencePrior };
  /** Mean squared distance of the normalised pairs. */
  readonly align?: true;
}

/** An arm with its objective, or null for the untouched start. */
export type RecipedArm = Arm & { readonly recipe: ArmRecipe | null };

/** Uniform with the mean and deviation of N(0, 1). */
const HALF_WIDTH = Math.sqrt(3);
const hybrid = { alpha: 0.5 };

export const arms: readonly RecipedArm[] = [
  {
    id: "pre-trained",
    label: "Pre-trained",
    role: "reference",
    description: "The dual encoder after stage A, untouched.",
    recipe: null,
  },
  {
    id: "contrastive",
    label: "Contrastive",
    role: "baseline",
    description: "One more epoch of InfoNCE on normalised features with the model's logit scale.",
    recipe: { contrastive: true },
  },
  {
    id: "self-kd",
    label: "Self-KD",
    role: "baseline",
    description: "HyCD with alpha 0: the frozen start is the only teacher.",
    recipe: { hycd: { alpha: 0 } },
  },
  {
    id: "hycd",
    label: "HyCD",
    role: "ablation",
    description: "Hybrid contrastive distillation alone, without random feature alignment.",
    recipe: { hycd: hybrid },
  },
  {
    id: "hycd-align",
    label: "HyCD + alignment",
    role: "ablation",
    description: "HyCD with the mean squared distance of the pairs in place of random feature alignment.",
    recipe: { hycd: hybrid, align: true },
  },
  {
    id: "clip-refine",
    label: "CLIP-Refine",
    role: "method",
    description: "HyCD + RaFA: both features of a pair are pulled to the same standard normal vector.",
    recipe: { hycd: hybrid, rafa: { prior: STANDARD_NORMAL_PRIOR } },
  },
  {
    id: "rafa-no-noise",
    label: "RaFA without noise",
    role: "ablation",
    description: "HyCD + RaFA whose reference is the prior's mean, the zero vector, for every pair.",
    recipe: { hycd: hybrid, rafa: { prior: { kind: "fixed", mean: 0 } } },
  },
  {
    id: "rafa-uniform",
    label: "RaFA, uniform prior",
    role: "ablation",
    description: "HyCD + RaFA with references uniform in ±√3 in every dimension: variance 1, another shape.",
    recipe: { hycd: hybrid, rafa: { prior: { kind: "uniform", low: -HALF_WIDTH, high: HALF_WIDTH } } },
  },
  {
    id: "rafa-only",
    label: "RaFA only",
    role: "ablation",
    description: "Random feature alignment alone, without distillation.",
    recipe: { rafa: { prior: STANDARD_NORMAL_PRIOR } },
  },
];

/** @throws RangeError for an id that names no arm */
export function armById(id: string): RecipedArm {
  const arm = arms.find((candidate) => candidate.id === id);
  if (!arm) throw new RangeError(`clip-refine has no arm '${id}'`);
  return arm;
}
