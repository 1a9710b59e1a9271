import {
  broadcastTo,
  compile,
  concat,
  expandDims,
  l2Normalize,
  ndarray,
  stack,
  type Tensor,
  tensor,
} from "@concord/tensor";
import { describe, expect, test } from "vitest";
import { candidateNCE, infoNCE, ntXentLoss, type SoftmaxOptions, supConLoss } from "../src/index.ts";
import {
  arrayOf,
  expectClose,
  matrixOf,
  type Pair,
  pairsOf,
  productsOf,
  slopesOf,
  testLoss,
  total,
  turned,
} from "./losses-support.ts";
import { type Matrix, randomMatrix, scalarOf, takeRows, toMatrix, unit } from "./support.ts";

/** Softmax losses of the rows of logits by loops. */
function byLoops(logits: Matrix, positives: Matrix, mask: Matrix, options: SoftmaxOptions = {}): number {
  const { severalPositives = "outside", denominator = "all", average = "rows" } = options;
  const rows = logits.flatMap((row, i) => {
    const { positives: own, negatives } = pairsOf(positives, mask, i);
    const mass = total(own.map(({ weight }) => weight));
    if (mass === 0 || (denominator === "negatives" && negatives.length === 0)) return [];
    const power = (j: number): number => Math.exp(row[j] as number);
    const sumOf = (pairs: readonly Pair[]): number => total(pairs.map(({ j, weight }) => weight * power(j)));
    // A positive stands in the denominator by the mask's weight alone.
    const held = own.map(({ j }) => ({ j, weight: mask[i]?.[j] as number }));
    const competing = (j: number): number =>
      denominator === "all"
        ? sumOf(negatives) + sumOf(held)
        : sumOf(negatives) + (denominator === "own" ? power(j) : 0);
    const loss =
      severalPositives === "inside"
        ? -Math.log(sumOf(own) / mass / competing(0))
        : -total(own.map(({ j, weight }) => (weight / mass) * Math.log(power(j) / competing(j))));
    return [{ loss, weight: average === "pairs" ? mass : 1 }];
  });
  return total(rows.map(({ loss, weight }) => loss * weight)) / total(rows.map(({ weight }) => weight));
}

const scaledBy = (m: Matrix, s: number): Matrix => m.map((row) => row.map((v) => v * s));
const [N, M] = [7, 9];
const a = randomMatrix(11, N, 4);
const b = randomMatrix(12, M, 4);
const logits = scaledBy(productsOf(toMatrix(a), toMatrix(b)), 1.5);
const everything = (rows: number, columns: number): Matrix => matrixOf(rows, columns, () => 1);
const identity = matrixOf(N, M, (i, j) => Number(i === j));
/** Several soft positives in some rows, none in row 4 and in column 2. */
const soft = matrixOf(N, M, (i, j) =>
  i === 4 || j === 2 ? 0 : i === j ? 2 : (i * 5 + j) % 4 === 0 ? 0.25 : 0,
);
/** Leaves out a third of the pairs, positives among them. */
const kept = matrixOf(N, M, (i, j) => Number((i + 2 * j) % 3 !== 0 || i === j));
const weights = matrixOf(N, M, (i, j) => ((i + j) % 5 === 0 ? 0 : 0.5 + ((i * 3 + j) % 4) / 2));

const VARIANTS: Record<string, SoftmaxOptions> = {
  "the mean outside": {},
  "the mean inside": { severalPositives: "inside" },
  "positives that do not compete": { denominator: "own" },
  "negatives alone below": { denominator: "negatives" },
  "all positive pairs alike": { average: "pairs" },
};

describe("infoNCE between sets of different size", () => {
  testLoss({
    name: "one direction: further rows are negatives, as of a queue",
    loss: (blockRows, x, y) =>
      infoNCE(x as Tensor, y as Tensor, { logitScale: 1.5, symmetric: false, blockRows }),
    inputs: [a, b],
    learned: 2,
    expected: byLoops(logits, identity, everything(N, M)),
  });

  testLoss({
    name: "both directions: further rows are no queries",
    loss: (blockRows, x, y) => infoNCE(x as Tensor, y as Tensor, { logitScale: 1.5, blockRows }),
    inputs: [a, b],
    learned: 2,
    expected:
      (byLoops(logits, identity, everything(N, M)) +
        byLoops(turned(logits), turned(identity), everything(M, N))) /
      2,
  });

  for (const [name, options] of Object.entries(VARIANTS))
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
        (byLoops(logits, soft, kept, options) +
          byLoops(turned(logits), turned(soft), turned(kept), options)) /
        2,
    });

  for (const [name, options] of Object.entries(VARIANTS))
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
      expected: byLoops(logits, soft, weights, options),
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
      (byLoops(logits, same, everything(N, M)) + byLoops(turned(logits), turned(same), everything(M, N))) / 2;
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
    for (const options of [VARIANTS["the mean inside"], VARIANTS["positives that do not compete"], {}])
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

const labels = [0, 1, 0, 2, 1, 0, 3];
const own = matrixOf(N, N, (i, j) => Number(i !== j));
const alike = matrixOf(N, N, (i, j) => Number(labels[i] === labels[j] && i !== j));
const ownLogits = scaledBy(productsOf(toMatrix(a), toMatrix(a)), 2);

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
      expected: byLoops(shifted, soft, everything(N, M), { denominator }),
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
    expected: byLoops(
      scaledBy(own, 2),
      matrixOf(N, K, (_, k) => Number(k === 0)),
      everything(N, K),
    ),
  });

  for (const [name, options] of Object.entries(VARIANTS))
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
      expected: byLoops(scaledBy(own, 1.5), positives, padding, options),
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

describe("supConLoss", () => {
  for (const [name, options] of Object.entries(VARIANTS))
    testLoss({
      name: `labels, ${name}`,
      loss: (blockRows, x, l) =>
        supConLoss(x as Tensor, { labels: l as Tensor, temperature: 0.5, blockRows, ...options }),
      inputs: [a, arrayOf(labels, "int32")],
      expected: byLoops(ownLogits, alike, own, options),
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
    expected: byLoops(
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
    expected: byLoops(
      logits,
      matrixOf(N, M, (i, j) => Number(labels[i] === [0, 0, 1, 1, 2, 2, 5, 5, 0][j])),
      everything(N, M),
    ),
  });

  const V = 3;
  const views = randomMatrix(13, 4 * V, 4);
  const shaped = { ...views, shape: [4, V, 4] };
  const item = (row: number): number => Math.floor(row / V);
  const others = matrixOf(4 * V, 4 * V, (i, j) => Number(i !== j));
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
    expected: byLoops(
      viewLogits,
      matrixOf(4 * V, 4 * V, (i, j) => Number(item(i) === item(j) && i !== j)),
      others,
    ),
  });

  testLoss({
    name: "several views of items with labels",
    loss: (blockRows, x, l) => supConLoss(x as Tensor, { labels: l as Tensor, temperature: 0.5, blockRows }),
    inputs: [shaped, arrayOf([0, 1, 0, 2], "int32")],
    blocks: [1, 2, 5, 11],
    expected: byLoops(
      viewLogits,
      matrixOf(4 * V, 4 * V, (i, j) => Number([0, 1, 0, 2][item(i)] === [0, 1, 0, 2][item(j)] && i !== j)),
      others,
    ),
  });

  testLoss({
    name: "several views of items with soft positives and a mask",
    loss: (blockRows, x, p, m) =>
      supConLoss(x as Tensor, { positives: p as Tensor, mask: m as Tensor, temperature: 0.5, blockRows }),
    inputs: [shaped, arrayOf(ofItems), arrayOf(between, "bool")],
    blocks: [1, 2, 5, 11],
    expected: byLoops(
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
  const expected = byLoops(
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
