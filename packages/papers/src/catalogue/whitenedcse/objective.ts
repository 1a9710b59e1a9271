import { type LinearWeights, linear } from "@concord/nn";
import { type Tensor, tanh } from "@concord/tensor";
import { type MultiPositiveOptions, multiPositiveInfoNCE } from "./multi-positive.ts";
import { type SgwViewsOptions, sgwViews } from "./sgw.ts";

/**
 * Projection head: z = tanh(y W + b), y = SGW(h). Whitening comes before the dense layer, nothing after the tanh. Used
 * in training alone: what it gives depends on the batch.
 *
 * @param dense         W [D, D], b [D]
 * @param views         P times [B, D] pooled features
 * @param permutations  P times [D] int32
 * @returns P times [B, D]
 * @throws ShapeError as `sgwViews`
 * @source released code, models.py:44-64
 */
export function whitenedcseHead(
  dense: LinearWeights,
  views: readonly Tensor[],
  permutations: readonly Tensor[],
  options: SgwViewsOptions = {},
): Tensor[] {
  return sgwViews(views, permutations, options).map((white) => tanh(linear(dense, white)));
}

/**
 * The objective of WhitenedCSE: pooled features of P copies → SGW → dense → tanh → contrast of the first copy with the
 * others.
 *
 * @param dense         W [D, D], b [D]
 * @param views         P times [B, D] pooled features, of other dropout masks each
 * @param permutations  P times [D] int32, drawn anew in every step
 * @returns the loss, a scalar, and the outputs of the head, P times [B, D]
 * @throws ShapeError and RangeError as `sgwViews` and `multiPositiveInfoNCE`
 * @source order of operations: released code, models.py:57-64; statistics per view: abstract
 */
export function whitenedcseLoss(
  dense: LinearWeights,
  views: readonly Tensor[],
  permutations: readonly Tensor[],
  options: SgwViewsOptions & MultiPositiveOptions = {},
): { readonly loss: Tensor; readonly outputs: readonly Tensor[] } {
  const outputs = whitenedcseHead(dense, views, permutations, options);
  return { loss: multiPositiveInfoNCE(outputs, options), outputs };
}
