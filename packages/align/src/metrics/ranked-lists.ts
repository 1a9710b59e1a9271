import { checkCount, checkFinite, checkSameLength } from "./checks.ts";
import {
  expectedDiscountedGain,
  expectedPrecisionSum,
  expectedReciprocalRank,
  type GainOf,
  gainOfGrade,
  groupTies,
  idealDiscountedGain,
  type PrecisionNormalizer,
  precisionDivisor,
} from "./tied-ranks.ts";

export interface RankingOptions {
  /** Only the first k places count. Default: all. */
  readonly k?: number;
}

function checkRanking(
  operation: string,
  scores: ArrayLike<number>,
  grades: ArrayLike<number>,
  k: number,
): void {
  checkFinite(operation, "scores", scores);
  checkFinite(operation, "grades", grades);
  checkSameLength(operation, ["scores", scores], ["grades", grades]);
  for (let i = 0; i < grades.length; i++) {
    if ((grades[i] as number) < 0)
      throw new RangeError(`${operation}: grades must be >= 0, got ${grades[i]} at index ${i}`);
  }
  if (k !== Number.POSITIVE_INFINITY) checkCount(operation, "k", k);
}

/**
 * Average precision of one ranked list.
 *
 *   AP@k = (1 / Z) Σ_{i ≤ k} relevant(i) · precision(i),   Z = min(R, k) or R
 *
 * In [0, 1]. Items of equal score count by their expectation under a random order of the tied; without ties this is
 * scikit-learn's `average_precision_score`. (`averagePrecision`, for classifiers, takes tied items in one step.)
 *
 * @param scores      N numbers, higher is better
 * @param grades      N numbers ≥ 0; an item is relevant where it is above 0
 * @param options.k   default: all places
 * @param options.normalizer  default "possible", min(R, k)
 * @throws RangeError when lengths differ, a value is not finite, a grade is negative or nothing is relevant
 * @source ties: McSherry, Najork 2008
 */
export function rankedAveragePrecision(
  scores: ArrayLike<number>,
  grades: ArrayLike<number>,
  {
    k = Number.POSITIVE_INFINITY,
    normalizer = "possible",
  }: RankingOptions & { readonly normalizer?: PrecisionNormalizer } = {},
): number {
  const operation = "rankedAveragePrecision";
  checkRanking(operation, scores, grades, k);
  const groups = groupTies(scores, (item) => grades[item] as number, 0);
  const relevant = groups.reduce((sum, group) => sum + group.relevant, 0);
  if (relevant === 0) throw new RangeError(`${operation}: no item is relevant`);
  return expectedPrecisionSum(groups, k) / precisionDivisor(normalizer, relevant, k);
}

/**
 * Reciprocal rank of the first relevant item of one list, in [0, 1]; 0 when it stands behind place k. Tied items count
 * by their expectation under a random order.
 *
 * @param scores  N numbers, higher is better
 * @param grades  N numbers ≥ 0; an item is relevant where it is above 0
 * @throws RangeError as `rankedAveragePrecision`
 * @source Voorhees 1999, TREC-8 question answering track report
 */
export function reciprocalRank(
  scores: ArrayLike<number>,
  grades: ArrayLike<number>,
  { k = Number.POSITIVE_INFINITY }: RankingOptions = {},
): number {
  const operation = "reciprocalRank";
  checkRanking(operation, scores, grades, k);
  const groups = groupTies(scores, (item) => grades[item] as number, 0);
  if (groups.every((group) => group.relevant === 0))
    throw new RangeError(`${operation}: no item is relevant`);
  return expectedReciprocalRank(groups, k);
}

/**
 * Normalised discounted cumulative gain of one list with graded relevance.
 *
 *   DCG@k = Σ_{i ≤ k} gain(i) / log2(i + 1),   nDCG@k = DCG@k / DCG@k of the best order
 *
 * In [0, 1]. Tied items share the mean gain of their group. Without any relevant item 0 (scikit-learn's `ndcg_score`).
 *
 * @param scores        N numbers, higher is better
 * @param grades        N numbers ≥ 0
 * @param options.k     default: all places
 * @param options.gain  "linear" (default; Järvelin and Kekäläinen, scikit-learn) or "exponential", 2^grade - 1
 *   (Burges et al. 2005)
 * @throws RangeError when lengths differ, a value is not finite or a grade is negative
 * @source Järvelin, Kekäläinen 2002; ties: McSherry, Najork 2008
 */
export function ndcg(
  scores: ArrayLike<number>,
  grades: ArrayLike<number>,
  { k = Number.POSITIVE_INFINITY, gain = "linear" }: RankingOptions & { readonly gain?: GainOf } = {},
): number {
  checkRanking("ndcg", scores, grades, k);
  const gains = Array.from(grades, (grade) => gainOfGrade(gain, grade));
  const ideal = idealDiscountedGain(gains, k);
  if (ideal === 0) return 0;
  return (
    expectedDiscountedGain(
      groupTies(scores, (item) => gains[item] as number, 0),
      k,
    ) / ideal
  );
}
