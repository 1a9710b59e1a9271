// SwAV's parts together, on vectors instead of images: does it learn what it should, and fail where it should?
import { linearProbeAccuracy } from "@concord/align";
import { type MlpParams, mlp, mlpInit } from "@concord/nn";
import {
  adamw,
  compile,
  createTrainer,
  foldIn,
  type Key,
  type NDArray,
  normalArray,
  RandomStream,
  randomKey,
  relu,
  type Tensor,
  type Traced,
  valueAndGrad,
} from "@concord/tensor";
import { describe, expect, it } from "vitest";
import type { Training } from "./arms.ts";
import { nearestPrototypes, prototypeUsage } from "./evaluation.ts";
import { freezeFirst } from "./freeze-first.ts";
import { cropObjective } from "./objective.ts";
import { normalizePrototypes } from "./prototypes.ts";
import { scoreCrops } from "./swapped-prediction.ts";

const [CLASSES, LATENT, NUISANCE, WIDTH, K, BATCH, STEPS] = [10, 12, 12, 48, 60, 128, 300];
const config = { temperature: 0.1, eps: 0.05, iters: 3, contrastiveTemperature: 0.2 };

/** Latents of ten classes; a view mixes a latent with nuisance of its own and loses some numbers. */
function world(key: Key) {
  const means = normalArray(foldIn(key, 0), [CLASSES, LATENT]).data;
  const mixing = normalArray(foldIn(key, 1), [WIDTH, LATENT + NUISANCE], 0, 1 / Math.sqrt(LATENT)).data;
  const latent = (random: RandomStream): { label: number; values: number[] } => {
    const label = random.integer(CLASSES);
    return {
      label,
      values: Array.from(
        { length: LATENT },
        (_, i) => (means[label * LATENT + i] as number) + random.normal(0, 0.9),
      ),
    };
  };
  const view = (values: readonly number[], random: RandomStream, keep: number): number[] => {
    const all = [...values, ...Array.from({ length: NUISANCE }, () => random.normal(0, 1.5))];
    return Array.from({ length: WIDTH }, (_, d) => {
      const sum = all.reduce((total, x, i) => total + x * (mixing[d * all.length + i] as number), 0);
      return random.chance(keep) ? Math.tanh(sum) : 0;
    });
  };
  const array = (rows: readonly number[][]): NDArray<"float32"> => ({
    dtype: "float32",
    shape: [rows.length, WIDTH],
    data: Float32Array.from(rows.flat()),
  });
  return {
    /** Two full views of each item, view by view. */
    batch(step: number): NDArray<"float32"> {
      const random = new RandomStream(foldIn(foldIn(key, 2), step));
      const items = Array.from({ length: BATCH }, () => latent(random).values);
      return array([0, 1].flatMap(() => items.map((values) => view(values, random, 0.8))));
    },
    labelled(stream: number, count: number) {
      const random = new RandomStream(foldIn(foldIn(key, 3), stream));
      const items = Array.from({ length: count }, () => latent(random));
      return {
        labels: items.map(({ label }) => label),
        views: array(items.map(({ values }) => view(values, random, 1))),
      };
    },
  };
}

interface Params {
  readonly encoder: MlpParams;
  readonly head: MlpParams;
  readonly prototypes: NDArray;
}

/** Accuracy of a probe and prototypes in use, before and after training. */
async function trained(seed: number, training: Training) {
  const key = randomKey(seed);
  const data = world(key);
  const start: Params = {
    encoder: mlpInit(foldIn(key, 10), [WIDTH, 128, 128]),
    head: mlpInit(foldIn(key, 11), [128, 128, 32]),
    prototypes: normalArray(foldIn(key, 12), [K, 32]),
  };
  const features = (p: Traced<Params>, x: Tensor): Tensor => relu(mlp(p.encoder, x, relu));
  const adam = adamw({ learningRate: 2e-3, weightDecay: 0 });
  const optimiser = freezeFirst(adam, adam, { steps: STEPS / 10, frozen: (path) => path === "prototypes" });
  const trainer = createTrainer({
    state: { params: start, optimiser: optimiser.init(start) },
    step: (state, { views }: { readonly views: Tensor }) => {
      const params = { ...state.params, prototypes: normalizePrototypes(state.params.prototypes) };
      const { value: loss, gradients } = valueAndGrad((p: Traced<Params>) => {
        const projections = mlp(p.head, features(p, views), relu);
        return cropObjective(
          training,
          { projections, prototypes: p.prototypes, nCrops: 2, batchSize: BATCH },
          config,
        ).loss;
      })(params);
      const next = optimiser.update(params, gradients, state.optimiser);
      return { state: { params: next.params, optimiser: next.state }, metrics: { loss } };
    },
  });
  const [known, asked] = [data.labelled(0, 800), data.labelled(1, 800)];
  const look = compile((p: Traced<Params>, x: Tensor) => {
    const h = features(p, x);
    const { scores } = scoreCrops(mlp(p.head, h, relu), normalizePrototypes(p.prototypes), {
      nCrops: 2,
      batchSize: 400,
    });
    return { h, scores };
  });
  const probe = async (p: Params) => {
    const [train, test] = [await look(p, known.views), await look(p, asked.views)];
    const { accuracy } = linearProbeAccuracy(train.h, known.labels, test.h, asked.labels, {
      tolerance: 1e-2,
    });
    const usage = prototypeUsage(nearestPrototypes(test.scores as NDArray<"float32">), K);
    return { accuracy, used: usage.filter((count) => count > 0).length };
  };
  const before = await probe(start);
  let loss = Number.NaN;
  for (let step = 0; step < STEPS; step++) ({ loss } = await trainer.step({ views: data.batch(step) }));
  const after = await probe(trainer.state().params);
  await Promise.all([trainer.close(), look.close()]);
  return { gain: after.accuracy - before.accuracy, used: after.used, loss };
}

const swav: Training = { crops: "two", objective: "swapped", codes: "balanced", prototypes: "learned" };

describe("on vectors of ten classes under nuisance", () => {
  it.each([0, 1])("learns the classes and uses its prototypes, seed %d", async (seed) => {
    const { gain, used } = await trained(seed, swav);
    expect(gain).toBeGreaterThan(0.1);
    expect(used).toBeGreaterThanOrEqual(0.8 * K);
  });

  it("collapses to a few prototypes and no loss without balance", async () => {
    const { used, loss } = await trained(0, { ...swav, codes: "softmax" });
    expect(used).toBeLessThanOrEqual(3);
    expect(loss).toBeLessThan(0.05);
  });

  it("gains nothing from predicting its own codes", async () => {
    expect((await trained(0, { ...swav, objective: "own-code" })).gain).toBeLessThan(0.03);
  });
});
