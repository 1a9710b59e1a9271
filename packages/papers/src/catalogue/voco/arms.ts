import type { Arm } from "../../harness/contract.ts";
import type { CropAugmentation } from "./crops.ts";
import { PAPER_AUGMENTATION } from "./crops.ts";
import type { VocoForm } from "./prediction-loss.ts";

/** What an encoder learns before it sees labels. */
export type Pretext =
  | { readonly kind: "voco"; readonly form: VocoForm; readonly lambdaReg: number; readonly teacher: boolean }
  | { readonly kind: "place" }
  | { readonly kind: "masked" };

export interface ArmRecipe {
  readonly pretext: Pretext;
  readonly augmentation: CropAugmentation;
}

/** An arm with its pre-training, or null for none. */
export type RecipedArm = Arm & { readonly recipe: ArmRecipe | null };

/** Flips and quarter turns would exchange left and right, which is what the phantom's organs differ in. */
const SHIFT_ONLY: CropAugmentation = { ...PAPER_AUGMENTATION, flip: 0, rotate: 0 };
/** Makes the voxels that a crop shares with its bases differ in everything but shape. */
const OWN_NOISE: CropAugmentation = { ...SHIFT_ONLY, gain: 0.2, noise: 0.1 };

const paperForm: Pretext = { kind: "voco", form: "paper", lambdaReg: 1, teacher: false };

export const arms: readonly RecipedArm[] = [
  {
    id: "scratch",
    label: "From scratch",
    role: "reference",
    description: "No pre-training: fine-tuning starts from random weights.",
    recipe: null,
  },
  {
    id: "place-regression",
    label: "Position regression",
    role: "baseline",
    description: "Predicts the centre of each crop in the plane, by mean squared error, from the same crops.",
    recipe: { pretext: { kind: "place" }, augmentation: SHIFT_ONLY },
  },
  {
    id: "masked",
    label: "Masked reconstruction",
    role: "baseline",
    description: "Predicts the voxels of masked blocks (60 %) of the same crops by one affine map (SimMIM).",
    recipe: { pretext: { kind: "masked" }, augmentation: SHIFT_ONLY },
  },
  {
    id: "voco",
    label: "VoCo",
    role: "method",
    description:
      "The paper's form: overlaps predicted from similarities to the base crops, base crops pushed apart.",
    recipe: { pretext: paperForm, augmentation: SHIFT_ONLY },
  },
  {
    id: "no-regularisation",
    label: "VoCo without L_reg",
    role: "ablation",
    description: "The prediction loss alone: nothing pushes the base crops apart.",
    recipe: { pretext: { ...paperForm, lambdaReg: 0 }, augmentation: SHIFT_ONLY },
  },
  {
    id: "released",
    label: "Released form",
    role: "ablation",
    description:
      "What the released code does: another pair of losses and a momentum teacher with weights of its own.",
    recipe: {
      pretext: { kind: "voco", form: "released", lambdaReg: 1, teacher: true },
      augmentation: SHIFT_ONLY,
    },
  },
  {
    id: "flips",
    label: "VoCo with flips",
    role: "ablation",
    description: "The paper's augmentation in full: flips and quarter turns, which exchange left and right.",
    recipe: { pretext: paperForm, augmentation: PAPER_AUGMENTATION },
  },
  {
    id: "own-noise",
    label: "VoCo, noise of its own",
    role: "ablation",
    description:
      "Brightness and noise drawn anew for every crop, so that voxels shared with a base crop cannot be matched as they are.",
    recipe: { pretext: paperForm, augmentation: OWN_NOISE },
  },
];

/** @throws RangeError for an id that names no arm */
export function armById(id: string): RecipedArm {
  const arm = arms.find((candidate) => candidate.id === id);
  if (!arm) throw new RangeError(`voco has no arm '${id}'`);
  return arm;
}
