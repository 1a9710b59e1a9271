import { checkCount, checkSameLength, encodeLabels, type Labels } from "./checks.ts";
import { type ClassScores, type PrecisionRecall, scoresOfCounts } from "./precision-recall.ts";

export interface ConfusionMatrix {
  /** Class names in ascending order, or as given. */
  readonly classes: readonly (number | string)[];
  /** [C, C]: row is the true class, column the predicted one. */
  readonly counts: Float64Array;
}

/**
 * Counts of true against predicted classes.
 *
 * @param truth            N labels
 * @param predictions      N labels
 * @param options.classes  names and order of the classes; default: all that occur on either side, ascending
 * @throws RangeError when lengths differ, there are no labels, one is NaN or not among `classes`, or a class repeats
 */
export function confusionMatrix(
  truth: Labels,
  predictions: Labels,
  { classes }: { readonly classes?: readonly (number | string)[] } = {},
): ConfusionMatrix {
  const operation = "confusionMatrix";
  checkSameLength(operation, ["truth", truth], ["predictions", predictions]);
  const { names: found, codes } = encodeLabels(operation, ["truth", truth], ["predictions", predictions]);
  const names = classes ?? found;
  const positions = new Map(names.map((name, i) => [name, i]));
  if (positions.size < names.length)
    throw new RangeError(`${operation}: classes must differ, got ${names.join(", ")}`);
  const places = found.map((name) => {
    const place = positions.get(name);
    if (place === undefined)
      throw new RangeError(`${operation}: label ${name} is not among the classes ${names.join(", ")}`);
    return place;
  });
  const counts = new Float64Array(names.length ** 2);
  codes[0]?.forEach((code, i) => {
    const cell = (places[code] as number) * names.length + (places[codes[1]?.[i] as number] as number);
    counts[cell] = (counts[cell] as number) + 1;
  });
  return { classes: names, counts };
}

export interface ClassificationReport {
  /** Share of items predicted right. */
  readonly accuracy: number;
  /** Mean recall of the classes that truly occur: 1 / C for a constant prediction. */
  readonly balancedAccuracy: number;
  readonly perClass: readonly ClassScores[];
  /** Mean over classes; F1 is the mean of the classes' F1. */
  readonly macro: PrecisionRecall;
  /** Over all decisions at once; where every item has one label all three are the accuracy. */
  readonly micro: PrecisionRecall;
  /** Mean over classes, weighted by support. */
  readonly weighted: PrecisionRecall;
  readonly confusion: ConfusionMatrix;
}

/**
 * Scores of a classifier.
 *
 *   precision_c = TP / (TP + FP),  recall_c = TP / (TP + FN),  F1_c = 2 TP / (2 TP + FP + FN)
 *
 * A ratio with denominator 0 counts as 0 (scikit-learn's zero_division = 0): a class that occurs on one side only
 * scores 0. Macro and weighted means go over all classes of the confusion matrix: by default those that occur in truth
 * or prediction; a class given in `classes` that occurs on neither side has F1 0 and lowers the macro mean.
 *
 * @param truth            N labels
 * @param predictions      N labels
 * @param options.classes  as in `confusionMatrix`
 * @throws RangeError as `confusionMatrix`
 * @source definitions as in scikit-learn's precision_recall_fscore_support and balanced_accuracy_score
 */
export function classificationReport(
  truth: Labels,
  predictions: Labels,
  options: { readonly classes?: readonly (number | string)[] } = {},
): ClassificationReport {
  const confusion = confusionMatrix(truth, predictions, options);
  const { classes, counts } = confusion;
  const C = classes.length;
  const at = (row: number, column: number): number => counts[row * C + column] as number;
  const perClass = classes.map((name, c): ClassScores => {
    const actual = classes.reduce<number>((sum, _, other) => sum + at(c, other), 0);
    const predicted = classes.reduce<number>((sum, _, other) => sum + at(other, c), 0);
    return { name, support: actual, ...scoresOfCounts(at(c, c), predicted, actual) };
  });
  const right = perClass.reduce((sum, _, c) => sum + at(c, c), 0);
  const meanOf = (weightOf: (scores: ClassScores) => number): PrecisionRecall => {
    const total = perClass.reduce((sum, scores) => sum + weightOf(scores), 0);
    const over = (key: keyof PrecisionRecall): number =>
      perClass.reduce((sum, scores) => sum + scores[key] * weightOf(scores), 0) / total;
    return { precision: over("precision"), recall: over("recall"), f1: over("f1") };
  };
  const present = perClass.filter(({ support }) => support > 0);
  return {
    accuracy: right / truth.length,
    balancedAccuracy: present.reduce((sum, { recall }) => sum + recall, 0) / present.length,
    perClass,
    macro: meanOf(() => 1),
    micro: scoresOfCounts(right, truth.length, truth.length),
    weighted: meanOf(({ support }) => support),
    confusion,
  };
}

/**
 * Share of equal labels, in [0, 1].
 *
 * @throws RangeError when lengths differ, there are no labels or one is NaN
 */
export function accuracy(truth: Labels, predictions: Labels): number {
  const { counts, classes } = confusionMatrix(truth, predictions);
  return (
    classes.reduce<number>((sum, _, c) => sum + (counts[c * classes.length + c] as number), 0) / truth.length
  );
}

export interface MultiLabelReport {
  readonly perClass: readonly ClassScores[];
  readonly macro: PrecisionRecall;
  readonly micro: PrecisionRecall;
}

/**
 * Scores of a classifier that may give several labels, or none, to an item. Formulas and the rule for empty
 * denominators as in `classificationReport`; micro adds the counts of all classes first.
 *
 * @param truth        [N, C] row after row; a label holds where the value is above 0
 * @param predictions  [N, C]
 * @param classes      number of classes C
 * @throws RangeError when lengths differ, are no multiple of C, or a value is NaN
 */
export function multiLabelReport(
  truth: ArrayLike<number>,
  predictions: ArrayLike<number>,
  classes: number,
): MultiLabelReport {
  const operation = "multiLabelReport";
  checkCount(operation, "classes", classes);
  checkSameLength(operation, ["truth", truth], ["predictions", predictions]);
  if (truth.length === 0 || truth.length % classes !== 0) {
    throw new RangeError(
      `${operation}: needs N × ${classes} values, a multiple of ${classes}, got ${truth.length}`,
    );
  }
  const counts = Array.from({ length: classes }, () => ({ right: 0, predicted: 0, actual: 0 }));
  for (let i = 0; i < truth.length; i++) {
    const [real, guess] = [truth[i] as number, predictions[i] as number];
    if (Number.isNaN(real) || Number.isNaN(guess))
      throw new RangeError(`${operation}: NaN in row ${Math.floor(i / classes)}, class ${i % classes}`);
    const cell = counts[i % classes] as { right: number; predicted: number; actual: number };
    if (real > 0) cell.actual++;
    if (guess > 0) cell.predicted++;
    if (real > 0 && guess > 0) cell.right++;
  }
  const perClass = counts.map(
    ({ right, predicted, actual }, name): ClassScores => ({
      name,
      support: actual,
      ...scoresOfCounts(right, predicted, actual),
    }),
  );
  const sum = (key: "right" | "predicted" | "actual"): number =>
    counts.reduce((all, cell) => all + cell[key], 0);
  const over = (key: keyof PrecisionRecall): number =>
    perClass.reduce((all, scores) => all + scores[key], 0) / classes;
  return {
    perClass,
    macro: { precision: over("precision"), recall: over("recall"), f1: over("f1") },
    micro: scoresOfCounts(sum("right"), sum("predicted"), sum("actual")),
  };
}
