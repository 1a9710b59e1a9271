import { l2Normalize, ndarray, type Tensor, tensor } from "@concord/tensor";
import { describe, expect, test } from "vitest";
import {
  contrastiveLoss,
  hingeRankingLoss,
  infoNCE,
  type Mining,
  multiSimilarityLoss,
  sigmoidLoss,
  tripletLoss,
} from "../src/index.ts";
import {
  arrayOf,
  distancesOf,
  matrixOf,
  pairsOf,
  productsOf,
  slopesOf,
  testLoss,
  total,
  turned,
} from "./losses-support.ts";
import { type Matrix, randomMatrix, scalarOf, takeRows, toMatrix } from "./support.ts";

const [N, M] = [7, 9];
const a = randomMatrix(21, N, 4);
const b = randomMatrix(22, M, 4);
const labels = [0, 1, 0, 2, 1, 0, 3];
const alike = matrixOf(N, N, (i, j) => Number(labels[i] === labels[j] && i !== j));
const others = matrixOf(N, N, (i, j) => Number(i !== j));
const everything = matrixOf(N, M, () => 1);
const identity = matrixOf(N, M, (i, j) => Number(i === j));
/** Several soft positives in some rows, none in row 4 and in column 2. */
const soft = matrixOf(N, M, (i, j) =>
  i === 4 || j === 2 ? 0 : i === j ? 1 : (i * 5 + j) % 4 === 0 ? 0.25 : 0,
);
const kept = matrixOf(N, M, (i, j) => Number((i + 2 * j) % 3 !== 0 || i === j));
const weights = matrixOf(N, M, (i, j) => ((i + j) % 5 === 0 ? 0 : 0.5 + ((i * 3 + j) % 4) / 2));
const ownSoft = soft.map((row, i) => row.slice(0, N).map((w, j) => (i === j ? 0 : w)));
const ownKept = kept.map((row, i) => row.slice(0, N).map((m, j) => (i === j ? 0 : m)));

interface Triplets {
  readonly margin: number;
  readonly mining: Mining;
  readonly average?: "active" | "all";
}

/** Triplets of each row by loops, over a matrix of distances. */
function tripletsByLoops(
  distances: Matrix,
  positives: Matrix,
  mask: Matrix,
  { margin, mining, average = "active" }: Triplets,
): number {
  const terms = distances.flatMap((row, i) => {
    const pairs = pairsOf(positives, mask, i);
    const at = (j: number): number => row[j] as number;
    const listed = pairs.positives.flatMap((p) =>
      pairs.negatives.map((n) => ({ near: at(p.j), far: at(n.j), weight: p.weight })),
    );
    if (mining === "hard" && listed.length > 0)
      return [
        {
          near: Math.max(...listed.map(({ near }) => near)),
          far: Math.min(...listed.map(({ far }) => far)),
          weight: 1,
        },
      ];
    return mining === "semi-hard"
      ? listed.filter(({ near, far }) => far > near && far < near + margin)
      : listed;
  });
  const losses = terms.map(({ near, far, weight }) => weight * Math.max(0, near - far + margin));
  return total(losses) / (average === "all" ? losses.length : losses.filter((loss) => loss > 0).length);
}

describe("tripletLoss", () => {
  for (const mining of ["all", "hard", "semi-hard"] as const)
    for (const distance of ["euclidean", "squared", "cosine", "dot"] as const) {
      const margin = { euclidean: 0.6, squared: 2, cosine: 0.4, dot: 1.5 }[distance];
      testLoss({
        name: `${mining}, ${distance}`,
        loss: (blockRows, x, l) =>
          tripletLoss(x as Tensor, { labels: l as Tensor, margin, mining, distance, blockRows }),
        inputs: [a, arrayOf(labels, "int32")],
        expected: tripletsByLoops(distancesOf(toMatrix(a), toMatrix(a), distance), alike, others, {
          margin,
          mining,
        }),
      });
    }

  for (const mining of ["all", "hard"] as const)
    testLoss({
      name: `${mining}, the mean over all triplets`,
      loss: (blockRows, x, l) =>
        tripletLoss(x as Tensor, { labels: l as Tensor, margin: 0.6, mining, average: "all", blockRows }),
      inputs: [a, arrayOf(labels, "int32")],
      expected: tripletsByLoops(distancesOf(toMatrix(a), toMatrix(a), "euclidean"), alike, others, {
        margin: 0.6,
        mining,
        average: "all",
      }),
    });

  for (const mining of ["all", "hard", "semi-hard"] as const)
    testLoss({
      name: `${mining}, soft positives among keys, and a mask`,
      loss: (blockRows, x, y, p, m) =>
        tripletLoss(x as Tensor, {
          keys: y as Tensor,
          positives: p as Tensor,
          mask: m as Tensor,
          margin: 1,
          mining,
          blockRows,
        }),
      inputs: [a, b, arrayOf(soft), arrayOf(kept, "bool")],
      learned: 2,
      expected: tripletsByLoops(distancesOf(toMatrix(a), toMatrix(b), "euclidean"), soft, kept, {
        margin: 1,
        mining,
      }),
    });

  test("counts distances that tie with a threshold as neither nearer nor farther than it", async () => {
    // Squared distances from row 0: 1 to its positive, 1 and 2 to the negatives; the margin is 1. All are exact.
    const x = arrayOf([
      [0, 0],
      [1, 0],
      [0, 1],
      [1, 1],
    ]);
    const l = arrayOf([0, 0, 1, 2], "int32");
    const only = arrayOf(
      matrixOf(4, 4, (i) => Number(i === 0)),
      "bool",
    );
    const loss = (mining: Mining, average: "active" | "all" = "active") =>
      scalarOf(
        (rows, ids, mask) =>
          tripletLoss(rows as Tensor, {
            labels: ids as Tensor,
            mask: mask as Tensor,
            distance: "squared",
            margin: 1,
            mining,
            average,
          }),
        x,
        l,
        only,
      );
    expect(await loss("all")).toBe(1); // the negative at 1 costs 1, the one at 2 costs nothing and is not counted
    expect(await loss("all", "all")).toBe(0.5);
    expect(await loss("semi-hard")).toBe(0); // neither is farther than the positive and within the margin
  });

  test("does not depend on the order of the rows, and a mask equals dropping them", async () => {
    const loss = (x: Tensor, l: Tensor): Tensor => tripletLoss(x, { labels: l, margin: 0.6 });
    const value = await scalarOf(loss as never, a, arrayOf(labels, "int32"));
    const order = [3, 0, 5, 1, 6, 4, 2];
    const moved = order.map((i) => labels[i] as number);
    expect(await scalarOf(loss as never, takeRows(a, order), arrayOf(moved, "int32"))).toBeCloseTo(value, 5);
    const rest = [0, 1, 3, 4, 5];
    const dropped = await scalarOf(
      loss as never,
      takeRows(a, rest),
      arrayOf(
        rest.map((i) => labels[i] as number),
        "int32",
      ),
    );
    const hidden = matrixOf(N, N, (i, j) => Number(rest.includes(i) && rest.includes(j)));
    const masked = await scalarOf(
      (x, l, m) => tripletLoss(x as Tensor, { labels: l as Tensor, mask: m as Tensor, margin: 0.6 }),
      a,
      arrayOf(labels, "int32"),
      arrayOf(hidden, "bool"),
    );
    expect(masked).toBeCloseTo(dropped, 5);
  });

  test("is 0 with a finite gradient without triplets, and for rows that coincide", async () => {
    const alone = await slopesOf(
      (x, l) => tripletLoss(x as Tensor, { labels: l as Tensor }),
      [a, arrayOf([0, 1, 2, 3, 4, 5, 6], "int32")],
      1,
    );
    expect(alone.value).toBe(0);
    expect(alone.gradients[0]?.every((slope) => slope === 0)).toBe(true);
    const equal = arrayOf(matrixOf(4, 3, (_, k) => k));
    for (const mining of ["all", "hard", "semi-hard"] as const) {
      const { value, gradients } = await slopesOf(
        (x, l) => tripletLoss(x as Tensor, { labels: l as Tensor, margin: 0.25, mining }),
        [equal, arrayOf([0, 0, 1, 1], "int32")],
        1,
      );
      expect(value).toBe(mining === "semi-hard" ? 0 : 0.25);
      expect(gradients[0]?.every((slope) => slope === 0)).toBe(true);
    }
  });

  test("rejects margins and averages that make no sense", () => {
    const x = tensor([[1, 2]]);
    const l = tensor([1], { dtype: "int32" });
    expect(() => tripletLoss(x, { labels: l, margin: -1 })).toThrow(/margin must be a finite number >= 0/);
    expect(() => tripletLoss(x, { labels: l, mining: "semi-hard", average: "all" })).toThrow(/semi-hard/);
    expect(() => tripletLoss(x, { labels: l, distance: "manhattan" as "dot" })).toThrow(/got manhattan/);
    expect(() => tripletLoss(x, {})).toThrow(/give labels or positives/);
  });
});

/** One direction of the hinge ranking loss by loops. */
function hingeByLoops(
  distances: Matrix,
  positives: Matrix,
  mask: Matrix,
  margin: number,
  hardest: boolean,
): number {
  let [sum, mass] = [0, 0];
  distances.forEach((row, i) => {
    const pairs = pairsOf(positives, mask, i);
    if (pairs.negatives.length === 0) return;
    for (const { j, weight } of pairs.positives) {
      const costs = pairs.negatives.map((n) =>
        Math.max(0, margin + (row[j] as number) - (row[n.j] as number)),
      );
      sum += weight * (hardest ? Math.max(...costs) : total(costs));
      mass += weight;
    }
  });
  return sum / mass;
}

describe("hingeRankingLoss", () => {
  for (const negatives of ["hardest", "all"] as const) {
    const distances = distancesOf(toMatrix(a), toMatrix(b), "dot");
    const hardest = negatives === "hardest";
    testLoss({
      name: `${negatives}, by default row i matches row i`,
      loss: (blockRows, x, y) =>
        hingeRankingLoss(x as Tensor, y as Tensor, { margin: 1.5, negatives, blockRows }),
      inputs: [a, b],
      learned: 2,
      expected:
        hingeByLoops(distances, identity, everything, 1.5, hardest) +
        hingeByLoops(turned(distances), turned(identity), turned(everything), 1.5, hardest),
    });
    testLoss({
      name: `${negatives}, soft positives and a mask, one direction, cosines`,
      loss: (blockRows, x, y, p, m) =>
        hingeRankingLoss(x as Tensor, y as Tensor, {
          positives: p as Tensor,
          mask: m as Tensor,
          margin: 0.8,
          symmetric: false,
          distance: "cosine",
          negatives,
          blockRows,
        }),
      inputs: [a, b, arrayOf(soft), arrayOf(kept, "bool")],
      learned: 2,
      expected: hingeByLoops(distancesOf(toMatrix(a), toMatrix(b), "cosine"), soft, kept, 0.8, hardest),
    });
  }

  test("of one pair, which has no negative, is 0", async () => {
    expect(await scalarOf(hingeRankingLoss as never, takeRows(a, [0]), takeRows(b, [0]))).toBe(0);
  });
});

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
    expected: sigmoidByLoops(logits, identity, everything, "rows"),
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

test("by default, blocks are taken above 2²⁰ pairs, with the value of the whole", async () => {
  const [x, y] = [randomMatrix(23, 1100, 3), randomMatrix(24, 1100, 3)];
  const ids = arrayOf(
    Array.from({ length: 1100 }, (_, i) => i % 40),
    "int32",
  );
  const both = (loss: (blockRows: object, p: Tensor, q: Tensor, l: Tensor) => Tensor) => async () => {
    const whole = await scalarOf(
      (p, q, l) => loss({ blockRows: Number.POSITIVE_INFINITY }, p as Tensor, q as Tensor, l as Tensor),
      x,
      y,
      ids,
    );
    const parts = await scalarOf((p, q, l) => loss({}, p as Tensor, q as Tensor, l as Tensor), x, y, ids);
    expect(Math.abs(parts / whole - 1)).toBeLessThan(1e-5);
  };
  await both((o, p, q, l) => infoNCE(l2Normalize(p), l2Normalize(q), { labels: l, ...o }))();
  await both((o, p, _q, l) => tripletLoss(l2Normalize(p), { labels: l, ...o }))();
  await both((o, p, q) => sigmoidLoss(l2Normalize(p), l2Normalize(q), o))();
});
