import { type Key, RandomStream } from "@concord/tensor";
import { checkCount, checkFinite, checkSameLength, mean } from "./checks.ts";
import { normalDistribution, normalQuantile } from "./normal.ts";

export interface BootstrapOptions {
  /** Source of the resamples: the same key gives the same interval. */
  readonly key: Key;
  /** Default 2000. */
  readonly resamples?: number;
  /** Share of intervals that hold the true value, default 0.95. */
  readonly confidence?: number;
  /** Default "bca". */
  readonly method?: "bca" | "percentile";
}

export interface ConfidenceInterval {
  /** The statistic of the sample itself. */
  readonly estimate: number;
  readonly low: number;
  readonly high: number;
  /** Standard deviation of the statistic over resamples. */
  readonly standardError: number;
}

export interface DifferenceInterval extends ConfidenceInterval {
  /** Share of resamples in which a's mean is above b's, ties counting one half. */
  readonly shareAbove: number;
}

/** Quantile of ascending values, linear between neighbours. */
function quantile(sorted: Float64Array, p: number): number {
  const at = p * (sorted.length - 1);
  const below = Math.floor(at);
  const [low, high] = [sorted[below] as number, sorted[Math.min(below + 1, sorted.length - 1)] as number];
  return low + (high - low) * (at - below);
}

/** Share of values below a limit, those equal to it counting one half. */
function shareBelow(values: Float64Array, limit: number): number {
  return (
    values.reduce((sum, value) => sum + (value < limit ? 1 : value === limit ? 0.5 : 0), 0) / values.length
  );
}

/**
 * Interval from the statistic of resamples.
 *
 * Percentile: the (1 ± confidence) / 2 quantiles. BCa corrects their places for bias and skewness:
 *
 *   α' = Φ(z₀ + (z₀ + z_α) / (1 - a (z₀ + z_α))),   z₀ = Φ⁻¹(share of resamples below the estimate)
 *   a = Σ (θ̄ - θ_(i))³ / (6 (Σ (θ̄ - θ_(i))²)^(3/2))   over the jackknife values θ_(i), each row left out once
 *
 * Where all resamples lie on one side of the estimate the share is taken as half a resample from the end.
 *
 * @param estimate    statistic of the sample
 * @param replicates  statistic of each resample
 * @param jackknife   statistic without each row, for "bca"; without it the percentile interval
 * @throws RangeError when values are missing or not finite, or confidence is outside (0, 1)
 * @source Efron 1987, Better bootstrap confidence intervals
 */
export function intervalOfReplicates(
  estimate: number,
  replicates: ArrayLike<number>,
  {
    jackknife,
    confidence = 0.95,
  }: { readonly jackknife?: ArrayLike<number>; readonly confidence?: number } = {},
): ConfidenceInterval {
  const operation = "intervalOfReplicates";
  checkFinite(operation, "estimate", [estimate]);
  checkFinite(operation, "replicates", replicates);
  if (!(confidence > 0 && confidence < 1))
    throw new RangeError(`${operation}: confidence lies in (0, 1), got ${confidence}`);
  const sorted = Float64Array.from(replicates).sort();
  const count = sorted.length;
  const average = mean(sorted);
  const spread = sorted.reduce((sum, value) => sum + (value - average) ** 2, 0);
  const tails = [(1 - confidence) / 2, (1 + confidence) / 2];
  if (jackknife) {
    checkFinite(operation, "jackknife", jackknife);
    const share = Math.min(Math.max(shareBelow(sorted, estimate), 0.5 / count), 1 - 0.5 / count);
    const bias = normalQuantile(share);
    const centre = mean(jackknife);
    let [squares, cubes] = [0, 0];
    for (let i = 0; i < jackknife.length; i++) {
      const distance = centre - (jackknife[i] as number);
      squares += distance ** 2;
      cubes += distance ** 3;
    }
    const acceleration = squares > 0 ? cubes / (6 * squares ** 1.5) : 0;
    for (const [i, tail] of tails.entries()) {
      const shifted = bias + normalQuantile(tail);
      tails[i] = normalDistribution(bias + shifted / (1 - acceleration * shifted));
    }
  }
  const [low, high] = tails.map((tail) => quantile(sorted, tail)) as [number, number];
  return { estimate, low, high, standardError: count > 1 ? Math.sqrt(spread / (count - 1)) : 0 };
}

function checkOptions(operation: string, count: number, resamples: number): void {
  checkCount(operation, "number of rows", count, 2);
  checkCount(operation, "resamples", resamples, 2);
}

/**
 * Bootstrap confidence interval of any statistic of a sample of independent rows (of queries, say, not of pairs of
 * queries and items).
 *
 * @param count      number of rows N ≥ 2
 * @param statistic  value for these rows, N indices in [0, N) with repetitions; with "bca" also N times N - 1 indices
 * @throws RangeError when N or the resamples are fewer than 2, or the statistic is not finite on a resample
 * @source Efron 1979; "bca": Efron 1987
 */
export function bootstrap(
  count: number,
  statistic: (rows: Uint32Array) => number,
  { key, resamples = 2000, confidence = 0.95, method = "bca" }: BootstrapOptions,
): ConfidenceInterval {
  checkOptions("bootstrap", count, resamples);
  const stream = new RandomStream(key);
  const rows = new Uint32Array(count);
  const replicates = Float64Array.from({ length: resamples }, () => {
    for (let i = 0; i < count; i++) rows[i] = stream.integer(count);
    return statistic(rows);
  });
  const all = Uint32Array.from({ length: count }, (_, i) => i);
  const estimate = statistic(all);
  if (method === "percentile") return intervalOfReplicates(estimate, replicates, { confidence });
  const without = new Uint32Array(count - 1);
  const jackknife = Float64Array.from({ length: count }, (_, left) => {
    for (let i = 0; i < count - 1; i++) without[i] = i < left ? i : i + 1;
    return statistic(without);
  });
  return intervalOfReplicates(estimate, replicates, { jackknife, confidence });
}

/** Means of resamples of the values. */
function resampledMeans(values: ArrayLike<number>, key: Key, resamples: number): Float64Array {
  const stream = new RandomStream(key);
  const count = values.length;
  return Float64Array.from({ length: resamples }, () => {
    let sum = 0;
    for (let i = 0; i < count; i++) sum += values[stream.integer(count)] as number;
    return sum / count;
  });
}

function jackknifeMeans(values: ArrayLike<number>): Float64Array {
  const count = values.length;
  const sum = mean(values) * count;
  return Float64Array.from(values, (value) => (sum - value) / (count - 1));
}

/**
 * Bootstrap confidence interval of a mean: of per-query recall, average precision, right or wrong predictions.
 *
 * @param values  N ≥ 2 numbers, one a query
 * @throws RangeError when there are fewer than two values or one is not finite
 * @source as `bootstrap`
 */
export function bootstrapMean(
  values: ArrayLike<number>,
  { key, resamples = 2000, confidence = 0.95, method = "bca" }: BootstrapOptions,
): ConfidenceInterval {
  checkFinite("bootstrapMean", "values", values);
  checkOptions("bootstrapMean", values.length, resamples);
  const means = resampledMeans(values, key, resamples);
  const jackknife = method === "bca" ? { jackknife: jackknifeMeans(values) } : {};
  return intervalOfReplicates(mean(values), means, { ...jackknife, confidence });
}

/**
 * Bootstrap confidence interval of the difference of two means measured on the same queries: mean(a) - mean(b). Queries
 * are drawn in pairs, so that what makes a query hard for both does not widen the interval.
 *
 * @param a  N ≥ 2 numbers, one a query
 * @param b  N numbers of the same queries
 * @throws RangeError when lengths differ, there are fewer than two values or one is not finite
 * @source as `bootstrap`
 */
export function bootstrapDifference(
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  { key, resamples = 2000, confidence = 0.95, method = "bca" }: BootstrapOptions,
): DifferenceInterval {
  const operation = "bootstrapDifference";
  checkFinite(operation, "a", a);
  checkFinite(operation, "b", b);
  checkSameLength(operation, ["a", a], ["b", b]);
  checkOptions(operation, a.length, resamples);
  const differences = Float64Array.from(a, (value, i) => value - (b[i] as number));
  const means = resampledMeans(differences, key, resamples);
  const jackknife = method === "bca" ? { jackknife: jackknifeMeans(differences) } : {};
  return {
    ...intervalOfReplicates(mean(differences), means, { ...jackknife, confidence }),
    shareAbove: 1 - shareBelow(means, 0),
  };
}
