import { writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import {
  foldIn,
  type Key,
  type NDArray,
  ndarray,
  normalArray,
  RandomStream,
  toNumbers,
  uniformArray,
} from "@concord/tensor";
import {
  type ArmResult,
  type ArrayTree,
  type Experiment,
  type Figure,
  type StepTrainer,
  trainLoop,
  type UnitContext,
} from "../../src/harness/index.ts";

export interface ToyConfig {
  readonly steps: number;
  readonly width: number;
}

export interface ToyOptions {
  /** Called at every point at which a test may want to interfere, with a name of the point. */
  readonly onPoint?: (point: string) => void | Promise<void>;
  readonly stepMilliseconds?: number;
  readonly checkpointEverySeconds?: number;
}

type Weights = { readonly weights: NDArray<"float32">; readonly momentum: NDArray<"float32"> };
type Batch = { readonly x: NDArray<"float32">; readonly y: number };

/** Linear regression by gradient descent with momentum: state that matters, and no engine. */
class LinearTrainer implements StepTrainer<Batch> {
  #state: Weights;
  readonly #rate: number;

  constructor(start: Weights, rate: number) {
    this.#state = start;
    this.#rate = rate;
  }

  async step({ x, y }: Batch): Promise<Record<string, number>> {
    const { weights, momentum } = this.#state;
    const error = x.data.reduce((sum, value, k) => sum + value * (weights.data[k] as number), -y);
    const velocity = momentum.data.map(
      (value, k) => 0.8 * value - this.#rate * error * (x.data[k] as number),
    );
    this.#state = {
      weights: ndarray(weights.data.map((value, k) => value + (velocity[k] as number))),
      momentum: ndarray(velocity),
    };
    return { loss: error ** 2 };
  }

  state(): ArrayTree {
    return this.#state;
  }

  restore(state: ArrayTree): void {
    this.#state = state as Weights;
  }
}

function target(key: Key, width: number): number[] {
  return toNumbers(normalArray(foldIn(key, 1), [width]));
}

/** The weights as a curve and as a picture of one row. */
function drawn(weights: readonly number[]): readonly Figure[] {
  const frame = { title: "Weights", caption: "One place each." };
  const data = Uint8Array.from(weights, (weight) => Math.min(255, Math.abs(60 * weight)));
  const picture = { width: data.length, height: 1, channels: 1, data } as const;
  return [
    {
      ...frame,
      id: "weights",
      kind: "lines",
      x: { label: "place" },
      y: { label: "weight" },
      series: [{ label: "", points: weights.map((weight, place) => [place, weight]) }],
    },
    { ...frame, id: "row", kind: "gallery", rows: [{ label: "", items: [{ picture, caption: "all" }] }] },
  ];
}

/** A tiny experiment with everything that real ones do: memo, checkpoints, logs, notes, files, embeddings, figures. */
export function toyExperiment(options: ToyOptions = {}): Experiment<ToyConfig, ArrayTree> {
  const { onPoint, stepMilliseconds = 0, checkpointEverySeconds = 0 } = options;

  const train = async (
    context: UnitContext<ToyConfig>,
    name: string,
    start: Weights,
    rate: number,
  ): Promise<Weights> => {
    const { width, steps } = context.config;
    const wanted = target(context.key, width);
    const trainer = new LinearTrainer(start, rate);
    await trainLoop(context, {
      name,
      steps,
      trainer,
      samplesPerStep: 1,
      logEvery: 2,
      checkpointEverySeconds,
      async batchAt(step) {
        await onPoint?.(`${context.unit} ${name} batch ${step}`);
        if (stepMilliseconds > 0) await sleep(stepMilliseconds);
        const x = uniformArray(foldIn(foldIn(context.key, 2), step), [width], -1, 1);
        return { x, y: x.data.reduce((sum, value, k) => sum + value * (wanted[k] as number), 0) };
      },
    });
    return trainer.state() as Weights;
  };

  return {
    slug: "toy",
    arms: [
      { id: "start", label: "Untrained", role: "reference", description: "The start." },
      { id: "slow", label: "Slow", role: "baseline", description: "A small step size." },
      { id: "fast", label: "Fast", role: "method", description: "A larger step size." },
    ],
    metrics: [
      {
        id: "error",
        label: "Error",
        better: "lower",
        digits: 4,
        description: "Distance of the weights from the truth.",
      },
      { id: "norm", label: "Norm", better: "neither", digits: 2, description: "Length of the weights." },
    ],
    claims: [
      {
        id: "faster",
        statement: "Larger steps come closer.",
        metric: "error",
        arm: "fast",
        against: "slow",
        change: "relative",
        direction: "lower",
        margin: 0.01,
        source: "none",
      },
      {
        id: "better-than-nothing",
        statement: "Training comes closer than no training.",
        metric: "error",
        arm: "slow",
        against: "start",
        change: "absolute",
        direction: "lower",
        margin: 0,
        source: "none",
      },
    ],
    presets: {
      smoke: { config: { steps: 4, width: 3 }, seeds: 1, description: "1 seed, instantly" },
      default: { config: { steps: 6, width: 4 }, seeds: 2, description: "2 seeds, instantly" },
      paper: { config: { steps: 60, width: 8 }, seeds: 3, description: "3 seeds, a second" },
    },
    inputs: [
      { name: "pairs", kind: "path", placeholder: "FILE.csv", description: "Pairs." },
      { name: "images", kind: "path", placeholder: "DIR", description: "Images.", requires: ["pairs"] },
      { name: "title", kind: "text", placeholder: "TEXT", description: "A title." },
      { name: "strict", kind: "flag", description: "Stop at the first bad row." },
    ],
    async validate(inputs) {
      if (inputs.title === "bad") throw new Error("the title is bad");
    },
    async prepare(context) {
      await onPoint?.(`${context.unit} begin`);
      context.note("2 rows of 10 were rejected.", "warning");
      const { width } = context.config;
      const zero: Weights = {
        weights: normalArray(context.key, [width]),
        momentum: ndarray(new Float32Array(width)),
      };
      return context.memo("pretrained", () => train(context, "pre-training", zero, 0.02));
    },
    async runArm(arm, shared, context): Promise<ArmResult> {
      await onPoint?.(`${context.unit} begin`);
      context.log("evaluation", 0, { arm });
      const start = shared as Weights;
      const first = arm === "start" ? start : await train(context, "warm-up", start, 0.01);
      await onPoint?.(`${context.unit} between`);
      context.log("evaluation", 1, { weight: first.weights.data[0] as number });
      const last =
        arm === "start" ? first : await train(context, "training", first, arm === "fast" ? 0.1 : 0.02);
      context.note(`weights of ${arm} are learnt`);
      writeFileSync(context.artefact("weights.txt"), toNumbers(last.weights).join("\n"));
      await onPoint?.(`${context.unit} end`);
      const wanted = target(context.key, context.config.width);
      const weights = toNumbers(last.weights);
      const noise = new RandomStream(context.key);
      const cloud = ndarray(
        Array.from({ length: 5 }, () => weights.map((weight) => weight + noise.normal(0, 0.1))),
      );
      return {
        metrics: {
          error: Math.hypot(...weights.map((weight, k) => weight - (wanted[k] as number))),
          norm: Math.hypot(...weights),
        },
        embeddings: { image: cloud, text: normalArray(context.key, [5, weights.length]) },
        embeddingLabels: ["a", "b", "c", "d", "e"],
        figures: drawn(weights),
      };
    },
    async dispose() {
      await onPoint?.("dispose");
    },
  };
}
