import { bitsAt, type Key, RandomStream } from "@concord/tensor";
import { EigenvalueDecomposition, Matrix } from "ml-matrix";
import { type CollectedSet, GROUPS } from "./collect.ts";
import type { Estimate } from "./finding.ts";
import { drawWeights, estimateOf, RESAMPLES } from "./resample.ts";
import { centroidOf, choose, takeRows, type UnitRows } from "./sample.ts";

/** How the variance of rows at length 1 is spread over directions. */
export interface Spectrum {
  /** Largest first. */
  readonly eigenvalues: Float64Array;
  /** Their sum: 1 - ‖mean‖². */
  readonly total: number;
  /** exp(-Σ p ln p), p = λ / Σ λ (Roy, Vetterli 2007). */
  readonly effectiveRank: Estimate;
  /** The most that the rank can be: min(D, N - 1). */
  readonly limit: number;
  /** Share of the variance in the first direction. */
  readonly topShare: Estimate;
  /** Rows that the eigenvalues are of. */
  readonly rows: number;
}

/** Rows of the sample that intervals are resampled from, and that stand in for the covariance of wide sets. */
const SPECTRUM_ROWS = 1024;
/** Below this total variance all rows are one vector up to rounding. */
const NO_VARIANCE = 1e-6;

function rankOf(eigenvalues: ArrayLike<number>): number {
  let sum = 0;
  for (let k = 0; k < eigenvalues.length; k++) sum += Math.max(0, eigenvalues[k] as number);
  if (sum <= 0) return 0;
  let entropy = 0;
  for (let k = 0; k < eigenvalues.length; k++) {
    const share = Math.max(0, eigenvalues[k] as number) / sum;
    if (share > 0) entropy -= share * Math.log(share);
  }
  return Math.exp(entropy);
}

function topShareOf(eigenvalues: Float64Array): number {
  const sum = eigenvalues.reduce((total, value) => total + value, 0);
  return sum > 0 ? eigenvalues.reduce((top, value) => Math.max(top, value), 0) / sum : 0;
}

interface Decomposition {
  readonly eigenvalues: Float64Array;
  /** [n, K] coordinates of the rows along the eigenvectors. */
  readonly scores: Float64Array;
  readonly rows: number;
}

function eigen(
  matrix: Float64Array,
  size: number,
): { values: Float64Array; vectors: Matrix; order: number[] } {
  const { realEigenvalues, eigenvectorMatrix } = new EigenvalueDecomposition(
    Matrix.from1DArray(size, size, matrix),
    { assumeSymmetric: true },
  );
  const order = realEigenvalues.map((_, k) => k).sort((x, y) => realEigenvalues[y]! - realEigenvalues[x]!);
  const values = Float64Array.from(order, (k) => Math.max(0, realEigenvalues[k] as number));
  return { values, vectors: eigenvectorMatrix, order };
}

/** Of the covariance of all rows; the sampled rows' coordinates for the interval. */
function ofCovariance(covariance: Float64Array, rows: number, sample: UnitRows): Decomposition {
  const [n, width] = sample.shape as [number, number];
  const { values, vectors, order } = eigen(covariance, width);
  const basis = order.map((k) => vectors.getColumn(k));
  const centre = centroidOf(sample);
  const scores = new Float64Array(n * width);
  const row = new Float64Array(width);
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < width; k++) row[k] = (sample.data[i * width + k] as number) - (centre[k] as number);
    basis.forEach((axis, k) => {
      let sum = 0;
      for (let d = 0; d < width; d++) sum += (row[d] as number) * (axis[d] as number);
      scores[i * width + k] = sum;
    });
  }
  return { eigenvalues: values, scores, rows };
}

/** Of the products of sampled rows with each other, where D is too large for a covariance. */
function ofSample(sample: UnitRows): Decomposition {
  const [n, width] = sample.shape as [number, number];
  const centre = centroidOf(sample);
  const centred = new Matrix(n, width);
  for (let i = 0; i < n; i++)
    for (let k = 0; k < width; k++)
      centred.set(i, k, (sample.data[i * width + k] as number) - (centre[k] as number));
  const products = centred.mmul(centred.transpose()).div(n);
  const { values, vectors, order } = eigen(Float64Array.from(products.to1DArray()), n);
  const scores = new Float64Array(n * n);
  order.forEach((k, place) => {
    const length = Math.sqrt(n * (values[place] as number));
    for (let i = 0; i < n; i++) scores[i * n + place] = vectors.get(i, k) * length;
  });
  return { eigenvalues: values, scores, rows: n };
}

/** Eigenvalues of resamples to first order: the variance along each eigenvector among the drawn groups of rows. */
function resampledEigenvalues(
  { scores }: Decomposition,
  n: number,
  key: Key,
  visit: (eigenvalues: Float64Array) => void,
): Float64Array {
  const width = scores.length / n;
  const groups = Math.min(GROUPS, n);
  const [counts, sums, squares] = [
    new Float64Array(groups),
    new Float64Array(groups * width),
    new Float64Array(groups * width),
  ];
  for (let i = 0; i < n; i++) {
    const group = groups === n ? i : bitsAt(key, i) % groups;
    counts[group] = (counts[group] as number) + 1;
    for (let k = 0; k < width; k++) {
      const score = scores[i * width + k] as number;
      const at = group * width + k;
      sums[at] = (sums[at] as number) + score;
      squares[at] = (squares[at] as number) + score * score;
    }
  }
  const variances = (weights: Float64Array): Float64Array => {
    const [first, second] = [new Float64Array(width), new Float64Array(width)];
    let total = 0;
    weights.forEach((weight, g) => {
      if (weight === 0) return;
      total += weight * (counts[g] as number);
      for (let k = 0; k < width; k++) {
        first[k] = (first[k] as number) + weight * (sums[g * width + k] as number);
        second[k] = (second[k] as number) + weight * (squares[g * width + k] as number);
      }
    });
    if (total === 0) return first;
    return second.map((value, k) => value / total - ((first[k] as number) / total) ** 2);
  };
  const stream = new RandomStream(key);
  const weights = new Float64Array(groups);
  for (let r = 0; r < RESAMPLES; r++) {
    drawWeights(stream, weights);
    visit(variances(weights));
  }
  return variances(weights.fill(1));
}

/**
 * Eigenvalues, effective rank and the share of the first direction of a set's covariance, with intervals.
 *
 * The eigenvalues are of all rows up to 1024 dimensions, of at most 1024 sampled rows above. Intervals: bootstrap over
 * up to 1024 sampled rows, first order in the change of the covariance, scaled to the number of rows that the
 * eigenvalues are of. With few rows to a dimension the rank itself comes out too low.
 */
export function spectrumOf(set: CollectedSet, key: Key): Spectrum {
  const sampled = set.sample.shape[0] as number;
  const sample = takeRows(set.sample, choose(sampled, SPECTRUM_ROWS, key));
  const n = sample.shape[0] as number;
  const parts = set.covariance ? ofCovariance(set.covariance, set.rows, sample) : ofSample(sample);
  const total = parts.eigenvalues.reduce((sum, value) => sum + value, 0);
  const limit = Math.min(set.width, parts.rows - 1);
  if (total < NO_VARIANCE) {
    const none = { value: 0, low: 0, high: 0 };
    const eigenvalues = new Float64Array(parts.eigenvalues.length);
    return { eigenvalues, total: 0, effectiveRank: none, limit, topShare: none, rows: parts.rows };
  }
  const ranks: number[] = [];
  const shares: number[] = [];
  const own = resampledEigenvalues(parts, n, key, (eigenvalues) => {
    ranks.push(rankOf(eigenvalues));
    shares.push(topShareOf(eigenvalues));
  });
  const narrower = Math.sqrt(n / parts.rows);
  const around = (value: number, centre: number, replicates: readonly number[]): Estimate =>
    estimateOf(
      value,
      replicates.map((other) => value + (other - centre) * narrower),
    );
  return {
    eigenvalues: parts.eigenvalues,
    total,
    effectiveRank: around(rankOf(parts.eigenvalues), rankOf(own), ranks),
    limit,
    topShare: around(topShareOf(parts.eigenvalues), topShareOf(own), shares),
    rows: parts.rows,
  };
}

const ITERATIONS = 200;

/**
 * The first two principal axes of rows, by subspace iteration; deterministic.
 *
 * @returns axes [2][D], the mean, and each axis' share of the variance
 */
export function principalPlane(rows: UnitRows): {
  readonly axes: readonly [Float64Array, Float64Array];
  readonly centre: Float64Array;
  readonly shares: readonly [number, number];
} {
  const [n, width] = rows.shape as [number, number];
  const centre = centroidOf(rows);
  const data = Float64Array.from(rows.data, (value, i) => value - (centre[i % width] as number));
  const total = data.reduce((sum, value) => sum + value * value, 0);
  const stream = new RandomStream([1, 2]);
  const axes = [0, 1].map(() => Float64Array.from({ length: width }, () => stream.normal())) as [
    Float64Array,
    Float64Array,
  ];
  const orthonormal = (): void => {
    axes.forEach((axis, k) => {
      for (const before of axes.slice(0, k)) {
        const along = axis.reduce((sum, value, d) => sum + value * (before[d] as number), 0);
        for (let d = 0; d < width; d++) axis[d] = (axis[d] as number) - along * (before[d] as number);
      }
      const length = Math.sqrt(axis.reduce((sum, value) => sum + value * value, 0));
      for (let d = 0; d < width; d++) axis[d] = length > 0 ? (axis[d] as number) / length : 0;
    });
  };
  const energies: [number, number] = [0, 0];
  const iterations = total > 0 ? ITERATIONS : 0;
  orthonormal();
  for (let iteration = 0; iteration < iterations; iteration++) {
    const before = energies[0] + energies[1];
    axes.forEach((axis, k) => {
      const next = new Float64Array(width);
      let energy = 0;
      for (let i = 0; i < n; i++) {
        let score = 0;
        for (let d = 0; d < width; d++) score += (data[i * width + d] as number) * (axis[d] as number);
        energy += score * score;
        for (let d = 0; d < width; d++)
          next[d] = (next[d] as number) + score * (data[i * width + d] as number);
      }
      axis.set(next);
      energies[k] = energy;
    });
    orthonormal();
    if (Math.abs(energies[0] + energies[1] - before) < 1e-9 * total) break;
  }
  return { axes, centre, shares: total > 0 ? [energies[0] / total, energies[1] / total] : [0, 0] };
}

/** Coordinates of rows on a plane. */
export function onPlane(
  rows: UnitRows,
  { axes, centre }: Pick<ReturnType<typeof principalPlane>, "axes" | "centre">,
): (readonly [number, number])[] {
  const [n, width] = rows.shape as [number, number];
  return Array.from({ length: n }, (_, i) => {
    const point: [number, number] = [0, 0];
    for (let d = 0; d < width; d++) {
      const value = (rows.data[i * width + d] as number) - (centre[d] as number);
      point[0] += value * axes[0][d]!;
      point[1] += value * axes[1][d]!;
    }
    return point;
  });
}
