/** Precision, recall and their harmonic mean, each in [0, 1]. */
export interface PrecisionRecall {
  readonly precision: number;
  readonly recall: number;
  readonly f1: number;
}

export interface ClassScores extends PrecisionRecall {
  readonly name: number | string;
  /** True items of the class. */
  readonly support: number;
}

const ratio = (part: number, whole: number): number => (whole > 0 ? part / whole : 0);

/** Precision, recall and F1 of counts; a ratio with an empty denominator is 0. */
export function scoresOfCounts(right: number, predicted: number, actual: number): PrecisionRecall {
  return {
    precision: ratio(right, predicted),
    recall: ratio(right, actual),
    f1: ratio(2 * right, predicted + actual),
  };
}
