import {
  add,
  cast,
  checkAxes,
  crossEntropy,
  div,
  greater,
  maximum,
  mul,
  narrow,
  oneHot,
  softmax,
  sub,
  sum,
  type Tensor,
  transpose,
} from "@concord/tensor";

/** Keeps the quotient finite. */
const SMOOTH = 1e-5;

/**
 * Dice loss and cross-entropy, as segmentation is fine-tuned: the sum of both.
 *
 *   L = CE(z, t) + 1 - mean_c 2 Σ p_c t_c / (Σ p_c + Σ t_c),   p = softmax(z), over c > 0 that occur in t
 *
 * Sums run over all voxels of all patches. A class that occurs in none of them has no part in the Dice loss: its gradient
 * would press the class down everywhere, whatever the voxels show, until nothing is left but background. Nor has the
 * background, class 0, which is nearly everything. Without any class the loss is the cross-entropy.
 *
 * @param scores  [N, C, A, B, D]
 * @param labels  [N, A, B, D] int32, 0 to C - 1
 * @throws ShapeError when they do not fit
 * @source Milletari et al. 2016 (Dice); released code for fine-tuning (sum of both); nnU-Net (without background)
 */
export function diceCrossEntropy(scores: Tensor, labels: Tensor): Tensor {
  const { C } = checkAxes("diceCrossEntropy", {
    scores: [scores, "N C A B D"],
    labels: [labels, "N A B D"],
  });
  const truth = narrow(transpose(oneHot(labels, C), [0, 4, 1, 2, 3]), 1, 1, C - 1);
  const guess = narrow(softmax(scores, 1), 1, 1, C - 1);
  const overVoxels = { axes: [0, 2, 3, 4] } as const;
  const size = sum(truth, overVoxels);
  const occurs = cast(greater(size, 0), scores.dtype);
  const dice = div(
    mul(sum(mul(guess, truth), overVoxels), 2),
    add(add(sum(guess, overVoxels), size), SMOOTH),
  );
  const lost = div(sum(mul(sub(1, dice), occurs)), maximum(sum(occurs), 1));
  return add(crossEntropy(scores, labels, { axis: 1 }), lost);
}
