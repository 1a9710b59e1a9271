import { broadcastTo, compile, expandDims, ndarray, type Tensor, tensor } from "@concord/tensor";
import { describe, expect, test } from "vitest";
import { candidateNCE, infoNCE } from "../src/index.ts";
import {
  arrayOf,
  everything,
  identity,
  kept,
  M,
  matrixOf,
  N,
  productsOf,
  SOFTMAX_VARIANTS,
  scaledBy,
  slopesOf,
  softmaxByLoops,
  softPositives,
  testLoss,
  turned,
  weights,
} from "./losses-support.ts";
import { randomMatrix, scalarOf, takeRows, toMatrix } from "./support.ts";

const a = randomMatrix(11, N, 4);
const b = randomMatrix(12, M, 4);
const logits = scaledBy(productsOf(toMatrix(a), toMatrix(b)), 1.5);
const soft = softPositives(2);

describe("infoNCE between sets of different size", () => {
  testLoss({
    name: "one direction: further rows are negatives, as of a queue",
    loss: (blockRows, x, y) =>
      infoNCE(x as Tensor, y as Tensor, { logitScale: 1.5, symmetric: false, blockRows }),
    inputs: [a, b],
    learned: 2,
    expected: softmaxByLoops(logits, identity, everything()),
  });

  testLoss({
    name: "both directions: further rows are no queries",
    loss: (blockRows, x, y) => infoNCE(x as Tensor, y as Tensor, { logitScale: 1.5, blockRows }),
    inputs: [a, b],
    learned: 2,
    expected:
      (softmaxByLoops(logits, identity, everything()) +
        softmaxByLoops(turned(logits), turned(identity), everything(M, N))) /
      2,
  });

  for (const [name, options] of Object.entries(SOFTMAX_VARIANTS))
    testLoss({
      name: `soft positives, a mask, ${name}`,
      loss: (blockRows, x, y, scale, positives, mask) =>
        infoNCE(x as Tensor, y as Tensor, {
          logitScale: scale as Tensor,
          positives: positives as Tensor,
          mask: mask as Tensor,
          blockRows,
          ...options,
        }),
      inputs: [a, b, ndarray([1.5], { shape: [] }), arrayOf(soft), arrayOf(kept, "bool")],
      learned: 3,
      expected:
        (softmaxByLoops(logits, soft, kept, options) +
          softmaxByLoops(turned(logits), turned(soft), turned(kept), options)) /
        2,
    });

  for (const [name, options] of Object.entries(SOFTMAX_VARIANTS))
    testLoss({
      name: `weights of pairs, ${name}`,
      loss: (blockRows, x, y, positives, mask) =>
        infoNCE(x as Tensor, y as Tensor, {
          logitScale: 1.5,
          positives: positives as Tensor,
          mask: mask as Tensor,
          symmetric: false,
          blockRows,
          ...options,
        }),
      inputs: [a, b, arrayOf(soft), arrayOf(weights)],
      learned: 2,
      expected: softmaxByLoops(logits, soft, weights, options),
    });

  test("labels are positives where they agree", async () => {
    const [rows, columns] = [
      [0, 1, 2, 0, 1, 2, 3],
      [2, 2, 0, 1, 1, 0, 5, 5, 2],
    ];
    const same = matrixOf(N, M, (i, j) => Number(rows[i] === columns[j]));
    const value = await scalarOf(
      (x, y, p, q) =>
        infoNCE(x as Tensor, y as Tensor, { logitScale: 1.5, labels: p as Tensor, keyLabels: q as Tensor }),
      a,
      b,
      arrayOf(rows, "int32"),
      arrayOf(columns, "int32"),
    );
    const expected =
      (softmaxByLoops(logits, same, everything()) +
        softmaxByLoops(turned(logits), turned(same), everything(M, N))) /
      2;
    expect(value).toBeCloseTo(expected, 5);
  });

  test("a mask equals dropping the rows it hides", async () => {
    const hidden = matrixOf(N, N, (i, j) => Number(i !== 3 && j !== 3));
    const rest = [0, 1, 2, 4, 5, 6];
    const square = takeRows(b, [0, 1, 2, 3, 4, 5, 6]);
    const whole = await scalarOf(
      (x, y, m) => infoNCE(x as Tensor, y as Tensor, { mask: m as Tensor }),
      a,
      square,
      arrayOf(hidden, "bool"),
    );
    const dropped = await scalarOf(infoNCE as never, takeRows(a, rest), takeRows(square, rest));
    expect(whole).toBeCloseTo(dropped, 5);
  });

  test("identity as positives, and one positive in every form, are the hard form", async () => {
    const square = takeRows(b, [0, 1, 2, 3, 4, 5, 6]);
    const value = await scalarOf(infoNCE as never, a, square);
    const eye = arrayOf(
      matrixOf(N, N, (i, j) => Number(i === j)),
      "bool",
    );
    for (const options of [
      SOFTMAX_VARIANTS["the mean inside"],
      SOFTMAX_VARIANTS["positives that do not compete"],
      {},
    ])
      expect(
        await scalarOf(
          (x, y, p) => infoNCE(x as Tensor, y as Tensor, { ...options, positives: p as Tensor }),
          a,
          square,
          eye,
        ),
      ).toBeCloseTo(value, 4);
  });

  test("is 0 with a gradient of 0 when no row has a positive", async () => {
    const { value, gradients } = await slopesOf(
      (x, y, p) => infoNCE(x as Tensor, y as Tensor, { positives: p as Tensor }),
      [a, b, arrayOf(matrixOf(N, M, () => 0))],
      2,
    );
    expect(value).toBe(0);
    expect(gradients.flat().every((slope) => slope === 0)).toBe(true);
  });

  test("rejects what contradicts itself", () => {
    const x = tensor([[1, 2]]);
    const labels = tensor([1], { dtype: "int32" });
    const positives = tensor([[1]]);
    expect(() => infoNCE(x, x, { labels, positives })).toThrow(/either positives or labels/);
    expect(() => infoNCE(x, x, { keyLabels: labels })).toThrow(/need labels/);
    expect(() => infoNCE(x, x, { labels: tensor([1]) })).toThrow(/int32 or int64, got float32/);
    expect(() => infoNCE(x, x, { mask: tensor([[1, 1]]) })).toThrow(/mask.*axis M is 2/);
    expect(() => infoNCE(x, x, { severalPositives: "inside", denominator: "own" })).toThrow(/inside/);
  });
});

describe("a margin", () => {
  const shifted = logits.map((row, i) => row.map((s, j) => s - (soft[i]?.[j] ? 1.5 * 0.3 : 0)));
  for (const denominator of ["all", "own"] as const)
    testLoss({
      name: `is taken from the products of positives, denominator ${denominator}`,
      loss: (blockRows, x, y, scale, p) =>
        infoNCE(x as Tensor, y as Tensor, {
          logitScale: scale as Tensor,
          positives: p as Tensor,
          margin: 0.3,
          symmetric: false,
          denominator,
          blockRows,
        }),
      inputs: [a, b, ndarray([1.5], { shape: [] }), arrayOf(soft)],
      learned: 3,
      expected: softmaxByLoops(shifted, soft, everything(), { denominator }),
    });
});

describe("candidateNCE", () => {
  const K = 5;
  const flat = randomMatrix(15, N * K, 4);
  const candidates = { ...flat, shape: [N, K, 4] };
  const own = toMatrix(a).map(
    (row, i) => productsOf([row], toMatrix(flat).slice(i * K, (i + 1) * K))[0] as number[],
  );
  const positives = matrixOf(N, K, (i, k) => (i === 4 ? 0 : k === 1 ? 2 : Number((i + k) % 4 === 0)));
  const padding = matrixOf(N, K, (i, k) => Number((i + 2 * k) % 5 !== 3 || k < 2));

  testLoss({
    name: "the first candidate of each row matches",
    loss: (_, x, c) => candidateNCE(x as Tensor, c as Tensor, { temperature: 0.5 }),
    inputs: [a, candidates],
    learned: 2,
    blocks: [],
    expected: softmaxByLoops(
      scaledBy(own, 2),
      matrixOf(N, K, (_, k) => Number(k === 0)),
      everything(N, K),
    ),
  });

  for (const [name, options] of Object.entries(SOFTMAX_VARIANTS))
    testLoss({
      name: `soft positives, padding, ${name}`,
      loss: (_, x, c, scale, p, m) =>
        candidateNCE(x as Tensor, c as Tensor, {
          logitScale: scale as Tensor,
          positives: p as Tensor,
          mask: m as Tensor,
          ...options,
        }),
      inputs: [a, candidates, ndarray([1.5], { shape: [] }), arrayOf(positives), arrayOf(padding, "bool")],
      learned: 3,
      blocks: [],
      expected: softmaxByLoops(scaledBy(own, 1.5), positives, padding, options),
    });

  test("is infoNCE where all rows have the same candidates, and checks shapes", async () => {
    const both = compile((x: Tensor, y: Tensor) => {
      const eye = tensor(matrixOf(N, M, (i, j) => Number(i === j)));
      const shared = broadcastTo(expandDims(y, 0), [N, M, 4]);
      return {
        own: candidateNCE(x, shared, { positives: eye }),
        all: infoNCE(x, y, { symmetric: false }),
      };
    });
    const { own: one, all } = await both(a, b);
    expect(Number(one.data[0])).toBeCloseTo(Number(all.data[0]), 4);
    const x = tensor([[1, 2]]);
    expect(() => candidateNCE(x, x)).toThrow(/candidateNCE: candidates has shape \[1, 2\]/);
    expect(() => candidateNCE(x, tensor([[[1, 2]]]), { temperature: 0 })).toThrow(/temperature must be > 0/);
  });
});
