import { foldIn, type NDArray, treeEntries } from "@concord/tensor";
import type { ArrayTree, Experiment, Preset, PresetName, UnitContext } from "../../harness/contract.ts";
import { epochsFor } from "../../harness/inputs.ts";
import { armById, arms, type BindingRecipe } from "./arms.ts";
import { claims } from "./claims.ts";
import { defaultConfig, type LanguageBindConfig, paperConfig, smokeConfig } from "./config.ts";
import type { Sensor } from "./defaults.ts";
import { createEmbedder, type Embedder, fittedTo, type Start } from "./embedder.ts";
import { evaluateEncoders } from "./evaluation.ts";
import { metrics } from "./metrics.ts";
import { type ModalityEncoderParams, withLoraAdapters, withTemporalAttention } from "./modality-encoder.ts";
import { inputs, type OwnRun, ownRun, validateOwnRun } from "./own-data.ts";
import { loadOwnTask } from "./own-task.ts";
import { generatedTask, type Task, type TrainingSamples, tiedTask } from "./task.ts";
import { trainedWeights } from "./trainable.ts";
import { type Bound, bindEncoder, pretrain } from "./training.ts";

/** What the arms of a seed have in common. */
export interface Prepared {
  readonly task: Task;
  readonly config: LanguageBindConfig;
  readonly embedder: Embedder;
  readonly start: Start;
  /** The world in which the colour decides the sound, and what stage A learns there; the first arm that asks trains it. */
  readonly tied: (context: UnitContext<LanguageBindConfig>) => Promise<Pick<Prepared, "task" | "start">>;
}

/** Independent uses of a seed's key beside those of the training. */
const streams = { data: 10, adapters: 11, temporal: 12 } as const;

/** The configuration with epochs that fit the number of own samples. */
function ownConfig({ config, epochs, bindEpochs }: OwnRun, task: Task): LanguageBindConfig {
  const { pretraining, binding, data } = config;
  const sensors = { ...binding.sensors };
  for (const [sensor, samples] of Object.entries(task.training) as [Sensor, TrainingSamples][]) {
    const settings = sensors[sensor];
    const count = samples.captions.length;
    sensors[sensor] = { ...settings, epochs: epochsFor(bindEpochs, settings, data.generated?.events, count) };
  }
  const pictures = task.pictures.captions.length;
  return {
    ...config,
    // Events of the generated world are no part of a run on own data.
    data: { ...data, generated: null },
    pretraining: {
      ...pretraining,
      epochs: epochsFor(epochs, pretraining, data.generated?.pictures, pictures),
    },
    binding: { ...binding, sensors },
  };
}

async function prepare(context: UnitContext<LanguageBindConfig>): Promise<Prepared> {
  const own = ownRun(context.config, context.inputs);
  const { generated, frames } = context.config.data;
  if (!own && !generated)
    throw new Error(
      "This preset trains on your own data: give --pairs and at least one of --audio, --depth, --infrared.",
    );
  const task = own
    ? await loadOwnTask(context, own)
    : generatedTask(foldIn(context.key, streams.data), generated as NonNullable<typeof generated>, frames);
  const config = own ? ownConfig(own, task) : context.config;
  const embedder = createEmbedder(config, task.tokenizer, task.context);
  const start = await stageA(context, task, config);
  let tied: Pick<Prepared, "task" | "start"> | null = null;
  return {
    task,
    config,
    embedder,
    start,
    async tied(arm) {
      if (own || !generated)
        throw new Error(
          "This arm is a control in the generated world; leave it out, e.g. --arms start,languagebind.",
        );
      if (!tied) {
        const world = tiedTask(foldIn(arm.key, streams.data), task, generated);
        tied = { task: world, start: await stageA(arm, world, config) };
      }
      return tied;
    },
  };
}

/** What stage A learns of a task, kept under the unit. */
async function stageA(
  context: UnitContext<LanguageBindConfig>,
  task: Task,
  config: LanguageBindConfig,
): Promise<Start> {
  const start = await context.memo(
    "start",
    async () => (await pretrain(context, task, config)) as unknown as ArrayTree & object,
  );
  return start as unknown as Start;
}

/** The copy of the picture encoder that a sensor adapts: positions for its grid, attention along time for video. */
async function copyFor(
  { start, config }: Prepared,
  context: UnitContext<LanguageBindConfig>,
  { inputs: samples }: TrainingSamples,
  recipe: BindingRecipe,
  rank: number,
): Promise<ModalityEncoderParams> {
  const resized = await fittedTo(start.image, config.encoder, samples.shape);
  const isVideo = samples.shape.length === 5 && recipe.temporal !== false;
  const timed = isVideo
    ? withTemporalAttention(foldIn(context.key, streams.temporal), resized, samples.shape[1] as number)
    : resized;
  return recipe.tuning === "lora"
    ? withLoraAdapters(foldIn(context.key, streams.adapters), timed, rank)
    : timed;
}

/** What each sample of a sensor is bound to. */
async function targetsOf(
  { embedder, start }: Prepared,
  sensor: Sensor,
  { captions, pictures }: TrainingSamples,
  target: BindingRecipe["target"],
  signal: AbortSignal,
): Promise<NDArray<"float32">> {
  if (target === "language") return embedder.texts(start.language, captions, signal);
  if (!pictures)
    throw new Error(
      `Samples of ${sensor} come without pictures, so they cannot be bound to any: leave this arm out, e.g. --arms start,languagebind.`,
    );
  return embedder.samples(start.image, pictures, signal);
}

function countWeights(tree: unknown): number {
  return (treeEntries(tree) as [string, NDArray][]).reduce((sum, [, { data }]) => sum + data.length, 0);
}

async function bind(
  prepared: Prepared,
  arm: string,
  recipe: BindingRecipe,
  context: UnitContext<LanguageBindConfig>,
): Promise<{
  readonly encoders: Partial<Record<Sensor, ModalityEncoderParams>>;
  readonly trainedShare: number;
}> {
  const { task, config } = prepared;
  const { binding, encoder: sizes } = config;
  const sensors = recipe.sensors.filter((sensor) => task.training[sensor]);
  if (sensors.length === 0)
    throw new Error(
      `This arm binds ${recipe.sensors.join(", ")}, of which there are no samples; leave it out, e.g. --arms start,languagebind.`,
    );
  const groups = recipe.oneEncoder ? [sensors] : sensors.map((sensor) => [sensor]);
  const encoders: Partial<Record<Sensor, ModalityEncoderParams>> = {};
  let trainedShare = 0;
  for (const group of groups) {
    const first = group[0] as Sensor;
    const learningRate = binding.armRates[arm]?.[first] ?? binding.sensors[first].learningRate;
    const settings = { ...binding.sensors[first], learningRate };
    const bound: Bound[] = [];
    for (const sensor of group) {
      const samples = task.training[sensor] as TrainingSamples;
      bound.push({
        name: sensor,
        inputs: samples.inputs,
        targets: await targetsOf(prepared, sensor, samples, recipe.target, context.signal),
        patchDropout: recipe.masking === false ? 0 : binding.sensors[sensor].patchDropout,
      });
    }
    const copy = await copyFor(
      prepared,
      context,
      task.training[first] as TrainingSamples,
      recipe,
      settings.rank,
    );
    trainedShare =
      (100 * countWeights(trainedWeights(copy, recipe.tuning))) / countWeights(prepared.start.image);
    const learned = await bindEncoder(context, {
      name: group.join("-"),
      encoder: copy,
      tuning: recipe.tuning,
      bound,
      settings,
      binding,
      config: sizes,
    });
    for (const sensor of group) encoders[sensor] = learned;
  }
  return { encoders, trainedShare };
}

const presets: Readonly<Record<PresetName, Preset<LanguageBindConfig>>> = {
  smoke: {
    config: smokeConfig,
    seeds: 2,
    description: "2 seeds, 10 arms, about 8 seconds on 2 cores; checks that everything runs",
  },
  default: {
    config: defaultConfig,
    seeds: 3,
    description: "3 seeds, 10 arms, about 5 minutes on 2 cores",
  },
  paper: {
    config: paperConfig,
    seeds: 1,
    description:
      "ViT-L/14 with a text transformer of 12 layers, settings of the released scripts; needs --pairs and sensors of your own, weeks on many cores",
  },
};

export const experiment: Experiment<LanguageBindConfig, Prepared> = {
  slug: "languagebind",
  arms: arms.map(({ recipe: _, ...arm }) => arm),
  metrics,
  claims,
  inputs,
  presets,
  validate: (given, preset) => validateOwnRun(presets[preset].config, given, preset),
  prepare,
  async runArm(id, prepared, context) {
    const { recipe } = armById(id);
    const { signal } = context;
    if (!recipe) {
      const encoders = Object.fromEntries(
        await Promise.all(
          Object.entries(prepared.task.training).map(async ([sensor, samples]) => {
            const untouched = { target: "language", tuning: "full", sensors: [], temporal: false } as const;
            return [sensor, await copyFor(prepared, context, samples, untouched, 1)] as const;
          }),
        ),
      );
      return evaluateEncoders({ ...prepared, encoders, signal });
    }
    const world = { ...prepared, ...(recipe.tied && (await prepared.tied(context))) };
    const bound = await bind(world, id, recipe, context);
    return evaluateEncoders({ ...world, ...bound, signal });
  },
};
