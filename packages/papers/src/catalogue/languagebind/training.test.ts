import { clipStatistics } from "@concord/data";
import {
  asTensor,
  evaluate,
  type NDArray,
  normalArray,
  randomKey,
  sum,
  type Tensor,
  toNumbers,
  treeEntries,
  valueAndGradWithAux,
} from "@concord/tensor";
import { describe, expect, it } from "vitest";
import type { ArrayTree, UnitContext } from "../../harness/contract.ts";
import { contextInMemory } from "../../harness/memory-context.ts";
import { armById } from "./arms.ts";
import { WORLD_SENSORS } from "./attributes.ts";
import { type LanguageBindConfig, type SensorConfig, smokeConfig } from "./config.ts";
import { PAPER_DEFAULTS } from "./defaults.ts";
import { createEmbedder, fittedTo, rowsOf } from "./embedder.ts";
import { eventSet } from "./events.ts";
import { experiment, type Prepared } from "./experiment.ts";
import { loraLinear } from "./lora-linear.ts";
import { modalityEncoder, modalityEncoderInit, withLoraAdapters } from "./modality-encoder.ts";
import { patchNoise } from "./patch-dropout.ts";
import { positionResize } from "./position-resize.ts";
import type { TrainingSamples } from "./task.ts";
import { withTraced } from "./trainable.ts";
import { type Bound, bindEncoder, maskKey } from "./training.ts";

const COUNT = 8;
const sizes = { patchSize: 4, inputSize: [12, 12], width: 8, layers: 2, heads: 2, outputs: 6 } as const;
const settings: SensorConfig = {
  epochs: 3,
  batchSize: COUNT,
  rank: 2,
  learningRate: 1e-2,
  patchDropout: 0,
  warmup: 0,
};
const bound: Bound = {
  name: "depth",
  inputs: normalArray(randomKey(1), [COUNT, 3, 12, 12]),
  targets: normalArray(randomKey(2), [COUNT, 6]),
  patchDropout: 0,
};

/** A unit whose checkpoints and losses can be looked at. */
function watched() {
  const states: ArrayTree[] = [];
  const losses: number[] = [];
  const context: UnitContext<unknown> = {
    ...contextInMemory({}, 5),
    log: (_phase, _step, metrics) => void losses.push(metrics.loss as number),
    checkpoint: { load: async () => null, save: async (_name, _step, state) => void states.push(state) },
  };
  return { context, states, losses };
}

async function bind(changes: {
  readonly settings?: Partial<SensorConfig>;
  readonly alpha?: number;
  readonly bound?: Partial<Bound>;
}) {
  const { context, states, losses } = watched();
  const rank = changes.settings?.rank ?? settings.rank;
  const alpha = changes.alpha ?? PAPER_DEFAULTS.alpha;
  const encoder = await bindEncoder(context, {
    name: "depth",
    encoder: withLoraAdapters(randomKey(3), modalityEncoderInit(randomKey(4), sizes), rank),
    tuning: "lora",
    bound: [{ ...bound, ...changes.bound }],
    settings: { ...settings, ...changes.settings },
    binding: {
      alpha,
      weightDecay: 0.2,
      otherRateFactor: 1,
      sensors: smokeConfig.binding.sensors,
      armRates: {},
    },
    config: sizes,
  });
  return { encoder, states, losses };
}

/** Of an encoder: what LoRA adapts, and what no arm trains. */
const MAPS = /attention\/(query|key|value|output)\/weight$/;
const FROZEN = /^(patches|positions|preNorm)|expand|contract|Norm\/(gain|bias)$(?<!finalNorm\/(gain|bias))/;

const arraysAt = (tree: unknown, path: RegExp): number[] =>
  (treeEntries(tree) as [string, NDArray][])
    .filter(([name]) => path.test(name))
    .flatMap(([, array]) => toNumbers(array));

describe("binding", () => {
  it("keeps θ in [0, ln 100] however large the steps", async () => {
    for (const targets of [bound.targets, normalArray(randomKey(9), [COUNT, 6])]) {
      const { states } = await bind({ settings: { learningRate: 30 }, bound: { targets } });
      const [logScale] = arraysAt(states.at(-1), /logScale$/).slice(0, 1);
      expect(logScale).toBeGreaterThanOrEqual(0);
      expect(logScale).toBeLessThanOrEqual(Math.fround(Math.log(100)));
      // Steps as large as these end at one of the bounds.
      expect([0, Math.fround(Math.log(100))]).toContainEqual(logScale);
    }
  });

  it("multiplies adapters by alpha / r in training, too: at alpha 0 they learn nothing", async () => {
    const untouched = arraysAt(modalityEncoderInit(randomKey(4), sizes), MAPS);
    expect(arraysAt((await bind({ alpha: 0 })).encoder, MAPS)).toEqual(untouched);
    const { encoder, losses } = await bind({});
    expect(arraysAt(encoder, MAPS)).not.toEqual(untouched);
    expect(arraysAt(encoder, FROZEN)).toEqual(arraysAt(modalityEncoderInit(randomKey(4), sizes), FROZEN));
    expect(losses.at(-1)).toBeLessThan(losses[0] as number);
  });

  it("leaves patches out in training, others at every step and of every sensor, and none at a rate of 0", async () => {
    const whole = await bind({});
    const masked = await bind({ bound: { patchDropout: 0.5 } });
    expect(masked.losses[0]).not.toBeCloseTo(whole.losses[0] as number, 4);
    const noiseOf = async (step: number, sensor: number): Promise<string> => {
      const at = asTensor({ dtype: "int32", shape: [], data: Int32Array.of(step) });
      return toNumbers(await patchNoise(maskKey(randomKey(1), at, sensor), 2, 9).data()).join();
    };
    const noises = [await noiseOf(0, 0), await noiseOf(1, 0), await noiseOf(0, 1)];
    expect(new Set(noises).size).toBe(3);
    expect(await noiseOf(0, 0)).toBe(noises[0]);
  });
});

describe("a linear map with adapters", () => {
  it("sends no gradient to its frozen weights", async () => {
    const { gradients } = valueAndGradWithAux((t: { readonly weight: Tensor; readonly bias: Tensor }) => {
      const [down, up] = [
        asTensor(normalArray(randomKey(1), [4, 2])),
        asTensor(normalArray(randomKey(2), [2, 3])),
      ];
      const x = asTensor(normalArray(randomKey(3), [5, 4]));
      return { value: sum(loraLinear({ ...t, lora: { down, up } }, x, { rank: 2 })), aux: {} };
    })({
      weight: asTensor(normalArray(randomKey(4), [4, 3])),
      bias: asTensor(normalArray(randomKey(5), [3])),
    });
    const found = await evaluate(gradients);
    expect([...toNumbers(found.weight), ...toNumbers(found.bias)].every((slope) => slope === 0)).toBe(true);
  });
});

describe("a copy for sounds", () => {
  it("has positions for rows of frequency and columns of time", async () => {
    const image = modalityEncoderInit(randomKey(4), sizes);
    const { positions } = await fittedTo(image, sizes, [5, 3, 8, 24]);
    expect(positions).toEqual(await positionResize(image.positions, [3, 3], [2, 6]));
    expect(await fittedTo(image, sizes, [5, 3, 12, 12])).toBe(image);
  });
});

describe("evaluation", () => {
  it("leaves no patches out: a sample's features are those of the whole input, whatever stands beside it", async () => {
    const params = modalityEncoderInit(randomKey(4), sizes);
    const tokenizer = null as never;
    const embedder = createEmbedder({ encoder: sizes, text: smokeConfig.text }, tokenizer, 1);
    const inputs = bound.inputs as NDArray<"float32">;
    const all = toNumbers(await embedder.samples(params, inputs));
    const wanted = toNumbers(
      await modalityEncoder(withTraced(params, {}), asTensor(inputs), { config: sizes }).data(),
    );
    const alone = toNumbers(await embedder.samples(params, rowsOf(inputs, [COUNT - 1])));
    all.forEach((value, i) => expect(value).toBeCloseTo(wanted[i] as number, 5));
    alone.forEach((value, i) => expect(value).toBeCloseTo(wanted[(COUNT - 1) * 6 + i] as number, 5));
  });
});

describe("sensors of the generated world", () => {
  it("give depth in millimetres: the middle of the picture shows 2, 4 or 6.5 m of 10", () => {
    const { sensors, attributes, count } = eventSet(randomKey(6), 60, WORLD_SENSORS);
    const plane = 24 * 24;
    const [mean, deviation] = [clipStatistics.mean[0], clipStatistics.deviation[0]];
    const metres = [2, 4, 6.5];
    const seen = metres.map(() => [] as number[]);
    for (let i = 0; i < count; i++)
      // A ring's middle is empty.
      if (attributes.shape[i] !== 6) {
        const value = sensors.depth?.data[i * 3 * plane + 12 * 24 + 12] as number;
        seen[attributes.distance[i] as number]?.push(10 * (value * deviation + mean));
      }
    seen.forEach((values, distance) => {
      expect(values.length).toBeGreaterThan(5);
      const average = values.reduce((sum, value) => sum + value, 0) / values.length;
      // Distances differ by up to 0.5 m and have noise of 0.15 m; at edges the far plane shines through.
      expect(Math.abs(average - (metres[distance] as number))).toBeLessThan(0.5);
    });
  });
});

describe("a sensor", () => {
  const tiny: LanguageBindConfig = {
    ...smokeConfig,
    data: { ...smokeConfig.data, generated: { pictures: 64, events: 64, evaluation: 20, tie: 0.5 } },
    encoder: { ...smokeConfig.encoder, width: 16, outputs: 16 },
    text: { kind: "bag-of-words", width: 16, hidden: [16], wordDeviation: 1 },
    pretraining: { ...smokeConfig.pretraining, epochs: 1, batchSize: 32 },
  };
  const start = experiment.prepare(contextInMemory(tiny, 7));
  const features = async (arm: string, prepared: Prepared) =>
    (await experiment.runArm(arm, prepared, contextInMemory(tiny, 7))).embeddings ?? {};

  it("of LanguageBind learns from its captions alone: neither other sensors nor pictures change it", async () => {
    const prepared = await start;
    const { training } = prepared.task;
    const blind = Object.fromEntries(
      Object.entries(training)
        .filter(([sensor]) => sensor !== "infrared")
        .map(([sensor, samples]) => [sensor, { ...samples, pictures: null }]),
    );
    const all = await features("languagebind", prepared);
    const alone = await features("languagebind", {
      ...prepared,
      task: { ...prepared.task, training: blind },
    });
    expect(alone.infrared).toBeUndefined();
    for (const sensor of ["depth", "audio", "video"]) expect(alone[sensor], sensor).toEqual(all[sensor]);
  });

  it("has a copy of its own, which masking, binding to pictures and sharing change", async () => {
    const whole = await start;
    const { depth, infrared } = whole.task.training as Record<"depth" | "infrared", TrainingSamples>;
    const prepared = { ...whole, task: { ...whole.task, training: { depth, infrared } } };
    const method = await features("languagebind", prepared);
    for (const arm of ["no-masking", "one-encoder", "languagebind-full"])
      expect((await features(arm, prepared)).depth, arm).not.toEqual(method.depth);
    const own = await features("image-bound", prepared);
    expect(own.depth).not.toEqual(method.depth);
    // Bound to pictures, captions do not matter.
    const captions = [...depth.captions].reverse();
    const task = { ...prepared.task, training: { depth: { ...depth, captions } } };
    expect((await features("image-bound", { ...prepared, task })).depth).toEqual(own.depth);
    expect(armById("languagebind").recipe?.target).toBe("language");
    // A rate of its own changes the arm that it is given to.
    const armRates = { "image-bound": { depth: 1e-3 } };
    const config = { ...whole.config, binding: { ...whole.config.binding, armRates } };
    expect((await features("image-bound", { ...prepared, config, task })).depth).not.toEqual(own.depth);
  });
});
