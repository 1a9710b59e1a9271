import { bitsAt, foldIn, type Key, RandomStream } from "@concord/tensor";
import { intervalOfReplicates } from "../metrics/bootstrap.ts";
import { mean } from "../metrics/checks.ts";
import type { RowGroups } from "./collect.ts";
import type { Estimate } from "./finding.ts";

export const RESAMPLES = 500;

/** How often each of `count` units is drawn in one resample. */
export function drawWeights(stream: RandomStream, weights: Float64Array): void {
  weights.fill(0);
  for (let i = 0; i < weights.length; i++) {
    const unit = stream.integer(weights.length);
    weights[unit] = (weights[unit] as number) + 1;
  }
}

/** Percentile interval of replicates around an estimate. */
export function estimateOf(value: number, replicates: ArrayLike<number>): Estimate {
  const { low, high } = intervalOfReplicates(value, replicates);
  return { value, low: Math.min(low, value), high: Math.max(high, value) };
}

/** A number that was counted over all rows, not estimated. */
export function exactly(value: number): Estimate {
  return { value, low: value, high: value };
}

/** Mean of as many draws as there are values; one hash a draw, as this is most of the work of a diagnosis. */
export function resampledMean(values: ArrayLike<number>, key: Key): number {
  const n = values.length;
  let sum = 0;
  for (let i = 0; i < n; i++) sum += values[Math.floor((bitsAt(key, i) * n) / 2 ** 32)] as number;
  return sum / n;
}

/**
 * Mean of one value a row with its BCa bootstrap interval. Where every value is 0, or every one 1, resamples cannot
 * vary; the interval then reaches as far as 3 / n, beyond which such a sample has a chance below 5 %.
 */
export function meanEstimate(values: ArrayLike<number>, key: Key): Estimate {
  const value = mean(values);
  const n = values.length;
  const first = values[0] as number;
  if (Array.prototype.every.call(values, (other: number) => other === first)) {
    if (first !== 0 && first !== 1) return exactly(value);
    return {
      value,
      low: first === 1 ? 1 - Math.min(1, 3 / n) : 0,
      high: first === 0 ? Math.min(1, 3 / n) : 1,
    };
  }
  const replicates = Float64Array.from({ length: RESAMPLES }, (_, r) =>
    resampledMean(values, foldIn(key, r)),
  );
  const jackknife = Float64Array.from({ length: n }, (_, i) => (value * n - (values[i] as number)) / (n - 1));
  const { low, high } = intervalOfReplicates(value, replicates, n > 1 ? { jackknife } : {});
  return { value, low: Math.min(low, value), high: Math.max(high, value) };
}

/** Groups without the empty ones. */
function filled(groups: RowGroups): { counts: Float64Array; sums: readonly Float64Array[] } {
  const width = groups.sums.length / groups.counts.length;
  const used = [...groups.counts.keys()].filter((g) => (groups.counts[g] as number) > 0);
  return {
    counts: Float64Array.from(used, (g) => groups.counts[g] as number),
    sums: used.map((g) => groups.sums.subarray(g * width, (g + 1) * width)),
  };
}

/** Inner products of all pairs of vectors: [G, G]. */
function gram(vectors: readonly Float64Array[]): Float64Array {
  const count = vectors.length;
  const products = new Float64Array(count * count);
  vectors.forEach((x, i) => {
    for (let j = 0; j <= i; j++) {
      const y = vectors[j] as Float64Array;
      let sum = 0;
      for (let k = 0; k < x.length; k++) sum += (x[k] as number) * (y[k] as number);
      products[i * count + j] = sum;
      products[j * count + i] = sum;
    }
  });
  return products;
}

/** ‖Σ_g w_g v_g‖² of weights, by whichever way is shorter: the sum itself, or wᵀ K w with K the inner products. */
function squaredSum(vectors: readonly Float64Array[]): (weights: Float64Array) => number {
  const count = vectors.length;
  const width = vectors[0]?.length ?? 0;
  if (width <= count) {
    const sum = new Float64Array(width);
    return (weights) => {
      sum.fill(0);
      vectors.forEach((vector, g) => {
        const weight = weights[g] as number;
        if (weight !== 0)
          for (let k = 0; k < width; k++) sum[k] = (sum[k] as number) + weight * (vector[k] as number);
      });
      return sum.reduce((total, value) => total + value * value, 0);
    };
  }
  const products = gram(vectors);
  return (weights) => {
    let total = 0;
    for (let i = 0; i < count; i++) {
      const weight = weights[i] as number;
      if (weight === 0) continue;
      let sum = 0;
      for (let j = 0; j < count; j++) sum += (products[i * count + j] as number) * (weights[j] as number);
      total += weight * sum;
    }
    return total;
  };
}

function weighted(weights: Float64Array, counts: Float64Array): number {
  let total = 0;
  for (let i = 0; i < weights.length; i++) total += (weights[i] as number) * (counts[i] as number);
  return total;
}

/**
 * Squared length of a mean, or of the difference of two means, without the part that is sampling noise.
 *
 *   ‖m‖² - ν,   ν = mean over resamples of ‖m*‖² - ‖m‖²
 *
 * ‖m‖² of n rows is too large by the variance of m on average: two samples of 100 rows of one cloud seem to lie apart.
 * Resamples of the groups of rows give ν, and around ‖m*‖² - 2 ν the interval. May be below 0 where the true value is 0.
 *
 * @param a         groups of the rows of one set
 * @param b         groups of a second one, to take the difference
 * @param together  group g of both sets holds the two sides of the same pairs
 */
export function squaredMeanLength(a: RowGroups, b: RowGroups | null, together: boolean, key: Key): Estimate {
  const left = filled(a);
  const right = b && filled(b);
  const stream = new RandomStream(key);
  // Weights of both sets stand in one list, those of b divided by -1 times its number of rows.
  const split = left.counts.length;
  const squared = squaredSum(right ? [...left.sums, ...right.sums] : left.sums);
  const all = new Float64Array(split + (right?.counts.length ?? 0));
  const u = new Float64Array(split).fill(1);
  const v = right && new Float64Array(right.counts.length).fill(1);
  const length = (): number => {
    const n = weighted(u, left.counts);
    for (let g = 0; g < split; g++) all[g] = (u[g] as number) / n;
    if (right && v) {
      const m = weighted(v, right.counts);
      for (let g = 0; g < v.length; g++) all[split + g] = -(v[g] as number) / m;
    }
    return squared(all);
  };
  const plain = length();
  const joint = together && v !== null && v.length === u.length;
  const replicates = Float64Array.from({ length: RESAMPLES }, () => {
    drawWeights(stream, u);
    if (v && joint) v.set(u);
    else if (v) drawWeights(stream, v);
    return length();
  });
  const noise = Math.max(0, mean(replicates) - plain);
  return estimateOf(
    plain - noise,
    replicates.map((value) => value - 2 * noise),
  );
}

/** Square root of an estimate that sampling may have brought below 0. */
export function rootOf({ value, low, high }: Estimate): Estimate {
  const root = (x: number) => Math.sqrt(Math.max(0, x));
  return { value: root(value), low: root(low), high: root(high) };
}
