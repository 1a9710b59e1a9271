import { hammingRetrieval, sharedLabel } from "@concord/align";
import { type NDArray, ndarray, RandomStream, randomKey, toNumbers } from "@concord/tensor";
import { describe, expect, it } from "vitest";
import { meanAveragePrecision } from "./mean-average-precision.ts";

describe("meanAveragePrecision", () => {
  const random = new RandomStream(randomKey(5));
  const draw = (rows: number, width: number, chance: number): NDArray =>
    ndarray(
      Array.from({ length: rows * width }, () => (random.chance(chance) ? 1 : -1)),
      { shape: [rows, width] },
    );
  const [queries, database] = [draw(70, 12, 0.5), draw(90, 12, 0.5)];
  const [queryLabels, databaseLabels] = [draw(70, 5, 0.4), draw(90, 5, 0.4)];

  it("ranks as a stable sort does, and counts queries without relevant items as 0", () => {
    const shared = sharedLabel(queryLabels, databaseLabels);
    const want = Array.from({ length: 70 }, (_, q) => {
      const order = Array.from({ length: 90 }, (_, i) => {
        let distance = 0;
        for (let b = 0; b < 12; b++)
          distance += Number(queries.data[q * 12 + b] !== database.data[i * 12 + b]);
        return { distance, relevant: shared(q, i) > 0 };
      }).sort((a, b) => a.distance - b.distance);
      let [found, total] = [0, 0];
      order.forEach(({ relevant }, i) => {
        if (relevant) total += ++found / (i + 1);
      });
      return found > 0 ? total / found : 0;
    });
    const got = meanAveragePrecision(queries, database, queryLabels, databaseLabels);
    got.perQuery.forEach((precision, q) => {
      expect(precision, `query ${q}`).toBeCloseTo(want[q] as number, 12);
    });
    expect(got.perQuery).toHaveLength(want.length);
    expect(want).toContain(0);
    expect(got.meanAveragePrecision).toBeCloseTo(want.reduce((a, b) => a + b) / 70, 12);
  });

  it("is near the expectation over orders of ties when the database is in random order", () => {
    const some = (of: NDArray, rows: number[], width: number): NDArray =>
      ndarray(
        rows.flatMap((row) => Array.from(toNumbers(of)).slice(row * width, (row + 1) * width)),
        { shape: [rows.length, width] },
      );
    const { perQuery } = meanAveragePrecision(queries, database, queryLabels, databaseLabels);
    const rows = Array.from(perQuery.keys()).filter((q) => (perQuery[q] as number) > 0);
    const labels = some(queryLabels, rows, 5);
    const expected = hammingRetrieval(some(queries, rows, 12), database, sharedLabel(labels, databaseLabels));
    const stable = meanAveragePrecision(some(queries, rows, 12), database, labels, databaseLabels);
    expect(Math.abs(stable.meanAveragePrecision - expected.meanAveragePrecision)).toBeLessThan(0.02);
  });

  it("says what does not fit", () => {
    expect(() => meanAveragePrecision(queries, database, databaseLabels, databaseLabels)).toThrow(
      /queries have codes \[70, 12\] but labels \[90, 5\]/,
    );
    expect(() =>
      meanAveragePrecision(queries, database, queryLabels, databaseLabels, { firstRelevant: 0 }),
    ).toThrow(/firstRelevant must be an integer >= 1, got 0/);
  });
});
