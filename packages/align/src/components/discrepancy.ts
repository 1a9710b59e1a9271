import {
  add,
  bceWithLogits,
  checkAxes,
  concat,
  div,
  equal,
  exp,
  expandDims,
  eye,
  gradientReversal,
  greater,
  matmul,
  maximum,
  mean,
  mul,
  narrow,
  reshape,
  ShapeError,
  sort,
  sqrt,
  square,
  stopGradient,
  sub,
  sum,
  sumSquares,
  type Tensor,
  type TensorLike,
  where,
} from "@concord/tensor";

/** [N, M] squared distances of all pairs of rows, not below 0. */
function squaredDistances(x: Tensor, y: Tensor): Tensor {
  const [ofX, ofY] = [sumSquares(x, { axes: 1, keepDims: true }), sumSquares(y, { axes: 1 })];
  return maximum(sub(add(ofX, expandDims(ofY, 0)), mul(matmul(x, y, { transposeB: true }), 2)), 0);
}

/**
 * Median distance between different rows of two sets together, the usual bandwidth of a Gaussian kernel. Without
 * gradient; 1 when it is 0.
 *
 * @param x  [N, D]
 * @param y  [M, D], N + M ≥ 2
 * @returns scalar
 * @throws ShapeError when axes do not fit
 * @source Gretton et al. 2012, section 8
 */
export function medianBandwidth(x: Tensor, y: Tensor): Tensor {
  const { N, M } = checkAxes("medianBandwidth", { x: [x, "N D"], y: [y, "M D"] });
  const P = N + M;
  const pool = concat([x, y]);
  const moved = stopGradient(sub(pool, mean(pool, { axes: 0, keepDims: true })));
  // A row's distance to itself is 0 but for rounding; -1 sorts it before all others.
  const different = where(equal(eye(P, moved.dtype), 0), squaredDistances(moved, moved), -1);
  const distances = reshape(different, [P * P]);
  // Every pair stands there twice, so the two middle ones are those of the single list.
  const middle = P + (P * P - P) / 2 - 1;
  const median = mean(sqrt(maximum(narrow(sort(distances), 0, middle, 2), 0)));
  return where(greater(median, 0), median, 1);
}

export interface MmdOptions {
  /** Default "gaussian". With "linear" MMD² is the squared distance of the means. */
  readonly kernel?: "gaussian" | "linear";
  /** σ > 0 of each Gaussian; their kernels are averaged. Default: ¼, ½, 1, 2 and 4 times `medianBandwidth`. */
  readonly bandwidths?: readonly number[];
  /** Leaves out the kernel of a row with itself: 0 on average for samples of one distribution, possibly below 0. Default false: ≥ 0. */
  readonly unbiased?: boolean;
}

/** Multiples of the median distance: from kernels that see single rows to kernels that see the whole set. */
const BANDWIDTH_FACTORS = [0.25, 0.5, 1, 2, 4];

/**
 * Squared maximum mean discrepancy of two sets of features, as a loss that pulls two distributions together.
 *
 *   MMD² = mean k(x, x') + mean k(y, y') - 2 mean k(x, y),   k = mean_σ exp(-‖x - y‖² / (2 σ²))
 *
 * Memory (N + M)². Bandwidths are constants for gradients. For large sets on the host there is `kernelDiscrepancy`.
 *
 * @param x  [N, D]
 * @param y  [M, D]
 * @returns scalar; 0 for equal sets (biased form)
 * @throws ShapeError when axes do not fit or the unbiased form has fewer than two rows; RangeError when no bandwidth is
 *   given or one is not positive
 * @source Gretton et al. 2012, equations 3 and 5; several kernels: Long et al. 2015 (DAN)
 */
export function maximumMeanDiscrepancy(x: Tensor, y: Tensor, options: MmdOptions = {}): Tensor {
  const operation = "maximumMeanDiscrepancy";
  const { kernel = "gaussian", bandwidths, unbiased = false } = options;
  const { N, M } = checkAxes(operation, { x: [x, "N D"], y: [y, "M D"] });
  if (unbiased && (N < 2 || M < 2))
    throw new ShapeError(`${operation}: the unbiased form needs two rows a side, got ${N} and ${M}`);
  if (bandwidths && (bandwidths.length === 0 || !bandwidths.every((sigma) => sigma > 0)))
    throw new RangeError(`${operation}: bandwidths must be > 0, got [${bandwidths.join(", ")}]`);
  // Distances do not change when both sets move, and near the origin their products round less.
  const centre = stopGradient(mean(concat([x, y]), { axes: 0, keepDims: true }));
  const [a, b] = [sub(x, centre), sub(y, centre)];
  if (kernel === "linear") return linearDiscrepancy(a, b, unbiased);
  const median = bandwidths ? undefined : medianBandwidth(a, b);
  const spreads: readonly TensorLike[] =
    bandwidths?.map((sigma) => -2 * sigma * sigma) ??
    BANDWIDTH_FACTORS.map((factor) => mul(square(median as Tensor), -2 * factor * factor));
  const kernelOf = (left: Tensor, right: Tensor): Tensor => {
    const distances = squaredDistances(left, right);
    const kernels = spreads.map((spread) => exp(div(distances, spread)));
    return div(kernels.reduce(add), kernels.length);
  };
  const within = (set: Tensor, count: number): Tensor => {
    const values = kernelOf(set, set);
    if (!unbiased) return mean(values);
    return div(sum(mul(values, sub(1, eye(count, values.dtype)))), count * (count - 1));
  };
  return sub(add(within(a, N), within(b, M)), mul(mean(kernelOf(a, b)), 2));
}

function linearDiscrepancy(a: Tensor, b: Tensor, unbiased: boolean): Tensor {
  const gap = sumSquares(sub(mean(a, { axes: 0 }), mean(b, { axes: 0 })));
  if (!unbiased) return gap;
  // Of the mean's squared length, the share of the rows' own products is a variance of the mean.
  const excess = (set: Tensor): Tensor => {
    const count = set.shape[0] as number;
    const spread = sub(set, mean(set, { axes: 0, keepDims: true }));
    return div(sumSquares(spread), count * (count - 1));
  };
  return sub(gap, add(excess(a), excess(b)));
}

/**
 * Correlation alignment: squared difference of the covariances of two sets.
 *
 *   L = ‖C_x - C_y‖²_F / (4 D²)   with covariances over N - 1
 *
 * @param x  [N, D] with N ≥ 2
 * @param y  [M, D] with M ≥ 2
 * @returns scalar ≥ 0; means do not matter
 * @throws ShapeError when axes do not fit or a side has fewer than two rows
 * @source Sun, Saenko 2016 (Deep CORAL), equation 1
 */
export function coralLoss(x: Tensor, y: Tensor): Tensor {
  const { N, M, D } = checkAxes("coralLoss", { x: [x, "N D"], y: [y, "M D"] });
  if (N < 2 || M < 2) throw new ShapeError(`coralLoss: needs two rows a side, got ${N} and ${M}`);
  const covariance = (set: Tensor, count: number): Tensor => {
    const centred = sub(set, mean(set, { axes: 0, keepDims: true }));
    return div(matmul(centred, centred, { transposeA: true }), count - 1);
  };
  return div(sumSquares(sub(covariance(x, N), covariance(y, M))), 4 * D * D);
}

/**
 * Loss of a domain classifier behind a gradient reversal: the classifier learns to tell the domains apart, the
 * features to make it fail.
 *
 *   L = mean BCE(classifier(features), domain)
 *
 * @param features    [N, D] of both domains
 * @param domains     [N] 0 or 1 (float)
 * @param classifier  features [N, D] to logits [N] or [N, 1]
 * @param scale       λ ≥ 0: strength of the reversed gradient, a number or a scalar from `sigmoidRamp`. Default 1
 * @returns scalar, nats; about ln 2 when the domains cannot be told apart
 * @throws ShapeError when axes do not fit
 * @source Ganin et al. 2016 (DANN), equation 18
 */
export function domainAdversarialLoss(
  features: Tensor,
  domains: Tensor,
  classifier: (features: Tensor) => Tensor,
  scale: TensorLike = 1,
): Tensor {
  const operation = "domainAdversarialLoss";
  const { N } = checkAxes(operation, { features: [features, "N D"], domains: [domains, "N"] });
  const logits = classifier(gradientReversal(features, scale));
  if (logits.shape[0] !== N || logits.shape.slice(1).some((size) => size !== 1))
    throw new ShapeError(
      `${operation}: the classifier must return one logit a row, [${N}], got [${logits.shape.join(", ")}]`,
    );
  return mean(bceWithLogits(reshape(logits, [N]), domains));
}
