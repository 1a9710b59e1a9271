import { checkAxes, stack, type Tensor } from "@concord/tensor";
import { type OwnPairOptions, relationWithin } from "./relations.ts";
import { checkSoftmaxOptions, type SoftmaxOptions, scaleOf, softmaxDirection } from "./softmax-rows.ts";

export interface SupConOptions extends OwnPairOptions, SoftmaxOptions {
  /** τ > 0: logits are x_i·x_j / τ. Default 0.1. */
  readonly temperature?: number;
  /** s > 0: logits are s · x_i·x_j. A number, or a scalar tensor when the scale is learned. Excludes `temperature`. */
  readonly logitScale?: number | Tensor;
}

/**
 * Supervised contrastive loss: each row finds the other rows of its class among all other rows.
 *
 *   L_out = mean_i -1/|P(i)| Σ_{p ∈ P(i)} ln [ e^{x_i·x_p / τ} / Σ_{j ≠ i} e^{x_i·x_j / τ} ]
 *   L_in  = mean_i -ln [ 1/|P(i)| Σ_{p ∈ P(i)} e^{x_i·x_p / τ} / Σ_{j ≠ i} e^{x_i·x_j / τ} ]
 *
 * `severalPositives` chooses between them. P(i) holds the other rows with the label of i, or the positives of i, by
 * their weights. Rows without any are left out of the mean. With views the rows are the V views of all N items: an
 * item's views always share its label, and without labels and positives they alone match (NT-Xent for V = 2).
 *
 * @param x  [N, D] or, with V views an item, [N, V, D]; unit norm unless raw products are wanted
 * @returns scalar, nats; 0 when no row has a positive
 * @throws ShapeError when labels, positives, mask or keys do not fit; RangeError when nothing says which rows match, or
 *   the temperature is not positive
 * @source Khosla et al. 2020, equations 2 and 3, without their factor τ / 0.07
 */
export function supConLoss(x: Tensor, options: SupConOptions): Tensor {
  checkSoftmaxOptions("supConLoss", options);
  const scale = scaleOf("supConLoss", options, 0.1);
  const relation = relationWithin("supConLoss", x, options, "views");
  return softmaxDirection(relation, scale, options.blockRows, options);
}

export interface NtXentOptions extends Pick<SupConOptions, "temperature" | "logitScale" | "blockRows"> {
  /** [N, N] false or 0 for pairs of items that are left out, all views of them. Keep the diagonal. */
  readonly mask?: Tensor;
}

/**
 * Normalised-temperature cross-entropy of two views of each item (NT-Xent, as used by SimCLR): each of the 2N rows
 * finds its other view among all others, those of its own side included.
 *
 *   L = -1/(2N) Σ_r ln [ e^{z_r·z_{r'} / τ} / Σ_{q ≠ r} e^{z_r·z_q / τ} ],   z = all rows of a and b, r' the other view
 *
 * @param a  [N, D] first views, unit norm
 * @param b  [N, D] second views, unit norm; row i is another view of a's row i
 * @param options.temperature  default 0.5
 * @returns scalar, nats
 * @throws ShapeError when a and b differ in N or D; RangeError when the temperature is not positive
 * @source Chen et al. 2020, equation 1
 */
export function ntXentLoss(a: Tensor, b: Tensor, options: NtXentOptions = {}): Tensor {
  checkAxes("ntXentLoss", { a: [a, "N D"], b: [b, "N D"] });
  const scale = scaleOf("ntXentLoss", options, 0.5);
  const relation = relationWithin("ntXentLoss", stack([a, b], 1), options, "views");
  return softmaxDirection(relation, scale, options.blockRows, {});
}
