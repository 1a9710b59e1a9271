// Views of items are made in threads where the recipe can be found there; where they are made changes no bit.
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { loadRecipe } from "@concord/papers";
import { type Recipe, type RecipeContext, resolveOptions } from "@concord/papers/recipes";
import { foldIn, type NDArray, normalArray, randomKey, uniformArray } from "@concord/tensor";
import { beforeAll, describe, expect, it } from "vitest";
import { openViews, type ViewMaker, viewsOf } from "../../src/adapt/views.ts";
import { type AdaptRequest, adapt } from "../../src/index.ts";
import { temporaryFolder } from "../support/tiny-encoders.ts";
import { pairedWorld, vectorModel, writeVectorPairs } from "./worlds.ts";

let recipe: Recipe;
let context: RecipeContext;
beforeAll(async () => {
  recipe = await loadRecipe("swav");
  const mean = { dtype: "float32", shape: [4], data: new Float32Array(4) } as const;
  context = {
    options: resolveOptions(recipe.options, { smallCrops: 2 }),
    towers: [{ name: "image", width: 4, anchor: false, statistics: { mean, meanNorm: 1, unit: false } }],
    train: "head",
    items: 40,
    labels: null,
    batchSize: 3,
    stepsPerEpoch: 10,
    steps: 20,
  };
});

async function withViews<T>(threads: number, use: (views: ViewMaker) => Promise<T>): Promise<T> {
  const views = openViews(recipe, context, threads);
  try {
    return await use(views);
  } finally {
    await views.close();
  }
}

describe("views", () => {
  const batch = (seed: number): NDArray => uniformArray(randomKey(seed), [3, 3, 9, 9], -2, 2);

  it("have the same bits from two threads, in any order, and from the calling thread", async () => {
    const steps = [4, 0, 3, 1, 2];
    const made = await withViews(2, (views) =>
      Promise.all(steps.map((step) => views.make(batch(step), foldIn(randomKey(7), step)))),
    );
    const here = await withViews(0, (views) =>
      Promise.all(steps.map((step) => views.make(batch(step), foldIn(randomKey(7), step)))),
    );
    expect(made).toEqual(here);
    expect(made.map(({ views }) => [views.full?.shape, views.small?.shape])).toEqual(
      steps.map(() => [
        [3, 2, 3, 9, 9],
        [3, 2, 3, 9, 9],
      ]),
    );
    // An item's views are those of its place in the batch and of the step's key.
    const item = { ...batch(4), shape: [3, 9, 9], data: (batch(4).data as Float32Array).slice(243, 486) };
    const alone = recipe.views?.(item as NDArray, foldIn(foldIn(randomKey(7), 4), 1), context);
    const second = made[0]?.views.full?.data.slice(2 * 243, 4 * 243);
    expect(second).toEqual(alone?.groups.full?.data);
  });

  it("that cannot be made say why as in the calling thread, and the next ones are made", async () => {
    const wrong = uniformArray(randomKey(1), [2, 4, 8, 8]);
    await withViews(1, async (views) => {
      await expect(views.make(wrong, randomKey(1))).rejects.toThrow(
        "swav: crops are made of square pictures with 1 or 3 channels; this encoder takes [4, 8, 8]",
      );
      expect(await views.make(batch(1), randomKey(1))).toEqual(
        viewsOf(recipe, context, batch(1), randomKey(1)),
      );
    });
  });

  it("that differ between items are an error of the request", () => {
    const uneven: Recipe = {
      ...recipe,
      views: (item, key) => ({
        groups: { some: normalArray(key, [key[0] % 2 === 0 ? 1 : 2, item.shape[0] ?? 0]) },
      }),
    };
    expect(() => viewsOf(uneven, context, normalArray(randomKey(1), [16, 5]), randomKey(2))).toThrow(
      /^The views 'some' of two items differ: \[[12], 5\] and \[[12], 5\]$/,
    );
  });

  it("end with their threads: what was asked for is refused", async () => {
    const views = openViews(recipe, context, 1);
    const refused = expect(views.make(batch(1), randomKey(1))).rejects.toThrow("closed before it answered");
    await views.close();
    await refused;
    await expect(views.make(batch(1), randomKey(1))).rejects.toThrow("closed");
  });
});

it("a training comes to the same bits with views from threads, from the calling thread, and when it was stopped", async () => {
  const folder = await temporaryFolder();
  await writeVectorPairs(join(folder, "pairs.jsonl"), pairedWorld(120));
  await writeFile(join(folder, "model.onnx"), vectorModel(3));
  const request = (out: string): AdaptRequest => ({
    recipe: "swav",
    options: { prototypes: 6, smallCrops: 1, queueBatches: 2 },
    towers: { vector: { encoder: join(folder, "model.onnx"), column: "left" } },
    pairs: join(folder, "pairs.jsonl"),
    labelColumn: "label",
    batchSize: 16,
    learningRate: 0.01,
    train: "whole",
    steps: 24,
    evaluateEvery: 8,
    cache: join(folder, "cache"),
    out: join(folder, out),
  });
  const { record } = await adapt(request("threads"));
  expect(record.outcome.kept).toBe("adapted");
  expect((await adapt({ ...request("here"), recipe })).record.looks).toEqual(record.looks);
  const controller = new AbortController();
  const stopped = adapt(request("stopped"), {
    signal: controller.signal,
    onProgress: ({ phase, done }) => {
      if (phase === "training" && done >= 1) controller.abort();
    },
  });
  await expect(stopped).rejects.toThrow("abort");
  await adapt({ ...request("stopped"), resume: true });
  const [threads, here, resumed] = await Promise.all(
    ["threads", "here", "stopped"].map((out) => readFile(join(folder, out, "vector.onnx"))),
  );
  expect(here).toEqual(threads);
  expect(resumed).toEqual(threads);
});
