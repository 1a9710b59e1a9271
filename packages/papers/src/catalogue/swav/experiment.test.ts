import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { randomKey, toNumbers, treeEntries, valueAndGrad, zeros } from "@concord/tensor";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { problemsOf } from "../../harness/check-experiment.ts";
import type { Experiment } from "../../harness/contract.ts";
import { createRun, executeRun, RunStore, readRunFigures } from "../../harness/index.ts";
import type { Inputs } from "../../harness/inputs.ts";
import { contextInMemory } from "../../harness/memory-context.ts";
import { arms } from "./arms.ts";
import { cropsOf, paperConfig, type SwavConfig, smokeConfig } from "./config.ts";
import { experiment, type Prepared } from "./experiment.ts";
import { type SwavParams, swavNetwork } from "./network.ts";
import { cropObjective } from "./objective.ts";
import { card } from "./paper.ts";
import { frozenSteps } from "./training.ts";

const { generated } = smokeConfig.data;
if (!generated) throw new Error("the smoke preset has a world");
const tiny: SwavConfig = {
  ...smokeConfig,
  data: { ...smokeConfig.data, generated: { ...generated, training: 192, probe: 100, test: 60 } },
  training: { ...smokeConfig.training, epochs: 3 },
};

const contextOf = (seed: number, inputs?: Inputs) => contextInMemory(tiny, seed, inputs);

/** The experiment with the tiny configuration as its smoke preset. */
function tinyExperiment(change: Partial<Experiment<SwavConfig, Prepared>> = {}): Experiment {
  const smoke = { ...experiment.presets.smoke, config: tiny, seeds: 2 };
  return { ...experiment, presets: { ...experiment.presets, smoke }, ...change } as unknown as Experiment;
}

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "swav-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe("declarations", () => {
  it("are consistent, and the card's arms exist", () => {
    expect(problemsOf(experiment as never)).toEqual([]);
    const known = arms.map(({ id }) => id);
    const named = card.publishedResults.flatMap(({ rows }) => rows.flatMap(({ arm }) => (arm ? [arm] : [])));
    expect(named.filter((arm) => !known.includes(arm))).toEqual([]);
  });

  it("has the paper's crops, network and small-batch settings in the paper preset", () => {
    const crops = cropsOf(paperConfig, paperConfig.data.own.imageSize, "multi");
    expect(crops.groups).toEqual([
      { count: 2, size: 224, minScale: 0.14, maxScale: 1 },
      { count: 6, size: 96, minScale: 0.05, maxScale: 0.14 },
    ]);
    expect(cropsOf(paperConfig, 256, "two").groups).toEqual([
      { count: 2, size: 224, minScale: 0.08, maxScale: 1 },
    ]);
    expect(paperConfig.network).toEqual({
      backbone: { kind: "resnet50" },
      hidden: 2048,
      width: 128,
      prototypes: 3000,
    });
    expect(paperConfig.training).toMatchObject({
      batchSize: 256,
      optimiser: { baseLr: 0.6, finalLr: 0.0006, weightDecay: 1e-6 },
      freezePrototypes: 5005,
      queue: { length: 3840, startsAtEpoch: 15 },
      temperature: 0.1,
      eps: 0.05,
      iters: 3,
    });
  });

  it("freezes prototypes by a share of the steps or a number of them, for ever where they are fixed", () => {
    const [learned, fixed] = ["swav", "fixed-prototypes"].map(
      (id) => arms.find((arm) => arm.id === id)?.training,
    );
    if (typeof learned !== "object" || typeof fixed !== "object" || !learned || !fixed)
      throw new Error("trained arms");
    expect([
      frozenSteps(learned, 0.1, 300),
      frozenSteps(learned, 50, 300),
      frozenSteps(fixed, 0.1, 300),
    ]).toEqual([30, 50, 300]);
  });
});

describe("the paper preset", () => {
  it("builds its whole step: ResNet-50, eight crops in two sizes, 3000 prototypes, gradients of everything", () => {
    const network = swavNetwork(paperConfig.network);
    const { params, statistics } = network.init(randomKey(1));
    expect(params.prototypes.shape).toEqual([3000, 128]);
    const [B, training] = [2, arms.find(({ id }) => id === "swav")?.training];
    if (typeof training !== "object" || !training) throw new Error("swav trains");
    const groups = [zeros([2 * B, 3, 224, 224]), zeros([6 * B, 3, 96, 96])];
    const { value, gradients } = valueAndGrad((p: SwavParams) => {
      const { projections, features } = network.encode(p as never, statistics as never, groups);
      expect([features.shape, projections.shape]).toEqual([
        [8 * B, 2048],
        [8 * B, 128],
      ]);
      const prototypes = p.prototypes as never;
      return cropObjective(
        training,
        { projections, prototypes, nCrops: 8, batchSize: B },
        paperConfig.training,
      ).loss;
    })(params as never);
    expect(value.shape).toEqual([]);
    expect(treeEntries(gradients)).toHaveLength(treeEntries(params).length);
  });

  it("asks for images, and says what is wrong with its inputs", async () => {
    const check = (
      inputs: Readonly<Record<string, string | boolean>>,
      preset: "default" | "paper" = "default",
    ) => experiment.validate?.(inputs, preset);
    await expect(check({}, "paper")).rejects.toThrow(/--images imagenet\/train/);
    await expect(check({})).resolves.toBeUndefined();
    await expect(check({ images: folder })).resolves.toBeUndefined();
    await expect(check({ images: join(folder, "absent") })).rejects.toThrow(
      /--images: there is no file or folder/,
    );
    await expect(check({ images: folder, labels: "absent.idx1" })).rejects.toThrow(/--labels/);
    await expect(check({ images: folder, epochs: "many" })).rejects.toThrow(
      /--epochs must be an integer from 1 to/,
    );
    await expect(check({ images: folder, "image-size": "7" })).rejects.toThrow(
      /--image-size must be an integer from 8/,
    );
  });
});

describe("on the generated world", () => {
  it("trains every arm from the same start, differently, and the same again for the same seed", async () => {
    const context = contextOf(7);
    const prepared = await experiment.prepare(context);
    const values = (): string[] =>
      treeEntries(prepared.start).map(([, array]) => toNumbers(array as never).join());
    const before = values();
    const results = new Map<string, string>();
    for (const { id } of experiment.arms) {
      const result = await experiment.runArm(id, prepared, context);
      results.set(id, JSON.stringify(result.metrics));
      const missing = experiment.metrics.filter((metric) => result.metrics[metric.id] === undefined);
      expect(missing.every(({ optional }) => optional)).toBe(true);
      expect(Object.values(result.metrics).every(Number.isFinite)).toBe(true);
    }
    expect(new Set(results.values()).size).toBe(results.size);
    const again = await experiment.runArm("swav", prepared, context);
    expect(JSON.stringify(again.metrics)).toBe(results.get("swav"));
    expect(values()).toEqual(before);
    await experiment.dispose?.(prepared);
  });

  it("runs from end to end, with pictures, and notices when Sinkhorn is not switched off", async () => {
    const store = new RunStore(join(folder, "runs"));
    const chosen = { preset: "smoke", arms: ["swav", "no-sinkhorn"] } as const;
    const { id } = await createRun(tinyExperiment(), store, chosen);
    const record = await executeRun(tinyExperiment(), store, id);
    expect(record.error).toBeUndefined();
    const outcomeOf = (run: typeof record): string | undefined =>
      run.verdicts.find(({ claim }) => claim === "balance-prevents-collapse")?.outcome;
    const figures = await readRunFigures(store, record, 0);
    const shown = figures.find(({ arm }) => arm === "swav")?.figures ?? [];
    expect(shown.map(({ kind }) => kind)).toEqual(["gallery", "bars", "lines", "matrix"]);

    const same = tinyExperiment({
      runArm: (arm, ...rest) => experiment.runArm(arm === "no-sinkhorn" ? "swav" : arm, ...rest),
    });
    const { id: other } = await createRun(same, store, chosen);
    const changed = await executeRun(same, store, other);
    const change = (run: typeof record): number =>
      run.verdicts.find(({ claim }) => claim === "balance-prevents-collapse")?.mean ?? Number.NaN;
    expect(change(record)).toBeGreaterThan(20);
    expect(change(changed)).toBe(0);
    expect(outcomeOf(changed)).toBe("not reproduced");
  });

  it("goes on after it was stopped, to the same bits", async () => {
    const store = new RunStore(join(folder, "resumed"));
    const chosen = { preset: "smoke", arms: ["swav"], seeds: [0] } as const;
    const whole = await createRun(tinyExperiment(), store, chosen);
    const expected = await executeRun(tinyExperiment(), store, whole.id);
    const stopped = await createRun(tinyExperiment(), store, chosen);
    const controller = new AbortController();
    const halted = await executeRun(tinyExperiment(), store, stopped.id, {
      signal: controller.signal,
      onEvent: (event) => {
        if (event.kind === "step" && event.step >= 7) controller.abort();
      },
    });
    expect(halted.status).not.toBe("done");
    const resumed = await executeRun(tinyExperiment(), store, stopped.id);
    expect(resumed.status).toBe("done");
    expect(resumed.resumes).toBe(1);
    expect(resumed.results).toEqual(expected.results);
    const pictures = async (id: string, record: typeof expected) =>
      JSON.stringify(await readRunFigures(store, { ...record, id }, 0));
    expect(await pictures(stopped.id, resumed)).toBe(await pictures(whole.id, expected));
  });
});
