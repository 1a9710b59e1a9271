import { checkAxes, l2Normalize, matmul, type Tensor } from "@concord/tensor";

/**
 * Inner products of all pairs of rows: S_ij = a_i · b_j.
 *
 * @param a  [B, D]
 * @param b  [C, D]
 * @returns [B, C]
 * @throws ShapeError when a and b differ in D
 */
export function dotSimilarity(a: Tensor, b: Tensor): Tensor {
  checkAxes("dotSimilarity", { a: [a, "B D"], b: [b, "C D"] });
  return matmul(a, b, { transposeB: true });
}

/**
 * Cosines of all pairs of rows: S_ij = a_i · b_j / (‖a_i‖ ‖b_j‖). A row of zeros has cosine 0 with everything.
 *
 * @param a  [B, D]
 * @param b  [C, D]
 * @returns [B, C] in [-1, 1]
 * @throws ShapeError when a and b differ in D
 */
export function cosineSimilarity(a: Tensor, b: Tensor): Tensor {
  checkAxes("cosineSimilarity", { a: [a, "B D"], b: [b, "C D"] });
  return matmul(l2Normalize(a), l2Normalize(b), { transposeB: true });
}
