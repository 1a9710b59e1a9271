import { infoNCE } from "@concord/align";
import {
  add,
  asTensor,
  evaluate,
  keyTensor,
  l2Normalize,
  type NDArray,
  ndarray,
  normalArray,
  randomKey,
  type Tensor,
} from "@concord/tensor";
import { expect, it } from "vitest";
import type { RecipeContext } from "../../recipes/contract.ts";
import { resolveOptions } from "../../recipes/options.ts";
import { recipe } from "./recipe.ts";

const B = 5;
const widths = { text: 6, depth: 6, sound: 9 };
const features = Object.fromEntries(
  Object.entries(widths).map(([name, width], i) => [name, asTensor(normalArray(randomKey(i), [B, width]))]),
) as Record<keyof typeof widths, Tensor>;
const context: RecipeContext = {
  options: resolveOptions(recipe.options),
  towers: Object.entries(widths).map(([name, width]) => {
    const mean = { dtype: "float32", shape: [width], data: new Float32Array(width) } as const;
    return { name, width, anchor: name === "text", statistics: { mean, meanNorm: 1, unit: false } };
  }),
  train: "head",
  items: 50,
  labels: null,
  batchSize: B,
  stepsPerEpoch: 10,
  steps: 20,
};
const params = recipe.init(randomKey(7), context) as Readonly<
  Record<string, { readonly logLogitScale: NDArray }>
>;
const embed = (name: keyof typeof widths): Tensor =>
  recipe.embed(params, features[name], context.towers.find((tower) => tower.name === name) as never, context);

it("the anchor has nothing to train and stays; others come into its width, equal ones as they are", async () => {
  expect(Object.keys(params)).toEqual(["depth", "sound"]);
  const values = await evaluate({
    text: embed("text"),
    depth: embed("depth"),
    sound: embed("sound"),
    given: features,
  });
  expect(values.text.data).toEqual(values.given.text.data);
  expect(values.depth.data).toEqual(values.given.depth.data);
  expect(values.sound.shape).toEqual([B, widths.text]);
});

it("the loss is InfoNCE with the anchor, summed over the others", async () => {
  const found = recipe.loss?.(
    params,
    {},
    {
      features,
      copies: {},
      teacher: {},
      views: {},
      targets: {},
      labels: null,
      items: asTensor(ndarray([0, 1, 2, 3, 4], { dtype: "int32" })),
      key: keyTensor(randomKey(1)),
      step: asTensor(ndarray([0], { shape: [] })),
    },
    context,
  );
  const anchor = l2Normalize(features.text);
  const part = (name: "depth" | "sound") => infoNCE(l2Normalize(embed(name)), anchor, { temperature: 0.07 });
  const values = await evaluate({
    found: found?.loss as Tensor,
    expected: add(part("depth"), part("sound")),
  });
  expect(Number(values.found.data[0])).toBeCloseTo(Number(values.expected.data[0]), 4);
});

it("the learned scale stays between 1 and 100", async () => {
  const moved = (value: number) => ({
    ...params,
    depth: { ...params.depth, logLogitScale: ndarray([value], { shape: [] }) },
  });
  for (const [value, expected] of [
    [-3, 0],
    [2, 2],
    [9, Math.log(100)],
  ] as const) {
    const after = recipe.update?.(
      moved(value),
      params,
      asTensor(ndarray([0], { shape: [] })),
      context,
    ) as typeof params;
    const { x } = await evaluate({ x: (after.depth as { logLogitScale: NDArray }).logLogitScale });
    expect(Number(x.data[0])).toBeCloseTo(expected, 5);
  }
});
