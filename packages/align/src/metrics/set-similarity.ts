import {
  compile,
  type Key,
  matmul,
  type NDArray,
  permutation,
  randomKey,
  type Tensor,
} from "@concord/tensor";
import { EigenvalueDecomposition, Matrix } from "ml-matrix";
import { checkSameLength } from "./checks.ts";
import { centred, forEachRowOfDistances, squaredLengths, sumOfSquares } from "./distances.ts";
import { checkFit, checkRows } from "./rows.ts";

const productOfColumns = compile((a: Tensor, b: Tensor) => matmul(a, b, { transposeA: true }), {
  name: "crossProducts",
});

/** Rows of one product. */
const CHUNK = 1024;

/** aᵀ b, [D, E], in float64 and a chunk of rows at a time. */
async function crossProducts(a: NDArray<"float64">, b: NDArray<"float64">): Promise<Float64Array> {
  const [n, D] = a.shape as [number, number];
  const E = b.shape[1] as number;
  const total = new Float64Array(D * E);
  const chunk = Math.min(CHUNK, n);
  const part = (rows: NDArray<"float64">, first: number): NDArray<"float64"> => {
    const width = rows.shape[1] as number;
    const data = new Float64Array(chunk * width);
    data.set(rows.data.subarray(first * width, (first + chunk) * width));
    return { dtype: "float64", shape: [chunk, width], data };
  };
  for (let first = 0; first < n; first += chunk) {
    const product = await productOfColumns(part(a, first), part(b, first));
    (product.data as Float64Array).forEach((value, i) => {
      total[i] = (total[i] as number) + value;
    });
  }
  return total;
}

/** Unbiased estimate of HSIC of two linear kernels, up to the factor n (n - 3), from centred rows. */
async function unbiasedHsic(a: NDArray<"float64">, b: NDArray<"float64">): Promise<number> {
  const n = a.shape[0] as number;
  const [ofA, ofB] = [squaredLengths(a), squaredLengths(b)];
  // Kernels without diagonal: of centred rows, every row of a kernel sums to minus its diagonal entry.
  const both = ofA.reduce((sum, value, i) => sum + value * (ofB[i] as number), 0);
  const [sumA, sumB] = [ofA, ofB].map((values) => values.reduce((sum, value) => sum + value, 0)) as [
    number,
    number,
  ];
  const trace = sumOfSquares(await crossProducts(a, b)) - both;
  return trace + (sumA * sumB) / ((n - 1) * (n - 2)) - (2 / (n - 2)) * both;
}

/**
 * Linear centred kernel alignment: how alike two embeddings of the same things are, up to rotation and scale.
 *
 *   CKA = ‖AᵀB‖²_F / (‖AᵀA‖_F ‖BᵀB‖_F)   with columns centred
 *
 * In [0, 1], 1 when b is a rotated and scaled a. With fewer rows than dimensions it is biased towards 1; `debiased`
 * takes unbiased estimates of the three terms instead and is 0 on average for unrelated embeddings (possibly below 0).
 * NaN when all rows of a side are equal. N · D · E work in float64; widths may differ.
 *
 * @param a  [N, D], as they are
 * @param b  [N, E], row i the same thing as a's row i
 * @param options.debiased  default false; needs N ≥ 4
 * @throws RangeError when the numbers of rows differ, there are too few, or values are not finite
 * @source Kornblith et al. 2019; unbiased HSIC: Song et al. 2012, Nguyen et al. 2021
 */
export async function linearCKA(
  a: NDArray,
  b: NDArray,
  { debiased = false }: { readonly debiased?: boolean } = {},
): Promise<number> {
  const operation = "linearCKA";
  const left = centred(operation, "a", a).rows;
  const right = centred(operation, "b", b).rows;
  const [n, m] = [left.shape[0] as number, right.shape[0] as number];
  checkSameLength(operation, ["a", { length: n }], ["b", { length: m }]);
  const least = debiased ? 4 : 2;
  if (n < least) throw new RangeError(`${operation}: needs at least ${least} rows, got ${n}`);
  const term = debiased
    ? unbiasedHsic
    : async (x: NDArray<"float64">, y: NDArray<"float64">) => sumOfSquares(await crossProducts(x, y));
  return (await term(left, right)) / Math.sqrt((await term(left, left)) * (await term(right, right)));
}

/** Pooled rows that the median distance is taken of. */
const MEDIAN_ROWS = 1000;

async function medianDistance(pool: NDArray<"float64">, key: Key): Promise<number> {
  const [n, width] = pool.shape as [number, number];
  const chosen = n > MEDIAN_ROWS ? permutation(key, n).subarray(0, MEDIAN_ROWS) : undefined;
  const rows = chosen
    ? {
        dtype: "float64" as const,
        shape: [chosen.length, width],
        data: Float64Array.from({ length: chosen.length * width }, (_, i) =>
          Number(pool.data[(chosen[Math.floor(i / width)] as number) * width + (i % width)]),
        ),
      }
    : pool;
  const distances: number[] = [];
  await forEachRowOfDistances(rows, rows, (row, squares) => {
    for (let j = row + 1; j < squares.length; j++)
      if ((squares[j] as number) > 0) distances.push(Math.sqrt(squares[j] as number));
  });
  if (distances.length === 0) return 0;
  const sorted = Float64Array.from(distances).sort();
  const middle = sorted.length >> 1;
  const upper = sorted[middle] as number;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] as number) + upper) / 2;
}

export interface KernelDiscrepancy {
  /** Unbiased estimate of MMD²; around 0, possibly below, for two samples of one distribution. At most 2. */
  readonly squared: number;
  /** σ of the kernel; 0 when all rows of both sets are equal. */
  readonly bandwidth: number;
}

/**
 * Maximum mean discrepancy of two sets with a Gaussian kernel.
 *
 *   MMD² = mean_{i≠j} k(x_i, x_j) + mean_{i≠j} k(y_i, y_j) - 2 mean_{i,j} k(x_i, y_j),   k = exp(-‖x - y‖² / (2 σ²))
 *
 * By default σ is the median of the distances above 0 between rows of the two sets together (of 1000 of them, drawn by
 * the key, when there are more). Computed in blocks of 256 rows with products in float32.
 *
 * @param a  [N, D] with N ≥ 2, as they are
 * @param b  [M, D] with M ≥ 2
 * @param options.bandwidth  σ > 0
 * @param options.key        default randomKey(0)
 * @throws RangeError when widths differ, a set has fewer than two rows, values are not finite or σ is not positive
 * @source Gretton et al. 2012, equation 3 and section 8 (median heuristic)
 */
export async function kernelDiscrepancy(
  a: NDArray,
  b: NDArray,
  { bandwidth, key = randomKey(0) }: { readonly bandwidth?: number; readonly key?: Key } = {},
): Promise<KernelDiscrepancy> {
  const operation = "kernelDiscrepancy";
  const [N, D] = checkRows(operation, "a", a);
  const [M] = checkRows(operation, "b", b);
  checkFit(operation, a, b, "sets");
  if (N < 2 || M < 2)
    throw new RangeError(`${operation}: needs at least two rows on each side, got ${N} and ${M}`);
  if (bandwidth !== undefined && !(bandwidth > 0))
    throw new RangeError(`${operation}: bandwidth must be > 0, got ${bandwidth}`);
  const data = new Float64Array((N + M) * D);
  data.set(a.data as Float64Array);
  data.set(b.data as Float64Array, N * D);
  // Distances do not change when both move, and near the origin their products round less.
  const pool = centred(operation, "sets", { dtype: "float64", shape: [N + M, D], data }).rows;
  const left = { dtype: "float64" as const, shape: [N, D], data: pool.data.subarray(0, N * D) };
  const right = { dtype: "float64" as const, shape: [M, D], data: pool.data.subarray(N * D) };
  const sigma = bandwidth ?? (await medianDistance(pool, key));
  if (sigma === 0) return { squared: 0, bandwidth: 0 };
  const kernelSum = async (x: NDArray<"float64">, y: NDArray<"float64">): Promise<number> => {
    let sum = 0;
    await forEachRowOfDistances(x, y, (row, squares) => {
      for (let j = 0; j < squares.length; j++) {
        if (x === y && j === row) continue;
        sum += Math.exp(-(squares[j] as number) / (2 * sigma * sigma));
      }
    });
    return sum;
  };
  const squared =
    (await kernelSum(left, left)) / (N * (N - 1)) +
    (await kernelSum(right, right)) / (M * (M - 1)) -
    (2 * (await kernelSum(left, right))) / (N * M);
  return { squared, bandwidth: sigma };
}

/** Eigenvalues, none below 0, and eigenvectors of a symmetric matrix. */
function symmetricEigen(matrix: Matrix): { readonly values: number[]; readonly vectors: Matrix } {
  const { realEigenvalues, eigenvectorMatrix } = new EigenvalueDecomposition(matrix, {
    assumeSymmetric: true,
  });
  return { values: realEigenvalues.map((value) => Math.max(value, 0)), vectors: eigenvectorMatrix };
}

/**
 * Fréchet distance of Gaussians fitted to two sets (for Inception features: FID).
 *
 *   ‖μ_a - μ_b‖² + tr(Σ_a + Σ_b - 2 (Σ_a Σ_b)^½)   with covariances over N - 1
 *
 * At least 0; squared lengths of the features are its unit. With few rows it is biased upwards, so compare values of
 * equal numbers of rows only. D³ work.
 *
 * @param a  [N, D] with N ≥ 2, as they are
 * @param b  [M, D] with M ≥ 2
 * @throws RangeError when widths differ, a set has fewer than two rows or values are not finite
 * @source Dowson, Landau 1982; Heusel et al. 2017
 */
export async function frechetDistance(a: NDArray, b: NDArray): Promise<number> {
  const operation = "frechetDistance";
  checkFit(operation, a, b, "sets");
  const sides = [centred(operation, "a", a), centred(operation, "b", b)] as const;
  const width = a.shape[1] as number;
  const covariances: Matrix[] = [];
  for (const { rows } of sides) {
    const n = rows.shape[0] as number;
    if (n < 2) throw new RangeError(`${operation}: needs at least two rows on each side, got ${n}`);
    const products = await crossProducts(rows, rows);
    covariances.push(
      Matrix.from1DArray(width, width, products.map((value) => value / (n - 1)) as Float64Array),
    );
  }
  const [left, right] = covariances as [Matrix, Matrix];
  const shift = sides[0].mean.reduce((sum, value, k) => sum + (value - (sides[1].mean[k] as number)) ** 2, 0);
  // tr (Σ_a Σ_b)^½ is the trace of the root of the symmetric Σ_a^½ Σ_b Σ_a^½.
  const { values, vectors } = symmetricEigen(left);
  const root = vectors.mmul(Matrix.diag(values.map(Math.sqrt))).mmul(vectors.transpose());
  const middle = root.mmul(right).mmul(root);
  const common = symmetricEigen(middle.add(middle.transpose()).div(2)).values;
  const trace = common.reduce((sum, value) => sum + Math.sqrt(value), 0);
  return Math.max(0, shift + left.trace() + right.trace() - 2 * trace);
}
