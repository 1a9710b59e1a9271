import type { Arm } from "../../harness/contract.ts";
import { SENSORS, type Sensor } from "./defaults.ts";
import type { Tuning } from "./trainable.ts";

/** How an arm binds its sensors. */
export interface BindingRecipe {
  /** What a sensor is bound to: the frozen text of a sample, or the frozen picture of it. */
  readonly target: "language" | "picture";
  readonly tuning: Tuning;
  readonly sensors: readonly Sensor[];
  /** Default true; false trains on whole inputs. */
  readonly masking?: false;
  /** One set of adapters for all sensors instead of one for each. */
  readonly oneEncoder?: true;
  /** False leaves out attention along time: frames are encoded alone and averaged. */
  readonly temporal?: false;
  /** Learns, binds and evaluates in a world where the colour decides the sound. */
  readonly tied?: true;
}

/** An arm with its recipe, or null for the untouched start. */
export type RecipedArm = Arm & { readonly recipe: BindingRecipe | null };

/** Sensors whose encoders read single pictures. */
const STILL = SENSORS.filter((sensor) => sensor !== "video");

export const arms: readonly RecipedArm[] = [
  {
    id: "start",
    label: "Start",
    role: "reference",
    description: "The encoder of colour pictures, fed with the other sensors as it is.",
    recipe: null,
  },
  {
    id: "image-bound",
    label: "Image-bound",
    role: "baseline",
    description:
      "LoRA; each sensor is bound to the frozen features of the colour picture of its event, as in ImageBind.",
    recipe: { target: "picture", tuning: "lora", sensors: SENSORS },
  },
  {
    id: "languagebind",
    label: "LanguageBind",
    role: "method",
    description: "LoRA; each sensor is bound to the frozen features of its caption.",
    recipe: { target: "language", tuning: "lora", sensors: SENSORS },
  },
  {
    id: "image-bound-full",
    label: "Image-bound, full tuning",
    role: "baseline",
    description: "As image-bound, with the attention's own weights trained instead of adapters.",
    recipe: { target: "picture", tuning: "full", sensors: STILL },
  },
  {
    id: "languagebind-full",
    label: "LanguageBind, full tuning",
    role: "ablation",
    description: "The paper's variant without LoRA: the attention's own weights are trained.",
    recipe: { target: "language", tuning: "full", sensors: STILL },
  },
  {
    id: "no-masking",
    label: "Without masking",
    role: "ablation",
    description: "LanguageBind trained on whole inputs, no patches left out.",
    recipe: { target: "language", tuning: "lora", sensors: STILL, masking: false },
  },
  {
    id: "one-encoder",
    label: "One encoder",
    role: "ablation",
    description: "Depth, infrared and audio share one adapted encoder instead of having a copy each.",
    recipe: { target: "language", tuning: "lora", sensors: STILL, oneEncoder: true },
  },
  {
    id: "no-temporal",
    label: "Without temporal attention",
    role: "ablation",
    description: "Video alone: adapters in the spatial attention, frames encoded apart and averaged.",
    recipe: { target: "language", tuning: "lora", sensors: ["video"], temporal: false },
  },
  {
    id: "languagebind-tied",
    label: "LanguageBind, tied sound",
    role: "ablation",
    description: "Control: audio alone, in a world where the colour decides the sound.",
    recipe: { target: "language", tuning: "lora", sensors: ["audio"], tied: true },
  },
  {
    id: "image-bound-tied",
    label: "Image-bound, tied sound",
    role: "baseline",
    description:
      "Control: image-bound audio in a world where the colour decides the sound, so that pictures tell it.",
    recipe: { target: "picture", tuning: "lora", sensors: ["audio"], tied: true },
  },
];

/** @throws RangeError for an id that names no arm */
export function armById(id: string): RecipedArm {
  const arm = arms.find((candidate) => candidate.id === id);
  if (!arm) throw new RangeError(`languagebind has no arm '${id}'`);
  return arm;
}
