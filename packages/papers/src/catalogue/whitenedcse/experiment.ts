import { type LinearParams, linearInit } from "@concord/nn";
import { foldIn } from "@concord/tensor";
import type {
  ArrayTree,
  Claim,
  Experiment,
  Preset,
  PresetName,
  UnitContext,
} from "../../harness/contract.ts";
import { armById, arms } from "./arms.ts";
import { defaultConfig, paperConfig, smokeConfig, type WhitenedCseConfig } from "./config.ts";
import { createEmbedder, type Embedder } from "./embedder.ts";
import { encoderInit } from "./encoder.ts";
import { evaluateArm, metrics, observeEncoder } from "./evaluation.ts";
import { inputs, loadOwnTask, ownRun, validateOwnRun } from "./own-data.ts";
import { generatedTask, type Task } from "./task.ts";
import { type ModelParams, streams, trainArm, whiteningOptions } from "./training.ts";
import { withDefects, wordVectors } from "./word-vectors.ts";

const ABSTRACT = "abstract";
const README = "abstract and README of the released code: 78.78 against 76.25 on BERT-base, seven test sets";
const ABLATION = "ablations of the paper, from memory";

/** In points of Spearman × 100 where the metric is `sts`. */
const claims: readonly Claim[] = [
  {
    id: "beats-simcse-3",
    statement:
      "With the same three copies, shuffled group whitening correlates better than SimCSE, by half a point.",
    metric: "sts",
    arm: "whitenedcse",
    against: "simcse-3",
    change: "absolute",
    direction: "higher",
    margin: 0.5,
    source: README,
  },
  {
    id: "beats-simcse",
    statement: "WhitenedCSE correlates better than SimCSE with its two copies, by half a point.",
    metric: "sts",
    arm: "whitenedcse",
    against: "simcse-2",
    change: "absolute",
    direction: "higher",
    margin: 0.5,
    source: README,
  },
  {
    id: "better-uniformity",
    statement: "WhitenedCSE spreads sentences more evenly than SimCSE with as many copies.",
    metric: "uniformity",
    arm: "whitenedcse",
    against: "simcse-3",
    change: "absolute",
    direction: "lower",
    margin: 0,
    source: ABSTRACT,
  },
  {
    id: "better-alignment",
    statement: "WhitenedCSE brings alike sentences closer than SimCSE with as many copies.",
    metric: "alignment",
    arm: "whitenedcse",
    against: "simcse-3",
    change: "absolute",
    direction: "lower",
    margin: 0,
    source: ABSTRACT,
  },
  {
    id: "three-copies",
    statement: "Two positives are better than one.",
    metric: "sts",
    arm: "whitenedcse",
    against: "two-copies",
    change: "absolute",
    direction: "higher",
    margin: 0,
    source: ABLATION,
  },
  {
    id: "shuffling",
    statement: "Shuffling the groups is better than keeping them.",
    metric: "sts",
    arm: "whitenedcse",
    against: "no-shuffle",
    change: "absolute",
    direction: "higher",
    margin: 0,
    source: ABLATION,
  },
  {
    id: "shuffle-each",
    statement: "A shuffle for every copy is better than one for all: the positives are more diverse.",
    metric: "sts",
    arm: "whitenedcse",
    against: "one-shuffle",
    change: "absolute",
    direction: "higher",
    margin: 0,
    source: ABSTRACT,
  },
  {
    id: "decorrelation",
    statement: "Decorrelating groups is better than standardising every channel.",
    metric: "sts",
    arm: "whitenedcse",
    against: "standardised",
    change: "absolute",
    direction: "higher",
    margin: 0,
    source: ABSTRACT,
  },
  {
    id: "needs-contrast",
    statement: "Whitening without contrast is worse, by two points.",
    metric: "sts",
    arm: "whitenedcse",
    against: "no-contrast",
    change: "absolute",
    direction: "higher",
    margin: 2,
    source: ABLATION,
  },
  {
    id: "improves-start",
    statement: "WhitenedCSE improves the encoder that it starts from.",
    metric: "sts",
    arm: "whitenedcse",
    against: "pre-trained",
    change: "absolute",
    direction: "higher",
    margin: 0,
    source: README,
  },
  {
    id: "simcse-improves-start",
    statement:
      "SimCSE improves the encoder that it starts from, by two points: the comparison is a fair one.",
    metric: "sts",
    arm: "simcse-2",
    against: "pre-trained",
    change: "absolute",
    direction: "higher",
    margin: 2,
    source: "Gao et al. 2021; a pilot on generated sentences gained six to seven",
  },
  {
    id: "simcse-uniformity",
    statement: "SimCSE spreads sentences more evenly than the encoder that it starts from.",
    metric: "uniformity",
    arm: "simcse-2",
    against: "pre-trained",
    change: "absolute",
    direction: "lower",
    margin: 0,
    source: "Gao et al. 2021",
  },
];

/** What the arms of a seed have in common. */
export interface Prepared {
  readonly task: Task;
  readonly embedder: Embedder;
  readonly start: ModelParams;
}

/** The start: word vectors that stand for pre-training, blocks as configured, a random dense layer. */
async function initialise(
  context: UnitContext<unknown>,
  task: Task,
  config: WhitenedCseConfig,
  generated: boolean,
): Promise<ModelParams> {
  const key = foldIn(context.key, streams.start);
  const vocabulary = task.tokenizer.vocabularySize;
  const { width } = config.encoder;
  const encoder = encoderInit(foldIn(key, 0), config.encoder, { vocabulary, context: task.context });
  const dense: LinearParams = linearInit(foldIn(key, 1), { inputs: width, outputs: width });
  const { words, defects } = config.start;
  if (words.kind === "random") return { encoder, dense };
  context.progress({ phase: "word vectors", step: 0, steps: 1 });
  const vectors = await wordVectors(task.tokens, {
    key: foldIn(key, 2),
    vocabulary,
    width,
    window: words.window,
    signal: context.signal,
  });
  const table = generated ? withDefects(vectors, foldIn(context.key, streams.defects), defects) : vectors;
  return { encoder: { ...encoder, words: { table } }, dense };
}

async function prepare(context: UnitContext<WhitenedCseConfig>): Promise<Prepared> {
  const own = ownRun(context.config, context.inputs);
  const config = own?.config ?? context.config;
  const { world } = config.data;
  const task = own ? await loadOwnTask(context, own) : world ? generatedTask(context.key, world) : null;
  if (!task) throw new Error("This preset trains on your own sentences: give --sentences and --sts.");
  const start = await context.memo(
    "start",
    async () =>
      (await initialise(context, task, config, own === null)) as unknown as Record<string, ArrayTree>,
  );
  return {
    task,
    embedder: createEmbedder(config.encoder, task.tokenizer, task.context),
    start: start as unknown as ModelParams,
  };
}

const presets: Readonly<Record<PresetName, Preset<WhitenedCseConfig>>> = {
  smoke: {
    config: smokeConfig,
    seeds: 2,
    description: "2 seeds, 14 arms, about 10 seconds on 2 cores; checks that everything runs",
  },
  default: {
    config: defaultConfig,
    seeds: 3,
    description: "3 seeds, 14 arms, about 3 minutes on 2 cores",
  },
  paper: {
    config: paperConfig,
    seeds: 1,
    description:
      "BERT-base in size, batch 128, 3 copies, 1 epoch at 1e-5; needs --sentences (e.g. a million lines of Wikipedia) and --sts, about two weeks on 2 cores",
  },
};

export const experiment: Experiment<WhitenedCseConfig, Prepared> = {
  slug: "whitenedcse",
  arms: arms.map(({ recipe: _, ...arm }) => arm),
  metrics,
  claims,
  inputs,
  presets,
  validate: (given, preset) => validateOwnRun(presets[preset].config, given, preset),
  prepare,
  async runArm(id, { task, embedder, start }, context) {
    const { encoder, training } = ownRun(context.config, context.inputs)?.config ?? context.config;
    const { recipe } = armById(id);
    const { learningRates: rates } = training;
    const { signal } = context;
    const shared = { task, embedder, start: start.encoder, signal };
    if (recipe.kind === "start") return evaluateArm(shared);
    if (recipe.kind === "post-hoc") return evaluateArm({ ...shared, postHoc: true });
    const result = await trainArm(context, {
      task,
      encoder,
      config: training,
      recipe,
      learningRate: rates.of[id] ?? rates.usual,
      start,
      observe: (params) => observeEncoder(task, embedder, params, signal),
    });
    const { whitening } = recipe;
    const groups = whitening && whiteningOptions(whitening, encoder.width, training).groups;
    return evaluateArm({
      ...shared,
      trained: {
        ...result,
        groups: groups ?? null,
        hasHead: recipe.loss !== "alignment",
      },
    });
  },
};
