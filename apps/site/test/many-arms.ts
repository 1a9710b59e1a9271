import type { Experiment } from "@concord/papers";
import { toyExperiment } from "./toy-experiment.ts";
import { toyFigures } from "./toy-figures.ts";

const more = [
  ["no-crops", "Without multi-crop views", 0.35],
  ["no-queue", "Without queue", 0.62],
  ["softmax", "Without Sinkhorn, softmax codes", 0.05],
  ["momentum", "Momentum encoder", 0.93],
] as const;

/** The toy with nine arms, more than are shown at once, done in a moment. */
export const manyArms: Experiment = {
  ...toyExperiment,
  arms: [
    ...toyExperiment.arms,
    ...more.map(([id, label]) => ({ id, label, role: "ablation", description: "" }) as const),
  ],
  presets: {
    ...toyExperiment.presets,
    smoke: { config: { steps: 3, delayMs: 0 }, seeds: 2, description: "" },
  },
  async runArm(arm, shared, context) {
    const extra = more.find(([id]) => id === arm);
    if (!extra) return toyExperiment.runArm(arm, shared, context);
    const { metrics } = await toyExperiment.runArm("no-noise", shared, context);
    return { metrics, figures: toyFigures(context.seed, extra[2], 10) };
  },
};
