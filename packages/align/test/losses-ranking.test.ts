import { type Tensor, tensor } from "@concord/tensor";
import { describe, expect, test } from "vitest";
import { hingeRankingLoss, type Mining, tripletLoss } from "../src/index.ts";
import {
  alike,
  arrayOf,
  distancesOf,
  everything,
  identity,
  kept,
  labels,
  M,
  matrixOf,
  N,
  others,
  pairsOf,
  slopesOf,
  softPositives,
  testLoss,
  total,
  turned,
} from "./losses-support.ts";
import { type Matrix, randomMatrix, scalarOf, takeRows, toMatrix } from "./support.ts";

const a = randomMatrix(21, N, 4);
const b = randomMatrix(22, M, 4);
const soft = softPositives(1);

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
        hingeByLoops(distances, identity, everything(), 1.5, hardest) +
        hingeByLoops(turned(distances), turned(identity), turned(everything()), 1.5, hardest),
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
