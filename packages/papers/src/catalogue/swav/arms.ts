import type { Arm } from "../../harness/contract.ts";

/** How an arm trains the encoder. */
export interface Training {
  /** `multi`: full and small crops; `two`: two full ones. */
  readonly crops: "multi" | "two";
  /**
   * `swapped`: predict the codes of other crops; `own-code`: predict the code of the crop itself; `contrastive`: SimCLR's
   * loss of two crops, without prototypes.
   */
  readonly objective: "swapped" | "own-code" | "contrastive";
  /** `balanced`: Sinkhorn-Knopp over the batch; `softmax`: of each sample alone, at the same sharpness. */
  readonly codes: "balanced" | "softmax";
  readonly prototypes: "learned" | "fixed";
}

/** An arm with its training, null for none, or the pixels themselves in place of features. */
export type SwavArm = Arm & { readonly training: Training | "pixels" | null };

const swav: Training = { crops: "multi", objective: "swapped", codes: "balanced", prototypes: "learned" };

export const arms: readonly SwavArm[] = [
  {
    id: "random",
    label: "Random encoder",
    role: "reference",
    description: "The start of all other arms: random weights, batch statistics of the training images.",
    training: null,
  },
  {
    id: "pixels",
    label: "Pixels",
    role: "baseline",
    description: "The pixels themselves as features of probe and neighbours.",
    training: "pixels",
  },
  {
    id: "simclr",
    label: "SimCLR",
    role: "baseline",
    description: "NT-Xent of two full crops: same encoder, head, optimiser and number of steps.",
    training: { ...swav, crops: "two", objective: "contrastive" },
  },
  {
    id: "swav",
    label: "SwAV",
    role: "method",
    description: "Swapped prediction of balanced codes from full and small crops.",
    training: swav,
  },
  {
    id: "two-crops",
    label: "Two crops",
    role: "ablation",
    description: "SwAV with two full crops and no small ones.",
    training: { ...swav, crops: "two" },
  },
  {
    id: "fixed-prototypes",
    label: "Fixed prototypes",
    role: "ablation",
    description: "SwAV whose prototypes stay where they were drawn.",
    training: { ...swav, prototypes: "fixed" },
  },
  {
    id: "no-sinkhorn",
    label: "No Sinkhorn",
    role: "ablation",
    description: "SwAV whose codes are a softmax of each sample alone: nothing balances the prototypes.",
    training: { ...swav, codes: "softmax" },
  },
  {
    id: "no-swap",
    label: "No swap",
    role: "ablation",
    description: "Each full crop predicts its own code; small crops, which have none, are left out.",
    training: { ...swav, crops: "two", objective: "own-code" },
  },
];

/** @throws RangeError for an id that names no arm */
export function armById(id: string): SwavArm {
  const arm = arms.find((candidate) => candidate.id === id);
  if (!arm) throw new RangeError(`swav has no arm '${id}'`);
  return arm;
}

/** Whether the arm's prototypes say something. */
export function hasPrototypes({ training }: SwavArm): boolean {
  return training !== null && training !== "pixels" && training.objective !== "contrastive";
}
