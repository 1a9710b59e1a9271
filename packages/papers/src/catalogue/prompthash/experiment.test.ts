import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32, deflateSync } from "node:zlib";
import { type NDArray, RandomStream, randomKey, toNumbers, treeEntries } from "@concord/tensor";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { problemsOf } from "../../harness/check-experiment.ts";
import type { ArmResult, ArrayTree, UnitContext } from "../../harness/contract.ts";
import { contextInMemory } from "../../harness/memory-context.ts";
import { armById, arms } from "./arms.ts";
import { defaultConfig, type PromptHashConfig, paperConfig, smokeConfig } from "./config.ts";
import { dualEncoder } from "./encoders.ts";
import { experiment, type Prepared } from "./experiment.ts";
import { bitStatistics, examineBits } from "./figures.ts";
import { armModel } from "./model.ts";
import { ownRun, readLabels } from "./own-data.ts";
import { SCENE_LABELS, taggedScenes } from "./scenes.ts";
import { endsOf, labelsOf, promptSentence, takeRows } from "./task.ts";

const tiny: PromptHashConfig = {
  ...smokeConfig,
  data: {
    generated: { pretraining: 64, queries: 16, training: 48, database: 60 },
    own: { imageSize: 16, queries: 0.2, training: 0.5, vocabulary: 400, context: 14 },
  },
  encoder: { ...smokeConfig.encoder, width: 8, image: { kind: "convolutional", filters: [4, 6] } },
  pretraining: { ...smokeConfig.pretraining, epochs: 1, batchSize: 32 },
  hashing: { ...smokeConfig.hashing, epochs: 2, batchSize: 16, auxiliaryBits: 24 },
};

describe("declarations", () => {
  it("are consistent", () => {
    expect(problemsOf(experiment as never)).toEqual([]);
  });

  it("keeps the paper's settings in the paper preset", () => {
    const { hashing, encoder } = experiment.presets.paper.config;
    expect(hashing).toMatchObject({
      epochs: 100,
      batchSize: 128,
      auxiliaryBits: 256,
      learningRates: { hash: 1e-3, fusion: 1e-4, encoder: 1e-5 },
      interWeight: 5,
      quantWeight: 0.1,
      reconWeight: 0.001,
      residualDropout: 0.5,
      fusion: { heads: 4, feedForward: 2048, states: 16, dropout: 0.1 },
    });
    expect(encoder).toMatchObject({
      width: 512,
      tunedBlocks: 2,
      image: { layers: 12, width: 768, patchSize: 16 },
    });
  });

  it("has auxiliary codes of another length than the codes", () => {
    for (const { config } of Object.values(experiment.presets))
      expect([16, 32, 64]).not.toContain(config.hashing.auxiliaryBits);
  });
});

describe("the full-size configuration", () => {
  it("parts both transformers before their last two blocks", () => {
    // Counted on a narrow copy with the same depth: the real one holds 600 MB of weights.
    const narrow = {
      ...paperConfig.encoder,
      width: 8,
      image: { ...paperConfig.encoder.image, width: 12, heads: 2 },
      text: { layers: 12, heads: 2 },
    } as typeof paperConfig.encoder;
    const sizes = { imageSize: 224, vocabulary: 50, context: 77 };
    const { frozen, tuned } = dualEncoder(narrow, sizes).init(randomKey(0));
    const blocks = (part: object): number => (part as { blocks: readonly unknown[] }).blocks.length;
    expect([frozen.image, frozen.text, tuned.image, tuned.text].map(blocks)).toEqual([10, 10, 2, 2]);
    // 14 × 14 patches and the class token.
    expect((frozen.image as { positions: NDArray }).positions.shape).toEqual([197, 12]);
    const params = armModel(
      dualEncoder(narrow, sizes),
      8,
      paperConfig.hashing,
      armById("prompthash").recipe,
    ).init(randomKey(1), { frozen, tuned }, 77);
    expect(params.encoder.promptBlocks).toEqual(tuned.text.blocks);
    expect(params.hash.promptContext?.shape).toEqual([77, 8]);
    expect(Object.keys(params.hash.heads)).toEqual(["16", "32", "64", "256"]);
    expect(Object.keys(params.hash.decoders)).toEqual(["16", "32", "64"]);
  });
});

describe("tagged scenes", () => {
  const scenes = taggedScenes(randomKey(3), 300);

  it("have 1 to 3 labels, the first three more often", () => {
    const counts = SCENE_LABELS.map(() => 0);
    for (let i = 0; i < 300; i++) {
      const labels = labelsOf(scenes, i);
      expect(labels.length).toBeGreaterThanOrEqual(1);
      expect(labels.length).toBeLessThanOrEqual(3);
      for (const label of labels) (counts[SCENE_LABELS.indexOf(label as never)] as number)++;
    }
    // 600 labels, 3 of 16 places for each frequent one, without repetition in an item.
    expect(Math.min(...counts.slice(0, 3))).toBeGreaterThan(1.5 * Math.max(...counts.slice(3)));
    expect(Math.min(...counts.slice(3))).toBeGreaterThan(10);
  });

  it("name about six labels of ten in their texts, and none that they lack", () => {
    let [named, all] = [0, 0];
    for (let i = 0; i < 300; i++) {
      const words = String(scenes.set.captions[i]?.[0]).split(" ");
      const labels = labelsOf(scenes, i);
      const mentioned = words.filter((word) => (SCENE_LABELS as readonly string[]).includes(word));
      expect(mentioned.filter((word) => !labels.includes(word))).toEqual([]);
      expect(words.length - mentioned.length).toBe(6);
      named += mentioned.length;
      all += labels.length;
    }
    // 600 draws: a standard error of 0.02.
    expect(Math.abs(named / all - 0.6)).toBeLessThan(0.06);
  });

  it("do not depend on how many are drawn", async () => {
    const few = taggedScenes(randomKey(3), 4);
    expect(few.set.captions).toEqual(scenes.set.captions.slice(0, 4));
    expect((await few.set.pixels([3])).data).toEqual((await scenes.set.pixels([3])).data);
  });

  it("refuse what makes no sense", () => {
    expect(() => taggedScenes(randomKey(1), 0)).toThrow(/count must be an integer >= 1, got 0/);
    expect(() => taggedScenes(randomKey(1), 1, { lostWords: Number.NaN })).toThrow(/lostWords/);
    expect(() => taggedScenes(randomKey(1), 1, { size: 4 })).toThrow(/size must be an integer from 16/);
  });
});

it("bits are examined as defined", () => {
  const codes = {
    dtype: "float32",
    shape: [4, 3],
    data: Float32Array.from([1, 1, 1, 1, -1, 1, -1, 1, 1, -1, -1, 1]),
  } as const;
  const { ones, correlations } = examineBits(codes);
  expect(ones).toEqual([0.5, 0.5, 1]);
  expect(correlations[0]?.map((value) => value && Math.round(value * 1e6) / 1e6)).toEqual([1, 0, null]);
  const { imbalance, quantisation } = bitStatistics({ image: codes, text: codes });
  expect(imbalance).toBeCloseTo(0.5 / 3, 6);
  expect(quantisation).toBe(0);
});

it("finds the end of texts, and starts prompts as the paper does", () => {
  const mask = { dtype: "float32", shape: [2, 3], data: Float32Array.from([1, 1, 0, 1, 1, 1]) } as const;
  expect(Array.from(endsOf(mask).data)).toEqual([1, 2]);
  expect(promptSentence(["dog", "sky"])).toBe("this is an image containing dog sky");
});

describe("on the generated world", () => {
  const context = contextInMemory(tiny, 7);
  let prepared: Prepared;
  const results = new Map<string, ArmResult>();

  beforeAll(async () => {
    prepared = await experiment.prepare(context);
    for (const id of ["hashing", "prompthash", "label-prompts"])
      results.set(id, await experiment.runArm(id, prepared, context));
  });

  afterAll(() => experiment.dispose?.(prepared));

  const metricsOf = (id: string): Readonly<Record<string, number>> => (results.get(id) as ArmResult).metrics;

  it("evaluates every metric, the figures and the points of the map", () => {
    const { metrics, figures, embeddings, embeddingLabels } = results.get("prompthash") as ArmResult;
    expect(Object.keys(metrics).sort()).toEqual(experiment.metrics.map(({ id }) => id).sort());
    expect(Object.values(metrics).filter((value) => !Number.isFinite(value))).toEqual([]);
    expect(figures?.map(({ id }) => id)).toEqual([
      "precision-recall-i2t",
      "precision-recall-t2i",
      "protocols",
      "balance",
      "correlation",
      "found",
    ]);
    const recall = figures?.find(({ id }) => id === "precision-recall-i2t");
    if (recall?.kind !== "lines") throw new Error("precision against recall are lines");
    // The largest radius finds everything, at the precision of chance.
    for (const { points, guide } of recall.series.filter((series) => !series.guide)) {
      expect(guide).toBeUndefined();
      expect(points.at(-1)?.[0]).toBeCloseTo(100, 6);
      expect(points.at(-1)?.[1]).toBeCloseTo(metrics.chance as number, 6);
    }
    expect(embeddings?.image?.shape).toEqual([16, 8]);
    expect(embeddingLabels).toHaveLength(16);
  });

  it("shows the same codes under all protocols where there is neither prompt nor fusion", () => {
    const metrics = metricsOf("hashing");
    for (const bits of [16, 32, 64]) {
      expect(metrics[`map-p1-${bits}`]).toBe(metrics[`map-p3-${bits}`]);
      expect(metrics[`map-p2-${bits}`]).toBe(metrics[`map-p3-${bits}`]);
    }
  });

  it("lets a query see its partner and its labels under the leaking protocols only", () => {
    for (const arm of ["prompthash", "label-prompts"]) {
      const metrics = metricsOf(arm);
      expect(metrics["map-p1-64"]).not.toBe(metrics["map-p2-64"]);
      expect(metrics["map-p2-64"]).not.toBe(metrics["map-p3-64"]);
    }
  });

  it("trains and measures label-free arms without a look at prompts of labels, but under P1", async () => {
    const { task } = prepared;
    const others = Array.from({ length: task.items.set.count }, (_, i) => task.items.set.count - 1 - i);
    const mixedUp = { ...task, labelPrompts: takeRows(task.labelPrompts, others) };
    const { metrics } = await experiment.runArm("prompthash", { ...prepared, task: mixedUp }, context);
    for (const [id, value] of Object.entries(metricsOf("prompthash")))
      if (id === "map-p1-64") expect(metrics[id]).not.toBe(value);
      else if (!id.startsWith("map-p1-")) expect(metrics[id], id).toBe(value);
  });

  it("trains every arm from the same start, differently, and the same again for the same seed", async () => {
    const ids = [...results.keys()];
    expect(new Set(ids.map((id) => JSON.stringify(metricsOf(id)))).size).toBe(ids.length);
    const before = treeEntries(prepared.start).map(([, leaf]) => toNumbers(leaf as NDArray).join());
    // The two share a graph, and differ in a weight that is its input.
    const alignment = await experiment.runArm("alignment", prepared, context);
    expect(alignment.metrics).not.toEqual(metricsOf("hashing"));
    const again = await experiment.runArm("hashing", prepared, context);
    expect(again.metrics).toEqual(metricsOf("hashing"));
    expect(treeEntries(prepared.start).map(([, leaf]) => toNumbers(leaf as NDArray).join())).toEqual(before);
  });

  it("goes on after a kill to the same numbers", async () => {
    const saves = new Map<string, { step: number; state: ArrayTree }>();
    const killed = new AbortController();
    const checkpoint: UnitContext<PromptHashConfig>["checkpoint"] = {
      load: async (name) => saves.get(name) ?? null,
      save: async (name, step, state) => void saves.set(name, { step, state: structuredClone(state) }),
    };
    const first: UnitContext<PromptHashConfig> = {
      ...contextInMemory(tiny, 7),
      checkpoint,
      signal: killed.signal,
      progress: ({ phase, step }) => {
        if (phase === "hashing" && step === 3) killed.abort();
      },
    };
    await expect(experiment.runArm("hashing", prepared, first)).rejects.toThrow();
    expect(saves.get("hashing")?.step).toBe(3);
    const resumed = await experiment.runArm("hashing", prepared, { ...contextInMemory(tiny, 7), checkpoint });
    expect(resumed.metrics).toEqual(metricsOf("hashing"));
  });

  it("has arms that share a graph one after another", () => {
    const { encoder, hashing } = tiny;
    const parts = arms.map(({ recipe }) => armModel(prepared.dual, encoder.width, hashing, recipe).parts);
    for (const graph of ["training", "evaluation"] as const) {
      const runs = parts.map((part) => part[graph]).filter((key, i, all) => key !== all[i - 1]);
      expect(new Set(runs).size, graph).toBe(runs.length);
      expect(runs.length, graph).toBeLessThan(arms.length);
    }
  });

  it("declares arms that differ in what their names say", () => {
    const { recipe } = armById("prompthash");
    const differences = (id: string): string[] =>
      Object.entries(armById(id).recipe)
        .filter(([part, value]) => recipe[part as keyof typeof recipe] !== value)
        .map(([part]) => part);
    expect(differences("no-alignment")).toEqual(["alignment"]);
    expect(differences("no-selection")).toEqual(["fusion"]);
    expect(differences("paired")).toEqual(["missing"]);
    expect(differences("unimodal")).toEqual(["missing"]);
    expect(differences("no-prompt")).toEqual(["prompt", "alignment"]);
    expect(differences("no-fusion")).toEqual(["fusion", "missing"]);
    expect(arms.map(({ id }) => id)).toContain("label-prompts");
  });
});

describe("labels of own data", () => {
  it("are parted, counted and cut off", () => {
    const { classes, labels } = readLabels(["a| b", "b|b", undefined, "c|", "a|b|c"], {
      separator: "|",
      minCount: 2,
    });
    expect(classes).toEqual(["b", "a", "c"]);
    expect(Array.from(labels.data)).toEqual([1, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1]);
    expect(() => readLabels(["a,b", "c"], { separator: "|", minCount: 2 })).toThrow(
      /none of the 2 labels belongs to 2 pictures or more; is the separator "\|"/,
    );
    expect(() => readLabels([undefined, "", " | "], { separator: "|", minCount: 1 })).toThrow(
      /none of the 3 pictures has a label/,
    );
    // "c" is cut off, and with it the one picture that lacks "a".
    expect(() => readLabels(["a|b", "a", "c", "b|a"], { separator: "|", minCount: 2 })).toThrow(
      /all 3 pictures with labels have the label "a"/,
    );
  });
});

/** A PNG of one colour. */
function png(side: number, red: number, green: number, blue: number): Buffer {
  const chunk = (type: string, content: Buffer): Buffer => {
    const body = Buffer.concat([Buffer.from(type, "latin1"), content]);
    const frame = Buffer.alloc(8);
    frame.writeUInt32BE(content.length, 0);
    frame.writeUInt32BE(crc32(body), 4);
    return Buffer.concat([frame.subarray(0, 4), body, frame.subarray(4)]);
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(side, 0);
  header.writeUInt32BE(side, 4);
  header.set([8, 2, 0, 0, 0], 8);
  const row = Buffer.concat([Buffer.from([0]), Buffer.alloc(3 * side, Buffer.from([red, green, blue]))]);
  const rows = deflateSync(Buffer.concat(Array.from({ length: side }, () => row)));
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([
    signature,
    chunk("IHDR", header),
    chunk("IDAT", rows),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

describe("on own pictures", () => {
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "prompthash-"));
    await mkdir(join(folder, "images"));
    const random = new RandomStream(randomKey(5));
    const rows = ["file,text,tags"];
    for (let i = 0; i < 60; i++) {
      const [red, blue] = [random.integer(256), random.integer(256)];
      await writeFile(join(folder, "images", `${i}.png`), png(20, red, 90, blue));
      const tags = [
        red > blue ? "warm" : "cold",
        red + blue > 256 ? "bright" : "dark",
        i === 0 ? "rare" : "",
      ];
      rows.push(`${i}.png,shade ${i} of ${red > blue ? "fire" : "water"},${i === 1 ? "" : tags.join("; ")}`);
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
    "labels-column": "tags",
    separator: ";",
    ...more,
  });

  it("splits, trains, tells what it left out and measures everything", async () => {
    const context = contextInMemory(tiny, 3, given({ "min-count": "5", epochs: "3" }));
    const prepared = await experiment.prepare(context);
    const { items, queries, training } = prepared.task;
    expect(items.classes.toSorted()).toEqual(["bright", "cold", "dark", "warm"]);
    expect([items.set.count, queries, training]).toEqual([59, 12, 30]);
    const notes = context.notes.join("\n");
    expect(notes).toMatch(/2 rows were skipped.*image file not found/);
    expect(notes).toMatch(/1 pictures have no label that is kept/);
    const { metrics } = await experiment.runArm("alignment", prepared, context);
    expect(Object.keys(metrics).sort()).toEqual(experiment.metrics.map(({ id }) => id).sort());
    const balancing = contextInMemory(tiny, 3, given({ "min-count": "5", epochs: "3", balance: true }));
    expect((await experiment.runArm("alignment", prepared, balancing)).metrics).not.toEqual(metrics);
    await experiment.dispose?.(prepared);
  });

  it("says what is wrong with its inputs", async () => {
    const check = (
      inputs: Readonly<Record<string, string | boolean>>,
      preset: "default" | "paper" = "default",
    ) => experiment.validate?.(inputs, preset);
    await expect(check({}, "paper")).rejects.toThrow(/--pairs .*labels/);
    await expect(check({})).resolves.toBeUndefined();
    await expect(check(given())).resolves.toBeUndefined();
    await expect(check(given({ epochs: "many" }))).rejects.toThrow(/--epochs must be an integer from 1 to/);
    await expect(check(given({ separator: "" }))).rejects.toThrow(/--separator must not be empty/);
    await expect(check(given({ "image-size": "100" }), "paper")).rejects.toThrow(/multiple of 16/);
    await expect(check(given({ images: join(folder, "nowhere") }))).rejects.toThrow(/no folder or archive/);
    const wrong = contextInMemory(tiny, 3, given({ "labels-column": "colour" }));
    await expect(experiment.prepare(wrong)).rejects.toThrow(
      /pairs\.csv has no column "colour" .* there is "tags"/,
    );
    expect(ownRun(defaultConfig, given())?.minCount).toBe(10);
  });

  it("stops at the first unusable row in strict mode", async () => {
    const context = contextInMemory(tiny, 3, given({ strict: true }));
    await expect(experiment.prepare(context)).rejects.toThrow(/pairs\.csv:6[23]/);
  });
});
