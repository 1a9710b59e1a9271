import type { NDArray } from "@concord/tensor";
import { checkLabels } from "./checks.ts";
import { centred } from "./distances.ts";
import { minimize } from "./lbfgs.ts";
import { checkFit, checkRows } from "./rows.ts";

export interface LinearProbeOptions {
  /** Inverse strength C of the L2 penalty, default 1; weaker penalty for larger values. */
  readonly inverseRegularization?: number;
  /** Ends when no entry of the objective's gradient is larger, default 1e-6. */
  readonly tolerance?: number;
  /** Default 1000. */
  readonly maxIterations?: number;
}

export interface LinearProbe {
  /** [C, D] */
  readonly weights: NDArray<"float64">;
  /** [C] */
  readonly bias: Float64Array;
  /** Whether the tolerance was reached. */
  readonly converged: boolean;
  readonly iterations: number;
}

/**
 * Multinomial logistic regression with L2 penalty: the linear probe on frozen features.
 *
 *   min over W, b of   ‖W‖² / 2  +  C Σ_i -ln softmax(W x_i + b)[y_i]
 *
 * The bias is not penalised. With two classes the difference of the logits is penalised (the binary form): row 0 of the
 * weights is minus row 1, each half of scikit-learn's one row. The minimum is unique in W; of the biases, which are free
 * up to a constant, the one with mean 0 is returned. Minimised on the host in float64 by L-BFGS from zero. Weights are
 * off the minimum by at most the length of the gradient, so at the default tolerance they agree with scikit-learn's
 * converged ones to 1e-5 (its own default tolerance is wider: set tol to 1e-8 to compare). Features are used as they
 * are; standardise or normalise them before where wanted. N · D · C work a step.
 *
 * @param features  [N, D]
 * @param labels    N integers in [0, classes); every class must occur
 * @param classes   number of classes, at least 2
 * @throws RangeError when shapes, lengths or labels do not fit, a class has no row, a value is not finite or an option
 *   is not positive
 * @source scikit-learn's LogisticRegression; L-BFGS: Liu, Nocedal 1989
 */
export function fitLinearProbe(
  features: NDArray,
  labels: ArrayLike<number>,
  classes: number,
  { inverseRegularization = 1, tolerance = 1e-6, maxIterations = 1000 }: LinearProbeOptions = {},
): LinearProbe {
  const operation = "fitLinearProbe";
  const [N, D] = checkRows(operation, "features", features);
  if (!(classes >= 2)) throw new RangeError(`${operation}: needs at least two classes, got ${classes}`);
  checkLabels(operation, labels, N, classes);
  const seen = new Set(Array.from(labels));
  for (let c = 0; c < classes; c++)
    if (!seen.has(c)) throw new RangeError(`${operation}: class ${c} has no row`);
  for (const [name, value] of Object.entries({ inverseRegularization, tolerance, maxIterations }))
    if (!(value > 0)) throw new RangeError(`${operation}: ${name} must be > 0, got ${value}`);
  // Two classes need one row: logits (-z / 2, z / 2), penalty on z's weights.
  const rows = classes === 2 ? 1 : classes;
  // Features around 0 part weights from biases, which the steps need; the biases take the mean back at the end.
  const { rows: points, mean } = centred(operation, "features", features);
  const data = points.data;
  const penalty = 1 / (inverseRegularization * N);
  const logits = new Float64Array(rows);
  const objective = (x: Float64Array, gradient: Float64Array): number => {
    gradient.fill(0);
    let loss = 0;
    for (let i = 0; i < N; i++) {
      for (let c = 0; c < rows; c++) {
        let sum = x[rows * D + c] as number;
        for (let k = 0; k < D; k++) sum += (x[c * D + k] as number) * (data[i * D + k] as number);
        logits[c] = sum;
      }
      loss += residuals(logits, labels[i] as number) / N;
      for (let c = 0; c < rows; c++) {
        const slope = (logits[c] as number) / N;
        for (let k = 0; k < D; k++) {
          const at = c * D + k;
          gradient[at] = (gradient[at] as number) + slope * (data[i * D + k] as number);
        }
        gradient[rows * D + c] = (gradient[rows * D + c] as number) + slope;
      }
    }
    for (let at = 0; at < rows * D; at++) {
      const weight = x[at] as number;
      loss += (penalty * weight * weight) / 2;
      gradient[at] = (gradient[at] as number) + penalty * weight;
    }
    return loss;
  };
  const { x, converged, iterations } = minimize(objective, new Float64Array(rows * (D + 1)), {
    scales: curvatures(data, rows, D, penalty).map((value) => 1 / value),
    // The mean over rows is minimised; below 1e-13 its gradient is rounding.
    tolerance: Math.max(tolerance * penalty, 1e-13),
    maxIterations,
  });
  const offsets = Float64Array.from({ length: rows }, (_, c) =>
    mean.reduce((sum, value, k) => sum - value * (x[c * D + k] as number), x[rows * D + c] as number),
  );
  const weights = new Float64Array(classes * D);
  const bias = new Float64Array(classes);
  if (rows === 1) {
    for (let k = 0; k < D; k++) {
      weights[D + k] = (x[k] as number) / 2;
      weights[k] = -(weights[D + k] as number);
    }
    bias[1] = (offsets[0] as number) / 2;
    bias[0] = -bias[1];
  } else {
    weights.set(x.subarray(0, classes * D));
    const centre = offsets.reduce((sum, value) => sum + value / classes, 0);
    bias.set(offsets.map((value) => value - centre));
  }
  return { weights: { dtype: "float64", shape: [classes, D], data: weights }, bias, converged, iterations };
}

/** Diagonal of the Hessian at zero, of centred features: their variance times p (1 - p), and the penalty. */
function curvatures(data: Float64Array, rows: number, D: number, penalty: number): Float64Array {
  const share = rows === 1 ? 1 / 2 : 1 / rows;
  const spread = share * (1 - share);
  const variances = new Float64Array(D);
  data.forEach((value, i) => {
    variances[i % D] = (variances[i % D] as number) + (value * value * D) / data.length;
  });
  return Float64Array.from({ length: rows * (D + 1) }, (_, i) =>
    i < rows * D ? spread * (variances[i % D] as number) + penalty : spread,
  );
}

/** Cross entropy of one row; leaves in `logits` its gradient, probability minus one-hot. */
function residuals(logits: Float64Array, label: number): number {
  if (logits.length === 1) {
    const logit = logits[0] as number;
    // ln(1 + e^z) without overflow.
    const softplus = Math.max(logit, 0) + Math.log1p(Math.exp(-Math.abs(logit)));
    logits[0] = 1 / (1 + Math.exp(-logit)) - label;
    return softplus - label * logit;
  }
  const top = logits.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
  const own = (logits[label] as number) - top;
  let sum = 0;
  for (let c = 0; c < logits.length; c++) {
    const power = Math.exp((logits[c] as number) - top);
    logits[c] = power;
    sum += power;
  }
  for (let c = 0; c < logits.length; c++) logits[c] = (logits[c] as number) / sum;
  logits[label] = (logits[label] as number) - 1;
  return Math.log(sum) - own;
}

/**
 * Class of the largest logit W x + b of each row, the lower number among equals.
 *
 * @param features  [N, D]
 * @throws RangeError when the widths differ or a value is not finite
 */
export function predictLinearProbe(probe: LinearProbe, features: NDArray): Int32Array {
  const operation = "predictLinearProbe";
  const [N, D] = checkRows(operation, "features", features);
  checkFit(operation, features, probe.weights, "sets");
  const data = features.data as Float32Array | Float64Array;
  return Int32Array.from({ length: N }, (_, i) => {
    let best = 0;
    let top = Number.NEGATIVE_INFINITY;
    for (const [c, offset] of probe.bias.entries()) {
      let logit = offset;
      for (let k = 0; k < D; k++)
        logit += (probe.weights.data[c * D + k] as number) * (data[i * D + k] as number);
      if (logit > top) [top, best] = [logit, c];
    }
    return best;
  });
}

export interface LinearProbeAccuracy {
  /** Share of test rows predicted right, in [0, 1]. */
  readonly accuracy: number;
  readonly predictions: Int32Array;
  readonly probe: LinearProbe;
}

/**
 * Accuracy of a linear probe: `fitLinearProbe` on one set, predictions on another.
 *
 * @param train        [N, D] features, used as they are
 * @param trainLabels  N integers in [0, C), C the largest plus 1; every class occurs
 * @param test         [M, D]
 * @param testLabels   M integers in [0, C)
 * @throws RangeError as `fitLinearProbe`, also when widths differ or a test label is unknown
 */
export function linearProbeAccuracy(
  train: NDArray,
  trainLabels: ArrayLike<number>,
  test: NDArray,
  testLabels: ArrayLike<number>,
  options: LinearProbeOptions = {},
): LinearProbeAccuracy {
  const operation = "linearProbeAccuracy";
  checkFit(operation, train, test, "sets");
  const [N] = checkRows(operation, "train", train);
  checkLabels(operation, trainLabels, N, Number.POSITIVE_INFINITY);
  const classes = Array.from(trainLabels).reduce((top, label) => Math.max(top, label + 1), 0);
  const [M] = checkRows(operation, "test", test);
  checkLabels(operation, testLabels, M, classes);
  const probe = fitLinearProbe(train, trainLabels, classes, options);
  const predictions = predictLinearProbe(probe, test);
  const right = predictions.reduce((sum, guess, i) => sum + Number(guess === testLabels[i]), 0);
  return { accuracy: right / M, predictions, probe };
}
