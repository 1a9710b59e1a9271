import type { NDArray } from "@concord/tensor";
import { checkSameLength, mean } from "./checks.ts";
import { checkKs, TIE } from "./ranking.ts";
import { checkFit, forEachBlockOfProducts, unitSets } from "./rows.ts";
import {
  expectedDiscountedGain,
  expectedFound,
  expectedPrecisionSum,
  expectedReciprocalRank,
  type GainOf,
  gainOfGrade,
  groupTies,
  idealDiscountedGain,
  type PrecisionNormalizer,
  precisionDivisor,
} from "./tied-ranks.ts";

/** Grade of an item for a query: 0 when it is not relevant, above 0 when it is. */
export type Relevance = (query: number, item: number) => number;

export interface RankedRetrieval {
  /** Mean average precision over the whole list (mAP). */
  readonly meanAveragePrecision: number;
  /** mAP@k. */
  readonly meanAveragePrecisionAtK: ReadonlyMap<number, number>;
  /** Mean reciprocal rank of the first relevant item (MRR). */
  readonly meanReciprocalRank: number;
  /** Mean nDCG@k. */
  readonly ndcgAtK: ReadonlyMap<number, number>;
  /** Mean share of relevant items among the first k. */
  readonly precisionAtK: ReadonlyMap<number, number>;
  /** Mean share of a query's relevant items that stand among the first k (`recallAtK` asks for at least one). */
  readonly coverageAtK: ReadonlyMap<number, number>;
  /** Values of each query, for confidence intervals. */
  readonly perQuery: {
    readonly averagePrecision: Float64Array;
    readonly reciprocalRank: Float64Array;
  };
}

export interface RankedRetrievalOptions {
  /** Default [1, 5, 10]. */
  readonly ks?: readonly number[];
  /** Default "linear". */
  readonly gain?: GainOf;
  /** Divisor of average precision at k, default "possible": min(R, k). */
  readonly normalizer?: PrecisionNormalizer;
  /** Item q is query q itself and leaves its list. Default false. */
  readonly excludeSelf?: boolean;
}

/** Relevance 1 where query and item have one owner (class, picture, place), else 0. */
export function sameOwner(queryOwner: ArrayLike<number>, itemOwner: ArrayLike<number>): Relevance {
  return (query, item) => Number(queryOwner[query] === itemOwner[item]);
}

/**
 * Relevance 1 where two things share at least one label: multi-label retrieval.
 *
 * @param queryLabels  [Q, C], a label holds where the value is above 0
 * @param itemLabels   [N, C]
 * @throws RangeError when the widths differ
 */
export function sharedLabel(queryLabels: NDArray, itemLabels: NDArray): Relevance {
  checkFit("sharedLabel", queryLabels, itemLabels, "sets");
  const classes = queryLabels.shape[1] as number;
  return (query, item) => {
    for (let c = 0; c < classes; c++) {
      const here = Number(queryLabels.data[query * classes + c]) > 0;
      if (here && Number(itemLabels.data[item * classes + c]) > 0) return 1;
    }
    return 0;
  };
}

/**
 * Measures of ranked retrieval by cosine, several and graded relevant items a query: mAP, mAP@k, MRR, nDCG@k,
 * precision and coverage at k, each the mean over queries of what `rankedAveragePrecision`, `reciprocalRank` and `ndcg`
 * define. Items whose cosines lie within 1e-6 count by their expectation under a random order, as in `recallAtK`, so
 * the result depends on neither the order of queries nor that of items. Q · N log N work, memory 256 × N.
 *
 * @param queries    [Q, D], normalised here
 * @param items      [N, D], normalised here
 * @param relevance  grade ≥ 0 of item for query, e.g. `sameOwner(queryOwner, itemOwner)`
 * @throws RangeError when widths differ, values are not finite, a grade is negative or not finite, or a query has no
 *   relevant item (leave such queries out: none of the measures is defined for them)
 */
export async function rankedRetrieval(
  queries: NDArray,
  items: NDArray,
  relevance: Relevance,
  {
    ks = [1, 5, 10],
    gain = "linear",
    normalizer = "possible",
    excludeSelf = false,
  }: RankedRetrievalOptions = {},
): Promise<RankedRetrieval> {
  const operation = "rankedRetrieval";
  checkKs(operation, ks);
  const [left, right] = unitSets(operation, { queries, items }, "sets");
  const [Q, N] = [left.shape[0] as number, right.shape[0] as number];
  if (excludeSelf)
    checkSameLength(operation, ["queries", { length: Q }], ["items (excludeSelf)", { length: N }]);
  const averagePrecision = new Float64Array(Q);
  const reciprocal = new Float64Array(Q);
  const zeros = (): number[] => ks.map(() => 0);
  const [precisions, gains, found, covered] = [zeros(), zeros(), zeros(), zeros()];
  const add = (sums: number[], i: number, value: number): void => {
    sums[i] = (sums[i] as number) + value / Q;
  };
  const own = new Float64Array(N);
  await forEachBlockOfProducts(left, right, (first, count, products) => {
    for (let row = 0; row < count; row++) {
      const query = first + row;
      const positive: number[] = [];
      for (let item = 0; item < N; item++) {
        const grade = relevance(query, item);
        if (!(grade >= 0 && grade < Number.POSITIVE_INFINITY)) {
          throw new RangeError(
            `${operation}: relevance of item ${item} for query ${query} must be finite and >= 0, got ${grade}`,
          );
        }
        const value = gainOfGrade(gain, grade);
        own[item] = value;
        if (value > 0 && !(excludeSelf && item === query)) positive.push(value);
      }
      const skip = excludeSelf ? query : -1;
      const scores = products.subarray(row * N, (row + 1) * N);
      const groups = groupTies(scores, (item) => own[item] as number, TIE, skip);
      const relevant = groups.reduce((sum, group) => sum + group.relevant, 0);
      if (relevant === 0) throw new RangeError(`${operation}: query ${query} has no relevant item`);
      averagePrecision[query] = expectedPrecisionSum(groups, N) / relevant;
      reciprocal[query] = expectedReciprocalRank(groups, N);
      for (const [i, k] of ks.entries()) {
        add(precisions, i, expectedPrecisionSum(groups, k) / precisionDivisor(normalizer, relevant, k));
        add(gains, i, expectedDiscountedGain(groups, k) / idealDiscountedGain(positive, k));
        const hits = expectedFound(groups, k);
        add(found, i, hits / k);
        add(covered, i, hits / relevant);
      }
    }
  });
  const atK = (sums: readonly number[]): ReadonlyMap<number, number> =>
    new Map(ks.map((k, i) => [k, sums[i] as number]));
  return {
    meanAveragePrecision: mean(averagePrecision),
    meanAveragePrecisionAtK: atK(precisions),
    meanReciprocalRank: mean(reciprocal),
    ndcgAtK: atK(gains),
    precisionAtK: atK(found),
    coverageAtK: atK(covered),
    perQuery: { averagePrecision, reciprocalRank: reciprocal },
  };
}
