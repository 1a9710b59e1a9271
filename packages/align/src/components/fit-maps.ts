import type { NDArray } from "@concord/tensor";
import {
  CholeskyDecomposition,
  EigenvalueDecomposition,
  inverse,
  LuDecomposition,
  Matrix,
  SingularValueDecomposition,
} from "ml-matrix";
import { checkFit } from "../metrics/rows.ts";
import { type AffineMap, affineMap } from "./affine-map.ts";
import { crossCovariance, momentsOf } from "./moments.ts";
import type { WhiteningMethod } from "./whitening.ts";

/** Share of the mean variance that is taken away from a covariance's shape and given to the identity's. */
export type Shrinkage = number | "ledoit-wolf";

function checkShrinkage(operation: string, shrinkage: Shrinkage): void {
  if (shrinkage !== "ledoit-wolf" && !(shrinkage >= 0 && shrinkage <= 1))
    throw new RangeError(`${operation}: shrinkage must lie in [0, 1] or be "ledoit-wolf", got ${shrinkage}`);
}

interface Covariance {
  readonly mean: Float64Array;
  readonly matrix: Matrix;
  readonly shrinkage: number;
}

/** Covariance over N, shrunk towards a multiple of the identity. */
async function covarianceOf(
  operation: string,
  name: string,
  rows: NDArray,
  shrinkage: Shrinkage,
): Promise<Covariance> {
  const { count, mean } = momentsOf(operation, name, rows);
  if (count < 2) throw new RangeError(`${operation}: ${name} must have at least 2 rows, got ${count}`);
  const D = mean.length;
  let fourth = 0;
  const data = await crossCovariance(rows, mean, rows, mean, (centred) => {
    if (shrinkage !== "ledoit-wolf") return;
    for (let first = 0; first < centred.length; first += D) {
      let squares = 0;
      for (let k = 0; k < D; k++) squares += (centred[first + k] as number) ** 2;
      fourth += squares * squares;
    }
  });
  const trace = data.reduce((sum, value, i) => (i % (D + 1) === 0 ? sum + value : sum), 0);
  const squares = data.reduce((sum, value) => sum + value * value, 0);
  const level = trace / D;
  if (level === 0) throw new RangeError(`${operation}: all rows of ${name} are equal; they have no variance`);
  let share = shrinkage as number;
  if (shrinkage === "ledoit-wolf") {
    const spread = squares - D * level * level;
    const error = (fourth / count - squares) / count;
    share = spread > 0 ? Math.min(1, error / spread) : 1;
  }
  const matrix = new Matrix(D, D);
  for (let i = 0; i < D; i++)
    for (let j = 0; j < D; j++)
      matrix.set(i, j, (1 - share) * (data[i * D + j] as number) + (i === j ? share * level : 0));
  return { mean, matrix, shrinkage: share };
}

/** Eigenvalues, largest first, and their vectors as columns; the largest entry of each vector is positive. */
function eigenOf(matrix: Matrix): { readonly values: number[]; readonly vectors: Matrix } {
  const { realEigenvalues, eigenvectorMatrix } = new EigenvalueDecomposition(matrix, {
    assumeSymmetric: true,
  });
  const values = realEigenvalues.toReversed();
  const D = values.length;
  const vectors = new Matrix(D, D);
  for (let j = 0; j < D; j++) {
    const column = eigenvectorMatrix.getColumn(D - 1 - j);
    const largest = column.reduce((best, value) => (Math.abs(value) > Math.abs(best) ? value : best), 0);
    vectors.setColumn(j, largest < 0 ? column.map((value) => -value) : column);
  }
  return { values, vectors };
}

function singular(operation: string): RangeError {
  return new RangeError(
    `${operation}: the covariance is singular: some directions have no variance; use shrinkage, or fewer components with "pca"`,
  );
}

/** @throws RangeError when the last of the falling eigenvalues is, beside the first, what rounding leaves of 0 */
function checkRegular(operation: string, values: readonly number[]): void {
  if (!((values.at(-1) as number) > (values[0] as number) * 1e-13)) throw singular(operation);
}

/** V diag(λ^power) Vᵀ. @throws RangeError for a negative power when the matrix is singular */
function powerOf(operation: string, matrix: Matrix, power: number): Matrix {
  const { values, vectors } = eigenOf(matrix);
  if (power < 0) checkRegular(operation, values);
  return vectors
    .clone()
    .mulRowVector(values.map((value) => Math.max(value, 0) ** power))
    .mmul(vectors.transpose());
}

const flat = (matrix: Matrix): Float64Array => Float64Array.from(matrix.to1DArray());

export interface FitWhiteningOptions {
  /** As for `whiten`. Default "zca"; "pca" with fewer `components` also reduces the width. */
  readonly method?: WhiteningMethod;
  /**
   * a in [0, 1]: Σ becomes (1 - a) Σ + a (tr Σ / D) I; "ledoit-wolf" (default) chooses the a that is best for the
   * number of rows. With 0, directions in which the rows hardly vary are blown up to noise.
   */
  readonly shrinkage?: Shrinkage;
  /** E: directions of largest variance to keep, for "pca". Default D. */
  readonly components?: number;
}

/**
 * A map that whitens embeddings: the rows that it is fitted to get mean 0 and (without shrinkage) the identity as
 * covariance over N. Removes the common direction and the few dominating ones that make all cosines alike.
 *
 * D³ work on top of N · D²: about 4 s at D = 1024 on one core.
 *
 * @param rows  [N, D] with N ≥ 2
 * @returns the map and the shrinkage that was used
 * @throws RangeError when values are not finite, rows are all equal, an option is out of range, or the covariance is
 *   singular (with shrinkage 0)
 * @source Kessy et al. 2018; of sentence embeddings: Su et al. 2021; shrinkage: Ledoit, Wolf 2004
 */
export async function fitWhitening(
  rows: NDArray,
  options: FitWhiteningOptions = {},
): Promise<{ readonly map: AffineMap; readonly shrinkage: number }> {
  const operation = "fitWhitening";
  const { method = "zca", shrinkage = "ledoit-wolf", components } = options;
  checkShrinkage(operation, shrinkage);
  const { mean, matrix, shrinkage: share } = await covarianceOf(operation, "rows", rows, shrinkage);
  const D = mean.length;
  const E = components ?? D;
  if (!Number.isInteger(E) || E < 1 || E > D || (method !== "pca" && E !== D))
    throw new RangeError(
      `${operation}: components must be an integer in [1, ${D}], and ${D} unless the method is "pca"; got ${E} with "${method}"`,
    );
  if (method === "cholesky") {
    const factor = new CholeskyDecomposition(matrix);
    if (!factor.isPositiveDefinite()) throw singular(operation);
    const map = affineMap(mean, flat(inverse(factor.lowerTriangularMatrix).transpose()), new Float64Array(D));
    return { map, shrinkage: share };
  }
  const { values, vectors } = eigenOf(matrix);
  checkRegular(operation, values.slice(0, E));
  const scaled = vectors.subMatrix(0, D - 1, 0, E - 1).mulRowVector(values.slice(0, E).map((v) => v ** -0.5));
  const result = method === "pca" ? scaled : scaled.mmul(vectors.transpose());
  return { map: affineMap(mean, flat(result), new Float64Array(E)), shrinkage: share };
}

/**
 * The map that moves the mean of one set onto that of another (or onto 0): the simplest way to close a modality gap.
 * Order among the rows of one set does not change, cosines across the sets do.
 *
 * @param source  [N, D]
 * @param target  [M, D]; default: a single row of zeros
 * @param options.share  in [0, 1]: how much of the way to go. Default 1
 * @throws RangeError when widths differ, values are not finite or the share is out of range
 * @source Liang et al. 2022 (Mind the Gap), section 4.2
 */
export function fitMeanShift(
  source: NDArray,
  target?: NDArray,
  { share = 1 }: { readonly share?: number } = {},
): AffineMap {
  const operation = "fitMeanShift";
  if (!(share >= 0 && share <= 1))
    throw new RangeError(`${operation}: share must lie in [0, 1], got ${share}`);
  const from = momentsOf(operation, "source", source).mean;
  if (target) checkFit(operation, source, target, "sets");
  const to = target ? momentsOf(operation, "target", target).mean : new Float64Array(from.length);
  const offset = from.map((value, k) => value + share * ((to[k] as number) - value));
  return affineMap(from, flat(Matrix.eye(from.length)), offset);
}

export interface ProcrustesOptions {
  /** Moves the mean of the source onto that of the target too. Default true; false keeps the origin. */
  readonly centre?: boolean;
  /** One factor for all rows besides the rotation. Default false. */
  readonly scale?: boolean;
  /** Whether the orthogonal matrix may be a reflection. Default true. */
  readonly reflection?: boolean;
}

/**
 * The rotation that brings the rows of one set nearest to their partners.
 *
 *   R = argmin_{RᵀR=I} Σ_i ‖(x_i - μ_x) R - (y_i - μ_y)‖² = U Vᵀ   with   U S Vᵀ = Σ_i (x_i - μ_x)(y_i - μ_y)ᵀ
 *
 * Distances within the source stay as they are (up to the factor). Needs pairs, far more than D of them to hold on
 * others. D³ work on top of N · D²: about 3 s at D = 512 and 12 s at D = 1024 on one core.
 *
 * @param source  [N, D]
 * @param target  [N, D]; row i is the partner of the source's row i
 * @throws RangeError when shapes differ, values are not finite or the source has no variance
 * @source Schönemann 1966; across languages: Xing et al. 2015, Artetxe et al. 2016
 */
export async function fitProcrustes(
  source: NDArray,
  target: NDArray,
  { centre = true, scale = false, reflection = true }: ProcrustesOptions = {},
): Promise<AffineMap> {
  const operation = "fitProcrustes";
  const moments = [momentsOf(operation, "source", source), momentsOf(operation, "target", target)] as const;
  checkFit(operation, source, target, "pairs");
  const D = moments[0].mean.length;
  const [from, to] = centre ? [moments[0].mean, moments[1].mean] : [new Float64Array(D), new Float64Array(D)];
  const product = Matrix.from1DArray(D, D, await crossCovariance(source, from, target, to));
  const {
    leftSingularVectors: U,
    rightSingularVectors: V,
    diagonal,
  } = new SingularValueDecomposition(product);
  const signs = diagonal.map(() => 1);
  if (!reflection && new LuDecomposition(U.mmul(V.transpose())).determinant < 0) signs[D - 1] = -1;
  const rotation = U.clone().mulRowVector(signs).mmul(V.transpose());
  if (!scale) return affineMap(from, flat(rotation), to);
  const { count } = moments[0];
  let variance = 0;
  (source.data as Float64Array).forEach((value, i) => {
    variance += (value - (from[i % D] as number)) ** 2 / count;
  });
  if (variance === 0) throw new RangeError(`${operation}: all rows of source are equal; nothing to scale`);
  const factor = diagonal.reduce((sum, value, k) => sum + value * (signs[k] as number), 0) / variance;
  return affineMap(from, flat(rotation.mul(factor)), to);
}

/**
 * The map that gives one set the mean and covariance of another, without pairs and without training.
 *
 *   y = (x - μ_s) Σ_s^(-1/2) Σ_t^(1/2) + μ_t
 *
 * Nearest to the identity only when the two covariances commute; it mends differences of scale and correlation, and
 * cannot rotate one cloud onto another.
 *
 * @param source  [N, D] with N ≥ 2
 * @param target  [M, D] with M ≥ 2
 * @param options.shrinkage  of both covariances, default "ledoit-wolf"
 * @throws RangeError when widths differ, values are not finite, a set's rows are all equal or its covariance singular
 * @source Sun et al. 2016 (CORAL)
 */
export async function fitCoral(
  source: NDArray,
  target: NDArray,
  { shrinkage = "ledoit-wolf" }: { readonly shrinkage?: Shrinkage } = {},
): Promise<AffineMap> {
  const operation = "fitCoral";
  checkShrinkage(operation, shrinkage);
  const from = await covarianceOf(operation, "source", source, shrinkage);
  const to = await covarianceOf(operation, "target", target, shrinkage);
  checkFit(operation, source, target, "sets");
  const matrix = powerOf(operation, from.matrix, -0.5).mmul(powerOf(operation, to.matrix, 0.5));
  return affineMap(from.mean, flat(matrix), to.mean);
}
