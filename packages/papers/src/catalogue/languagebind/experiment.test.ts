import { asTensor, foldIn, normalArray, randomKey, toNumbers, treeEntries } from "@concord/tensor";
import { beforeAll, describe, expect, it } from "vitest";
import { problemsOf } from "../../harness/check-experiment.ts";
import type { ArmResult, ArrayTree, Claim, UnitContext } from "../../harness/contract.ts";
import { judge } from "../../harness/verdict.ts";
import { armById, arms } from "./arms.ts";
import { ATTRIBUTES, attributeNames, WORLD_SENSORS } from "./attributes.ts";
import { type LanguageBindConfig, paperConfig, smokeConfig } from "./config.ts";
import { languageInit } from "./embedder.ts";
import { eventSet } from "./events.ts";
import { experiment, type Prepared } from "./experiment.ts";
import { modalityEncoder, modalityEncoderInit, patchGrid, withLoraAdapters } from "./modality-encoder.ts";
import { card } from "./paper.ts";
import { positionResize } from "./position-resize.ts";
import { generatedTask, tiedTask } from "./task.ts";
import { withTraced } from "./trainable.ts";

const tiny: LanguageBindConfig = {
  ...smokeConfig,
  data: { ...smokeConfig.data, generated: { pictures: 128, events: 96, evaluation: 40, tie: 0.5 } },
  encoder: { ...smokeConfig.encoder, width: 16, outputs: 16 },
  text: { kind: "bag-of-words", width: 16, hidden: [16], wordDeviation: 1 },
  pretraining: { ...smokeConfig.pretraining, epochs: 2, batchSize: 32 },
};

type Saved = { readonly step: number; readonly state: ArrayTree };

/** A unit in memory; `saved` holds checkpoints and memos that outlive it, `killAt` aborts at a step of a phase. */
function contextOf(
  seed: number,
  options: {
    readonly saved?: Map<string, Saved>;
    readonly killAt?: readonly [phase: string, step: number];
  } = {},
): UnitContext<LanguageBindConfig> & { readonly seconds: Map<string, number> } {
  const { saved = new Map<string, Saved>(), killAt } = options;
  const abort = new AbortController();
  const seconds = new Map<string, number>();
  return {
    seconds,
    config: tiny,
    seed,
    key: randomKey(seed),
    unit: `test/seed-${seed}`,
    inputs: {},
    signal: abort.signal,
    log(phase, step) {
      if (killAt && phase === killAt[0] && step >= killAt[1]) abort.abort(new Error("killed"));
    },
    note() {},
    progress({ phase, dataSeconds = 0, computeSeconds = 0 }) {
      seconds.set(phase, dataSeconds / Math.max(1e-9, dataSeconds + computeSeconds));
    },
    memo: async <T extends ArrayTree>(name: string, build: () => Promise<T>): Promise<T> => {
      const known = saved.get(`memo ${name}`);
      if (known) return known.state as T;
      const state = await build();
      saved.set(`memo ${name}`, { step: 0, state });
      return state;
    },
    checkpoint: {
      load: async (name) => saved.get(name) ?? null,
      save: async (name, step, state) => void saved.set(name, { step, state: structuredClone(state) }),
    },
    artefact: (name) => name,
  };
}

describe("declarations", () => {
  it("are consistent, and the card's arms exist", () => {
    expect(problemsOf(experiment as never)).toEqual([]);
    const named = card.publishedResults.flatMap(({ rows }) => rows.flatMap(({ arm }) => (arm ? [arm] : [])));
    for (const arm of named) expect(() => armById(arm)).not.toThrow();
    expect(named.length).toBeGreaterThan(0);
  });

  it("keep the scripts' settings in the paper preset, and ask for data", async () => {
    const { video, audio, depth, infrared } = experiment.presets.paper.config.binding.sensors;
    expect([video, audio, depth, infrared].map(({ rank }) => rank)).toEqual([16, 16, 2, 2]);
    expect([video, audio, depth, infrared].map(({ learningRate }) => learningRate)).toEqual([
      1e-4, 1e-3, 5e-4, 1e-4,
    ]);
    expect([video, audio, depth, infrared].map(({ patchDropout }) => patchDropout)).toEqual([
      0.3, 0.1, 0.5, 0.5,
    ]);
    expect([video, audio, depth, infrared].map(({ batchSize }) => batchSize)).toEqual([
      640, 1024, 1024, 1024,
    ]);
    await expect(experiment.validate?.({}, "paper")).rejects.toThrow(/--pairs pictures\.csv/);
    await expect(experiment.prepare({ ...contextOf(0), config: paperConfig })).rejects.toThrow(/--pairs/);
    await expect(experiment.validate?.({}, "default")).resolves.toBeUndefined();
  });

  it("name arms and their sensors where rates differ", () => {
    for (const { config } of Object.values(experiment.presets))
      for (const [arm, rates] of Object.entries(config.binding.armRates))
        for (const sensor of Object.keys(rates))
          expect(armById(arm).recipe?.sensors, `${arm}: ${sensor}`).toContain(sensor);
  });

  it("part pictures and own sounds into whole patches in every preset", () => {
    for (const { config } of Object.values(experiment.presets))
      for (const inputSize of [config.encoder.inputSize, config.data.own.audio])
        expect(patchGrid({ ...config.encoder, inputSize }).every((side) => side > 1)).toBe(true);
  });

  it("build the paper's sizes: 16 x 16 patches of pictures, 9 x 74 of sounds", () => {
    const { encoder, data, text } = paperConfig;
    expect(patchGrid(encoder)).toEqual([16, 16]);
    expect(patchGrid({ ...encoder, inputSize: data.own.audio })).toEqual([9, 74]);
    // One block of ViT-L and of its text transformer; the others repeat it.
    const image = modalityEncoderInit(randomKey(0), { ...encoder, layers: 1 });
    expect(image.blocks[0]?.expand.weight.shape).toEqual([1024, 4096]);
    expect(image.projection.weight.shape).toEqual([1024, 768]);
    const language = languageInit(
      randomKey(0),
      { kind: "transformer", width: 768, heads: 12, layers: 1 },
      { vocabulary: 100, context: data.own.context, outputs: encoder.outputs },
    );
    expect(text).toEqual({ kind: "transformer", width: 768, heads: 12, layers: 12 });
    expect("positions" in language && language.positions.shape).toEqual([77, 768]);
  });

  it("run the paper's widths: half of the patches of a picture, most of those of a sound", async () => {
    const { encoder, data } = paperConfig;
    const one = { ...encoder, layers: 1 };
    const image = withLoraAdapters(randomKey(1), modalityEncoderInit(randomKey(0), one), 2);
    const run = (params: typeof image, inputSize: readonly [number, number], rate: number) => {
      const config = { ...one, inputSize };
      const [rows, columns] = patchGrid(config);
      const noise = asTensor(normalArray(randomKey(2), [1, rows * columns]));
      const inputs = asTensor(normalArray(randomKey(3), [1, 3, ...inputSize]));
      const options = { config, lora: { rank: 2 }, dropout: { rate, noise } };
      return modalityEncoder(withTraced(params, {}), inputs, options).data();
    };
    expect((await run(image, encoder.inputSize, 0.5)).shape).toEqual([1, 768]);
    const positions = await positionResize(image.positions, [16, 16], [9, 74]);
    const found = await run({ ...image, positions }, data.own.audio, 0.1);
    expect(toNumbers(found).every(Number.isFinite)).toBe(true);
  });
});

describe("the generated world", () => {
  it("makes an event of its key alone", () => {
    const all = eventSet(randomKey(4), 6, WORLD_SENSORS);
    const few = eventSet(randomKey(4), 3, ["depth"]);
    expect(all.captions.slice(0, 3)).toEqual(few.captions);
    expect(all.sensors.depth?.data.subarray(0, few.sensors.depth?.data.length)).toEqual(
      few.sensors.depth?.data,
    );
    expect(() => eventSet(randomKey(4), 0, ["rgb"])).toThrow(/>= 1, got 0/);
    expect(() => eventSet(randomKey(4), 1, ["rgb"], { tie: 2 })).toThrow(/\[0, 1\], got 2/);
  });

  it("hides heat, sound and change from the colour picture: it does not change with them", () => {
    // Heat, sound and change are drawn after shape, colour and distance; among many events some agree in the latter.
    const { attributes, count } = eventSet(randomKey(9), 4000, []);
    const share = (a: Int32Array, b: Int32Array, classes: number): number =>
      a.reduce((hits, value, i) => hits + Number(value % classes === b[i]), 0) / count;
    // Sound follows the shape in half of the events and is random in the others: 1/2 + 1/2 · 1/6 = 0.583.
    expect(share(attributes.shape, attributes.sound, 6)).toBeGreaterThan(0.55);
    expect(share(attributes.shape, attributes.sound, 6)).toBeLessThan(0.62);
    // Heat has nothing to do with the shape: 1/3 within 4 deviations of 0.0075.
    expect(Math.abs(share(attributes.shape, attributes.heat, 3) - 1 / 3)).toBeLessThan(0.04);
    const tied = eventSet(randomKey(9), 200, [], { tie: 1 }).attributes;
    expect(tied.sound.every((sound, i) => sound === (tied.shape[i] as number) % 6)).toBe(true);
    const byColour = eventSet(randomKey(9), 200, [], { tie: 1, follows: "colour" }).attributes;
    expect(byColour.sound).toEqual(byColour.colour);
  });

  it("has a twin in which the colour decides the sound: same pictures, other sounds and captions", () => {
    const key = randomKey(3);
    const counts = { pictures: 30, events: 40, evaluation: 50, tie: 0.5 };
    const task = generatedTask(key, counts, 2);
    const tied = tiedTask(key, task, counts);
    expect(Object.keys(tied.training)).toEqual(["audio"]);
    expect(tied.pictures.inputs).toBe(task.pictures.inputs);
    expect(tied.pictures.captions).not.toEqual(task.pictures.captions);
    // Beside the words for sounds, captions are the same, and pictures are what the twin's own events would show.
    const words = new Set<string>(ATTRIBUTES.sound.flat());
    const silent = (captions: readonly string[]) =>
      captions.map((caption) => caption.split(" ").filter((word) => !words.has(word)));
    expect(silent(tied.evaluation.audio?.captions ?? [])).toEqual(
      silent(task.evaluation.audio?.captions ?? []),
    );
    const shown = eventSet(foldIn(key, 2), counts.evaluation, ["rgb"], { tie: 1, follows: "colour" });
    expect(shown.sensors.rgb).toEqual(tied.evaluation.rgb?.inputs);
    const labels = (name: string) => tied.classifications.find((each) => each.name === name)?.labels;
    expect(labels("sound")).toEqual(shown.attributes.colour);
    expect(labels("colour")).toEqual(labels("sound"));
  });

  it("leaves attributes out of captions in 10 to 30 %", () => {
    const { captions } = eventSet(randomKey(2), 2000, []);
    const heat = /\b(cold|icy|warm|tepid|hot|burning)\b/;
    const named = captions.filter((caption) => heat.test(caption)).length / 2000;
    // 80 % on average, 4 deviations of 0.009.
    expect(Math.abs(named - 0.8)).toBeLessThan(0.04);
    expect(attributeNames).toHaveLength(6);
  });
});

describe("a run", () => {
  const saved = new Map<string, Saved>();
  let prepared: Prepared;
  const results = new Map<string, ArmResult>();
  let untouched: string[];

  const arrays = (): string[] =>
    treeEntries(prepared.start).map(([, array]) => toNumbers(array as never).join());

  beforeAll(async () => {
    prepared = await experiment.prepare(contextOf(7, { saved }));
    untouched = arrays();
    for (const { id } of arms) results.set(id, await experiment.runArm(id, prepared, contextOf(7)));
  }, 30_000);

  it("never touches language or the picture encoder", () => {
    expect(arrays()).toEqual(untouched);
  });

  it("measures every metric somewhere, and each arm what it binds", () => {
    const known = experiment.metrics.map(({ id }) => id);
    const found = new Set([...results.values()].flatMap(({ metrics }) => Object.keys(metrics)));
    expect([...found].filter((id) => !known.includes(id))).toEqual([]);
    expect(known.filter((id) => !found.has(id) && !id.endsWith("-label"))).toEqual([]);
    for (const { metrics } of results.values())
      expect(Object.values(metrics).every(Number.isFinite)).toBe(true);
    expect(results.get("no-temporal")?.metrics["audio-sound"]).toBeUndefined();
    for (const { arm, against, metric } of experiment.claims)
      for (const id of [arm, against])
        expect(results.get(id)?.metrics[metric], `${id}: ${metric}`).toBeDefined();
  });

  it("shows all pairs of modalities, and gives the map its points", () => {
    const { figures = [], embeddings = {}, embeddingLabels } = results.get("languagebind") as ArmResult;
    expect(figures.map(({ id }) => id)).toEqual([
      "recall-between-modalities",
      "similarity-between-modalities",
      "zero-shot",
      "depth-to-infrared",
    ]);
    const [recall] = figures;
    if (recall?.kind !== "matrix") throw new Error("expected a matrix");
    expect(recall.rows).toEqual(["Text", "RGB", "Video", "Depth", "Infrared", "Audio"]);
    recall.values.forEach((row, i) => {
      expect(row.map((value) => value === null)).toEqual(recall.rows.map((_, j) => i === j));
    });
    expect(Object.keys(embeddings)).toEqual(["text", "rgb", "video", "depth", "infrared", "audio"]);
    expect(embeddingLabels).toHaveLength(40);
  });

  it("gives the same again for the same seed, and goes on after a kill to the same numbers", async () => {
    const wanted = results.get("languagebind")?.metrics;
    const own = new Map<string, Saved>();
    await expect(
      experiment.runArm("languagebind", prepared, contextOf(7, { saved: own, killAt: ["infrared", 2] })),
    ).rejects.toThrow("killed");
    expect([...own.keys()].sort()).toEqual(["depth", "infrared", "video"]);
    const again = await experiment.runArm("languagebind", prepared, contextOf(7, { saved: own }));
    expect(again.metrics).toEqual(wanted);
    const resumed = await experiment.prepare(contextOf(7, { saved }));
    expect(resumed.start).toEqual(prepared.start);
  });

  it("tells how long it waited for data", async () => {
    const context = contextOf(7);
    await experiment.runArm("no-temporal", prepared, context);
    expect(context.seconds.get("video")).toBeLessThan(0.1);
  });
});

describe("verdicts", () => {
  /** A claim on three seeds that differ; `gain` in units of its margin's change. */
  const outcome = (claim: Claim, gain: number): string | undefined => {
    const results = [0, 1, 2].flatMap((seed) => {
      const reference = 20 + seed;
      const step = claim.change === "relative" ? gain * reference : gain;
      const value = reference + (claim.direction === "higher" ? step : -step);
      return [
        { arm: claim.arm, seed, metrics: { [claim.metric]: value } },
        { arm: claim.against, seed, metrics: { [claim.metric]: reference } },
      ];
    });
    const record = { arms: [claim.arm, claim.against], seeds: [0, 1, 2], results };
    return judge([claim], record as never).verdicts[0]?.outcome;
  };

  it.each(experiment.claims)("$id can hold and fail", (claim) => {
    const more = claim.change === "relative" ? 0.05 : 1;
    expect(outcome(claim, claim.margin + more)).toBe("reproduced");
    expect(outcome(claim, claim.margin - more)).toBe("not reproduced");
  });

  it("notice arms without a difference, but where a claim is that nothing is lost", () => {
    const harmless = ["lora-suffices", "masking-costs-little"];
    for (const claim of experiment.claims) {
      const untested = claim.margin === 0;
      const wanted = harmless.includes(claim.id) ? "reproduced" : untested ? undefined : "not reproduced";
      expect(outcome(claim, 0), claim.id).toBe(wanted);
    }
    // Those are held apart by their recipes; that recipes do what they say is tested with training.
    const recipes = arms.map(({ recipe }) => JSON.stringify(recipe));
    expect(new Set(recipes).size).toBe(recipes.length);
  });
});
