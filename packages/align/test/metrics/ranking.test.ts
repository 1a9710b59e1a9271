import type { NDArray } from "@concord/tensor";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  hammingRetrieval,
  ndcg,
  rankedAveragePrecision,
  rankedRetrieval,
  reciprocalRank,
  sameOwner,
  sharedLabel,
} from "../../src/index.ts";
import { takeRows, toMatrix } from "../support.ts";
import reference from "./fixtures/scikit-learn.json" with { type: "json" };
import { average, integers, orders, randomRows, rows, shuffled } from "./support.ts";

/** The definitions for a list without ties. */
const slow = {
  averagePrecision(grades: readonly number[], k: number): number {
    let sum = 0;
    for (let i = 0; i < Math.min(k, grades.length); i++) {
      const found = grades.slice(0, i + 1).filter((grade) => grade > 0).length;
      if ((grades[i] as number) > 0) sum += found / (i + 1);
    }
    return sum / Math.min(k, grades.filter((grade) => grade > 0).length);
  },
  reciprocalRank(grades: readonly number[], k: number): number {
    const place = grades.findIndex((grade) => grade > 0);
    return place < k ? 1 / (place + 1) : 0;
  },
  ndcg(grades: readonly number[], k: number): number {
    const gain = (list: readonly number[]): number =>
      list.slice(0, k).reduce((sum, grade, i) => sum + grade / Math.log2(i + 2), 0);
    return gain(grades) / gain(grades.toSorted((a, b) => b - a));
  },
};

describe("measures of one ranked list", () => {
  it("equal scikit-learn's", () => {
    for (const { scores, grades, relevant, tied, ...expected } of reference.rankings) {
      if (!tied) expect(rankedAveragePrecision(scores, relevant)).toBeCloseTo(expected.averagePrecision, 12);
      for (const [k, value] of Object.entries(expected.ndcg))
        expect(ndcg(scores, grades, { k: Number(k) })).toBeCloseTo(value, 12);
      for (const [k, value] of Object.entries(expected.exponentialNdcg))
        expect(ndcg(scores, grades, { k: Number(k), gain: "exponential" })).toBeCloseTo(value, 12);
    }
  });

  it("are the mean over all orders of tied items", () => {
    const grades = [2, 0, 1, 0, 3, 0];
    const scores = [5, 4, 4, 4, 4, 1];
    const lists = orders([1, 2, 3, 4]).map((middle) => [0, ...middle, 5].map((i) => grades[i] as number));
    for (const k of [1, 2, 3, 4, 6]) {
      const mean = (measure: (list: number[], k: number) => number): number =>
        average(lists.map((list) => measure(list, k)));
      expect(rankedAveragePrecision(scores, grades, { k })).toBeCloseTo(mean(slow.averagePrecision), 12);
      expect(ndcg(scores, grades, { k })).toBeCloseTo(mean(slow.ndcg), 12);
    }
    const first = [0, 0, 1, 0, 1, 0];
    const starts = orders([1, 2, 3, 4]).map((middle) => [0, ...middle, 5].map((i) => first[i] as number));
    for (const k of [1, 2, 3, 6]) {
      const expected = average(starts.map((list) => slow.reciprocalRank(list, k)));
      expect(reciprocalRank(scores, first, { k })).toBeCloseTo(expected, 12);
    }
  });

  it("depend on the order of scores only", () => {
    const list = fc.array(fc.tuple(fc.integer({ min: 0, max: 4 }), fc.integer({ min: 0, max: 3 })), {
      minLength: 1,
      maxLength: 12,
    });
    fc.assert(
      fc.property(list, fc.nat(), (pairs, seed) => {
        const filled: [number, number][] = [...pairs, [2, 1]];
        const moved = shuffled(seed, filled).map(([score, grade]) => [7 * score ** 3 - 100, grade] as const);
        for (const measure of [rankedAveragePrecision, reciprocalRank, ndcg]) {
          const value = measure(
            filled.map(([score]) => score),
            filled.map(([, grade]) => grade),
            { k: 4 },
          );
          const other = measure(
            moved.map(([score]) => score),
            moved.map(([, grade]) => grade),
            { k: 4 },
          );
          expect(other).toBeCloseTo(value, 12);
          expect(value).toBeGreaterThanOrEqual(0);
          expect(value).toBeLessThanOrEqual(1 + 1e-12);
        }
      }),
      { numRuns: 60, seed: 1 },
    );
  });

  it("divide by what k places can hold, or by all relevant items", () => {
    const [scores, grades] = [
      [3, 2, 1],
      [1, 1, 1],
    ];
    expect(rankedAveragePrecision(scores, grades, { k: 2 })).toBe(1);
    expect(rankedAveragePrecision(scores, grades, { k: 2, normalizer: "relevant" })).toBeCloseTo(2 / 3, 12);
  });

  it("refuse what they cannot measure", () => {
    expect(() => rankedAveragePrecision([1, 2], [0, 0])).toThrow(
      "rankedAveragePrecision: no item is relevant",
    );
    expect(() => reciprocalRank([1, 2], [0, 0])).toThrow("no item is relevant");
    expect(ndcg([1, 2], [0, 0])).toBe(0);
    expect(() => ndcg([1, Number.NaN], [1, 0])).toThrow("scores must be finite numbers, got NaN at index 1");
    expect(() => ndcg([1, 2], [1, -1])).toThrow("grades must be >= 0, got -1 at index 1");
    expect(() => ndcg([1, 2], [1])).toThrow("one length, got 2 and 1");
    expect(() => ndcg([], [])).toThrow("empty");
    expect(() => ndcg([1], [1], { k: 0 })).toThrow("k must be an integer >= 1, got 0");
  });
});

describe("rankedRetrieval", () => {
  const { queries, items, queryOwner, itemOwner, averagePrecision, ndcgAt5 } = reference.retrieval;
  const relevance = sameOwner(queryOwner, itemOwner);

  it("equals scikit-learn's on cosines", async () => {
    const found = await rankedRetrieval(rows(queries), rows(items), relevance);
    averagePrecision.forEach((value, q) => {
      expect(found.perQuery.averagePrecision[q]).toBeCloseTo(value, 12);
    });
    expect(found.meanAveragePrecision).toBeCloseTo(average(averagePrecision), 12);
    expect(found.ndcgAtK.get(5)).toBeCloseTo(ndcgAt5, 12);
  });

  it("equals sorting, beyond one block, with graded relevance", async () => {
    const left = randomRows(1, 270, 4);
    const right = randomRows(2, 40, 4);
    const grades = integers(3, 270 * 40, 3);
    const found = await rankedRetrieval(left, right, (q, i) => grades[q * 40 + i] as number, { ks: [3, 50] });
    const unit = (array: NDArray): number[][] =>
      toMatrix(array).map((row) => row.map((value) => value / Math.hypot(...row)));
    const [A, B] = [unit(left), unit(right)];
    const lists = A.map((a, q) =>
      B.map((b, i) => ({
        grade: grades[q * 40 + i] as number,
        score: a.reduce((sum, value, k) => sum + value * (b[k] as number), 0),
      }))
        .sort((x, y) => y.score - x.score)
        .map(({ grade }) => grade),
    );
    const mean = (measure: (list: number[]) => number): number => average(lists.map(measure));
    expect(found.meanAveragePrecision).toBeCloseTo(
      mean((list) => slow.averagePrecision(list, 40)),
      4,
    );
    expect(found.meanReciprocalRank).toBeCloseTo(
      mean((list) => slow.reciprocalRank(list, 40)),
      4,
    );
    for (const k of [3, 50]) {
      const right = (list: number[]): number => list.slice(0, k).filter((grade) => grade > 0).length;
      expect(found.meanAveragePrecisionAtK.get(k)).toBeCloseTo(
        mean((l) => slow.averagePrecision(l, k)),
        4,
      );
      expect(found.ndcgAtK.get(k)).toBeCloseTo(
        mean((list) => slow.ndcg(list, k)),
        4,
      );
      expect(found.precisionAtK.get(k)).toBeCloseTo(
        mean((list) => right(list) / k),
        4,
      );
      const all = (list: number[]): number => list.filter((grade) => grade > 0).length;
      expect(found.coverageAtK.get(k)).toBeCloseTo(
        mean((list) => right(list) / all(list)),
        4,
      );
    }
  });

  it("gives a collapsed model chance, whatever the order of items", async () => {
    const point = rows(Array.from({ length: 6 }, () => [0.6, 0.8]));
    const owner = [0, 0, 0, 1, 1, 1];
    const found = await rankedRetrieval(point, point, sameOwner(owner, owner), { ks: [2] });
    expect(found.precisionAtK.get(2)).toBeCloseTo(0.5, 12);
    expect(found.coverageAtK.get(2)).toBeCloseTo(1 / 3, 12);
    const expected = average(orders([1, 1, 1, 0, 0, 0]).map((list) => slow.averagePrecision(list, 6)));
    expect(found.meanAveragePrecision).toBeCloseTo(expected, 12);
  });

  it("does not depend on the order or length of items", async () => {
    const found = await rankedRetrieval(rows(queries), rows(items), relevance);
    const order = shuffled(
      4,
      items.map((_, i) => i),
    );
    const moved = await rankedRetrieval(
      rows(queries),
      rows(order.map((i) => (items[i] as number[]).map((value) => value * (i + 1)))),
      sameOwner(
        queryOwner,
        order.map((i) => itemOwner[i] as number),
      ),
    );
    expect(moved.meanAveragePrecision).toBeCloseTo(found.meanAveragePrecision, 12);
    expect(moved.ndcgAtK.get(5)).toBeCloseTo(found.ndcgAtK.get(5) as number, 12);
  });

  it("leaves a query out of its own list", async () => {
    const set = rows([
      [1, 0],
      [0, 1],
      [0.9, 0.1],
    ]);
    const owner = [0, 1, 0];
    await expect(rankedRetrieval(set, set, sameOwner(owner, owner), { excludeSelf: true })).rejects.toThrow(
      "query 1 has no relevant item",
    );
    const pair = takeRows(set, [0, 2]);
    const same = await rankedRetrieval(pair, pair, () => 1, { excludeSelf: true, ks: [1] });
    expect(same.meanReciprocalRank).toBe(1);
    await expect(rankedRetrieval(pair, set, () => 1, { excludeSelf: true })).rejects.toThrow("one length");
  });

  it("refuses wrong grades and widths", async () => {
    const set = randomRows(1, 3, 2);
    await expect(rankedRetrieval(set, set, () => Number.NaN)).rejects.toThrow("finite and >= 0, got NaN");
    await expect(rankedRetrieval(set, randomRows(1, 3, 4), () => 1)).rejects.toThrow("do not have one width");
    await expect(rankedRetrieval(set, set, () => 1, { ks: [1.5] })).rejects.toThrow("got 1.5");
  });
});

describe("hammingRetrieval", () => {
  const [Q, N, B, C] = [9, 30, 37, 4];
  const codes = (seed: number, count: number): number[][] =>
    Array.from({ length: count }, (_, i) => integers(seed * 1000 + i, B, 2).map((bit) => 2 * bit - 1));
  const labels = (seed: number, count: number): number[][] =>
    Array.from({ length: count }, (_, i) => [1, ...integers(seed * 1000 + i, C - 1, 2)]);
  const [queries, items] = [codes(1, Q), codes(2, N)];
  const [queryLabels, itemLabels] = [
    labels(3, Q),
    labels(4, N).map((row, i) => (i % 3 ? [0, ...row.slice(1)] : row)),
  ];
  const relevance = sharedLabel(rows(queryLabels), rows(itemLabels));
  const distance = (a: number[], b: number[]): number => a.filter((bit, i) => bit !== b[i]).length;

  it("equals ranking by counted bits", () => {
    const found = hammingRetrieval(rows(queries), rows(items), relevance, { ks: [5], radius: 17 });
    const each = queries.map((query, q) => {
      const away = items.map((item) => distance(query, item));
      const grades = itemLabels.map((label) =>
        Number(label.some((value, c) => value > 0 && (queryLabels[q]?.[c] ?? 0) > 0)),
      );
      const near = grades.filter((_, i) => (away[i] as number) <= 17);
      const hits = near.filter((grade) => grade > 0).length;
      const scores = away.map((d) => -d);
      return {
        all: rankedAveragePrecision(scores, grades),
        five: rankedAveragePrecision(scores, grades, { k: 5 }),
        precision: near.length > 0 ? hits / near.length : 0,
        recall: hits / grades.filter((grade) => grade > 0).length,
      };
    });
    expect(found.meanAveragePrecision).toBeCloseTo(average(each.map(({ all }) => all)), 12);
    expect(found.meanAveragePrecisionAtK.get(5)).toBeCloseTo(average(each.map(({ five }) => five)), 12);
    expect(found.precisionWithinRadius).toBeCloseTo(average(each.map(({ precision }) => precision)), 12);
    expect(found.recallWithinRadius).toBeCloseTo(average(each.map(({ recall }) => recall)), 12);
    expect(found.precisionWithinRadius).toBeGreaterThan(0);
  });

  it("takes signs, bits and relaxed codes alike, and flips of a bit on both sides", () => {
    const base = hammingRetrieval(rows(queries), rows(items), relevance, { radius: 17 });
    const forms = [
      (bit: number) => (bit > 0 ? 1 : 0),
      (bit: number) => bit * 0.01,
      (bit: number, b: number) => (b === 33 ? -bit : bit),
    ];
    for (const form of forms) {
      const change = (set: number[][]): NDArray => rows(set.map((row) => row.map(form)));
      expect(hammingRetrieval(change(queries), change(items), relevance, { radius: 17 })).toEqual(base);
    }
  });

  it("takes codes of bytes and booleans", () => {
    const bits = (set: number[][], dtype: "uint8" | "bool"): NDArray => ({
      dtype,
      shape: [set.length, B],
      data: Uint8Array.from(set.flat(), (bit) => Number(bit > 0)),
    });
    const base = hammingRetrieval(rows(queries), rows(items), relevance);
    expect(hammingRetrieval(bits(queries, "uint8"), bits(items, "bool"), relevance)).toEqual(base);
    const flat: NDArray = { dtype: "uint8", shape: [3], data: new Uint8Array(3) };
    expect(() => hammingRetrieval(flat, flat, relevance)).toThrow(
      "must be a non-empty matrix [N, B], got shape [3]",
    );
  });

  it("counts a query that finds nothing within the radius as 0, and equal codes as chance", () => {
    const apart = hammingRetrieval(rows([[1, 1, 1]]), rows([[0, 0, 0]]), () => 1);
    expect(apart).toMatchObject({ precisionWithinRadius: 0, recallWithinRadius: 0, meanAveragePrecision: 1 });
    const same = rows(Array.from({ length: 4 }, () => [1, -1]));
    const owner = [0, 0, 1, 1];
    const chance = hammingRetrieval(same, same, sameOwner(owner, owner), { radius: 0, excludeSelf: true });
    expect(chance.precisionWithinRadius).toBeCloseTo(1 / 3, 12);
    expect(chance.meanAveragePrecision).toBeCloseTo((1 + 1 / 2 + 1 / 3) / 3, 12);
  });

  it("refuses queries without relevant item and wrong radii", () => {
    expect(() => hammingRetrieval(rows(queries), rows(items), () => 0)).toThrow(
      "query 0 has no relevant item",
    );
    expect(() => hammingRetrieval(rows(queries), rows(items), relevance, { radius: -1 })).toThrow(
      "radius must be an integer >= 0, got -1",
    );
    expect(() => sharedLabel(rows(queryLabels), rows(queries))).toThrow("do not have one width");
  });
});
