import { broadcastShapes, normalizeAxis, sameShape } from "../core/axes.ts";
import { DTypeError, formatShape, ShapeError } from "../core/errors.ts";
import { asTensor, checkDType, type Tensor, type TensorLike } from "../core/tensor.ts";
import { cast, div, mul, where } from "./arithmetic.ts";
import { clampMin } from "./numeric.ts";
import { logSoftmax, logSumExp, max, softmax } from "./reduce.ts";
import type { ReduceOptions } from "./structure.ts";
import { reduceWith, sum } from "./structure.ts";

/** Lowest finite numbers: next to any true entry their exponential is exactly 0, and differences stay numbers. */
const LOWEST = { float32: -3.4028234663852886e38, float64: -Number.MAX_VALUE };

function operandsOf(operation: string, x: TensorLike, mask: TensorLike): readonly [Tensor, Tensor] {
  const [input, kept] = [asTensor(x), asTensor(mask, "bool")];
  checkDType(operation, [input]);
  if (kept.dtype !== "bool")
    throw new DTypeError(`${operation}: the mask must be bool, got ${kept.dtype}; compare or cast() it`);
  if (!sameShape(broadcastShapes(operation, input.shape, kept.shape), input.shape))
    throw new ShapeError(
      `${operation}: a mask ${formatShape(kept.shape)} does not broadcast to x ${formatShape(input.shape)}`,
    );
  return [input, kept];
}

/** x with everything outside the mask far below. */
function lowered(x: Tensor, mask: Tensor): Tensor {
  return where(mask, x, LOWEST[x.dtype as "float32" | "float64"]);
}

/** Axes of the mask that run along axes of x, sizes of 1 among them. */
function ownAxes(mask: Tensor, axes: readonly number[], rank: number): number[] {
  return axes.map((axis) => axis - rank + mask.rank).filter((axis) => axis >= 0);
}

/** Whether a row has any true entry, in the dtype of x; it broadcasts to x. */
function anyTrue(x: Tensor, mask: Tensor, axes: readonly number[]): Tensor {
  const own = ownAxes(mask, axes, x.rank);
  const truth = cast(mask, "int32");
  return cast(own.length === 0 ? truth : max(truth, { axes: own, keepDims: true }), "bool");
}

/**
 * Softmax over the entries that a mask keeps, 0 elsewhere. A row without any is 0 and passes no gradient.
 *
 * @param x     [..., N, ...]
 * @param mask  bool, broadcasts to x; true keeps
 * @param axis  default: the last
 * @throws ShapeError when the mask does not broadcast to x
 */
export function maskedSoftmax(x: TensorLike, mask: TensorLike, axis = -1): Tensor {
  const [input, kept] = operandsOf("maskedSoftmax", x, mask);
  const along = normalizeAxis("maskedSoftmax", axis, input.rank);
  return mul(softmax(lowered(input, kept), along), cast(kept, input.dtype));
}

/**
 * Logarithm of the softmax over the entries that a mask keeps. Entries outside the mask are 0, so that sums over
 * targets may go over the whole row; a row without any true entry passes no gradient.
 *
 * @param x     [..., N, ...]
 * @param mask  bool, broadcasts to x; true keeps
 * @param axis  default: the last
 * @throws ShapeError when the mask does not broadcast to x
 */
export function maskedLogSoftmax(x: TensorLike, mask: TensorLike, axis = -1): Tensor {
  const [input, kept] = operandsOf("maskedLogSoftmax", x, mask);
  const along = normalizeAxis("maskedLogSoftmax", axis, input.rank);
  return where(kept, logSoftmax(lowered(input, kept), along), 0);
}

/**
 * ln Σ e^x over the entries that a mask keeps. A row without any gives 0 and passes no gradient.
 *
 * @param x     any shape
 * @param mask  bool, broadcasts to x; true keeps
 * @throws ShapeError when the mask does not broadcast to x
 */
export function maskedLogSumExp(x: TensorLike, mask: TensorLike, options: ReduceOptions = {}): Tensor {
  const [input, kept] = operandsOf("maskedLogSumExp", x, mask);
  return reduceWith("maskedLogSumExp", input, options, (values, axes) => {
    const total = logSumExp(lowered(values, kept), { axes, keepDims: true });
    return where(anyTrue(values, kept, axes), total, 0);
  });
}

/**
 * Mean of the entries that a mask keeps. Without any it is 0 and passes no gradient.
 *
 * @param x     any shape; what the mask hides may be NaN or infinite
 * @param mask  bool, broadcasts to x; true keeps
 * @throws ShapeError when the mask does not broadcast to x
 */
export function maskedMean(x: TensorLike, mask: TensorLike, options: ReduceOptions = {}): Tensor {
  const [input, kept] = operandsOf("maskedMean", x, mask);
  return reduceWith("maskedMean", input, options, (values, axes) => {
    const own = ownAxes(kept, axes, values.rank);
    const sizes = values.shape.map((n, axis) => (kept.shape[axis - values.rank + kept.rank] === n ? 1 : n));
    const repeats = axes.reduce((product, axis) => product * (sizes[axis] as number), 1);
    const truth = cast(kept, values.dtype);
    const count = mul(own.length === 0 ? truth : sum(truth, { axes: own, keepDims: true }), repeats);
    return div(sum(where(kept, values, 0), { axes, keepDims: true }), clampMin(count, 1));
  });
}
