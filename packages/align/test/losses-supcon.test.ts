import { compile, concat, l2Normalize, stack, type Tensor, tensor } from "@concord/tensor";
import { describe, expect, test } from "vitest";
import { infoNCE, ntXentLoss, supConLoss } from "../src/index.ts";
import {
  alike,
  arrayOf,
  everything,
  expectClose,
  kept,
  labels,
  M,
  matrixOf,
  N,
  others,
  productsOf,
  SOFTMAX_VARIANTS,
  scaledBy,
  softmaxByLoops,
  softPositives,
  testLoss,
} from "./losses-support.ts";
import { randomMatrix, scalarOf, takeRows, toMatrix, unit } from "./support.ts";

const a = randomMatrix(11, N, 4);
const b = randomMatrix(12, M, 4);
const logits = scaledBy(productsOf(toMatrix(a), toMatrix(b)), 1.5);
const soft = softPositives(2);
const ownLogits = scaledBy(productsOf(toMatrix(a), toMatrix(a)), 2);

describe("supConLoss", () => {
  for (const [name, options] of Object.entries(SOFTMAX_VARIANTS))
    testLoss({
      name: `labels, ${name}`,
      loss: (blockRows, x, l) =>
        supConLoss(x as Tensor, { labels: l as Tensor, temperature: 0.5, blockRows, ...options }),
      inputs: [a, arrayOf(labels, "int32")],
      expected: softmaxByLoops(ownLogits, alike, others, options),
    });

  testLoss({
    name: "positives by weights, and a mask",
    loss: (blockRows, x, p, m) =>
      supConLoss(x as Tensor, { positives: p as Tensor, mask: m as Tensor, temperature: 0.5, blockRows }),
    inputs: [
      a,
      arrayOf(soft.map((row) => row.slice(0, N))),
      arrayOf(
        kept.map((row) => row.slice(0, N)),
        "bool",
      ),
    ],
    expected: softmaxByLoops(
      ownLogits,
      soft.map((row) => row.slice(0, N)),
      kept.map((row, i) => row.slice(0, N).map((value, j) => (i === j ? 0 : value))),
    ),
  });

  testLoss({
    name: "keys of a queue, with labels of their own",
    loss: (blockRows, x, y, l, k) =>
      supConLoss(x as Tensor, {
        labels: l as Tensor,
        keys: y as Tensor,
        keyLabels: k as Tensor,
        logitScale: 1.5,
        blockRows,
      }),
    inputs: [a, b, arrayOf(labels, "int32"), arrayOf([0, 0, 1, 1, 2, 2, 5, 5, 0], "int32")],
    learned: 2,
    expected: softmaxByLoops(
      logits,
      matrixOf(N, M, (i, j) => Number(labels[i] === [0, 0, 1, 1, 2, 2, 5, 5, 0][j])),
      everything(),
    ),
  });

  const V = 3;
  const views = randomMatrix(13, 4 * V, 4);
  const shaped = { ...views, shape: [4, V, 4] };
  const item = (row: number): number => Math.floor(row / V);
  const otherViews = matrixOf(4 * V, 4 * V, (i, j) => Number(i !== j));
  const viewLogits = scaledBy(productsOf(toMatrix(views), toMatrix(views)), 2);
  const ofItems = [
    [1, 0, 0.5, 0],
    [0, 1, 0, 0],
    [0, 0, 0, 0],
    [0, 1, 0, 2],
  ];
  const between = [
    [1, 1, 1, 0],
    [1, 1, 1, 1],
    [0, 1, 1, 1],
    [1, 1, 0, 1],
  ];

  testLoss({
    name: "several views: alone they match",
    loss: (blockRows, x) => supConLoss(x as Tensor, { temperature: 0.5, blockRows }),
    inputs: [shaped],
    blocks: [1, 2, 5, 11],
    expected: softmaxByLoops(
      viewLogits,
      matrixOf(4 * V, 4 * V, (i, j) => Number(item(i) === item(j) && i !== j)),
      otherViews,
    ),
  });

  testLoss({
    name: "several views of items with labels",
    loss: (blockRows, x, l) => supConLoss(x as Tensor, { labels: l as Tensor, temperature: 0.5, blockRows }),
    inputs: [shaped, arrayOf([0, 1, 0, 2], "int32")],
    blocks: [1, 2, 5, 11],
    expected: softmaxByLoops(
      viewLogits,
      matrixOf(4 * V, 4 * V, (i, j) => Number([0, 1, 0, 2][item(i)] === [0, 1, 0, 2][item(j)] && i !== j)),
      otherViews,
    ),
  });

  testLoss({
    name: "several views of items with soft positives and a mask",
    loss: (blockRows, x, p, m) =>
      supConLoss(x as Tensor, { positives: p as Tensor, mask: m as Tensor, temperature: 0.5, blockRows }),
    inputs: [shaped, arrayOf(ofItems), arrayOf(between, "bool")],
    blocks: [1, 2, 5, 11],
    expected: softmaxByLoops(
      viewLogits,
      matrixOf(4 * V, 4 * V, (i, j) => (i === j ? 0 : (ofItems[item(i)]?.[item(j)] as number))),
      matrixOf(4 * V, 4 * V, (i, j) => (i === j ? 0 : (between[item(i)]?.[item(j)] as number))),
    ),
  });

  test("does not depend on the order of the rows", async () => {
    const order = [3, 0, 5, 1, 6, 4, 2];
    const loss = (x: Tensor, l: Tensor): Tensor => supConLoss(x, { labels: l });
    const value = await scalarOf(loss as never, a, arrayOf(labels, "int32"));
    const moved = arrayOf(
      order.map((i) => labels[i] as number),
      "int32",
    );
    expect(await scalarOf(loss as never, takeRows(a, order), moved)).toBeCloseTo(value, 4);
  });

  test("asks for what says which rows match", () => {
    const x = tensor([[1, 2]]);
    const l = tensor([1], { dtype: "int32" });
    expect(() => supConLoss(x, {})).toThrow(/supConLoss: give labels or positives/);
    expect(() => supConLoss(x, { labels: l, keys: x })).toThrow(/keys need keyLabels/);
    expect(() => supConLoss(x, { labels: l, temperature: -1 })).toThrow(/temperature must be > 0/);
    expect(() => supConLoss(x, { labels: l, blockRows: 0.5 })).toThrow(/blockRows/);
  });
});

describe("ntXentLoss", () => {
  const c = randomMatrix(14, N, 4);
  const [x, y] = [toMatrix(a).map(unit), toMatrix(c).map(unit)];
  const z = [...x, ...y];
  const expected = softmaxByLoops(
    scaledBy(productsOf(z, z), 1 / 0.3),
    matrixOf(2 * N, 2 * N, (i, j) => Number(Math.abs(i - j) === N)),
    matrixOf(2 * N, 2 * N, (i, j) => Number(i !== j)),
  );

  testLoss({
    name: "equals the loop over the rows of both views",
    loss: (blockRows, p, q) =>
      ntXentLoss(l2Normalize(p as Tensor), l2Normalize(q as Tensor), { temperature: 0.3, blockRows }),
    inputs: [a, c],
    learned: 2,
    blocks: [1, 3, 2 * N - 1],
    expected,
  });

  test("is supConLoss of two views without labels, or with a label for each item", async () => {
    const ids = Array.from({ length: 2 * N }, (_, i) => i % N);
    const options = { temperature: 0.3 };
    const both = (p: Tensor, q: Tensor, l: Tensor): Tensor =>
      stack([
        ntXentLoss(p, q, options),
        supConLoss(stack([p, q], 1), options),
        supConLoss(concat([p, q]), { ...options, labels: l }),
        infoNCE(concat([p, q]), concat([p, q]), { ...options, labels: l }),
      ]);
    const loss = compile((p: Tensor, q: Tensor, l: Tensor) => both(l2Normalize(p), l2Normalize(q), l));
    const found = await loss(a, c, arrayOf(ids, "int32"));
    const [first, second, third, withItself] = Array.from(found.data, Number) as [
      number,
      number,
      number,
      number,
    ];
    expectClose([second, third], [first, first], 1e-6, "forms of one loss");
    expect(Math.abs(withItself - first)).toBeGreaterThan(0.01);
  });
});
