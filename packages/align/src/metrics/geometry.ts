import type { NDArray } from "@concord/tensor";
import { EigenvalueDecomposition, Matrix } from "ml-matrix";
import { checkFit, checkRows, forEachBlockOfProducts, unitRows, unitSets } from "./rows.ts";

/** Where two sets of unit vectors lie to each other. All values are of L2-normalised features. */
export interface AlignmentMetrics {
  readonly modalityGap: ModalityGap;
  /** mean_i ‖a_i - b_i‖², in [0, 4]; lower is better. */
  readonly alignment: number;
  /** mean_i ‖a_i - b_i‖, in [0, 2]. */
  readonly meanPairDistance: number;
  readonly uniformity: Uniformity;
}

/** Difference of the two centroids. */
export interface ModalityGap {
  /** Mean over dimensions of the squared difference. */
  readonly mse: number;
  /** Length of the difference: √(D · mse), in [0, 2]. */
  readonly l2: number;
}

export interface Uniformity {
  /** mean over unordered pairs of exp(-2 ‖x - y‖²), in (0, 1]; lower is more uniform. */
  readonly potential: number;
  /** Its logarithm, in [-8, 0]. */
  readonly log: number;
}

function centroid(rows: NDArray<"float64">): Float64Array {
  const [n, width] = rows.shape as [number, number];
  const sums = new Float64Array(width);
  rows.data.forEach((value, i) => {
    sums[i % width] = (sums[i % width] as number) + value;
  });
  return sums.map((sum) => sum / n);
}

/**
 * Modality gap: the difference of the centroids of two sets of unit vectors, c = mean(a) - mean(b).
 *
 *   mse = ‖c‖² / D,   l2 = ‖c‖
 *
 * @param a  [N, D], normalised here
 * @param b  [M, D], normalised here
 * @throws RangeError when the widths differ or values are not finite
 * @source Liang et al. 2022 (l2)
 */
export function modalityGap(a: NDArray, b: NDArray): ModalityGap {
  const left = unitRows("modalityGap", "a", a);
  const right = unitRows("modalityGap", "b", b);
  checkFit("modalityGap", left, right, "sets");
  const other = centroid(right);
  const squares = centroid(left).reduce((sum, value, k) => sum + (value - (other[k] as number)) ** 2, 0);
  return { mse: squares / (left.shape[1] as number), l2: Math.sqrt(squares) };
}

/** Squared distances of the pairs (a_i, b_i) of unit vectors. */
function pairDistances(operation: string, a: NDArray, b: NDArray): Float64Array {
  const [left, right] = unitSets(operation, { a, b }, "pairs");
  const [n, width] = left.shape as [number, number];
  const squares = new Float64Array(n);
  left.data.forEach((value, i) => {
    const row = Math.floor(i / width);
    squares[row] = (squares[row] as number) + (value - (right.data[i] as number)) ** 2;
  });
  return squares;
}

function average(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/**
 * Alignment: mean_i ‖a_i - b_i‖² of pairs of unit vectors.
 *
 * @param a  [N, D], normalised here
 * @param b  [N, D], normalised here; row i is the partner of a's row i
 * @throws RangeError when the shapes differ or values are not finite
 * @source Wang, Isola 2020, equation 5 with α = 2
 */
export function alignment(a: NDArray, b: NDArray): number {
  return average(pairDistances("alignment", a, b));
}

/**
 * Mean distance of pairs of unit vectors: mean_i ‖a_i - b_i‖. Shapes and errors as `alignment`.
 */
export function meanPairDistance(a: NDArray, b: NDArray): number {
  return average(pairDistances("meanPairDistance", a, b).map(Math.sqrt));
}

/**
 * Uniformity: the mean of exp(-2 ‖x - y‖²) over all unordered pairs of different rows of the sets put together,
 * with and without logarithm. Computed in blocks of 256 rows.
 *
 * @param sets  one or several [N, D], normalised here; at least two rows in all
 * @throws RangeError when the widths differ, values are not finite or there are fewer than two rows
 * @source Wang, Isola 2020, equation 6
 */
export async function uniformity(...sets: readonly NDArray[]): Promise<Uniformity> {
  const parts = sets.map((set, i) => unitRows("uniformity", `set ${i}`, set));
  for (const part of parts) checkFit("uniformity", parts[0] as NDArray, part, "sets");
  const rows = parts.reduce((total, part) => total + (part.shape[0] as number), 0);
  if (rows < 2) throw new RangeError("uniformity: needs at least two rows");
  let total = 0;
  for (const [i, left] of parts.entries()) {
    for (const [j, right] of parts.entries()) {
      if (j < i) continue;
      const columns = right.shape[0] as number;
      await forEachBlockOfProducts(left, right, (first, count, products) => {
        for (let row = 0; row < count; row++) {
          for (let column = i === j ? first + row + 1 : 0; column < columns; column++) {
            // ‖x - y‖² = 2 - 2 x·y for unit vectors
            total += Math.exp(4 * ((products[row * columns + column] as number) - 1));
          }
        }
      });
    }
  }
  const potential = total / ((rows * (rows - 1)) / 2);
  return { potential, log: Math.log(potential) };
}

/**
 * Gap, alignment, mean pair distance and uniformity of two sets of paired embeddings.
 *
 * @param a  [N, D], normalised here
 * @param b  [N, D], normalised here; row i is the partner of a's row i
 * @throws RangeError when the shapes differ or values are not finite
 */
export async function alignmentMetrics(a: NDArray, b: NDArray): Promise<AlignmentMetrics> {
  return {
    modalityGap: modalityGap(a, b),
    alignment: alignment(a, b),
    meanPairDistance: meanPairDistance(a, b),
    uniformity: await uniformity(a, b),
  };
}

/** How the variance of a set of embeddings is spread over directions. */
export interface CovarianceSpectrum {
  /** Eigenvalues of the covariance (divided by N), largest first. */
  readonly eigenvalues: Float64Array;
  /** Their sum: the total variance. */
  readonly sum: number;
  readonly max: number;
  readonly min: number;
  /** exp(-Σ p ln p) with p the eigenvalues over their sum: between 1 and D; 0 when all rows are equal. */
  readonly effectiveRank: number;
}

/**
 * Spectrum of the covariance of the rows as they are (normalise them before, where that is wanted). D³ work.
 *
 * @param rows  [N, D]
 * @throws RangeError when values are not finite
 * @source effective rank: Roy, Vetterli 2007
 */
export function covarianceSpectrum(rows: NDArray): CovarianceSpectrum {
  const [n, width] = checkRows("covarianceSpectrum", "rows", rows);
  const data = Float64Array.from(rows.data as Float32Array);
  const mean = centroid({ dtype: "float64", shape: [n, width], data });
  const centred = new Matrix(n, width);
  data.forEach((value, i) => {
    centred.set(Math.floor(i / width), i % width, value - (mean[i % width] as number));
  });
  const covariance = centred.transpose().mmul(centred).div(n);
  const { realEigenvalues } = new EigenvalueDecomposition(covariance, { assumeSymmetric: true });
  // Rounding may leave tiny negative values where the true one is 0.
  const eigenvalues = Float64Array.from(realEigenvalues, (value) => Math.max(value, 0))
    .sort()
    .reverse();
  const sum = eigenvalues.reduce((total, value) => total + value, 0);
  const entropy = eigenvalues.reduce((total, value) => {
    const share = sum > 0 ? value / sum : 0;
    return share > 0 ? total - share * Math.log(share) : total;
  }, 0);
  return {
    eigenvalues,
    sum,
    max: eigenvalues[0] as number,
    min: eigenvalues.at(-1) as number,
    effectiveRank: sum > 0 ? Math.exp(entropy) : 0,
  };
}
