import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { bodyVolumes } from "@concord/data";
import {
  foldIn,
  importOnnx,
  type NDArray,
  RandomStream,
  randomKey,
  toNumbers,
  treeEntries,
} from "@concord/tensor";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { problemsOf } from "../../harness/check-experiment.ts";
import type { ArrayTree, UnitContext } from "../../harness/contract.ts";
import { judge } from "../../harness/verdict.ts";
import { arms } from "./arms.ts";
import { paperConfig, smokeConfig, type VocoConfig } from "./config.ts";
import { augmentCrop, type CropGeometry, checkGeometry, extractCrop, PAPER_AUGMENTATION } from "./crops.ts";
import { encoderModel } from "./encoder-model.ts";
import { claims, experiment, type Prepared } from "./experiment.ts";
import { windowCentres } from "./fine-tuning.ts";
import { segmenterInit } from "./network.ts";
import { positionLabels } from "./position-labels.ts";
import { pretrain } from "./pretraining.ts";
import { centresOf, volumeBatches } from "./volume-batches.ts";

type Context = UnitContext<VocoConfig> & { readonly notes: string[]; readonly phases: Set<string> };

/** A unit whose checkpoints live in memory, and which may be killed after so many of them. */
function contextOf(
  seed: number,
  given: {
    readonly config?: VocoConfig;
    readonly inputs?: Readonly<Record<string, string>>;
    readonly folder?: string;
    readonly saved?: Map<string, { step: number; state: ArrayTree }>;
    readonly killAt?: number;
  } = {},
): Context {
  const { config = tiny, inputs = {}, folder = "", saved = new Map(), killAt = Infinity } = given;
  const notes: string[] = [];
  const phases = new Set<string>();
  const controller = new AbortController();
  return {
    notes,
    phases,
    config,
    seed,
    key: randomKey(seed),
    unit: `test/seed-${seed}`,
    inputs,
    signal: controller.signal,
    log(phase, step) {
      if (phase === "pre-training" && step === killAt) controller.abort(new Error("killed"));
    },
    note: (message) => void notes.push(message),
    progress: ({ phase }) => void phases.add(phase),
    memo: <T extends ArrayTree>(_name: string, build: () => Promise<T>): Promise<T> => build(),
    checkpoint: {
      load: async (name) => saved.get(name) ?? null,
      save: async (name, step, state) => void saved.set(name, { step, state }),
    },
    artefact: (name) => join(folder, name),
  };
}

const tiny: VocoConfig = {
  ...smokeConfig,
  data: { ...smokeConfig.data, generated: { unlabelled: 4, labelled: 2, test: 3 } },
  pretraining: { ...smokeConfig.pretraining, steps: 6 },
  fineTuning: { ...smokeConfig.fineTuning, steps: 4 },
};

const flat = (params: unknown): string =>
  treeEntries(params)
    .map(([path, array]) => `${path} ${toNumbers(array as NDArray).join()}`)
    .join("\n");

describe("declarations", () => {
  it("are consistent", () => expect(problemsOf(experiment as never)).toEqual([]));

  it("keep the paper's sizes in the paper preset", () => {
    const { geometry, network, pretraining } = experiment.presets.paper.config;
    expect(geometry).toEqual({ side: 384, depth: 96, grid: 4, inputSide: 64, inputDepth: 64 });
    expect(network.widths.reduce((a, b) => a + b)).toBe(1152);
    expect([network.hidden, network.embedding]).toEqual([2048, 2048]);
    expect([pretraining.batchSize, pretraining.randomCrops, pretraining.learningRate]).toEqual([2, 4, 1e-4]);
    expect([pretraining.steps, pretraining.warmup * pretraining.steps]).toEqual([250_000, 5000]);
    checkGeometry(geometry);
  });
});

describe("crops", () => {
  const geometry: CropGeometry = { side: 32, depth: 4, grid: 4, inputSide: 8, inputDepth: 4 };
  const ramp: NDArray<"float32"> = {
    dtype: "float32",
    shape: [32, 32, 4],
    data: Float32Array.from({ length: 4096 }, (_, i) => i),
  };

  it("hold the voxels around their centre, and nothing beyond the border", () => {
    const { data, shape } = extractCrop(ramp, [10, 20], geometry);
    expect(shape).toEqual([8, 8, 4]);
    for (let x = 0; x < 8; x++)
      for (let y = 0; y < 8; y++)
        for (let z = 0; z < 4; z++) expect(data[(x * 8 + y) * 4 + z]).toBe(((6 + x) * 32 + 16 + y) * 4 + z);
    expect(() => extractCrop(ramp, [3, 20], geometry)).toThrow(/crop of 8 around \(3, 20\) leaves a plane/);
    expect(() => extractCrop({ ...ramp, shape: [64, 16, 4] }, [8, 8], geometry)).toThrow(/expected a volume/);
    expect(() => checkGeometry({ ...geometry, side: 36 })).toThrow(/even number of voxels/);
  });

  it("keep all their voxels under flips and turns, which happen as often as they should", () => {
    const crop = extractCrop(ramp, [10, 20], geometry);
    const wanted = [...crop.data].sort((a, b) => a - b).join();
    let moved = 0;
    for (let i = 0; i < 400; i++) {
      const { data } = augmentCrop(crop, new RandomStream(foldIn(randomKey(1), i)), {
        ...PAPER_AUGMENTATION,
        shift: 0,
      });
      expect([...data].sort((a, b) => a - b).join()).toBe(wanted);
      moved += Number(data.join() !== crop.data.join());
    }
    // 1 - 0.8^4 = 0.59 minus what a half turn and two flips undo; four standard deviations are 0.1.
    expect(moved / 400).toBeGreaterThan(0.48);
    expect(moved / 400).toBeLessThan(0.69);
  });

  it("come in batches that depend on key and step alone, with the overlaps of their random crops", async () => {
    const world = bodyVolumes({ shape: [32, 32, 8] });
    const volumes = [0, 1, 2].map((i) => ({ name: `${i}`, ...world.item(foldIn(randomKey(2), i)) }));
    const options = {
      key: randomKey(5),
      batchSize: 2,
      randomCrops: 3,
      geometry: { ...geometry, depth: 8, inputDepth: 8 },
      augmentation: PAPER_AUGMENTATION,
    };
    const source = volumeBatches(volumes, options);
    const [later, first] = [await source.batch(7), await source.batch(0)];
    expect(first.inputs.shape).toEqual([2 * 19, 1, 8, 8, 8]);
    expect(await volumeBatches(volumes, options).batch(7)).toEqual(later);
    // Labels belong to the places that the batch says: the last three crops of each volume.
    for (let v = 0; v < 2; v++)
      for (let r = 0; r < 3; r++) {
        const at = 2 * (v * 19 + 16 + r);
        const centre = Float32Array.of(later.places.data[at] as number, later.places.data[at + 1] as number);
        const voxels = centre.map((place) => 16 * (place + 1));
        const own = positionLabels({ dtype: "float32", shape: [2], data: voxels }, { cropSize: 8, grid: 4 });
        const row = later.labels.data.slice((v * 3 + r) * 16, (v * 3 + r + 1) * 16);
        row.forEach((value, i) => {
          expect(value).toBeCloseTo(own.data[i] as number, 5);
        });
      }
    const plain = await volumeBatches(volumes, {
      ...options,
      augmentation: { ...PAPER_AUGMENTATION, flip: 0 },
    }).batch(7);
    expect(plain.labels).toEqual(later.labels);
    expect(plain.inputs.data.join()).not.toBe(later.inputs.data.join());
  });

  it("and windows cover the plane", () => {
    expect(windowCentres(64, 16, 0.5)).toEqual([8, 16, 24, 32, 40, 48, 56]);
    expect(windowCentres(16, 16, 0.5)).toEqual([8]);
    expect(windowCentres(70, 16, 0).at(-1)).toBe(62);
    expect(() => windowCentres(64, 16, 1)).toThrow(/overlap must lie in/);
    expect(centresOf(new RandomStream(randomKey(1)), geometry, 2)).toHaveLength(18);
  });
});

describe("on the generated world", () => {
  const results = new Map<string, string>();
  let prepared: Prepared;

  beforeAll(async () => {
    prepared = await experiment.prepare(contextOf(7));
  });

  it("runs every arm from the same start, differently, with every metric and its pictures", async () => {
    const before = flat(prepared.start);
    for (const { id } of experiment.arms) {
      const context = contextOf(7);
      const {
        metrics,
        figures = [],
        embeddings,
        embeddingLabels,
      } = await experiment.runArm(id, prepared, context);
      expect(Object.keys(metrics).sort()).toEqual(experiment.metrics.map((metric) => metric.id).sort());
      expect(Object.values(metrics).every(Number.isFinite)).toBe(true);
      expect(figures.map((figure) => figure.id)).toEqual([
        "position-map",
        "crops",
        "overlap",
        "dice",
        "segmentation",
      ]);
      expect(embeddings?.["row-1"]?.shape).toEqual([12, 20]);
      expect(embeddingLabels).toHaveLength(12);
      expect(context.notes.filter((note) => /waiting for data/.test(note))).toHaveLength(
        id === "scratch" ? 1 : 2,
      );
      results.set(id, JSON.stringify(metrics));
    }
    expect(new Set(results.values()).size).toBe(results.size);
    expect(flat(prepared.start)).toBe(before);
  }, 15_000);

  it("goes on to the same bits after a kill", async () => {
    const saved = new Map<string, { step: number; state: ArrayTree }>();
    await expect(experiment.runArm("released", prepared, contextOf(7, { saved, killAt: 3 }))).rejects.toThrow(
      /killed/,
    );
    expect(saved.get("pre-training")?.step).toBe(3);
    const { metrics } = await experiment.runArm("released", prepared, contextOf(7, { saved }));
    expect(JSON.stringify(metrics)).toBe(results.get("released"));
  });

  it("the verdict notices an ablation that is switched off", async () => {
    const byArm = (id: string) => ({ arm: id, seed: 7, metrics: JSON.parse(results.get(id) ?? "{}") });
    const changeOf = (off: boolean): number[] => {
      const ablation = off ? { ...byArm("voco"), arm: "no-regularisation" } : byArm("no-regularisation");
      const { verdicts } = judge(claims, {
        arms: ["voco", "no-regularisation"],
        seeds: [7],
        results: [byArm("voco"), ablation] as never,
      });
      return verdicts.flatMap(({ changes }) => changes);
    };
    expect(changeOf(true)).toEqual([0, 0]);
    expect(changeOf(false).every((change) => change !== 0)).toBe(true);
    // Without its weight the method is the ablation: the arms differ in nothing else.
    const recipeOf = (id: string) => arms.find((arm) => arm.id === id)?.recipe;
    expect({ ...recipeOf("voco"), pretext: { ...recipeOf("voco")?.pretext, lambdaReg: 0 } }).toEqual(
      recipeOf("no-regularisation"),
    );
  });

  it("the teacher of the released form starts from weights of its own and follows the student", async () => {
    const saved = new Map<string, { step: number; state: ArrayTree }>();
    await experiment.runArm("released", prepared, contextOf(7, { saved }));
    const state = saved.get("pre-training")?.state as unknown as { params: object; teacher: object };
    expect(Object.keys(state.teacher)).toEqual(Object.keys(state.params));
    expect(flat(state.teacher)).not.toBe(flat(state.params));
  });
});

describe("the paper's configuration", () => {
  it("builds its encoder at full size", async () => {
    const { encoder } = segmenterInit(randomKey(1), paperConfig.network, 2);
    const layer = await importOnnx(encoderModel(encoder, paperConfig));
    expect(layer.inputs[0]?.shape).toEqual(["batch", 1, 64, 64, 64]);
    expect(layer.outputs[0]?.shape).toEqual(["batch", 1152]);
  });

  it("takes its first step, on narrower levels and smaller crops", async () => {
    const geometry = { side: 64, depth: 16, grid: 4, inputSide: 16, inputDepth: 16 };
    const network = { ...paperConfig.network, widths: [8, 8, 16, 24, 32], hidden: 32, embedding: 32 };
    const world = bodyVolumes({ shape: [64, 64, 16] });
    const volumes = [0, 1].map((i) => ({ name: `${i}`, ...world.item(foldIn(randomKey(4), i)) }));
    const recipe = arms.find(({ id }) => id === "flips")?.recipe;
    if (!recipe) throw new Error("the paper's augmentation belongs to an arm");
    const { params } = await pretrain(contextOf(1), {
      start: segmenterInit(randomKey(1), network, 2).encoder,
      recipe,
      volumes,
      geometry,
      network,
      config: { ...paperConfig.pretraining, steps: 1, warmup: 0 },
      key: randomKey(2),
    });
    expect(flat(params)).not.toContain("NaN");
  });

  it("asks for volumes", async () => {
    await expect(experiment.validate?.({}, "paper")).rejects.toThrow(/own volumes: give --volumes/);
    await expect(experiment.validate?.({}, "default")).resolves.toBeUndefined();
  });
});

/** A scan as a NIfTI-1 file of float32, in Hounsfield units; labels as 16-bit integers. */
function nifti({ shape, data, dtype }: NDArray, scale = 1, offset = 0): Buffer {
  const [X = 0, Y = 0, Z = 0] = shape;
  const isLabel = dtype === "int32";
  const size = isLabel ? 2 : 4;
  const file = Buffer.alloc(352 + X * Y * Z * size);
  file.writeInt32LE(348, 0);
  [3, X, Y, Z, 1, 1, 1, 1].forEach((value, i) => {
    file.writeInt16LE(value, 40 + 2 * i);
    file.writeFloatLE(1, 76 + 4 * i);
  });
  file.writeInt16LE(isLabel ? 4 : 16, 70);
  file.writeFloatLE(352, 108);
  file.write("n+1\0", 344, "latin1");
  for (let x = 0; x < X; x++)
    for (let y = 0; y < Y; y++)
      for (let z = 0; z < Z; z++) {
        const value = scale * Number(data[(x * Y + y) * Z + z]) + offset;
        const at = 352 + (x + X * (y + Y * z)) * size;
        if (isLabel) file.writeInt16LE(value, at);
        else file.writeFloatLE(value, at);
      }
  return file;
}

describe("on own volumes", () => {
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "voco-"));
    await Promise.all(["scans", "masks"].map((name) => mkdir(join(folder, name))));
    const world = bodyVolumes({ shape: [36, 30, 10] });
    for (let i = 0; i < 10; i++) {
      const { volume, labels } = world.item(foldIn(randomKey(6), i));
      await writeFile(join(folder, "scans", `p${i}.nii.gz`), gzipSync(nifti(volume, 425, -175)));
      // Values of labels are the user's own: 10, 20, ...
      if (i < 7) await writeFile(join(folder, "masks", `p${i}.nii.gz`), gzipSync(nifti(labels, 10)));
    }
    await writeFile(join(folder, "scans", "broken.nii.gz"), gzipSync(Buffer.alloc(900)));
    const listed = (i: number) => ({ image: `scans/p${i}.nii.gz`, label: `masks/p${i}.nii.gz` });
    const lists = {
      good: {
        training: [0, 1, 2, 3].map(listed),
        validation: [4, 5].map(listed),
        test: ["scans/p8.nii.gz"],
        labels: { 0: "background", 10: "liver" },
      },
      outside: { training: [{ image: "../elsewhere.nii.gz" }] },
      link: { training: [{ image: "link.nii.gz" }] },
      odd: { training: [{ picture: "a.nii.gz" }] },
      empty: {},
    };
    await symlink("/etc/hostname", join(folder, "link.nii.gz"));
    for (const [name, list] of Object.entries(lists))
      await writeFile(join(folder, `${name}.json`), JSON.stringify(list));
  });

  afterAll(() => rm(folder, { recursive: true, force: true }));

  it("trains on a folder, segments with its labels, says what it skipped, and leaves an ONNX encoder", async () => {
    const inputs = { volumes: join(folder, "scans"), labels: join(folder, "masks"), labelled: "2" };
    const context = contextOf(3, { inputs, folder });
    const prepared = await experiment.prepare(context);
    expect(context.notes.join()).toMatch(
      /1 of 11 volumes were skipped: .*broken\.nii\.gz cannot be read: .*348/,
    );
    expect(prepared.task.classes).toEqual([10, 20, 30, 40, 50, 60].map((value) => `label ${value}`));
    expect(prepared.task.labelled).toHaveLength(2);
    expect(prepared.task.test.every(({ labels }) => labels !== null)).toBe(true);
    const names = [...prepared.task.unlabelled, ...prepared.task.test].map(({ name }) => name);
    expect(new Set(names).size).toBe(10);
    const { metrics } = await experiment.runArm("voco", prepared, context);
    expect(metrics.dice).toBeGreaterThanOrEqual(0);
    const missing = experiment.metrics.filter(({ id }) => metrics[id] === undefined);
    expect(missing.every(({ optional }) => optional === true)).toBe(true);
    const model = await importOnnx(await readFile(join(folder, "encoder.onnx")));
    expect(model.inputs.map(({ name, shape }) => [name, shape])).toEqual([["crops", ["batch", 1, 8, 8, 8]]]);
  });

  it("takes a decathlon list, its validation part and its names", async () => {
    const context = contextOf(3, { inputs: { volumes: join(folder, "good.json") } });
    const { task } = await experiment.prepare(context);
    expect(task.test.map(({ name }) => name)).toEqual(["p4", "p5"]);
    expect(task.unlabelled.map(({ name }) => name).sort()).toEqual(["p0", "p1", "p2", "p3", "p8"]);
    expect(task.classes.slice(0, 2)).toEqual(["liver", "label 20"]);
  });

  it("measures positions alone without labels", async () => {
    const inputs = { volumes: join(folder, "scans"), window: "auto", foreground: "0" };
    const context = contextOf(3, { inputs, folder });
    const { metrics } = await experiment.runArm("scratch", await experiment.prepare(context), context);
    expect(metrics.dice).toBeUndefined();
    expect(metrics["position-accuracy"]).toBeGreaterThan(0);
  });

  it("says what is wrong with its inputs", async () => {
    const check = (name: string, more: Readonly<Record<string, string>> = {}) =>
      experiment.validate?.({ volumes: join(folder, name), ...more }, "default");
    await expect(check("nowhere")).rejects.toThrow(/nowhere: there is no such file or folder/);
    await expect(check("scans/p0.nii.gz")).rejects.toThrow(
      /neither a folder of NIfTI files nor a \.json list/,
    );
    await expect(check("outside.json")).rejects.toThrow(/"\.\.\/elsewhere\.nii\.gz", which leads outside/);
    await expect(check("link.json")).rejects.toThrow(/a link that leads outside/);
    await expect(check("odd.json")).rejects.toThrow(/no list of volumes[^]*training/);
    await expect(check("empty.json")).rejects.toThrow(/lists no volume under "training"/);
    await expect(check("good.json", { labels: folder })).rejects.toThrow(/names its labels itself/);
    await expect(check("scans", { labels: folder })).rejects.toThrow(
      /holds no file with the name of a volume/,
    );
    await expect(check("scans", { side: "50" })).rejects.toThrow(/even number of voxels/);
    await expect(check("scans", { depth: "many" })).rejects.toThrow(
      /--depth must be an integer from 1 to 512/,
    );
    await expect(check("scans", { window: "5" })).rejects.toThrow(/--window must be LOW,HIGH/);
    await expect(check("scans", { foreground: "1" })).rejects.toThrow(/--foreground must be a number from 0/);
    const strict = contextOf(3, { inputs: { volumes: join(folder, "scans"), strict: true as never } });
    await expect(experiment.prepare(strict)).rejects.toThrow(/broken\.nii\.gz cannot be read/);
  });
});
