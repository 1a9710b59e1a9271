import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compile, randomKey, type Tensor, type Traced, toNumbers, treeEntries } from "@concord/tensor";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { problemsOf } from "../../harness/check-experiment.ts";
import type { ArmResult, ArrayTree, UnitContext } from "../../harness/contract.ts";
import { changedConfig } from "../../harness/memory-context.ts";
import { judge } from "../../harness/verdict.ts";
import { armById, arms, type TrainedRecipe } from "./arms.ts";
import { defaultConfig, paperConfig, type WhitenedCseConfig } from "./config.ts";
import { stsSpearman } from "./diagnostics.ts";
import { type EncoderParams, encode, encoderInit } from "./encoder.ts";
import { experiment, type Prepared } from "./experiment.ts";
import { ownRun } from "./own-data.ts";
import { card } from "./paper.ts";
import type { WorldConfig } from "./world.ts";

const tiny: WhitenedCseConfig = {
  ...defaultConfig,
  data: {
    ...defaultConfig.data,
    world: {
      ...(defaultConfig.data.world as WorldConfig),
      topics: 6,
      synonyms: 6,
      functionWords: 20,
      length: 8,
      training: 240,
      development: 30,
      test: 60,
    },
  },
  encoder: { ...defaultConfig.encoder, width: 16, heads: 2 },
  training: { ...defaultConfig.training, steps: 12, validateEvery: 4, batchSize: 40 },
};

type Checkpoints = Map<string, { readonly step: number; readonly state: ArrayTree }>;

interface TestContext extends UnitContext<WhitenedCseConfig> {
  readonly notes: string[];
}

function contextOf(
  seed: number,
  options: {
    readonly inputs?: Readonly<Record<string, string | boolean>>;
    readonly config?: WhitenedCseConfig;
    readonly signal?: AbortSignal;
    readonly checkpoints?: Checkpoints;
    readonly onStep?: (step: number) => void;
  } = {},
): TestContext {
  const notes: string[] = [];
  const { checkpoints = new Map() } = options;
  return {
    notes,
    config: options.config ?? tiny,
    seed,
    key: randomKey(seed),
    unit: `test/seed-${seed}`,
    inputs: options.inputs ?? {},
    signal: options.signal ?? new AbortController().signal,
    log() {},
    note: (message) => void notes.push(message),
    progress: ({ phase, step }) => {
      if (phase === "training") options.onStep?.(step);
    },
    memo: <T extends ArrayTree>(_name: string, build: () => Promise<T>): Promise<T> => build(),
    checkpoint: {
      load: async (name) => checkpoints.get(name) ?? null,
      save: async (name, step, state) => void checkpoints.set(name, { step, state }),
    },
    artefact: (name) => name,
  };
}

describe("declarations", () => {
  it("are consistent, and the card's arms exist", () => {
    expect(problemsOf(experiment as never)).toEqual([]);
    const known = arms.map(({ id }) => id);
    const named = card.publishedResults.flatMap(({ rows }) => rows.flatMap(({ arm }) => (arm ? [arm] : [])));
    expect(named.length).toBeGreaterThan(0);
    expect(named.filter((arm) => !known.includes(arm))).toEqual([]);
  });

  it("name learning rates of arms that train alone", () => {
    const trained = arms.filter(({ recipe }) => recipe.kind === "trained").map(({ id }) => id);
    const { data, training } = defaultConfig;
    for (const { of } of [training.learningRates, data.own.learningRates])
      expect(Object.keys(of).filter((id) => !trained.includes(id))).toEqual([]);
  });

  it("keep the paper's settings in the paper preset", () => {
    expect(experiment.presets.paper.config.training).toEqual({
      steps: null,
      epochs: 1,
      batchSize: 128,
      learningRates: { usual: 1e-5, of: {} },
      weightDecay: 0,
      temperature: 0.05,
      groupSize: 6,
      validateEvery: 125,
    });
    const recipe = armById("whitenedcse").recipe as TrainedRecipe;
    expect(recipe).toEqual({ kind: "trained", copies: 3, whitening: { shuffle: "each" }, loss: "sum" });
  });
});

describe("on the generated sentences", () => {
  const context = contextOf(7);
  const results = new Map<string, ArmResult>();
  let prepared: Prepared;

  beforeAll(async () => {
    prepared = await experiment.prepare(context);
    for (const { id } of experiment.arms)
      results.set(id, await experiment.runArm(id, prepared, contextOf(7)));
  });

  it("every arm ends elsewhere, with every metric that is not optional, and leaves the start as it was", async () => {
    const of = ({ metrics }: ArmResult): string => JSON.stringify(metrics);
    expect(new Set([...results.values()].map(of)).size).toBe(results.size);
    for (const [arm, { metrics }] of results) {
      const missing = experiment.metrics.filter(({ id }) => metrics[id] === undefined);
      expect(
        missing.every(({ optional }) => optional === true),
        `${arm}: ${missing.map(({ id }) => id).join(", ")}`,
      ).toBe(true);
      expect(Object.values(metrics).every(Number.isFinite), arm).toBe(true);
    }
    const again = await experiment.prepare(context);
    const values = (tree: unknown): string =>
      treeEntries(tree as never)
        .map(([, array]) => toNumbers(array as never).join())
        .join();
    expect(values(again.start)).toBe(values(prepared.start));
    const repeated = await experiment.runArm("whitenedcse", prepared, contextOf(7));
    expect(of(repeated)).toBe(of(results.get("whitenedcse") as ArmResult));
  });

  it("figures show the spectrum before and after, and the way through the plane", () => {
    const figure = (arm: string, id: string) => results.get(arm)?.figures?.find((one) => one.id === id);
    const labels = (arm: string): string[] => {
      const spectrum = figure(arm, "spectrum");
      return spectrum?.kind === "lines" ? spectrum.series.map(({ label }) => label) : [];
    };
    expect(labels("pre-trained")).toEqual(["before training"]);
    expect(labels("simcse-3")).toEqual(["before training", "after"]);
    expect(labels("whitenedcse")).toEqual(["before training", "after", "whitened"]);
    const plane = figure("whitenedcse", "alignment-uniformity");
    if (plane?.kind !== "points") throw new Error("there is no plane");
    expect(plane.series[0]?.points).toHaveLength(4);
    expect(plane.series[0]?.labels?.filter((label) => label.endsWith(", kept"))).toHaveLength(1);
    expect(plane.series[0]?.joined).toBe(true);
    expect(results.get("post-hoc")?.embeddings?.first?.shape).toEqual([60, 16]);
    expect(results.get("post-hoc")?.embeddingLabels).toHaveLength(60);
  });

  it("whitened features use all directions of a group alike; whitening after the fact spreads sentences", () => {
    const value = (arm: string, metric: string): number => results.get(arm)?.metrics[metric] as number;
    expect(value("post-hoc", "mean-cosine")).toBeLessThan(0.1);
    expect(value("pre-trained", "mean-cosine")).toBeGreaterThan(0.5);
    expect(value("post-hoc", "sts")).toBe(value("pre-trained", "sts-whitened"));
  });

  it("centred features are those without the mean of training sentences", async () => {
    const { embedder, start, task } = prepared;
    const { pairs } = task.test;
    const embed = async (texts: readonly string[]): Promise<number[][]> => {
      const { shape, data } = await embedder(start.encoder, texts);
      const width = shape[1] as number;
      return texts.map((_, i) => Array.from(data.subarray(i * width, (i + 1) * width)));
    };
    const training = await embed(task.sentences);
    const moved = async (texts: readonly string[]): Promise<number[][]> =>
      (await embed(texts)).map((row) =>
        row.map((v, d) => v - training.reduce((sum, one) => sum + (one[d] as number), 0) / training.length),
      );
    const [a, b] = [await moved(pairs.map((pair) => pair.a)), await moved(pairs.map((pair) => pair.b))];
    const dot = (x: readonly number[], y: readonly number[]): number =>
      x.reduce((sum, v, d) => sum + v * (y[d] as number), 0);
    const similarity = a.map((x, i) => {
      const y = b[i] as number[];
      return dot(x, y) / Math.sqrt(dot(x, x) * dot(y, y));
    });
    const { all } = stsSpearman([{ similarity, gold: pairs.map(({ gold }) => gold) }]);
    expect(results.get("pre-trained")?.metrics["sts-centred"]).toBeCloseTo(100 * all, 1);
    expect(Math.abs(100 * all - (results.get("pre-trained")?.metrics.sts as number))).toBeGreaterThan(0.5);
  });

  it("an arm's own learning rate is that arm's alone", async () => {
    const learningRates = { usual: tiny.training.learningRates.usual, of: { "two-copies": 1e-12 } };
    const config = { ...tiny, training: { ...tiny.training, learningRates } };
    const sts = async (arm: string) =>
      (await experiment.runArm(arm, prepared, contextOf(7, { config }))).metrics.sts;
    expect(await sts("two-copies")).toBeCloseTo(results.get("pre-trained")?.metrics.sts as number, 6);
    expect(await sts("no-shuffle")).toBe(results.get("no-shuffle")?.metrics.sts);
  });

  it("embeds a sentence the same wherever it stands and whatever stands beside it", async () => {
    const { embedder, start, task } = prepared;
    const [first = "", ...others] = task.sentences.slice(0, 5);
    const alone = await embedder(start.encoder, [first]);
    const among = await embedder(start.encoder, [...others, first]);
    const last = among.data.subarray(-alone.data.length);
    alone.data.forEach((value, k) => {
      expect(value).toBeCloseTo(last[k] as number, 6);
    });
  });

  it("keeps the look with the best score on the development pairs", async () => {
    const looks: { readonly step: number; readonly score: number }[] = [];
    const watched: TestContext = {
      ...contextOf(7),
      log: (phase, step, { score }) => {
        if (phase === "development") looks.push({ step, score: Number(score) });
      },
    };
    const { metrics } = await experiment.runArm("whitenedcse", prepared, watched);
    expect(looks.map(({ step }) => step)).toEqual([4, 8, 12]);
    const best = looks.reduce((most, look) => (look.score >= most.score ? look : most));
    expect(metrics["kept-step"]).toBe(best.step);
    expect(metrics["sts-development"]).toBe(100 * best.score);
    expect(metrics.sts).not.toBe(metrics["sts-development"]);
  });

  it("goes on after a kill to the same bits", async () => {
    const checkpoints: Checkpoints = new Map();
    const stop = new AbortController();
    const killed = contextOf(7, {
      checkpoints,
      signal: stop.signal,
      onStep: (step) => {
        if (step === 6) stop.abort(new Error("killed"));
      },
    });
    await expect(experiment.runArm("whitenedcse", prepared, killed)).rejects.toThrow("killed");
    expect(checkpoints.get("training")?.step).toBe(6);
    const steps: number[] = [];
    const resumed = contextOf(7, { checkpoints, onStep: (step) => steps.push(step) });
    const result = await experiment.runArm("whitenedcse", prepared, resumed);
    expect(steps[0]).toBe(7);
    const whole = results.get("whitenedcse") as ArmResult;
    expect(result.metrics).toEqual(whole.metrics);
    expect(result.figures).toEqual(whole.figures);
  });

  it("notices a method that lost its whitening", () => {
    const without = results.get("simcse-3") as ArmResult;
    const record = (method: Readonly<Record<string, number>>) => ({
      arms: ["whitenedcse", "simcse-3"],
      seeds: [0, 1, 2],
      results: [0, 1, 2].flatMap((seed) => [
        { arm: "whitenedcse", seed, metrics: method },
        { arm: "simcse-3", seed, metrics: without.metrics },
      ]),
    });
    const outcomes = (method: Readonly<Record<string, number>>) =>
      judge(
        experiment.claims.filter(({ against }) => against === "simcse-3"),
        record(method) as never,
      ).verdicts.map(({ claim, outcome }) => `${claim}: ${outcome}`);
    expect(outcomes(without.metrics)).toContain("beats-simcse-3: not reproduced");
    const gained = { ...without.metrics, sts: (without.metrics.sts as number) + 0.6 };
    expect(outcomes(gained)).toContain("beats-simcse-3: reproduced");
  });
});

describe("the paper's size", () => {
  it("is BERT's, and its graph builds and runs", async () => {
    const { encoder } = paperConfig;
    expect([encoder.width, encoder.layers, encoder.heads, encoder.pooling]).toEqual([768, 12, 12, "first"]);
    // Two of the twelve layers and few words: the rest is the same again, and 400 MB.
    const params = encoderInit(
      randomKey(0),
      { ...encoder, layers: 2 },
      { vocabulary: 40, context: paperConfig.data.own.context },
    );
    const run = compile((weights: Traced<EncoderParams>, ids: Tensor, mask: Tensor, key: Tensor) =>
      encode(weights, ids, mask, encoder, key),
    );
    const shape = [2, paperConfig.data.own.context];
    const size = 2 * paperConfig.data.own.context;
    const features = await run(
      params,
      { dtype: "int32", shape, data: new Int32Array(size).fill(5) },
      { dtype: "float32", shape, data: new Float32Array(size).fill(1) },
      { dtype: "int32", shape: [2], data: Int32Array.from([1, 2]) },
    );
    expect(features.shape).toEqual([2, 768]);
    expect(toNumbers(features).every(Number.isFinite)).toBe(true);
  });
});

describe("on own sentences", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "whitenedcse-own-"));
    const subjects = ["cat", "dog", "bird", "horse", "fish"];
    const verbs = ["sleeps", "runs", "eats", "plays"];
    const places = ["at home", "in the garden", "by the sea"];
    const lines = subjects.flatMap((a) => verbs.flatMap((b) => places.map((c) => `The ${a} ${b} ${c}.`)));
    await writeFile(join(folder, "lines.txt"), `${lines.join("\n")}\n\n`);
    const pairs = lines
      .slice(0, 40)
      .map((line, i) => `${line},${lines[(i * 7) % 60]},${(i * 13) % 6},${i < 20 ? "one" : "two"}`);
    await writeFile(join(folder, "pairs.csv"), `a,b,score,task\n${pairs.join("\n")}\nlost,,1,one\n`);
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  const given = (more: Readonly<Record<string, string | boolean>> = {}) => ({
    sentences: join(folder, "lines.txt"),
    sts: join(folder, "pairs.csv"),
    ...more,
  });

  it("trains for as long as asked, tells what it skipped, and measures each part of the pairs", async () => {
    const context = contextOf(3, { inputs: given({ steps: "3", "learning-rate": "1e-3" }) });
    const prepared = await experiment.prepare(context);
    expect(context.notes.join("\n")).toMatch(/lines\.txt:61: there is no sentence/);
    expect(context.notes.join("\n")).toMatch(/pairs\.csv:42: one of the two sentences is missing/);
    expect(context.notes.join("\n")).toMatch(/60 sentences to train on, .* 40 pairs to measure on/);
    const { metrics, figures } = await experiment.runArm("whitenedcse", prepared, context);
    expect(metrics["kept-step"]).toBe(3);
    const parts = figures?.find(({ id }) => id === "subsets");
    expect(parts?.kind === "bars" && parts.categories).toEqual(["one", "two"]);
  });

  it("trains at the rates found on sentences, or at the one that is given", () => {
    const ratesOf = (more: Readonly<Record<string, string>>) =>
      ownRun(defaultConfig, given(more))?.config.training.learningRates;
    expect(ratesOf({})).toEqual(defaultConfig.data.own.learningRates);
    expect(ratesOf({ "learning-rate": "1e-3" })).toEqual({ usual: 1e-3, of: {} });
  });

  it("says what is wrong with its inputs", async () => {
    const check = (
      inputs: Readonly<Record<string, string | boolean>>,
      preset: "default" | "paper" = "default",
    ) => experiment.validate?.(inputs, preset);
    await expect(check({})).resolves.toBeUndefined();
    await expect(check(given())).resolves.toBeUndefined();
    await expect(check({}, "paper")).rejects.toThrow("trains on your own sentences");
    await expect(check(given({ steps: "many" }))).rejects.toThrow("--steps must be an integer from 1");
    await expect(check(given({ "learning-rate": "0" }))).rejects.toThrow(
      "--learning-rate must be a number above 0",
    );
    await expect(check(given({ "learning-rate": "0x1" }))).rejects.toThrow('at most 1, got "0x1"');
    await expect(check(given({ sts: join(folder, "none.csv") }))).rejects.toThrow("none.csv cannot be read");
    await expect(check({ sentences: join(folder, "lines.txt") })).rejects.toThrow("--sentences needs --sts");
    const wide = changedConfig(tiny, { encoder: { width: 64 } });
    await expect(experiment.prepare(contextOf(3, { config: wide, inputs: given() }))).rejects.toThrow(
      /lines\.txt: 60 sentences with \d+ different words .* are too few for an encoder of width 64/,
    );
    const strict = contextOf(3, { inputs: given({ strict: true }) });
    await expect(experiment.prepare(strict)).rejects.toThrow("pairs.csv:42");
  });
});
