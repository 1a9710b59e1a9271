import { randomKey } from "@concord/tensor";
import { describe, expect, it } from "vitest";
import { bootstrap, bootstrapDifference, bootstrapMean, intervalOfReplicates } from "../../src/index.ts";
import { normalDistribution, normalQuantile } from "../../src/metrics/normal.ts";
import reference from "./fixtures/scikit-learn.json" with { type: "json" };
import { average, numbers } from "./support.ts";

const { sample, cases } = reference.intervals;

describe("normal distribution", () => {
  it("equals scipy's, tails relative to their size", () => {
    const { z, p, quantiles } = reference.normal;
    z.forEach((value, i) => {
      expect(normalDistribution(value) / (p[i] as number)).toBeCloseTo(1, 12);
    });
    [1e-9, 0.025, 0.5, 0.9].forEach((share, i) => {
      expect(normalQuantile(share)).toBeCloseTo(quantiles[i] as number, 10);
    });
  });
});

describe("intervalOfReplicates", () => {
  it("equals scipy's percentile and BCa intervals on its resamples", () => {
    for (const { estimate, replicates, jackknife, ...expected } of cases) {
      const percentile = intervalOfReplicates(estimate, replicates, { confidence: 0.9 });
      expect([percentile.low, percentile.high]).toEqual(
        expected.percentile.map((v) => expect.closeTo(v, 10)),
      );
      expect(percentile.standardError).toBeCloseTo(expected.standardError, 12);
      const bca = intervalOfReplicates(estimate, replicates, { jackknife, confidence: 0.9 });
      expect([bca.low, bca.high]).toEqual(expected.BCa.map((v) => expect.closeTo(v, 10)));
      expect(bca.low).not.toBeCloseTo(percentile.low, 4);
    }
  });

  it("holds where all replicates are equal or on one side", () => {
    expect(intervalOfReplicates(2, [2, 2, 2], { jackknife: [2, 2] })).toMatchObject({ low: 2, high: 2 });
    const aside = intervalOfReplicates(9, [1, 2, 3, 4], { jackknife: [1, 2, 4] });
    expect(aside.low).toBeGreaterThanOrEqual(1);
    expect(aside.high).toBeLessThanOrEqual(4);
    expect(() => intervalOfReplicates(1, [1, Number.NaN])).toThrow("replicates must be finite numbers");
    expect(() => intervalOfReplicates(1, [1], { confidence: 1 })).toThrow("confidence lies in (0, 1), got 1");
  });
});

describe("bootstrap", () => {
  it("gives means the same interval by rows and by values, and the same for the same key", () => {
    for (const method of ["bca", "percentile"] as const) {
      const options = { key: randomKey(3), resamples: 300, method };
      const byValues = bootstrapMean(sample, options);
      const byRows = bootstrap(
        sample.length,
        (rows) => average(Array.from(rows, (row) => sample[row] as number)),
        options,
      );
      expect(byRows.low).toBeCloseTo(byValues.low, 10);
      expect(byRows.high).toBeCloseTo(byValues.high, 10);
      expect(byRows.estimate).toBeCloseTo(average(sample), 12);
      expect(bootstrapMean(sample, options)).toEqual(byValues);
      expect(bootstrapMean(sample, { ...options, key: randomKey(4) })).not.toEqual(byValues);
    }
  });

  it("follows shift and scale", () => {
    const options = { key: randomKey(5), resamples: 200 };
    const base = bootstrapMean(sample, options);
    const moved = bootstrapMean(
      sample.map((value) => 4 * value - 1),
      options,
    );
    expect(moved.low).toBeCloseTo(4 * base.low - 1, 10);
    expect(moved.high).toBeCloseTo(4 * base.high - 1, 10);
    expect(moved.standardError).toBeCloseTo(4 * base.standardError, 10);
  });

  it("holds the true mean about as often as it says", () => {
    const stream = numbers(11);
    let held = 0;
    for (let trial = 0; trial < 200; trial++) {
      const values = Array.from({ length: 40 }, () => stream.normal(3, 2));
      const { low, high } = bootstrapMean(values, { key: randomKey(trial), resamples: 200, confidence: 0.9 });
      if (low <= 3 && 3 <= high) held++;
    }
    // 180 are expected; four standard deviations are 17, and small samples fall a little short.
    expect(held).toBeGreaterThan(160);
    expect(held).toBeLessThan(197);
  });

  it("of paired differences is narrow where queries are hard for both", () => {
    const stream = numbers(12);
    const b = Array.from({ length: 60 }, () => stream.normal(0, 5));
    const a = b.map((value) => value + 0.2 + stream.normal(0, 0.1));
    const options = { key: randomKey(1), resamples: 400 };
    const found = bootstrapDifference(a, b, options);
    expect(found.low).toBeGreaterThan(0.15);
    expect(found.high).toBeLessThan(0.25);
    expect(found.shareAbove).toBe(1);
    const back = bootstrapDifference(b, a, { ...options, method: "percentile" });
    expect(back.shareAbove).toBe(0);
    expect(bootstrapDifference(a, a, options)).toMatchObject({
      estimate: 0,
      low: 0,
      high: 0,
      shareAbove: 0.5,
    });
  });

  it("refuses what it cannot resample", () => {
    const options = { key: randomKey(1) };
    expect(() => bootstrapMean([1], options)).toThrow("number of rows must be an integer >= 2, got 1");
    expect(() => bootstrapMean([1, Number.NaN], options)).toThrow(
      "values must be finite numbers, got NaN at index 1",
    );
    expect(() => bootstrapDifference([1, 2], [1], options)).toThrow(
      "a and b must have one length, got 2 and 1",
    );
    expect(() => bootstrapMean([1, 2], { ...options, resamples: 1 })).toThrow(
      "resamples must be an integer >= 2",
    );
    expect(() => bootstrap(3, () => Number.NaN, options)).toThrow("must be finite numbers, got NaN");
  });
});
