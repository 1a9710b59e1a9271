import { checkAxes, normalizeAxis } from "../core/axes.ts";
import type { Tensor } from "../core/tensor.ts";
import { div, mul } from "./arithmetic.ts";
import { norm } from "./reduce.ts";
import { reshape } from "./structure.ts";

/**
 * Weights parted into direction and length: w = magnitude · direction / ‖direction‖, with one length for each entry
 * of an axis.
 *
 * @param direction  any shape; the norm goes over all axes but `axis`
 * @param magnitude  [size of `axis`]
 * @param options.axis     default 0, the outputs of a convolution
 * @param options.epsilon  added under the root of the norm. Default 0
 * @returns weights of the shape of `direction`
 * @throws ShapeError when there is no such axis, or not one length for each of its entries; DTypeError for integers
 * @source Salimans, Kingma 2016
 */
export function weightNorm(
  direction: Tensor,
  magnitude: Tensor,
  options: { readonly axis?: number; readonly epsilon?: number } = {},
): Tensor {
  const { axis = 0, epsilon = 0 } = options;
  const kept = normalizeAxis("weightNorm", axis, direction.rank);
  const size = direction.shape[kept] as number;
  checkAxes("weightNorm", { magnitude: [magnitude, String(size)] });
  const axes = direction.shape.map((_, i) => i).filter((i) => i !== kept);
  const length = norm(direction, { axes, keepDims: true, epsilon });
  return mul(direction, div(reshape(magnitude, length.shape), length));
}
