import type { NDArray, Traced } from "@concord/tensor";
import { add, checkAxes, div, mul, norm, type Tensor, zerosArray } from "@concord/tensor";

const EPSILON = 1e-6;

export interface GrnParams {
  /** [C] */
  readonly gamma: NDArray;
  /** [C] */
  readonly beta: NDArray;
}

/** Both 0: at the start `grn` is the identity. */
export function grnInit(width: number): GrnParams {
  return { gamma: zerosArray([width]), beta: zerosArray([width]) };
}

/**
 * Response normalisation as the released code has it:
 *
 *   g = ‖x‖₂,   n = g / (mean(g) + 1e-6),   y = γ (x n) + β + x
 *
 * over the last axis. The mean runs over the axis that the norm has left with one entry, so n is about 1 and y is
 * nearly (1 + γ) x + β; in the original block the mean runs over channels.
 *
 * @param x  [..., C]
 * @returns [..., C]
 * @throws ShapeError when γ or β are not [C]
 * @source Woo et al. 2023 (ConvNeXt V2), section 3, as adapted in the released code (modules.py)
 */
export function grn(x: Tensor, { gamma, beta }: Traced<GrnParams>): Tensor {
  checkAxes("grn", { x: [x, "... C"], gamma: [gamma, "C"], beta: [beta, "C"] });
  // The norm's own epsilon keeps its gradient finite where x is 0, which is what a missing modality is. Its root must be
  // small beside 1e-6: else rows of zeros would get a response of their own.
  const response = norm(x, { axes: -1, keepDims: true, epsilon: 1e-30 });
  return add(add(mul(gamma, mul(x, div(response, add(response, EPSILON)))), beta), x);
}
