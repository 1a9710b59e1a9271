import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodePng } from "@concord/data";
import { RandomStream, randomKey, toNumbers, treeEntries } from "@concord/tensor";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { problemsOf } from "../../harness/check-experiment.ts";
import type { Inputs } from "../../harness/inputs.ts";
import { contextInMemory } from "../../harness/memory-context.ts";
import { arms } from "./arms.ts";
import { type ClipRefineConfig, defaultConfig, paperConfig } from "./config.ts";
import { type DualEncoderParams, dualEncoder, separateModalities } from "./dual-encoder.ts";
import { experiment, type Prepared } from "./experiment.ts";
import { ownRun, pretrainingEpochs } from "./own-data.ts";
import { card } from "./paper.ts";
import { generatedTask } from "./task.ts";

const tiny: ClipRefineConfig = {
  ...defaultConfig,
  data: {
    generated: { pretraining: 256, refinement: 128, evaluation: 60 },
    own: { imageSize: 16, heldOut: 0.25, evaluation: 100, vocabulary: 400, context: 12 },
  },
  encoder: {
    width: 16,
    image: { kind: "convolutional", filters: [4, 8] },
    text: { kind: "bag-of-words", width: 16, wordDeviation: 1, hidden: [16] },
  },
  pretraining: { ...defaultConfig.pretraining, epochs: 2, batchSize: 64 },
};

const contextOf = (seed: number, inputs?: Inputs) => contextInMemory(tiny, seed, inputs);

function norms(features: {
  readonly shape: readonly number[];
  readonly data: ArrayLike<number | bigint>;
}): number[] {
  const [count, width] = features.shape as [number, number];
  return Array.from({ length: count }, (_, i) =>
    Math.sqrt(
      Array.from({ length: width }, (_, k) => Number(features.data[i * width + k]) ** 2).reduce(
        (a, b) => a + b,
        0,
      ),
    ),
  );
}

const average = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

describe("declarations", () => {
  it("are consistent, and the card's arms exist", () => {
    expect(problemsOf(experiment as never)).toEqual([]);
    const known = arms.map(({ id }) => id);
    const named = card.publishedResults.flatMap(({ rows }) => rows.flatMap(({ arm }) => (arm ? [arm] : [])));
    expect(named.filter((arm) => !known.includes(arm))).toEqual([]);
  });

  it("keeps the paper's settings in the paper preset", () => {
    expect(experiment.presets.paper.config.refinement).toEqual({
      epochs: 1,
      batchSize: 512,
      learningRate: 1e-6,
      weightDecay: 0.1,
      logits: "raw",
      lambdaRafa: 1,
      lambdaAlign: 1,
    });
  });
});

describe("on the generated world", () => {
  const context = contextOf(7);
  let prepared: Prepared;

  beforeAll(async () => {
    prepared = await experiment.prepare(context);
  });

  it("never speaks of quadrant and size in stage B, and shares no picture between the sets", async () => {
    const { pretraining, refinement, evaluation } = prepared.task;
    const words = new Set(refinement.captions.flat().flatMap((caption) => caption.split(" ")));
    for (const word of ["top", "left", "upper", "small", "little", "large", "big"])
      expect(words).not.toContain(word);
    const first = await Promise.all([pretraining, refinement, evaluation].map((set) => set.pixels([0])));
    expect(new Set(first.map(({ data }) => data.join()))).toHaveLength(3);
  });

  it("scales the mean norm of both towers to 10 without touching cosines", async () => {
    const { task, embedder, pretrained } = prepared;
    const images = await embedder.images(pretrained, task.pretraining);
    const texts = await embedder.texts(
      pretrained,
      task.pretraining.captions.map(([caption]) => caption as string),
    );
    expect(average(norms(images))).toBeCloseTo(10, 3);
    expect(average(norms(texts))).toBeCloseTo(10, 3);
  });

  it("evaluates every metric of the untouched start, and gives the map its points", async () => {
    const result = await experiment.runArm("pre-trained", prepared, context);
    expect(Object.keys(result.metrics).sort()).toEqual(experiment.metrics.map(({ id }) => id).sort());
    expect(Object.values(result.metrics).every(Number.isFinite)).toBe(true);
    expect(result.embeddings?.image?.shape).toEqual([60, 16]);
    expect(norms(result.embeddings?.text as never).every((norm) => Math.abs(norm - 1) < 1e-5)).toBe(true);
    expect(result.embeddingLabels).toHaveLength(60);
  });

  it("trains every arm from the same start, differently, and the same again for the same seed", async () => {
    const before = treeEntries(prepared.pretrained).map(([, array]) => toNumbers(array as never).join());
    const results = new Map<string, string>();
    for (const { id } of experiment.arms) {
      const { metrics } = await experiment.runArm(id, prepared, context);
      results.set(id, JSON.stringify(metrics));
    }
    expect(new Set(results.values()).size).toBe(results.size);
    const again = await experiment.runArm("clip-refine", prepared, context);
    expect(JSON.stringify(again.metrics)).toBe(results.get("clip-refine"));
    const after = treeEntries(prepared.pretrained).map(([, array]) => toNumbers(array as never).join());
    expect(after).toEqual(before);
  });
});

describe("the two clouds of the start", () => {
  it("lie at a right angle, at the wanted distance", () => {
    const task = generatedTask(randomKey(1), { pretraining: 8, refinement: 8, evaluation: 8 });
    const encoder = dualEncoder({
      config: tiny.encoder,
      imageSize: 24,
      vocabulary: task.tokenizer.vocabularySize,
      context: task.context,
    });
    const plain = encoder.init(randomKey(2));
    const parted = separateModalities(plain, randomKey(3), 8);
    const bias = (params: DualEncoderParams, tower: "image" | "text"): number[] => {
      const found = treeEntries(params[tower]).filter(([path]) => /^head\/(layers\/1\/)?bias$/.test(path));
      expect(found).toHaveLength(1);
      return toNumbers((found[0] as [string, never])[1]);
    };
    const moved = (["image", "text"] as const).map((tower) => {
      const old = bias(plain, tower);
      return bias(parted, tower).map((value, k) => value - (old[k] as number));
    }) as [number[], number[]];
    for (const move of moved) expect(Math.hypot(...move)).toBeCloseTo(8, 4);
    expect(moved[0].reduce((sum, value, k) => sum + value * (moved[1][k] as number), 0)).toBeCloseTo(0, 4);
  });
});

/** A PNG of one colour. */
function png(
  side: number,
  ...colour: readonly [red: number, green: number, blue: number]
): Promise<Uint8Array> {
  const data = new Uint8Array(3 * side * side).map((_, i) => colour[i % 3] as number);
  return encodePng({ width: side, height: side, channels: 3, data });
}

describe("on own pairs", () => {
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "clip-refine-"));
    await mkdir(join(folder, "images"));
    const random = new RandomStream(randomKey(5));
    const rows = ["file,text,kind"];
    for (let i = 0; i < 48; i++) {
      const [red, green, blue] = [random.integer(256), random.integer(256), random.integer(256)];
      await writeFile(join(folder, "images", `${i}.png`), await png(20, red, green, blue));
      rows.push(`${i}.png,shade ${i} of ${red > blue ? "fire" : "water"},${red > blue ? "warm" : "cold"}`);
      if (i % 3 === 0) rows.push(`${i}.png,"another caption, of ${i}",`);
    }
    rows.push("absent.png,nothing to see,warm", "../0.png,outside,warm");
    await writeFile(join(folder, "pairs.csv"), `${rows.join("\n")}\n`);
  });

  afterAll(() => rm(folder, { recursive: true, force: true }));

  const given = (more: Readonly<Record<string, string | boolean>> = {}) => ({
    pairs: join(folder, "pairs.csv"),
    images: join(folder, "images"),
    "image-column": "file",
    "caption-column": "text",
    ...more,
  });

  it("splits by image, trains, tells what it skipped and measures what it can", async () => {
    const context = contextOf(3, given({ "label-column": "kind", epochs: "2" }));
    const prepared = await experiment.prepare(context);
    const { pretraining, evaluation } = prepared.task;
    expect([pretraining.count, evaluation.count]).toEqual([36, 12]);
    expect(pretraining.names.filter((name) => evaluation.names.includes(name))).toEqual([]);
    expect(context.notes.join("\n")).toMatch(/2 rows were skipped.*image file not found/);
    expect(context.notes.join("\n")).toMatch(/pairs\.csv:66/);
    const { metrics } = await experiment.runArm("clip-refine", prepared, context);
    const missing = experiment.metrics.filter(({ id }) => metrics[id] === undefined);
    expect(missing.every(({ optional }) => optional === true)).toBe(true);
    expect(metrics.accuracy).toBeGreaterThanOrEqual(0);
    expect(metrics["t2i-r10"]).toBeGreaterThan(0);
  });

  it("measures no zero-shot accuracy without labels", async () => {
    const context = contextOf(3, given({ epochs: "1" }));
    const { metrics } = await experiment.runArm("pre-trained", await experiment.prepare(context), context);
    expect(metrics.accuracy).toBeUndefined();
    expect(metrics["gap-l2"]).toBeGreaterThan(0);
  });

  it("stops at the first unusable row in strict mode", async () => {
    const context = contextOf(3, given({ strict: true }));
    await expect(experiment.prepare(context)).rejects.toThrow(
      /pairs\.csv:66: .*absent\.png|pairs\.csv:67: .*0\.png/,
    );
  });

  it("says what is wrong with its inputs", async () => {
    const check = (
      inputs: Readonly<Record<string, string | boolean>>,
      preset: "default" | "paper" = "default",
    ) => experiment.validate?.(inputs, preset);
    await expect(check({}, "paper")).rejects.toThrow(/--pairs/);
    await expect(check({})).resolves.toBeUndefined();
    await expect(check(given())).resolves.toBeUndefined();
    await expect(check(given({ epochs: "many" }))).rejects.toThrow(/--epochs must be an integer from 1 to/);
    await expect(check(given({ "image-size": "0" }))).rejects.toThrow(/--image-size must be an integer/);
    await expect(check(given({ "image-size": "100" }), "paper")).rejects.toThrow(/multiple of 32/);
    await expect(check(given({ images: join(folder, "nowhere") }))).rejects.toThrow(/no folder or archive/);
    await expect(check({ pairs: join(folder, "pairs.txt") })).rejects.toThrow(/no file or folder/);
    const wrongLabel = contextOf(3, given({ "label-column": "colour" }));
    await expect(experiment.prepare(wrongLabel)).rejects.toThrow(/no column "colour"; the others are "kind"/);
  });

  it("pre-trains for as many steps as the preset does on generated pairs", () => {
    const run = ownRun(defaultConfig, given());
    const counted = ownRun(defaultConfig, given({ epochs: "3" }));
    const full = ownRun(paperConfig, given());
    if (!run || !counted || !full) throw new Error("pairs were given");
    const { generated } = defaultConfig.data;
    expect(pretrainingEpochs(run, generated?.pretraining ?? 0)).toBe(defaultConfig.pretraining.epochs);
    expect(pretrainingEpochs(run, 300)).toBe(46 * defaultConfig.pretraining.epochs);
    expect(pretrainingEpochs(counted, 300)).toBe(3);
    expect(pretrainingEpochs(full, 300)).toBe(paperConfig.pretraining.epochs);
  });
});
