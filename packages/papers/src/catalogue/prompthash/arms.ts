import type { Arm } from "../../harness/contract.ts";

/** How an arm is trained. */
export interface ArmRecipe {
  /** Prompts that texts meet in training: none, all class names, or the names of the item's own labels. */
  readonly prompt: "none" | "label-free" | "labels";
  /** "no-selection" leaves the state-space model and its gate out of the fusion. */
  readonly fusion: "none" | "full" | "no-selection";
  /** "global": images with texts; "both": images with prompts, too. */
  readonly alignment: "none" | "global" | "both";
  /** Whether a modality is missing for some of the samples in training, all of them, or none. */
  readonly missing: "none" | "some" | "all";
}

export type RecipedArm = Arm & { readonly recipe: ArmRecipe };

const full: ArmRecipe = { prompt: "label-free", fusion: "full", alignment: "both", missing: "some" };

/** Arms whose models have the same parts follow each other, so that they can share graphs. */
export const arms: readonly RecipedArm[] = [
  {
    id: "hashing",
    label: "Hashing",
    role: "baseline",
    description: "The hashing losses alone: no prompt, no fusion, no alignment.",
    recipe: { prompt: "none", fusion: "none", alignment: "none", missing: "none" },
  },
  {
    id: "alignment",
    label: "Hashing + alignment",
    role: "baseline",
    description: "Hashing and the global alignment of images and texts; no prompt, no fusion.",
    recipe: { prompt: "none", fusion: "none", alignment: "global", missing: "none" },
  },
  {
    id: "prompthash",
    label: "PromptHash",
    role: "method",
    description:
      "Prompt, fusion and both alignments. Prompts name all classes, and a modality is missing for half of the samples of a step.",
    recipe: full,
  },
  {
    id: "no-alignment",
    label: "Without alignment",
    role: "ablation",
    description: "Prompt and fusion, trained by the hashing losses alone.",
    recipe: { ...full, alignment: "none" },
  },
  {
    id: "unimodal",
    label: "Always unimodal",
    role: "ablation",
    description: "The whole method; in training no image meets its text in the fusion.",
    recipe: { ...full, missing: "all" },
  },
  {
    id: "paired",
    label: "Never unimodal",
    role: "ablation",
    description: "The whole method; in training every image comes with its text.",
    recipe: { ...full, missing: "none" },
  },
  {
    id: "label-prompts",
    label: "Label prompts",
    role: "ablation",
    description:
      "As released, if its prompts are built from labels: prompts name the item's own labels, never unimodal.",
    recipe: { ...full, prompt: "labels", missing: "none" },
  },
  {
    id: "no-selection",
    label: "Without state-space model",
    role: "ablation",
    description:
      "The whole method, but the fusion mixes its inputs themselves: no state-space model, no gate.",
    recipe: { ...full, fusion: "no-selection" },
  },
  {
    id: "no-prompt",
    label: "Without prompt",
    role: "ablation",
    description: "Fusion and global alignment; texts meet no prompt.",
    recipe: { ...full, prompt: "none", alignment: "global" },
  },
  {
    id: "no-fusion",
    label: "Without fusion",
    role: "ablation",
    description: "Prompt and both alignments, without the adaptive gated selection fusion.",
    recipe: { ...full, fusion: "none", missing: "none" },
  },
];

/** @throws RangeError for an id that names no arm */
export function armById(id: string): RecipedArm {
  const arm = arms.find((candidate) => candidate.id === id);
  if (!arm) throw new RangeError(`prompthash has no arm '${id}'`);
  return arm;
}
