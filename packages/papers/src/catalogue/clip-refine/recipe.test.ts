import { asTensor, evaluate, keyTensor, ndarray, normalArray, randomKey, type Tensor } from "@concord/tensor";
import { expect, it } from "vitest";
import type { RecipeBatch, RecipeContext } from "../../recipes/contract.ts";
import { resolveOptions } from "../../recipes/options.ts";
import { clipRefineObjective } from "./objective.ts";
import { drawReferences } from "./rafa.ts";
import { recipe } from "./recipe.ts";

const [B, D, NORM] = [6, 8, 2];

function contextOf(given: Readonly<Record<string, unknown>> = {}): RecipeContext {
  const tower = (name: string) => {
    const mean = { dtype: "float32", shape: [D], data: new Float32Array(D) } as const;
    return { name, width: D, anchor: false, statistics: { mean, meanNorm: NORM, unit: false } };
  };
  return {
    options: resolveOptions(recipe.options, given),
    towers: [tower("photo"), tower("caption")],
    train: "head",
    items: 100,
    labels: null,
    batchSize: B,
    stepsPerEpoch: 10,
    steps: 100,
  };
}

const photo = asTensor(normalArray(randomKey(1), [B, D]));
const caption = asTensor(normalArray(randomKey(2), [B, D]));
const teacher = {
  photo: asTensor(normalArray(randomKey(3), [B, D])),
  caption: asTensor(normalArray(randomKey(4), [B, D])),
};

function batchAt(step: number): RecipeBatch {
  return {
    features: { photo, caption },
    copies: { photo: [photo], caption: [caption] },
    teacher,
    views: {},
    targets: {},
    labels: null,
    items: asTensor(ndarray([0, 1, 2, 3, 4, 5], { dtype: "int32" })),
    key: keyTensor(randomKey(9)),
    step: asTensor(step),
  };
}

it("starts as the base model, scaled so that raw products are 100 times the cosine", async () => {
  const context = contextOf();
  const params = recipe.init(randomKey(0), context);
  const start = (await evaluate({ x: recipe.embed(params, photo, context.towers[0] as never, context) })).x;
  const expected = (await evaluate({ x: photo })).x;
  start.data.forEach((value, i) => {
    expect(value).toBeCloseTo((10 / NORM) * Number(expected.data[i]), 4);
  });
});

it("its loss is the paper's objective of those vectors and the teacher's", async () => {
  const context = contextOf({ alpha: 0.3, lambdaRafa: 2 });
  const params = recipe.init(randomKey(0), context);
  const embed = (x: Tensor, i: number) => recipe.embed(params, x, context.towers[i] as never, context);
  const found = recipe.loss?.(params, {}, batchAt(0), context);
  const expected = clipRefineObjective(
    { image: embed(photo, 0), text: embed(caption, 1) },
    { image: teacher.photo, text: teacher.caption },
    drawReferences(keyTensor(randomKey(9)), [B, D]),
    { alpha: 0.3, lambdaRafa: 2 },
  );
  const values = await evaluate({ found: found?.loss as Tensor, expected: expected.loss });
  expect(Number(values.found.data[0])).toBeCloseTo(Number(values.expected.data[0]), 5);
});
