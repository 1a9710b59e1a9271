import type { NDArray } from "@concord/tensor";
import { checkLabels } from "./checks.ts";
import { hitsAt } from "./ranking.ts";
import { checkFit, checkRows, forEachBlockOfProducts, normalizeRows, unitRows, unitSets } from "./rows.ts";

/** Factor on cosines in zero-shot logits, CLIP's trained logit scale. */
const ZERO_SHOT_SCALE = 100;

/**
 * One vector per class from an ensemble of prompts: unit(mean of the class's unit prompt features).
 *
 * @param prompts      [M, D] text features of prompts, normalised here
 * @param promptClass  M integers in [0, classes): the class of each prompt
 * @param classes      number of classes C
 * @returns [C, D] float32, unit rows
 * @throws RangeError when a class has no prompt or a label lies outside
 * @source Radford et al. 2021, section 3.1.4
 */
export function classVectors(
  prompts: NDArray,
  promptClass: ArrayLike<number>,
  classes: number,
): NDArray<"float32"> {
  const operation = "classVectors";
  const unit = unitRows(operation, "prompts", prompts);
  const [M, D] = unit.shape as [number, number];
  checkLabels(operation, promptClass, M, classes);
  const sums = new Float64Array(classes * D);
  const filled = new Set<number>();
  for (let m = 0; m < M; m++) {
    const label = promptClass[m] as number;
    filled.add(label);
    for (let k = 0; k < D; k++) {
      sums[label * D + k] = (sums[label * D + k] as number) + (unit.data[m * D + k] as number);
    }
  }
  for (let c = 0; c < classes; c++)
    if (!filled.has(c)) throw new RangeError(`${operation}: class ${c} has no prompt`);
  return normalizeRows({ dtype: "float64", shape: [classes, D], data: sums });
}

/**
 * Zero-shot logits: 100 · cos(image, class).
 *
 * @param images   [N, D]
 * @param classes  [C, D]
 * @returns [N, C] float32
 */
export async function zeroShotLogits(images: NDArray, classes: NDArray): Promise<NDArray<"float32">> {
  const unitImages = unitRows("zeroShotLogits", "images", images);
  const unitClasses = unitRows("zeroShotLogits", "classes", classes);
  checkFit("zeroShotLogits", unitImages, unitClasses, "sets");
  const [N, C] = [unitImages.shape[0] as number, unitClasses.shape[0] as number];
  const data = new Float32Array(N * C);
  await forEachBlockOfProducts(unitImages, unitClasses, (first, _count, products) => {
    products.forEach((product, i) => {
      data[first * C + i] = product * ZERO_SHOT_SCALE;
    });
  });
  return { dtype: "float32", shape: [N, C], data };
}

export interface ZeroShotAccuracy {
  /** Share of images whose class ranks first, in [0, 1]. */
  readonly top1: number;
  /** Share of images whose class is among the first five. */
  readonly top5: number;
  /** Mean over the classes that occur of the share of their images ranked first (balanced accuracy). */
  readonly meanPerClassRecall: number;
  /** N classes: the nearest of each image, the lower number among equals. */
  readonly predictions: Int32Array;
}

/**
 * Accuracy of zero-shot classification: the class whose vector has the largest cosine with the image.
 * Classes that tie (nearer than 1e-6 in cosine) count by their chance under a random order, as in `recallAtK`, so a
 * model that gives the same to every class scores 1 / C.
 *
 * @param images   [N, D] features, normalised here
 * @param classes  [C, D] class vectors, e.g. of `classVectors`
 * @param labels   N integers in [0, C)
 * @throws RangeError when shapes, lengths or labels do not fit or values are not finite
 */
export async function zeroShotAccuracy(
  images: NDArray,
  classes: NDArray,
  labels: ArrayLike<number>,
): Promise<ZeroShotAccuracy> {
  const operation = "zeroShotAccuracy";
  const [N] = checkRows(operation, "images", images);
  const [C] = checkRows(operation, "classes", classes);
  checkLabels(operation, labels, N, C);
  const [unitImages, unitClasses] = unitSets(operation, { images, classes }, "sets");
  const predictions = new Int32Array(N);
  const hits = new Float64Array(C);
  const counts = new Float64Array(C);
  let top5 = 0;
  await forEachBlockOfProducts(unitImages, unitClasses, (first, count, products) => {
    for (let row = 0; row < count; row++) {
      const scores = products.subarray(row * C, (row + 1) * C);
      const label = labels[first + row] as number;
      const [one, five] = hitsAt(scores, (c) => c === label, [1, 5]) as [number, number];
      predictions[first + row] = scores.reduce(
        (best, score, c) => (score > (scores[best] as number) ? c : best),
        0,
      );
      hits[label] = (hits[label] as number) + one;
      counts[label] = (counts[label] as number) + 1;
      top5 += five;
    }
  });
  const recalls = Array.from(hits, (hit, c) => hit / (counts[c] as number)).filter((r) => !Number.isNaN(r));
  return {
    top1: hits.reduce((a, b) => a + b, 0) / N,
    top5: top5 / N,
    meanPerClassRecall: recalls.reduce((a, b) => a + b, 0) / recalls.length,
    predictions,
  };
}
