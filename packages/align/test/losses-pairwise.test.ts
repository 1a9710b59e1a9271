import { ndarray, type Tensor, tensor } from "@concord/tensor";
import { describe, expect, test } from "vitest";
import { contrastiveLoss, multiSimilarityLoss, sigmoidLoss } from "../src/index.ts";
import {
  alike,
  arrayOf,
  distancesOf,
  everything,
  identity,
  kept,
  labels,
  M,
  N,
  others,
  pairsOf,
  productsOf,
  softPositives,
  testLoss,
  total,
  weights,
} from "./losses-support.ts";
import { type Matrix, randomMatrix, scalarOf, takeRows, toMatrix } from "./support.ts";

const a = randomMatrix(21, N, 4);
const b = randomMatrix(22, M, 4);
const soft = softPositives(1);
const ownSoft = soft.map((row, i) => row.slice(0, N).map((w, j) => (i === j ? 0 : w)));
const ownKept = kept.map((row, i) => row.slice(0, N).map((m, j) => (i === j ? 0 : m)));

function contrastiveByLoops(
  distances: Matrix,
  positives: Matrix,
  mask: Matrix,
  options: { near: number; far: number; power: number; average: "pairs" | "active" },
): number {
  const { near, far, power, average } = options;
  const terms = distances.flatMap((row, i) => {
    const pairs = pairsOf(positives, mask, i);
    const at = (j: number): number => row[j] as number;
    return [
      ...pairs.positives.map(({ j, weight }) => ({ match: true, over: Math.max(0, at(j) - near), weight })),
      ...pairs.negatives.map(({ j, weight }) => ({ match: false, over: Math.max(0, far - at(j)), weight })),
    ];
  });
  const mean = (list: typeof terms): number =>
    total(list.map(({ over, weight }) => weight * over ** power)) / total(list.map(({ weight }) => weight));
  if (average === "pairs") return mean(terms) / 2;
  const active = terms.filter(({ over }) => over > 0);
  return mean(active.filter(({ match }) => match)) + mean(active.filter(({ match }) => !match));
}

describe("contrastiveLoss", () => {
  for (const average of ["pairs", "active"] as const)
    for (const power of [1, 2] as const)
      testLoss({
        name: `labels, power ${power}, mean over ${average}`,
        loss: (blockRows, x, l) =>
          contrastiveLoss(x as Tensor, {
            labels: l as Tensor,
            positiveMargin: 1.5,
            negativeMargin: 2.5,
            power,
            average,
            blockRows,
          }),
        inputs: [a, arrayOf(labels, "int32")],
        expected: contrastiveByLoops(distancesOf(toMatrix(a), toMatrix(a), "euclidean"), alike, others, {
          near: 1.5,
          far: 2.5,
          power,
          average,
        }),
      });

  testLoss({
    name: "soft positives among keys, weights of pairs, squared distances",
    loss: (blockRows, x, y, p, w) =>
      contrastiveLoss(x as Tensor, {
        keys: y as Tensor,
        positives: p as Tensor,
        mask: w as Tensor,
        negativeMargin: 6,
        distance: "squared",
        power: 1,
        blockRows,
      }),
    inputs: [a, b, arrayOf(soft), arrayOf(weights)],
    learned: 2,
    expected: contrastiveByLoops(distancesOf(toMatrix(a), toMatrix(b), "squared"), soft, weights, {
      near: 0,
      far: 6,
      power: 1,
      average: "pairs",
    }),
  });
});

function multiSimilarityByLoops(similarities: Matrix, positives: Matrix, mask: Matrix): number {
  const [alpha, beta, base] = [2, 7, 0.4];
  const rows = similarities.map((row, i) => {
    const pairs = pairsOf(positives, mask, i);
    const part = (list: typeof pairs.positives, sharpness: number, sign: number): number =>
      Math.log1p(
        total(list.map(({ j, weight }) => weight * Math.exp(sign * sharpness * ((row[j] as number) - base)))),
      ) / sharpness;
    return part(pairs.positives, alpha, -1) + part(pairs.negatives, beta, 1);
  });
  return total(rows) / rows.length;
}

describe("multiSimilarityLoss", () => {
  const options = { alpha: 2, beta: 7, base: 0.4 };
  testLoss({
    name: "labels: rows without positives count with their negatives",
    loss: (blockRows, x, l) =>
      multiSimilarityLoss(x as Tensor, { ...options, labels: l as Tensor, blockRows }),
    inputs: [a, arrayOf(labels, "int32")],
    expected: multiSimilarityByLoops(productsOf(toMatrix(a), toMatrix(a)), alike, others),
  });
  testLoss({
    name: "soft positives and a mask",
    loss: (blockRows, x, p, m) =>
      multiSimilarityLoss(x as Tensor, { ...options, positives: p as Tensor, mask: m as Tensor, blockRows }),
    inputs: [a, arrayOf(ownSoft), arrayOf(ownKept, "bool")],
    expected: multiSimilarityByLoops(productsOf(toMatrix(a), toMatrix(a)), ownSoft, ownKept),
  });

  test("rejects a sharpness that is not positive", () => {
    const x = tensor([[1, 2]]);
    const l = tensor([1], { dtype: "int32" });
    expect(() => multiSimilarityLoss(x, { labels: l, beta: 0 })).toThrow(/beta must be > 0, got 0/);
  });
});

function sigmoidByLoops(logits: Matrix, targets: Matrix, mask: Matrix, average: "rows" | "pairs"): number {
  const terms = logits.flatMap((row, i) =>
    row.map((z, j) => {
      const [t, m] = [targets[i]?.[j] as number, mask[i]?.[j] as number];
      return m * (t * Math.log1p(Math.exp(-z)) + (1 - t) * Math.log1p(Math.exp(z)));
    }),
  );
  return total(terms) / (average === "rows" ? logits.length : total(mask.flat()));
}

describe("sigmoidLoss", () => {
  const logits = productsOf(toMatrix(a), toMatrix(b)).map((row) => row.map((s) => 1.5 * s - 2));
  const scalars = [ndarray([1.5], { shape: [] }), ndarray([-2], { shape: [] })];
  testLoss({
    name: "row i matches row i; scale and bias are learned",
    loss: (blockRows, x, y, s, c) =>
      sigmoidLoss(x as Tensor, y as Tensor, { logitScale: s as Tensor, bias: c as Tensor, blockRows }),
    inputs: [a, b, ...scalars],
    learned: 4,
    expected: sigmoidByLoops(logits, identity, everything(), "rows"),
  });
  testLoss({
    name: "soft positives and weights of pairs, mean over pairs",
    loss: (blockRows, x, y, p, w) =>
      sigmoidLoss(x as Tensor, y as Tensor, {
        logitScale: 1.5,
        bias: -2,
        positives: p as Tensor,
        mask: w as Tensor,
        average: "pairs",
        blockRows,
      }),
    inputs: [a, b, arrayOf(soft), arrayOf(weights)],
    learned: 2,
    expected: sigmoidByLoops(logits, soft, weights, "pairs"),
  });

  test("stays exact for large logits", async () => {
    const x = arrayOf([
      [1, 0],
      [0, 1],
    ]);
    const value = await scalarOf(
      (p) => sigmoidLoss(p as Tensor, p as Tensor, { logitScale: 2000, bias: -1000 }),
      x,
    );
    expect(value).toBe(0);
    const wrong = await scalarOf(
      (p, q) => sigmoidLoss(p as Tensor, q as Tensor, { logitScale: 2000, bias: -1000 }),
      x,
      takeRows(x, [1, 0]),
    );
    expect(wrong).toBe(2000);
  });

  test("rejects a bias that is no scalar", () => {
    const x = tensor([[1, 2]]);
    expect(() => sigmoidLoss(x, x, { bias: tensor([1, 2]) })).toThrow(/bias/);
    expect(() => sigmoidLoss(x, x, { temperature: 0 })).toThrow(/sigmoidLoss: temperature must be > 0/);
  });
});
