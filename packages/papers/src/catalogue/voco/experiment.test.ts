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
import { beforeAll, describe, expect, it } from "vitest";
import { problemsOf } from "../../harness/check-experiment.ts";
import type { ArrayTree, UnitContext } from "../../harness/contract.ts";
import { contextInMemory } from "../../harness/memory-context.ts";
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

/** Small enough for every arm to run in a test. */
const tiny: VocoConfig = {
  ...smokeConfig,
  data: { ...smokeConfig.data, generated: { unlabelled: 4, labelled: 2, test: 3 } },
  pretraining: { ...smokeConfig.pretraining, steps: 6 },
  fineTuning: { ...smokeConfig.fineTuning, steps: 4 },
};

type Saved = Map<string, { step: number; state: ArrayTree }>;

/** A unit with checkpoints in memory, which is killed after so many steps of pre-training. */
function contextOf(seed: number, saved: Saved = new Map(), killAt = Infinity) {
  const controller = new AbortController();
  return {
    ...contextInMemory(tiny, seed),
    signal: controller.signal,
    log(phase, step) {
      if (phase === "pre-training" && step === killAt) controller.abort(new Error("killed"));
    },
    checkpoint: {
      load: async (name) => saved.get(name) ?? null,
      save: async (name, step, state) => void saved.set(name, { step, state }),
    },
  } satisfies UnitContext<VocoConfig>;
}

const flat = (params: unknown): string =>
  treeEntries(params)
    .map(([path, array]) => `${path} ${toNumbers(array as NDArray).join()}`)
    .join("\n");

describe("declarations", () => {
  it("are consistent", () => expect(problemsOf(experiment as never)).toEqual([]));

  it("give rates to arms that there are, and to no other", () => {
    const ids = arms.filter(({ recipe }) => recipe !== null).map(({ id }) => id);
    for (const { config } of Object.values(experiment.presets))
      expect(ids).toEqual(expect.arrayContaining(Object.keys(config.pretraining.learningRates)));
    expect(experiment.presets.paper.config.pretraining.learningRates).toEqual({});
  });

  it("keep flips and turns from all arms but one, and noise from all but another", () => {
    const trained = arms.flatMap(({ id, recipe }) => (recipe ? [[id, recipe.augmentation] as const] : []));
    const plain = { ...PAPER_AUGMENTATION, flip: 0, rotate: 0 };
    const own: Readonly<Record<string, object>> = {
      flips: PAPER_AUGMENTATION,
      "own-noise": { ...plain, gain: 0.2, noise: 0.1 },
    };
    for (const [id, augmentation] of trained) expect(augmentation, id).toEqual(own[id] ?? plain);
  });

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
    /** Share of 400 crops that are not as they were, all of their voxels kept. */
    const moved = (change: object): number => {
      let count = 0;
      for (let i = 0; i < 400; i++) {
        const { data } = augmentCrop(crop, new RandomStream(foldIn(randomKey(1), i)), {
          ...PAPER_AUGMENTATION,
          shift: 0,
          ...change,
        });
        expect([...data].sort((a, b) => a - b).join()).toBe(wanted);
        count += Number(data.join() !== crop.data.join());
      }
      return count / 400;
    };
    // A turn in 0.2 of them, one of three flips in 1 - 0.8³ = 0.49; four standard deviations are 0.08 and 0.1.
    expect(Math.abs(moved({ flip: 0 }) - 0.2)).toBeLessThan(0.08);
    expect(Math.abs(moved({ rotate: 0 }) - 0.488)).toBeLessThan(0.1);
    expect(moved({ flip: 0, rotate: 0 })).toBe(0);
  });

  it("are shifted in brightness each by itself, base crops and random ones, as often and as far as the paper says", async () => {
    const zeros = new Float32Array(32 * 32 * 4);
    const volumes = [{ name: "zeros", volume: { ...ramp, data: zeros }, labels: null }];
    const { inputs } = await volumeBatches(volumes, {
      key: randomKey(6),
      batchSize: 1,
      randomCrops: 984,
      geometry,
      augmentation: PAPER_AUGMENTATION,
    }).batch(0);
    const shifts = Array.from({ length: 1000 }, (_, i) => inputs.data[i * 256] as number);
    const shifted = shifts.filter((shift) => shift !== 0);
    // One in ten; four standard deviations of a share of 1000 are 0.038. No two alike.
    expect(Math.abs(shifted.length / 1000 - 0.1)).toBeLessThan(0.038);
    expect(new Set(shifted).size).toBe(shifted.length);
    expect(Math.max(...shifted.map(Math.abs))).toBeLessThanOrEqual(0.1);
    expect(Math.max(...shifted.map(Math.abs))).toBeGreaterThan(0.08);
    expect(shifts.slice(0, 16).some((shift) => shift !== 0)).toBe(true);
  });

  it("have gain and noise of their own where they are to match by shape alone", () => {
    const flat = { ...ramp, shape: [32, 32, 4], data: new Float32Array(4096).fill(1) };
    const plain = { flip: 0, rotate: 0, shift: 0, shiftBy: 0, gain: 0, noise: 0 };
    const values = (change: object, seed = 1) =>
      augmentCrop(flat, new RandomStream(randomKey(seed)), { ...plain, ...change }).data;
    const gains = Array.from({ length: 50 }, (_, seed) => values({ gain: 0.2 }, seed)[0] as number);
    expect(Math.min(...gains)).toBeGreaterThanOrEqual(0.8);
    expect(Math.max(...gains)).toBeLessThanOrEqual(1.2);
    expect(Math.max(...gains) - Math.min(...gains)).toBeGreaterThan(0.3);
    expect(new Set(values({ gain: 0.2 })).size).toBe(1);
    const noisy = values({ noise: 0.1 });
    const mean = noisy.reduce((a, b) => a + b, 0) / 4096;
    // The mean of 4096 has a deviation of 0.0016, their deviation one of 0.0011.
    expect(Math.abs(mean - 1)).toBeLessThan(0.007);
    expect(Math.abs(Math.sqrt(noisy.reduce((a, b) => a + (b - mean) ** 2, 0) / 4096) - 0.1)).toBeLessThan(
      0.005,
    );
    expect(values({}).every((value) => value === 1)).toBe(true);
  });

  it("lie anywhere inside the plane, along both axes", () => {
    const centres = centresOf(new RandomStream(randomKey(7)), geometry, 600).slice(16);
    for (const axis of [0, 1] as const) {
      const places = centres.map((centre) => centre[axis]);
      // From half a crop to before the last place where it fits: 24 places, each missed by 600 with 1e-11.
      expect([Math.min(...places), Math.max(...places), new Set(places).size]).toEqual([4, 27, 24]);
    }
    expect(new Set(centres.map(([x, y]) => x - y)).size).toBeGreaterThan(24);
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
  }, 60_000);

  it("trains each arm at its own rate", async () => {
    const context = contextOf(7);
    const pretraining = { ...tiny.pretraining, learningRates: { "place-regression": 0 } };
    const still = { ...context, config: { ...tiny, pretraining } };
    const { metrics } = await experiment.runArm("place-regression", prepared, still);
    // At rate 0 the encoder stays what it was.
    expect(JSON.stringify(metrics)).toBe(results.get("scratch"));
  });

  it("goes on to the same bits after a kill", async () => {
    const saved: Saved = new Map();
    await expect(experiment.runArm("released", prepared, contextOf(7, saved, 3))).rejects.toThrow(/killed/);
    expect(saved.get("pre-training")?.step).toBe(3);
    const { metrics } = await experiment.runArm("released", prepared, contextOf(7, saved));
    expect(JSON.stringify(metrics)).toBe(results.get("released"));
  });

  it("the verdict notices an ablation that is switched off, and a method that does nothing", () => {
    const seeds = [7, 8, 9];
    const ids = experiment.arms.map(({ id }) => id);
    /** Verdicts with the results of another arm in an arm's place. */
    const judged = (arm: string, replaced: string) => {
      const all = seeds.flatMap((seed) =>
        ids.map((id) => ({
          arm: id,
          seed,
          metrics: JSON.parse(results.get(id === arm ? replaced : id) ?? "{}"),
        })),
      );
      const { verdicts, untested } = judge(claims, { arms: ids, seeds, results: all } as never);
      const outcome = (id: string) =>
        verdicts.find(({ claim }) => claim === id)?.outcome ??
        untested.find(({ claim }) => claim.id === id)?.reason;
      return { outcome, mean: (id: string) => verdicts.find(({ claim }) => claim === id)?.mean };
    };
    const ablated = judged("no-regularisation", "voco");
    expect(ablated.outcome("regularisation-parts-bases")).toBe("not reproduced");
    expect(ablated.outcome("regularisation-helps")).toMatch(/is the same in every seed/);
    expect(judged("voco", "voco").mean("regularisation-parts-bases")).not.toBe(0);
    const idle = judged("voco", "scratch");
    for (const id of ["knows-where", "few-labels"]) expect(idle.outcome(id), id).toBe("not reproduced");
    expect(judged("own-noise", "scratch").outcome("not-by-shared-voxels")).toBe("not reproduced");
    for (const [baseline, id] of [
      ["masked", "beats-reconstruction"],
      ["place-regression", "beats-regression"],
    ] as const)
      expect(judged("voco", baseline).outcome(id), id).toMatch(/is the same in every seed/);
    // Without its weight the method is the ablation: the arms differ in nothing else.
    const recipeOf = (id: string) => arms.find((arm) => arm.id === id)?.recipe;
    expect({ ...recipeOf("voco"), pretext: { ...recipeOf("voco")?.pretext, lambdaReg: 0 } }).toEqual(
      recipeOf("no-regularisation"),
    );
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
