import { l2Normalize, stopGradient, type Tensor } from "@concord/tensor";

/**
 * Prototypes with rows of length 1, as every forward pass begins: outside of the differentiated part, so that gradient
 * and update belong to the normalised prototypes and none goes through the division.
 *
 * @param prototypes  [K, D]
 * @returns [K, D], without gradient to what came in; rows of zeros stay
 * @source released code, before each forward pass
 */
export function normalizePrototypes(prototypes: Tensor): Tensor {
  return stopGradient(l2Normalize(prototypes));
}
