import type { NDArray } from "@concord/tensor";
import { checkFinite, checkSameLength, mean } from "./checks.ts";
import { unitSets } from "./rows.ts";

function checkPair(operation: string, x: ArrayLike<number>, y: ArrayLike<number>): void {
  checkFinite(operation, "x", x);
  checkFinite(operation, "y", y);
  checkSameLength(operation, ["x", x], ["y", y]);
  if (x.length < 2) throw new RangeError(`${operation}: needs at least two pairs, got ${x.length}`);
}

/**
 * Ranks from 1, equal values sharing the mean of their ranks: [10, 20, 10] → [1.5, 3, 1.5].
 *
 * @throws RangeError when there are no values or one is not finite
 */
export function averageRanks(values: ArrayLike<number>): Float64Array {
  checkFinite("averageRanks", "values", values);
  const order = Uint32Array.from({ length: values.length }, (_, i) => i).sort(
    (a, b) => (values[a] as number) - (values[b] as number),
  );
  const ranks = new Float64Array(values.length);
  for (let first = 0; first < order.length; ) {
    const value = values[order[first] as number];
    let end = first + 1;
    while (end < order.length && values[order[end] as number] === value) end++;
    for (let i = first; i < end; i++) ranks[order[i] as number] = (first + 1 + end) / 2;
    first = end;
  }
  return ranks;
}

function correlationOf(x: ArrayLike<number>, y: ArrayLike<number>): number {
  const [mx, my] = [mean(x), mean(y)];
  let [xx, yy, xy] = [0, 0, 0];
  let constantX = true;
  let constantY = true;
  for (let i = 0; i < x.length; i++) {
    const [dx, dy] = [(x[i] as number) - mx, (y[i] as number) - my];
    xx += dx * dx;
    yy += dy * dy;
    xy += dx * dy;
    constantX &&= x[i] === x[0];
    constantY &&= y[i] === y[0];
  }
  // Rounding of the mean may leave a constant list with a tiny variance.
  if (constantX || constantY) return Number.NaN;
  return Math.max(-1, Math.min(1, xy / Math.sqrt(xx) / Math.sqrt(yy)));
}

/**
 * Pearson's correlation.
 *
 *   r = Σ (x - x̄)(y - ȳ) / √(Σ (x - x̄)² Σ (y - ȳ)²)
 *
 * In [-1, 1]; NaN when one side is constant, where it is not defined.
 *
 * @throws RangeError when lengths differ, there are fewer than two pairs or a value is not finite
 */
export function pearson(x: ArrayLike<number>, y: ArrayLike<number>): number {
  checkPair("pearson", x, y);
  return correlationOf(x, y);
}

/**
 * Spearman's rank correlation: Pearson's r of the ranks, tied values sharing their mean rank. Range, NaN and errors as
 * `pearson`.
 *
 * @source Spearman 1904; ties as in scipy.stats.spearmanr
 */
export function spearman(x: ArrayLike<number>, y: ArrayLike<number>): number {
  checkPair("spearman", x, y);
  return correlationOf(averageRanks(x), averageRanks(y));
}

/** Number of pairs i < j with values[i] > values[j]; sorts `values`. */
function countInversions(values: Float64Array): number {
  let source = values;
  let target: Float64Array = new Float64Array(values.length);
  let inversions = 0;
  for (let width = 1; width < values.length; width *= 2) {
    for (let start = 0; start < values.length; start += 2 * width) {
      const middle = Math.min(start + width, values.length);
      const end = Math.min(start + 2 * width, values.length);
      let [left, right] = [start, middle];
      for (let i = start; i < end; i++) {
        if (left < middle && (right >= end || (source[left] as number) <= (source[right] as number))) {
          target[i] = source[left++] as number;
        } else {
          inversions += middle - left;
          target[i] = source[right++] as number;
        }
      }
    }
    [source, target] = [target, source];
  }
  return inversions;
}

/** Σ t (t - 1) / 2 over runs of equal neighbours. */
function tiedPairs(length: number, equal: (i: number, j: number) => boolean): number {
  let total = 0;
  for (let first = 0; first < length; ) {
    let end = first + 1;
    while (end < length && equal(first, end)) end++;
    total += ((end - first) * (end - first - 1)) / 2;
    first = end;
  }
  return total;
}

/**
 * Kendall's rank correlation with ties, tau-b.
 *
 *   τ_b = (C - D) / √((P - T_x)(P - T_y))
 *
 * C and D are the concordant and discordant pairs, P = n (n - 1) / 2, T_x and T_y the pairs tied in x and in y. In
 * [-1, 1]; NaN when one side is constant. O(n log n).
 *
 * @throws RangeError as `pearson`
 * @source Kendall 1945; counting by merge sort: Knight 1966
 */
export function kendallTauB(x: ArrayLike<number>, y: ArrayLike<number>): number {
  checkPair("kendallTauB", x, y);
  const n = x.length;
  const order = Uint32Array.from({ length: n }, (_, i) => i).sort(
    (a, b) => (x[a] as number) - (x[b] as number) || (y[a] as number) - (y[b] as number),
  );
  const xs = Float64Array.from(order, (i) => x[i] as number);
  const ys = Float64Array.from(order, (i) => y[i] as number);
  const tiedX = tiedPairs(n, (i, j) => xs[i] === xs[j]);
  const tiedBoth = tiedPairs(n, (i, j) => xs[i] === xs[j] && ys[i] === ys[j]);
  const discordant = countInversions(ys.slice());
  const sortedY = ys.toSorted();
  const tiedY = tiedPairs(n, (i, j) => sortedY[i] === sortedY[j]);
  const pairs = (n * (n - 1)) / 2;
  if (tiedX === pairs || tiedY === pairs) return Number.NaN;
  const difference = pairs - tiedX - tiedY + tiedBoth - 2 * discordant;
  return Math.max(-1, Math.min(1, difference / Math.sqrt(pairs - tiedX) / Math.sqrt(pairs - tiedY)));
}

export interface SimilarityCorrelation {
  readonly pearson: number;
  readonly spearman: number;
  readonly kendall: number;
  /** Cosine of each pair. */
  readonly cosines: Float64Array;
}

/**
 * How cosines of pairs follow the similarities that people gave them: semantic textual similarity.
 *
 * @param a     [N, D], normalised here
 * @param b     [N, D], normalised here; row i is compared with a's row i
 * @param gold  N similarities
 * @throws RangeError when shapes or lengths differ, there are fewer than two pairs or a value is not finite
 * @source Cer et al. 2017 (STS benchmark); Reimers et al. 2016 recommend Spearman's
 */
export function similarityCorrelation(
  a: NDArray,
  b: NDArray,
  gold: ArrayLike<number>,
): SimilarityCorrelation {
  const operation = "similarityCorrelation";
  const [left, right] = unitSets(operation, { a, b }, "pairs");
  const [n, width] = left.shape as [number, number];
  const cosines = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    let sum = 0;
    for (let k = i * width; k < (i + 1) * width; k++)
      sum += (left.data[k] as number) * (right.data[k] as number);
    cosines[i] = sum;
  }
  checkSameLength(operation, ["pairs", cosines], ["gold", gold]);
  checkPair(operation, cosines, gold);
  return {
    pearson: pearson(cosines, gold),
    spearman: spearman(cosines, gold),
    kendall: kendallTauB(cosines, gold),
    cosines,
  };
}
