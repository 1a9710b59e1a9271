import { foldIn, normalArray, randomKey } from "@concord/tensor";
import { describe, expect, it } from "vitest";
import type { Estimate } from "../../src/diagnosis/finding.ts";
import { centroidGap } from "../../src/diagnosis/findings/modality-gap.ts";
import { uniformityOf } from "../../src/diagnosis/findings/spread.ts";
import { meanEstimate, squaredMeanLength } from "../../src/diagnosis/resample.ts";
import { spectrumOf } from "../../src/diagnosis/spectrum.ts";
import { covarianceSpectrum, modalityGap, normalizeRows } from "../../src/index.ts";
import { collected, type Rows, shift, withFault } from "./planted.ts";

const WIDTH = 16;
const SEEDS = 40;

function cloud(seed: number, rows: number, fault?: (rows: Rows) => Rows): Rows {
  const plain: Rows = normalArray(foldIn(randomKey(77), seed), [rows, WIDTH]);
  // Directions of unequal spread, so that the effective rank is not at its limit.
  const stretched = withFault(plain, (row) => {
    for (let k = 0; k < WIDTH; k++) row[k] = (row[k] as number) / (1 + k / 3);
  });
  return fault ? fault(stretched) : stretched;
}

/** A very large sample stands for the truth. */
const TRUTH_ROWS = 60_000;
const moved = (rows: Rows): Rows => withFault(rows, shift(WIDTH, 0.6, randomKey(3)));

/** How many of the intervals hold the truth. */
async function covering(truth: number, interval: (seed: number) => Promise<Estimate>): Promise<number> {
  let held = 0;
  for (let seed = 0; seed < SEEDS; seed++) {
    const { low, high } = await interval(seed);
    if (low <= truth && truth <= high) held++;
  }
  return held;
}

/** Of 40 true 95 % intervals fewer than 34 hold the truth with chance 0.2 %; the seeds are fixed. */
const LEAST = 34;

describe("intervals hold the truth in about 95 of 100 samples", () => {
  it("of the distance of the centres", async () => {
    const truth = modalityGap(cloud(900, TRUTH_ROWS), cloud(901, TRUTH_ROWS, moved)).l2;
    const held = await covering(truth, async (seed) => {
      const a = await collected(cloud(2 * seed, 300), "a");
      const b = await collected(cloud(2 * seed + 1, 300, moved), "b");
      return centroidGap(a, b, false, randomKey(seed)).distance;
    });
    expect(held).toBeGreaterThanOrEqual(LEAST);
  });

  it("of the mean cosine of random rows", async () => {
    const large = await collected(cloud(902, TRUTH_ROWS, moved), "truth");
    const truth = large.mean.reduce((sum, value) => sum + value * value, 0);
    const held = await covering(truth, async (seed) => {
      const a = await collected(cloud(seed, 300, moved), "a");
      return squaredMeanLength(a.groups, null, false, randomKey(seed));
    });
    expect(held).toBeGreaterThanOrEqual(LEAST);
  });

  it("of the effective rank, where rows are many to a dimension", async () => {
    const truth = covarianceSpectrum(normalizeRows(cloud(903, TRUTH_ROWS))).effectiveRank;
    const held = await covering(truth, async (seed) => {
      const a = await collected(cloud(seed, 1000), "a");
      return spectrumOf(a, randomKey(seed)).effectiveRank;
    });
    expect(held).toBeGreaterThanOrEqual(LEAST - 2);
  });

  it("of uniformity", async () => {
    const truth = await uniformityOf(await collected(cloud(904, 4000), "truth"), randomKey(0));
    const held = await covering(truth.value, async (seed) =>
      uniformityOf(await collected(cloud(seed, 150), "a"), randomKey(seed)),
    );
    expect(held).toBeGreaterThanOrEqual(LEAST);
  });

  it("of a share", async () => {
    const held = await covering(0.9, async (seed) => {
      const draws = normalArray(foldIn(randomKey(5), seed), [200]).data;
      return meanEstimate(
        Float64Array.from(draws, (value) => Number(value < 1.2815515655446004)),
        randomKey(seed),
      );
    });
    expect(held).toBeGreaterThanOrEqual(LEAST);
  });
});

describe("the distance of centres", () => {
  it("of two samples of one cloud is not mistaken for a gap", async () => {
    let alarms = 0;
    for (let seed = 0; seed < SEEDS; seed++) {
      const a = await collected(cloud(2 * seed + 500, 60), "a");
      const b = await collected(cloud(2 * seed + 501, 60), "b");
      // The plain distance of two samples of 60 rows is about √(2 / 60).
      expect(modalityGap(a.sample, b.sample).l2).toBeGreaterThan(0.07);
      if (centroidGap(a, b, false, randomKey(seed)).share.low > 0.05) alarms++;
    }
    expect(alarms).toBe(0);
  });
});

describe("a share that no sample varied", () => {
  it("has an interval all the same: 3 / n", () => {
    expect(meanEstimate(new Float64Array(100), randomKey(0))).toEqual({ value: 0, low: 0, high: 0.03 });
    expect(meanEstimate(new Float64Array(100).fill(1), randomKey(0))).toEqual({
      value: 1,
      low: 0.97,
      high: 1,
    });
  });
});
