import {
  add,
  asTensor,
  batchStatisticsNorm,
  createTrainer,
  evaluate,
  keyTensor,
  matmul,
  mul,
  type NDArray,
  ndarray,
  normalArray,
  randomKey,
  relu,
  reshape,
  type Tensor,
  type Traced,
  toNumbers,
  treeMap,
  uniformArray,
  valueAndGradWithAux,
} from "@concord/tensor";
import { describe, expect, it } from "vitest";
import type { RecipeContext } from "../../recipes/contract.ts";
import { resolveOptions } from "../../recipes/options.ts";
import { recipe } from "./recipe.ts";
import { swappedPredictionLoss } from "./swapped-prediction.ts";
import { swavViews } from "./views.ts";

const [B, D, small] = [4, 6, 2];

function contextOf(given: Readonly<Record<string, number>> = {}): RecipeContext {
  const mean = { dtype: "float32", shape: [D], data: new Float32Array(D) } as const;
  return {
    options: resolveOptions(recipe.options, { prototypes: 5, smallCrops: small, ...given }),
    towers: [{ name: "image", width: D, anchor: false, statistics: { mean, meanNorm: 1, unit: false } }],
    train: "head",
    items: 40,
    labels: null,
    batchSize: B,
    stepsPerEpoch: 10,
    steps: 20,
  };
}

/** A batch that has views alone. */
function batchOf(views: Readonly<Record<string, Tensor>>, step: Tensor) {
  return {
    features: {},
    copies: {},
    teacher: {},
    views,
    targets: {},
    labels: null,
    items: asTensor(ndarray([0, 1, 2, 3], { dtype: "int32" })),
    key: keyTensor(randomKey(1)),
    step,
  };
}

const full = normalArray(randomKey(1), [B, 2, D]);
const others = normalArray(randomKey(2), [B, small, D]);

interface Params {
  readonly projection: { readonly first: Layer; readonly second: Layer };
  readonly prototypes: NDArray;
}
interface Layer {
  readonly weight: NDArray;
  readonly bias: NDArray;
}

describe("the recipe", () => {
  it("starts at the base model, with prototypes of length 1", async () => {
    const context = contextOf();
    const params = recipe.init(randomKey(3), context) as Params;
    const features = mul(normalArray(randomKey(4), [3, D]), 1);
    const found = await evaluate({
      features,
      embedded: recipe.embed(params, features, context.towers[0] as never, context),
    });
    expect(found.embedded.data).toEqual(found.features.data);
    const values = toNumbers(params.prototypes);
    for (let k = 0; k < 5; k++) expect(Math.hypot(...values.slice(128 * k, 128 * k + 128))).toBeCloseTo(1, 5);
  });

  it("minimises the swapped prediction of the views, crop by crop", async () => {
    const context = contextOf({ queueBatches: 0 });
    const params = treeMap(recipe.init(randomKey(3), context), (leaf) =>
      asTensor(leaf as NDArray),
    ) as Traced<Params>;
    const found = recipe.loss?.(
      params,
      {},
      batchOf({ full: asTensor(full), small: asTensor(others) }, asTensor(0)),
      context,
    );
    // Rows in the order of the component, put together by hand.
    const rows: number[] = [];
    for (const [views, count] of [
      [full, 2],
      [others, small],
    ] as const)
      for (let v = 0; v < count; v++)
        for (let b = 0; b < B; b++)
          rows.push(...toNumbers(views).slice((b * count + v) * D, (b * count + v + 1) * D));
    const { first, second } = params.projection;
    const affine = (x: Tensor, { weight, bias }: Traced<Layer>): Tensor => add(matmul(x, weight), bias);
    const hidden = affine(reshape(ndarray(rows), [(2 + small) * B, D]), first);
    const ones = ndarray(Array.from({ length: D }, () => 1));
    const zeros = ndarray(Array.from({ length: D }, () => 0));
    const projections = affine(relu(batchStatisticsNorm(hidden, asTensor(ones), asTensor(zeros))), second);
    const expected = swappedPredictionLoss(projections, params.prototypes, {
      nCrops: 2 + small,
      batchSize: B,
    });
    const values = await evaluate({ found: found?.loss as Tensor, expected: expected.loss });
    expect(Number(values.found.data[0])).toBeCloseTo(Number(values.expected.data[0]), 4);
  });

  it("freezes prototypes for a tenth of the steps, keeps them at length 1 and fills its queue from then on", async () => {
    const context = contextOf({ queueBatches: 3 });
    const settings = { learningRate: 0.05, batchSize: B, epochs: 2, source: "this test" };
    const optimiser = recipe.optimiser?.(settings, context);
    if (!optimiser) throw new Error("swav has an optimiser of its own");
    const start = { head: recipe.init(randomKey(3), context) as Params };
    const state = recipe.state?.(randomKey(4), context) as { queue: { items: NDArray; used: NDArray } };
    const trainer = createTrainer({
      state: { params: start, state, optimiser: optimiser.init(start) },
      step: (now, views: { readonly full: Tensor; readonly small: Tensor }) => {
        const { step } = now.optimiser;
        const { aux, gradients } = valueAndGradWithAux((p: typeof now.params) => {
          const result = recipe.loss?.(p.head, now.state, batchOf(views, step), context);
          if (!result) throw new Error("swav has a loss");
          return { value: result.loss, aux: { loss: result.loss, state: result.state as typeof now.state } };
        })(now.params);
        const next = optimiser.update(now.params, gradients, now.optimiser);
        const head = recipe.update?.(
          next.params.head,
          now.params.head,
          step,
          context,
        ) as typeof now.params.head;
        return {
          state: { params: { head }, state: aux.state, optimiser: next.state },
          metrics: { loss: aux.loss },
        };
      },
    });
    const filled = (): number =>
      toNumbers(trainer.state().state.queue.items).filter((x) => x !== 0).length / 128 / B;
    const used = (): number => Number(trainer.state().state.queue.used.data[0]);
    const before = toNumbers(start.head.prototypes);
    const seen: (readonly [batches: number, used: number])[] = [];
    for (let i = 0; i < 7; i++) {
      await trainer.step({ full, small: others });
      const prototypes = toNumbers(trainer.state().params.head.prototypes);
      const moved = Math.max(...prototypes.map((x, k) => Math.abs(x - (before[k] as number))));
      if (i < 2) expect(moved, `step ${i}`).toBeLessThan(1e-6);
      else expect(moved, `step ${i}`).toBeGreaterThan(1e-3);
      for (let k = 0; k < 5; k++)
        expect(Math.hypot(...prototypes.slice(128 * k, 128 * k + 128))).toBeCloseTo(1, 5);
      seen.push([filled(), used()]);
    }
    // Two queues of three batches; begun at step 2, full after step 4, used from step 5 on.
    expect(seen).toEqual([
      [0, 0],
      [0, 0],
      [2, 0],
      [4, 0],
      [6, 0],
      [6, 1],
      [6, 1],
    ]);
    await trainer.close();
  });

  it("says what is wrong with its options", () => {
    expect(() => recipe.check?.(contextOf({ smallScale: 0.5, fullScale: 0.2 }))).toThrow(
      /--small-scale must be at most/,
    );
  });
});

describe("views", () => {
  const options = { smallCrops: 3, fullScale: 0.3, smallScale: 0.1, keep: 0.8 };

  it("are crops of a picture, of its size and within its values", () => {
    const picture = uniformArray(randomKey(1), [3, 16, 16], -2.1, 2.6);
    const { full: large, small: little } = swavViews(picture, randomKey(2), options);
    expect([large.shape, little?.shape]).toEqual([
      [2, 3, 16, 16],
      [3, 3, 16, 16],
    ]);
    for (const value of [...toNumbers(large), ...toNumbers(little as NDArray)]) {
      expect(value).toBeGreaterThanOrEqual(-2.1001);
      expect(value).toBeLessThanOrEqual(2.6001);
    }
    expect(swavViews(picture, randomKey(2), options).full).toEqual(large);
    expect(swavViews(picture, randomKey(3), options).full).not.toEqual(large);
    expect(swavViews(picture, randomKey(2), { ...options, smallCrops: 0 }).small).toBeUndefined();
    const grey = uniformArray(randomKey(1), [1, 8, 8]);
    expect(swavViews(grey, randomKey(2), options).full.shape).toEqual([2, 1, 8, 8]);
  });

  it("of a vector leave numbers out, small ones more", () => {
    const vector = normalArray(randomKey(1), [2000]);
    const { full: large, small: little } = swavViews(vector, randomKey(2), options);
    const kept = ({ data, shape }: NDArray): number =>
      Array.from(data, Number).filter((x) => x !== 0).length / ((shape[0] as number) * 2000);
    // 4000 and 6000 draws; four standard errors are 2.6 points.
    expect(Math.abs(kept(large) - 0.8)).toBeLessThan(0.026);
    expect(Math.abs(kept(little as NDArray) - 0.6)).toBeLessThan(0.026);
    toNumbers(large).forEach((x, i) => {
      if (x !== 0) expect(x).toBe(vector.data[i % 2000]);
    });
  });

  it("refuse what has no crops", () => {
    const item = (shape: readonly number[]) => () =>
      swavViews(uniformArray(randomKey(1), shape), randomKey(1), options);
    expect(item([3, 8, 6])).toThrow(/square pictures with 1 or 3 channels; this encoder takes \[3, 8, 6\]/);
    expect(item([4, 8, 8])).toThrow(/1 or 3 channels/);
    expect(item([80, 100])).toThrow(
      /pictures \[channels, S, S\] and vectors \[D\]; this encoder takes \[80, 100\]/,
    );
  });
});
