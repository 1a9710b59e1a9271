import { setTimeout as sleep } from "node:timers/promises";
import type { Experiment } from "@concord/papers";
import { toyFigures } from "./toy-figures.ts";

/** How long a toy unit takes and what it does at its end. */
export interface ToyConfig {
  readonly steps: number;
  readonly delayMs: number;
}

const PAIRS = 40;
const WIDTH = 6;

/** What an arm of the toy does to the two clouds: how far apart they end, and how well it retrieves. */
const effects: Readonly<Record<string, { gap: number; recall: number; loss: number }>> = {
  "pre-trained": { gap: 1, recall: 52, loss: 0 },
  contrastive: { gap: 0.8, recall: 47, loss: 0.9 },
  "clip-refine": { gap: 0.15, recall: 57, loss: 0.4 },
  "no-noise": { gap: 0.3, recall: 55, loss: 0.5 },
  "no-teacher": { gap: 0.1, recall: 49, loss: 0.7 },
};

/** A number in [-1, 1] that depends on its arguments alone. */
function wobble(...parts: readonly number[]): number {
  const mixed = parts.reduce((sum, part, index) => sum + part * (12.9898 + 45.164 * index), 1);
  return Math.sin(mixed * 43758.5453) % 1;
}

function cloud(
  seed: number,
  kind: number,
  gap: number,
): { shape: [number, number]; data: Float32Array<ArrayBuffer> } {
  const data = new Float32Array(PAIRS * WIDTH);
  for (let row = 0; row < PAIRS; row++) {
    for (let column = 0; column < WIDTH; column++) {
      const shared = wobble(seed, row, column);
      const own = 0.3 * wobble(seed, row, column, kind + 1);
      data[row * WIDTH + column] = shared + own + (column === 0 ? (kind - 0.5) * 4 * gap : 0);
    }
  }
  return { shape: [PAIRS, WIDTH], data };
}

/** An experiment that computes nothing but looks like one: curves, results, notes, maps and figures appear as a real run's do. */
export const toyExperiment: Experiment = {
  slug: "clip-refine",
  arms: [
    {
      id: "pre-trained",
      label: "Pre-trained",
      role: "reference",
      description: "The model as it was, not trained further.",
    },
    {
      id: "contrastive",
      label: "Contrastive",
      role: "baseline",
      description: "One more epoch with the contrastive loss.",
    },
    {
      id: "clip-refine",
      label: "CLIP-Refine",
      role: "method",
      description: "Random feature alignment with hybrid distillation.",
    },
    { id: "no-noise", label: "Without noise", role: "ablation", description: "All references are zero." },
    {
      id: "no-teacher",
      label: "Without teacher",
      role: "ablation",
      description: "Only the true pairing is the target.",
    },
  ],
  metrics: [
    {
      id: "recall",
      label: "Recall at 1",
      unit: "%",
      better: "higher",
      digits: 1,
      description: "Share of captions whose image comes first.",
    },
    {
      id: "gap",
      label: "Modality gap",
      better: "lower",
      digits: 3,
      description: "Distance of the centroids of both kinds.",
    },
  ],
  claims: [
    {
      id: "gap-closes",
      statement: "CLIP-Refine narrows the modality gap by at least half.",
      metric: "gap",
      arm: "clip-refine",
      against: "pre-trained",
      change: "relative",
      direction: "lower",
      margin: 0.5,
      source: "Figure 1",
    },
    {
      id: "recall-rises",
      statement: "CLIP-Refine retrieves better than one more contrastive epoch.",
      metric: "recall",
      arm: "clip-refine",
      against: "contrastive",
      change: "absolute",
      direction: "higher",
      margin: 2,
      source: "Table 2",
    },
    {
      id: "noise-matters",
      statement: "Without noise in the references the recall falls.",
      metric: "recall",
      arm: "clip-refine",
      against: "no-noise",
      change: "absolute",
      direction: "higher",
      margin: 2,
      source: "Table 5",
    },
    {
      id: "teacher-free",
      statement: "The teacher can be left out.",
      metric: "recall",
      arm: "no-teacher",
      against: "clip-refine",
      change: "absolute",
      direction: "higher",
      margin: -1,
      source: "Section 5",
    },
  ],
  presets: {
    smoke: {
      config: { steps: 30, delayMs: 2 },
      seeds: 2,
      description: "2 seeds, 5 arms, about a second: does everything work?",
    },
    default: {
      config: { steps: 60, delayMs: 20 },
      seeds: 3,
      description: "3 seeds, 5 arms, about 30 seconds.",
    },
    paper: {
      config: { steps: 4000, delayMs: 50 },
      seeds: 3,
      description: "3 seeds, the full size, about an hour.",
    },
  },
  inputs: [
    {
      name: "pairs",
      kind: "path",
      placeholder: "FILE.csv",
      description: "Your own pairs: image file, caption.",
    },
    { name: "images", kind: "path", placeholder: "FOLDER", description: "Folder of the image files." },
  ],
  async prepare(context) {
    const { steps, delayMs } = context.config as ToyConfig;
    context.note(
      "3 of 1,203 rows were left out: their image file is missing (rows 17, 402, 988).",
      "warning",
    );
    for (let step = 1; step <= steps; step++) {
      context.signal.throwIfAborted();
      context.log("pre-training", step, {
        loss: 4 * Math.exp(-step / 20) + 0.1 * wobble(context.seed, step),
      });
      context.progress({
        phase: "pre-training",
        step,
        steps,
        samplesPerSecond: 1240,
        dataSeconds: 0.1,
        computeSeconds: 3,
      });
      await sleep(delayMs);
    }
    return null;
  },
  async runArm(arm, _shared, context) {
    const { steps, delayMs } = context.config as ToyConfig;
    const { gap, recall, loss } = effects[arm]!;
    if (arm !== "pre-trained") {
      for (let step = 1; step <= steps; step++) {
        context.signal.throwIfAborted();
        const decay = Math.exp(-step / (0.25 * steps));
        context.log("post-pre-training", step, {
          loss: loss + 1.6 * decay + 0.06 * wobble(context.seed, step, loss),
          gap: gap + (1 - gap) * decay,
        });
        context.progress({ phase: "post-pre-training", step, steps, loss, samplesPerSecond: 980 });
        await sleep(delayMs);
      }
    }
    return {
      metrics: {
        recall: recall + 0.9 * wobble(context.seed, recall),
        gap: gap + 0.04 * wobble(context.seed, gap),
      },
      embeddings: { image: cloud(context.seed, 0, gap), text: cloud(context.seed, 1, gap) } as never,
      embeddingLabels: Array.from({ length: PAIRS }, (_, row) => `a photo of thing number ${row + 1}`),
      figures: toyFigures(context.seed, Math.min(1, Math.max(0, (recall - 46) / 11)), 3),
    };
  },
};
