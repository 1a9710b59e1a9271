import { describe, expect, it } from "vitest";
import { averageRanks, kendallTauB, pearson, similarityCorrelation, spearman } from "../../src/index.ts";
import reference from "./fixtures/scikit-learn.json" with { type: "json" };
import { integers, randomRows, rows, shuffled } from "./support.ts";

describe("correlations", () => {
  it("equal scipy's, ties included", () => {
    for (const { x, y, ...expected } of reference.correlations) {
      expect(Array.from(averageRanks(x))).toEqual(expected.ranks);
      expect(pearson(x, y)).toBeCloseTo(expected.pearson, 12);
      expect(spearman(x, y)).toBeCloseTo(expected.spearman, 12);
      expect(kendallTauB(x, y)).toBeCloseTo(expected.kendall, 12);
    }
  });

  it("Kendall's counts pairs", () => {
    const [x, y] = [integers(1, 70, 9), integers(2, 70, 5)];
    let [difference, tiedX, tiedY, pairs] = [0, 0, 0, 0];
    for (let i = 0; i < 70; i++) {
      for (let j = 0; j < i; j++) {
        const [dx, dy] = [
          Math.sign((x[i] as number) - (x[j] as number)),
          Math.sign((y[i] as number) - (y[j] as number)),
        ];
        difference += dx * dy;
        tiedX += Number(dx === 0);
        tiedY += Number(dy === 0);
        pairs++;
      }
    }
    expect(kendallTauB(x, y)).toBeCloseTo(difference / Math.sqrt((pairs - tiedX) * (pairs - tiedY)), 12);
  });

  it("do not depend on order, and rank correlations not on the scale", () => {
    const [x, y] = [integers(3, 30, 12), integers(4, 30, 12)];
    const order = shuffled(5, [...x.keys()]);
    const [movedX, movedY] = [order.map((i) => x[i] as number), order.map((i) => y[i] as number)];
    expect(
      pearson(
        movedX,
        movedY.map((value) => 3 - 2 * value),
      ),
    ).toBeCloseTo(-pearson(x, y), 12);
    for (const measure of [spearman, kendallTauB]) {
      expect(
        measure(
          movedX.map((value) => value ** 3),
          movedY,
        ),
      ).toBeCloseTo(measure(x, y), 12);
      expect(measure(x, x.map(Math.exp))).toBeCloseTo(1, 12);
    }
  });

  it("are not defined for a constant, even one that rounding would move", () => {
    for (const measure of [pearson, spearman, kendallTauB]) {
      expect(measure([0.1, 0.1, 0.1], [1, 2, 3])).toBeNaN();
      expect(measure([1, 2, 3], [0.3, 0.3, 0.3])).toBeNaN();
      expect(() => measure([1], [1])).toThrow("at least two pairs, got 1");
      expect(() => measure([1, 2], [1])).toThrow("one length, got 2 and 1");
      expect(() => measure([1, Number.NaN], [1, 2])).toThrow("x must be finite numbers, got NaN at index 1");
    }
  });
});

describe("similarityCorrelation", () => {
  it("correlates cosines of pairs with gold similarities", () => {
    const [a, b] = [randomRows(1, 12, 3), randomRows(2, 12, 3)];
    const gold = integers(3, 12, 6);
    const cosines = Array.from({ length: 12 }, (_, i) => {
      const [x, y] = [a, b].map((set) => Array.from(set.data.subarray(3 * i, 3 * i + 3))) as [
        number[],
        number[],
      ];
      return (
        x.reduce((sum, value, k) => sum + value * (y[k] as number), 0) / Math.hypot(...x) / Math.hypot(...y)
      );
    });
    const found = similarityCorrelation(a, b, gold);
    expect(found.spearman).toBeCloseTo(spearman(cosines, gold), 12);
    expect(found.pearson).toBeCloseTo(pearson(cosines, gold), 12);
    expect(found.kendall).toBeCloseTo(kendallTauB(cosines, gold), 12);
    expect(found.cosines[4]).toBeCloseTo(cosines[4] as number, 12);
  });

  it("refuses sets that are no pairs and missing gold", () => {
    const a = rows([
      [1, 0],
      [0, 1],
    ]);
    expect(() => similarityCorrelation(a, randomRows(1, 3, 2), [1, 2])).toThrow("do not form pairs");
    expect(() => similarityCorrelation(a, a, [1])).toThrow(
      "pairs and gold must have one length, got 2 and 1",
    );
  });
});
