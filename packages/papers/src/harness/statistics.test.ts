import { describe, expect, it } from "vitest";
import { confidenceInterval95, mean, standardDeviation, studentQuantile, summarise } from "./statistics.ts";

describe("statistics", () => {
  it("has the t quantiles of the printed tables", () => {
    const table = [
      [1, 12.706],
      [2, 4.303],
      [3, 3.182],
      [4, 2.776],
      [5, 2.571],
      [7, 2.365],
      [9, 2.262],
      [19, 2.093],
      [29, 2.045],
      [60, 2.0],
      [120, 1.98],
    ] as const;
    for (const [degrees, value] of table) expect(studentQuantile(0.975, degrees)).toBeCloseTo(value, 3);
    expect(studentQuantile(0.95, 10)).toBeCloseTo(1.812, 3);
    expect(studentQuantile(0.5, 4)).toBeCloseTo(0, 9);
  });

  it("computes mean, sample deviation and interval of a worked example", () => {
    const values = [2, 4, 4, 4, 5, 5, 7, 9];
    expect(mean(values)).toBe(5);
    expect(standardDeviation(values)).toBeCloseTo(Math.sqrt(32 / 7), 12);
    const [low, high] = confidenceInterval95(values) ?? [];
    expect(low).toBeCloseTo(5 - (2.36462 * Math.sqrt(32 / 7)) / Math.sqrt(8), 4);
    expect(high).toBeCloseTo(5 + (2.36462 * Math.sqrt(32 / 7)) / Math.sqrt(8), 4);
  });

  it("is exact for equal values, whatever their number", () => {
    for (const count of [2, 3, 7, 10]) {
      const values = Array.from({ length: count }, () => 0.1);
      expect(mean(values)).toBe(0.1);
      expect(standardDeviation(values)).toBe(0);
      expect(confidenceInterval95(values)).toEqual([0.1, 0.1]);
    }
  });

  it("gives no spread for one value, and rejects none", () => {
    expect(standardDeviation([3])).toBeNull();
    expect(confidenceInterval95([3])).toBeNull();
    expect(() => mean([])).toThrow("at least one");
  });

  it("summarises results per arm and metric, over the seeds there are", () => {
    const summary = summarise({
      results: [
        { arm: "a", seed: 0, metrics: { x: 1, y: 5 } },
        { arm: "b", seed: 0, metrics: { x: 7, y: 0 } },
        { arm: "a", seed: 1, metrics: { x: 3, y: 5 } },
      ],
    });
    expect(summary.get("a")?.get("x")).toEqual({ mean: 2, deviation: Math.SQRT2, count: 2 });
    expect(summary.get("a")?.get("y")).toEqual({ mean: 5, deviation: 0, count: 2 });
    expect(summary.get("b")?.get("x")).toEqual({ mean: 7, deviation: null, count: 1 });
  });
});
