import {
  abs,
  checkAxes,
  matmul,
  mean,
  mul,
  relu,
  ShapeError,
  square,
  stopGradient,
  sum,
  type Tensor,
  triu,
} from "@concord/tensor";
import { checkForm, directions, type VocoForm } from "./prediction-loss.ts";

/**
 * Pushes the base crops of a volume apart, each pair once.
 *
 *   paper:     L = 2 / (n (n - 1)) Σ_{i<j} |cos(q_i, q_j)|             gradient to both
 *   released:  L = 2 / (n (n - 1)) Σ_{i<j} max(0, cos(q_i, sg(q_j)))²  gradient to the first
 *
 * Several volumes are averaged; bases of different volumes are never compared.
 *
 * @param bases  [..., n, D], n >= 2
 * @returns scalar in [0, 1]
 * @throws ShapeError with fewer than two bases; RangeError for an unknown form
 * @source equation 5 (paper); released code, regularization_loss (released)
 */
export function vocoRegularisationLoss(
  bases: Tensor,
  { form = "paper" }: { readonly form?: VocoForm } = {},
): Tensor {
  checkForm("vocoRegularisationLoss", form);
  const { n } = checkAxes("vocoRegularisationLoss", { bases: [bases, "... n D"] });
  if (n < 2) throw new ShapeError(`vocoRegularisationLoss: needs at least two bases, got ${n}`);
  const units = directions(bases);
  const others = form === "paper" ? units : stopGradient(units);
  const cosines = matmul(units, others, { transposeB: true });
  const costs = form === "paper" ? abs(cosines) : square(relu(cosines));
  const pairs = sum(triu(costs, 1), { axes: [-2, -1] });
  return mean(mul(pairs, 2 / (n * (n - 1))));
}
