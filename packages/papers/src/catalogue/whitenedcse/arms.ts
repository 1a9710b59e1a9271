import type { Arm } from "../../harness/contract.ts";
import type { MultiPositiveMode } from "./multi-positive.ts";
import type { SgwLayout } from "./sgw.ts";

/** How the features of the copies are whitened before the dense layer. */
export interface WhiteningRecipe {
  /** `each`: another shuffle for every copy; `one`: one for all of them; `none`: channels as they are. New in every step. */
  readonly shuffle: "each" | "one" | "none";
  /** Channels of a group. Default: that of the configuration. 1 is standardisation, as batch norm does. */
  readonly groupSize?: number;
  readonly layout?: SgwLayout;
  readonly stopGradient?: boolean;
}

/** How an arm trains. */
export interface TrainedRecipe {
  readonly kind: "trained";
  /** P, the anchor included. */
  readonly copies: number;
  readonly whitening: WhiteningRecipe | null;
  /** A mode of the contrast; `alignment`: whitened copies are pulled together, without negatives and dense layer. */
  readonly loss: MultiPositiveMode | "alignment";
}

export type ArmRecipe = TrainedRecipe | { readonly kind: "start" } | { readonly kind: "post-hoc" };

export type RecipedArm = Arm & { readonly recipe: ArmRecipe };

const method: TrainedRecipe = { kind: "trained", copies: 3, whitening: { shuffle: "each" }, loss: "sum" };

export const arms: readonly RecipedArm[] = [
  {
    id: "pre-trained",
    label: "Pre-trained",
    role: "reference",
    description: "The encoder as it starts, untouched.",
    recipe: { kind: "start" },
  },
  {
    id: "post-hoc",
    label: "Post-hoc whitening",
    role: "baseline",
    description:
      "The untouched encoder, its embeddings whitened by one fixed map fitted to the training sentences.",
    recipe: { kind: "post-hoc" },
  },
  {
    id: "simcse-2",
    label: "SimCSE",
    role: "baseline",
    description: "Unsupervised SimCSE: contrast of two dropout copies, dense head, no whitening.",
    recipe: { ...method, copies: 2, whitening: null },
  },
  {
    id: "simcse-3",
    label: "SimCSE, 3 copies",
    role: "baseline",
    description: "The method without whitening: contrast of an anchor with two positives.",
    recipe: { ...method, whitening: null },
  },
  {
    id: "whitenedcse",
    label: "WhitenedCSE",
    role: "method",
    description:
      "Shuffled group whitening of three copies, each with its own shuffle, then dense head and contrast.",
    recipe: method,
  },
  {
    id: "two-copies",
    label: "2 copies",
    role: "ablation",
    description: "WhitenedCSE with one positive instead of two.",
    recipe: { ...method, copies: 2 },
  },
  {
    id: "no-shuffle",
    label: "No shuffle",
    role: "ablation",
    description: "Group whitening of the channels as they are: the same groups for all copies and steps.",
    recipe: { ...method, whitening: { shuffle: "none" } },
  },
  {
    id: "one-shuffle",
    label: "One shuffle",
    role: "ablation",
    description: "A new shuffle in every step, but the same one for all copies.",
    recipe: { ...method, whitening: { shuffle: "one" } },
  },
  {
    id: "released-layout",
    label: "Released layout",
    role: "ablation",
    description: "The released code's layout of rows: a third holds all copies of a third of the sentences.",
    recipe: { ...method, whitening: { shuffle: "each", layout: "released-code" } },
  },
  {
    id: "standardised",
    label: "Groups of 1",
    role: "ablation",
    description: "Groups of one channel: standardisation, as batch norm does, without decorrelation.",
    recipe: { ...method, whitening: { shuffle: "each", groupSize: 1 } },
  },
  {
    id: "large-groups",
    label: "Groups of 16",
    role: "ablation",
    description: "Groups of 16 channels, so that more is decorrelated from no more sentences.",
    recipe: { ...method, whitening: { shuffle: "each", groupSize: 16 } },
  },
  {
    id: "full-gradient",
    label: "Full gradient",
    role: "ablation",
    description: "The gradient flows through the whitening matrix, too.",
    recipe: { ...method, whitening: { shuffle: "each", stopGradient: false } },
  },
  {
    id: "weighted",
    label: "Weighted loss",
    role: "ablation",
    description: "One logarithm of the weighted probabilities of both positives, weights 1 and 0.8.",
    recipe: { ...method, loss: "weighted" },
  },
  {
    id: "no-contrast",
    label: "No contrast",
    role: "ablation",
    description: "Whitening alone: whitened copies are pulled together without negatives and dense layer.",
    recipe: { ...method, loss: "alignment" },
  },
];

/** @throws RangeError for an id that names no arm */
export function armById(id: string): RecipedArm {
  const arm = arms.find((candidate) => candidate.id === id);
  if (!arm) throw new RangeError(`whitenedcse has no arm '${id}'`);
  return arm;
}
