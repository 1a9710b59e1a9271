import { checkCount, checkSameLength } from "./checks.ts";

export interface SegmentationOptions {
  /** Pixels whose truth has this label count nowhere. */
  readonly ignoreIndex?: number;
  /** Classes left out of the means, e.g. [0] for a background. Their pixels still count as wrong elsewhere. */
  readonly exclude?: readonly number[];
}

export interface SegmentationOverlap {
  /** Dice of each class; NaN for a class in neither truth nor prediction. */
  readonly dice: Float64Array;
  /** IoU (Jaccard index) of each class; NaN for a class in neither. */
  readonly iou: Float64Array;
  /** Mean of the Dice that are not NaN; NaN when there is none. */
  readonly meanDice: number;
  /** mIoU: mean of the IoU that are not NaN; NaN when there is none. */
  readonly meanIoU: number;
  /** Share of pixels labelled right. */
  readonly pixelAccuracy: number;
  /** [C, C]: row is the true class, column the predicted one. */
  readonly confusion: Float64Array;
}

/**
 * Overlap of two segmentations into classes.
 *
 *   Dice_c = 2 |P_c ∩ T_c| / (|P_c| + |T_c|),   IoU_c = |P_c ∩ T_c| / |P_c ∪ T_c|,   Dice = 2 IoU / (1 + IoU)
 *
 * Both in [0, 1]. A class that occurs in neither prediction nor truth has no value (NaN) and stays out of the means; one
 * that occurs on one side only has 0. Pixels whose truth is `ignoreIndex` are dropped before counting, whatever was
 * predicted there; a prediction of `ignoreIndex` elsewhere must be a class like any other. Concatenate the pixels of
 * all pictures for the scores of a data set (as Pascal VOC does), or average over pictures yourself (as medical work
 * does): the two differ.
 *
 * @param truth        P labels, integers in [0, C) or `ignoreIndex`
 * @param predictions  P labels, integers in [0, C); where the truth is `ignoreIndex` anything
 * @param classes      number of classes C
 * @throws RangeError when lengths differ, a label is unknown or no pixel is left
 * @source Dice 1945; Jaccard 1912; Everingham et al. 2010 (pixels of all pictures together)
 */
export function segmentationOverlap(
  truth: ArrayLike<number>,
  predictions: ArrayLike<number>,
  classes: number,
  { ignoreIndex, exclude = [] }: SegmentationOptions = {},
): SegmentationOverlap {
  const operation = "segmentationOverlap";
  checkCount(operation, "classes", classes);
  checkSameLength(operation, ["truth", truth], ["predictions", predictions]);
  for (const c of exclude) checkCount(operation, "an excluded class", c, 0, classes - 1);
  const confusion = new Float64Array(classes * classes);
  let pixels = 0;
  const check = (what: string, label: number, i: number): void => {
    if (!Number.isInteger(label) || label < 0 || label >= classes) {
      throw new RangeError(
        `${operation}: ${what} must be integers in [0, ${classes}), got ${label} at pixel ${i}`,
      );
    }
  };
  for (let i = 0; i < truth.length; i++) {
    const [real, guess] = [truth[i] as number, predictions[i] as number];
    if (real === ignoreIndex) continue;
    check("truth", real, i);
    check("predictions", guess, i);
    confusion[real * classes + guess] = (confusion[real * classes + guess] as number) + 1;
    pixels++;
  }
  if (pixels === 0) throw new RangeError(`${operation}: no pixel to count among ${truth.length}`);
  const dice = new Float64Array(classes);
  const iou = new Float64Array(classes);
  let right = 0;
  for (let c = 0; c < classes; c++) {
    let sides = 0;
    for (let other = 0; other < classes; other++) {
      sides += (confusion[c * classes + other] as number) + (confusion[other * classes + c] as number);
    }
    const common = confusion[c * classes + c] as number;
    right += common;
    dice[c] = sides > 0 ? (2 * common) / sides : Number.NaN;
    iou[c] = sides > 0 ? common / (sides - common) : Number.NaN;
  }
  const meanOf = (values: Float64Array): number => {
    const present = Array.from(values).filter((value, c) => !Number.isNaN(value) && !exclude.includes(c));
    return present.length > 0 ? present.reduce((sum, value) => sum + value, 0) / present.length : Number.NaN;
  };
  return {
    dice,
    iou,
    meanDice: meanOf(dice),
    meanIoU: meanOf(iou),
    pixelAccuracy: right / pixels,
    confusion,
  };
}
