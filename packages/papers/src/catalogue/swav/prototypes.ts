import { l2Normalize, stopGradient, type Tensor } from "@concord/tensor";

/** The square of the least length that a row is divided by, 1e-12. Released code (PyTorch's default). */
const LEAST_SQUARE = 1e-24;

/**
 * Rows of length 1, however short they were: x / √(Σ x² + 10⁻²⁴).
 *
 * @param x  [..., D]
 * @returns [..., D]; rows of zeros stay
 * @source released code: divided by the length, at least 1e-12
 */
export function unitRows(x: Tensor): Tensor {
  return l2Normalize(x, { epsilon: LEAST_SQUARE });
}

/**
 * Prototypes with rows of length 1, as every forward pass begins: outside of the differentiated part, so that gradient
 * and update belong to the normalised prototypes and none goes through the division.
 *
 * @param prototypes  [K, D]
 * @returns [K, D], without gradient to what came in; rows of zeros stay
 * @source released code, before each forward pass
 */
export function normalizePrototypes(prototypes: Tensor): Tensor {
  return stopGradient(unitRows(prototypes));
}
