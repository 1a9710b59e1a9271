import {
  add,
  argsort,
  checkAxes,
  cholesky,
  div,
  expandDims,
  eye,
  flip,
  gather,
  greater,
  inverseSquareRoot,
  matmul,
  mean,
  mul,
  reshape,
  ShapeError,
  sqrt,
  stopGradient,
  sub,
  symmetricEigen,
  type Tensor,
  trace,
  transpose,
  triangularSolve,
  where,
} from "@concord/tensor";

export type WhiteningMethod = "zca" | "pca" | "cholesky";

export interface WhitenOptions {
  /** G: channels are whitened in G groups of D / G. Default 1. */
  readonly groups?: number;
  /**
   * [D] integers, an order of the channels: group g takes channels permutation[g·D/G], ... and the result goes back to
   * their places. Default: the channels as they are.
   */
  readonly permutation?: Tensor;
  /**
   * How W is chosen among the matrices with W Σ Wᵀ = I. "zca" (default): Σ^(-1/2), the result nearest to the input;
   * "pca": Λ^(-1/2) Vᵀ, ordered by falling variance; "cholesky": L⁻¹.
   */
  readonly method?: WhiteningMethod;
  /** Share of the group's mean variance that is added to the diagonal of Σ. Default 1e-5. */
  readonly ridge?: number;
  /** Of the Newton–Schulz iteration of "zca". Default 20; small eigenvalues need more. */
  readonly iterations?: number;
  /** Treats W as a constant: gradients flow through the centred features alone. Default false. */
  readonly stopMatrix?: boolean;
}

/** [G, d, d]: W of each group. */
function whiteningMatrix(covariance: Tensor, method: WhiteningMethod, iterations: number): Tensor {
  if (method === "zca") return inverseSquareRoot(covariance, { iterations }).inverseRoot;
  const d = covariance.shape.at(-1) as number;
  if (method === "cholesky") return triangularSolve(cholesky(covariance), eye(d, covariance.dtype));
  const { values, vectors } = symmetricEigen(covariance);
  return flip(div(transpose(vectors, [0, 2, 1]), expandDims(sqrt(values), 2)), 1);
}

/**
 * Whitening by the statistics of the batch: within each group of channels the result has mean 0 and the identity as
 * covariance (over N).
 *
 *   y = W (x - μ),   W Σ Wᵀ = I,   Σ = 1/N Σ_i (x_i - μ)(x_i - μ)ᵀ
 *
 * N must exceed the group's size clearly; with N ≤ D / G the covariance is singular and only `ridge` keeps W finite.
 * Every row depends on its batch: whiten while training, and fit a fixed map (`fitWhitening`) for later.
 *
 * @param x  [N, D]
 * @returns [N, D]
 * @throws ShapeError when axes do not fit or D is no multiple of the groups; RangeError when ridge is negative
 * @source Huang et al. 2018 (batch whitening, ZCA against PCA); groups: Huang et al. 2021; shuffled: Zhuo et al. 2023
 *   (WhitenedCSE), with one permutation a view and `stopMatrix`
 */
export function whiten(x: Tensor, options: WhitenOptions = {}): Tensor {
  const operation = "whiten";
  const {
    groups = 1,
    permutation,
    method = "zca",
    ridge = 1e-5,
    iterations = 20,
    stopMatrix = false,
  } = options;
  const { N, D } = checkAxes(operation, {
    x: [x, "N D"],
    ...(permutation && { permutation: [permutation, "D"] as const }),
  });
  if (!Number.isInteger(groups) || groups < 1 || D % groups !== 0)
    throw new ShapeError(`${operation}: ${D} channels do not divide into ${groups} groups`);
  if (!(ridge >= 0)) throw new RangeError(`${operation}: ridge must be >= 0, got ${ridge}`);
  const d = D / groups;
  const ordered = permutation ? gather(x, permutation, 1) : x;
  const parts = transpose(reshape(ordered, [N, groups, d]), [1, 0, 2]);
  const centred = sub(parts, mean(parts, { axes: 1, keepDims: true }));
  const covariance = div(matmul(centred, centred, { transposeA: true }), N);
  const variance = trace(covariance);
  // Channels that do not vary at all, as of a collapsed encoder, have no scale: their result is 0, not NaN.
  const level = mul(where(greater(variance, 0), variance, 1), ridge / d);
  const loaded =
    ridge === 0 ? covariance : add(covariance, mul(eye(d, x.dtype), expandDims(expandDims(level, -1), -1)));
  const matrix = whiteningMatrix(stopMatrix ? stopGradient(loaded) : loaded, method, iterations);
  const white = matmul(centred, matrix, { transposeB: true });
  const result = reshape(transpose(white, [1, 0, 2]), [N, D]);
  return permutation ? gather(result, argsort(permutation), 1) : result;
}
