import { classVectors, recallAtK, zeroShotLogits } from "@concord/align";
import type { NDArray } from "@concord/tensor";

/** Classes named by language. */
export interface ZeroShotClassifier {
  /** [C, D], of unit length */
  readonly classVectors: NDArray<"float32">;
  /** 100 · cos of features [N, D] with the classes: [N, C] */
  logits(features: NDArray): Promise<NDArray<"float32">>;
  /**
   * Shares in [0, 1] of the N samples whose class is among the k best; samples whose class ties with others count by
   * chance.
   */
  accuracy(
    features: NDArray,
    labels: ArrayLike<number>,
    ks: readonly number[],
  ): Promise<ReadonlyMap<number, number>>;
}

/**
 * A classifier from prompts, e.g. "a depth photo of a {class}" and others for each class: its vector is
 * unit(mean of the unit features of its prompts).
 *
 * @param prompts  [C, P, D] text features of P prompts of each of C classes, normalised here
 * @throws RangeError when the shape is another, values are not finite or a class has no prompt
 * @source released code, d_cls/zero_shot.py and zero_shot_classifier.py:28-70
 */
export function zeroShotClassifier(prompts: NDArray): ZeroShotClassifier {
  const [C, P, D] = prompts.shape as [number, number, number];
  if (prompts.shape.length !== 3)
    throw new RangeError(`zeroShotClassifier: expected prompts [C, P, D], got [${prompts.shape.join(", ")}]`);
  const owners = Array.from({ length: C * P }, (_, i) => Math.floor(i / P));
  const vectors = classVectors({ ...prompts, shape: [C * P, D] }, owners, C);
  return {
    classVectors: vectors,
    logits: (features) => zeroShotLogits(features, vectors),
    accuracy: (features, labels, ks) =>
      recallAtK(
        features,
        vectors,
        labels,
        Array.from({ length: C }, (_, c) => c),
        ks,
      ),
  };
}
