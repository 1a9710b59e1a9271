import {
  asTensor,
  constant,
  evaluate,
  keyTensor,
  type NDArray,
  normalArray,
  randomKey,
  toNumbers,
} from "@concord/tensor";
import { expect, it } from "vitest";
import type { RecipeContext } from "../../recipes/contract.ts";
import { resolveOptions } from "../../recipes/options.ts";
import { groupsOf, recipe } from "./recipe.ts";

it("groups have the divisor of the width nearest to the wanted size", () => {
  expect(groupsOf(768, 6)).toBe(128);
  expect(groupsOf(64, 6)).toBe(16); // 4 and 8 are equally near: the smaller one
  expect(groupsOf(10, 6)).toBe(2);
  expect(groupsOf(7, 6)).toBe(1);
});

function contextOf(given: Readonly<Record<string, unknown>>, batchSize = 64): RecipeContext {
  const mean = { dtype: "float32", shape: [6], data: new Float32Array(6) } as const;
  return {
    options: resolveOptions(recipe.options, given),
    towers: [{ name: "text", width: 6, anchor: false, statistics: { mean, meanNorm: 1, unit: false } }],
    train: "head",
    items: 200,
    labels: null,
    batchSize,
    stepsPerEpoch: 3,
    steps: 9,
  };
}

it("--whitening full starts from vectors of mean 0 and covariance I", async () => {
  const features = normalArray(randomKey(1), [200, 6]);
  // Very uneven: one direction and one offset carry almost everything.
  for (let i = 0; i < features.data.length; i++)
    features.data[i] = (features.data[i] as number) * (i % 6 === 0 ? 9 : 1) + (i % 6 === 1 ? 5 : 0);
  const context = contextOf({ whitening: "full" });
  const start = await recipe.fit?.(recipe.init(randomKey(0), context), { text: features }, context);
  const { x } = await evaluate({
    x: recipe.embed(start, asTensor(features), context.towers[0] as never, context),
  });
  const covariance = (i: number, j: number): number => {
    let sum = 0;
    for (let row = 0; row < 200; row++)
      sum += Number((x as NDArray).data[row * 6 + i]) * Number((x as NDArray).data[row * 6 + j]);
    return sum / 200;
  };
  // The ridge of 1e-3 of the mean variance keeps it a little below I.
  for (let i = 0; i < 6; i++)
    for (let j = 0; j <= i; j++) expect(covariance(i, j)).toBeCloseTo(i === j ? 1 : 0, 1);
});

it("refuses batches that cannot fill a covariance", () => {
  expect(() => recipe.check?.(contextOf({}, 8))).toThrow(
    "batches of more than 12 items, got 8; choose a larger --batch or a smaller --group-size",
  );
  const prime = contextOf({}, 20);
  const towers = prime.towers.map((tower) => ({ ...tower, width: 13 }));
  expect(() => recipe.check?.({ ...prime, towers })).toThrow(
    "groups of 13 channels need batches of more than 26 items, got 20; choose a larger --batch: a width of 13 has no smaller",
  );
});

it("makes copies differ by dropout and by groups, and embeds without either", async () => {
  // Neighbouring channels are much alike, so groups of two whiten something else after a shuffle.
  const noise = normalArray(randomKey(2), [64, 6]);
  const data = noise.data.map((value, i) => 0.6 * value + (noise.data[i - (i % 2)] as number));
  const features = constant({ ...noise, data });
  const loss = async (given: Readonly<Record<string, unknown>>): Promise<number> => {
    const context = contextOf({ ...given, groupSize: 2 });
    const batch = {
      features: { text: features },
      copies: { text: [features, features, features] },
      key: keyTensor(randomKey(3)),
    };
    const found = recipe.loss?.(recipe.init(randomKey(0), context), {}, batch as never, context);
    return Number((await evaluate(found?.loss as never as typeof features)).data[0]);
  };
  // The encoder gives equal copies: what differs comes from the recipe.
  const alike = await loss({ dropout: 0.01, shuffle: false });
  expect(await loss({ dropout: 0.5, shuffle: false })).toBeGreaterThan(2 * alike);
  expect(await loss({ dropout: 0.01, shuffle: true })).toBeGreaterThan(1.5 * alike);

  const context = contextOf({});
  const params = recipe.init(randomKey(0), context);
  const embedded = await evaluate(recipe.embed(params, features, context.towers[0] as never, context));
  toNumbers(embedded).forEach((value, i) => {
    expect(value).toBeCloseTo(data[i] as number, 5);
  });
});
