import { argmax, compile, keyArray, mul, randomKey, sum, type Tensor, tensor } from "@concord/tensor";
import { describe, expect, it } from "vitest";
import { gumbel, gumbelSoftmax, informationMaximization, meanPredictionEntropy } from "../../src/index.ts";
import { expectGradientOfDifferences, randomMatrix, softmaxOf, toMatrix } from "../support.ts";
import { expectClose, run, wide } from "./support.ts";

const logits = wide(toMatrix(randomMatrix(1, 5, 3)));
const p = toMatrix(logits).map(softmaxOf);
const H = (row: readonly number[]): number => -row.reduce((s, value) => s + value * Math.log(value), 0);
const average = [0, 1, 2].map((k) => p.reduce((s, row) => s + (row[k] as number), 0) / 5);

describe("entropies of predictions", () => {
  it("equal loops", async () => {
    // ε adds at most K ε.
    expectClose(await run((x) => meanPredictionEntropy(x), logits), [H(average)], 1e-7);
    const single = p.reduce((s, row) => s + H(row), 0) / 5;
    expectClose(await run((x) => informationMaximization(x), logits), [single - H(average)], 1e-7);
  });

  it("are extreme for sure, balanced predictions and 0 for collapsed ones", async () => {
    const sure = wide([[50, 0], [0, 50]]); // biome-ignore format: a matrix
    expectClose(await run((x) => informationMaximization(x), sure), [-Math.LN2], 1e-6);
    const collapsed = wide([[50, 0], [50, 0]]); // biome-ignore format: a matrix
    expectClose(await run((x) => informationMaximization(x), collapsed), [0], 1e-6);
    expectClose(await run((x) => meanPredictionEntropy(x), collapsed), [0], 1e-6);
  });

  it("have gradients and name what they want", async () => {
    await expectGradientOfDifferences((x) => meanPredictionEntropy(x), logits);
    await expectGradientOfDifferences((x) => informationMaximization(x, { epsilon: 1e-5 }), logits);
    expect(() => informationMaximization(tensor([1, 2]))).toThrow(/shape \[2\], expected axes \[N, K\]/);
    expect(() => meanPredictionEntropy(tensor([[1]]), { epsilon: 0 })).toThrow(/epsilon/);
  });
});

describe("gumbelSoftmax", () => {
  it("draws classes as often as they are probable", async () => {
    const scores = [0, 1, 2];
    const draws = await compile((s: Tensor, key: Tensor) =>
      argmax(gumbelSoftmax(s, gumbel(key, [20000, 3]), 0.5)),
    )({ dtype: "float32", shape: [1, 3], data: Float32Array.from(scores) }, keyArray(randomKey(5)));
    const counts = [0, 0, 0];
    for (const k of draws.data as Int32Array) counts[k] = (counts[k] as number) + 1;
    // Four standard errors of 20000 draws.
    softmaxOf(scores).forEach((probability, k) => {
      expect(Math.abs((counts[k] as number) / 20000 - probability)).toBeLessThan(0.015);
    });
  });

  it("is the softmax of perturbed logits, with its gradient", async () => {
    const noise = wide(toMatrix(randomMatrix(2, 5, 3)));
    const want = toMatrix(logits).map((row, i) =>
      softmaxOf(row.map((value, k) => (value + (toMatrix(noise)[i]?.[k] as number)) / 0.7)),
    );
    expectClose(await run((s, g) => gumbelSoftmax(s, g, 0.7), logits, noise), want, 1e-12);
    await expectGradientOfDifferences((s, g) => sum(mul(gumbelSoftmax(s, g as Tensor, 0.7), g as Tensor)), logits, noise); // biome-ignore format: one line
    expect(() => gumbelSoftmax(tensor([[1]]), tensor([[1]]), 0)).toThrow(/temperature/);
  });
});
