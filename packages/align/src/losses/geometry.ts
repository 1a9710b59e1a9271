import {
  add,
  checkAxes,
  concat,
  exp,
  eye,
  log,
  logSumExp,
  matmul,
  mean,
  mul,
  ones,
  pairLogSumExp,
  square,
  sub,
  sum,
  type Tensor,
  transpose,
} from "@concord/tensor";

/** Takes the diagonal out of a sum of exponentials of non-positive numbers. */
const OUT_OF_THE_SUM = -1e30;
/** Largest number of rows whose matrix of distances is held as a whole by default. */
const WHOLE_ROWS = 1024;

/**
 * Mean squared distance of pairs: L = mean_i ‖a_i - b_i‖².
 *
 * @param a  [B, D] unit-norm embeddings of the first view
 * @param b  [B, D] unit-norm embeddings of the second view
 * @returns scalar in [0, 4] for unit vectors
 * @throws ShapeError when a and b differ in B or D
 * @source Wang, Isola 2020, equation 5 with α = 2
 */
export function alignmentLoss(a: Tensor, b: Tensor): Tensor {
  checkAxes("alignmentLoss", { a: [a, "B D"], b: [b, "B D"] });
  return mean(sum(square(sub(a, b)), { axes: -1 }));
}

/**
 * Logarithm of the mean Gaussian potential over all pairs of different rows: L = ln mean_{i<j} exp(-t ‖x_i - x_j‖²).
 * Lower is more uniform.
 *
 * @param x          [N, D] unit-norm embeddings, N ≥ 2
 * @param options.t  t > 0. Default 2
 * @param options.blockRows  rows of the matrix of distances in memory at a time, so that value and gradient need
 *   O(N · blockRows) memory; Infinity for all of them. Default: all up to N = 1024, above that as many as fill 2²⁰
 *   entries
 * @returns scalar in [-4t, 0] for unit vectors
 * @throws ShapeError when x is not a matrix; RangeError for a single row, t ≤ 0 or blockRows < 1
 * @source Wang, Isola 2020, equation 6
 */
export function uniformityLoss(
  x: Tensor,
  options: { readonly t?: number; readonly blockRows?: number } = {},
): Tensor {
  const { N } = checkAxes("uniformityLoss", { x: [x, "N D"] });
  const { t = 2, blockRows } = options;
  if (N < 2) throw new RangeError("uniformityLoss: needs at least two rows");
  if (!(t > 0)) throw new RangeError(`uniformityLoss: t must be > 0, got ${t}`);
  if (blockRows !== undefined && !(blockRows >= 1))
    throw new RangeError(`uniformityLoss: blockRows must be >= 1, got ${blockRows}`);
  const squares = sum(square(x), { axes: -1, keepDims: true });
  if (blockRows === undefined ? N > WHOLE_ROWS : blockRows < N) {
    // -t ‖x_i - x_j‖² as one inner product of longer vectors; on the diagonal it is 0, whose e^0 is taken out.
    const one = ones([N, 1], x.dtype);
    const left = concat([mul(x, 2 * t), mul(squares, -t), one], 1);
    const right = concat([x, one, mul(squares, -t)], 1);
    const { rows } = pairLogSumExp(left, right, blockRows === undefined ? {} : { blockRows });
    return sub(log(sum(sub(exp(rows), 1))), Math.log(N * (N - 1)));
  }
  const products = matmul(x, x, { transposeB: true, scale: 2 });
  const distances = sub(add(squares, transpose(squares)), products);
  const exponents = add(mul(distances, -t), mul(eye(N, x.dtype), OUT_OF_THE_SUM));
  return sub(logSumExp(exponents), Math.log(N * (N - 1)));
}
