import { isFloat, type NDArray } from "@concord/tensor";
import { codeWords, distancesTo } from "../components/code-words.ts";
import { packCodes } from "../components/codes.ts";
import { checkCount, checkSameLength, mean } from "./checks.ts";
import type { Relevance } from "./ranked-retrieval.ts";
import { checkKs } from "./ranking.ts";
import { checkFit, checkRows } from "./rows.ts";
import { expectedPrecisionSum, type PrecisionNormalizer, precisionDivisor } from "./tied-ranks.ts";

/** @throws RangeError unless the codes are a non-empty matrix without NaN or infinity; integers and booleans may be too */
function checkCodes(operation: string, name: string, codes: NDArray): readonly [n: number, bits: number] {
  if (isFloat(codes.dtype)) return checkRows(operation, name, codes);
  const [n, bits] = codes.shape;
  if (codes.shape.length !== 2 || !n || !bits) {
    throw new RangeError(
      `${operation}: ${name} must be a non-empty matrix [N, B], got shape [${codes.shape.join(", ")}]`,
    );
  }
  return [n, bits];
}

export interface HammingRetrieval {
  /** mAP over the whole list. */
  readonly meanAveragePrecision: number;
  /** mAP@k. */
  readonly meanAveragePrecisionAtK: ReadonlyMap<number, number>;
  /** Mean over queries of the share of relevant items within the radius; 0 for a query that finds none there. */
  readonly precisionWithinRadius: number;
  /** Mean share of a query's relevant items that lie within the radius. */
  readonly recallWithinRadius: number;
  /** Average precision of each query, for confidence intervals. */
  readonly perQuery: Float64Array;
}

export interface HammingRetrievalOptions {
  /** Places of mAP@k, default none. */
  readonly ks?: readonly number[];
  /** Divisor of average precision at k, default "possible": min(R, k). */
  readonly normalizer?: PrecisionNormalizer;
  /** Hamming distance of the lookup, default 2. */
  readonly radius?: number;
  /** Item q is query q itself and leaves its list. Default false. */
  readonly excludeSelf?: boolean;
}

/**
 * Retrieval by binary codes: items ranked by Hamming distance, d(q, i) = number of bits that differ.
 *
 * Distances of codes tie often. Average precision is its expectation under a random order of the items at one distance
 * (as in `rankedRetrieval`), so it does not depend on the order of the input, unlike
 * code that sorts and keeps it. All values in [0, 1]. Q · N work, memory N.
 *
 * @param queries    [Q, B] codes of any dtype; a bit is set where the value is above 0 (so ±1, 0/1 and relaxed codes
 *   all work)
 * @param items      [N, B]
 * @param relevance  grade of item for query, relevant above 0, e.g. `sharedLabel(queryLabels, itemLabels)`
 * @throws RangeError when widths differ, values are not finite, or a query has no relevant item
 * @source precision within radius 2: Salakhutdinov, Hinton 2009; ties: McSherry, Najork 2008
 */
export function hammingRetrieval(
  queries: NDArray,
  items: NDArray,
  relevance: Relevance,
  { ks = [], normalizer = "possible", radius = 2, excludeSelf = false }: HammingRetrievalOptions = {},
): HammingRetrieval {
  const operation = "hammingRetrieval";
  checkKs(operation, ks);
  checkCount(operation, "radius", radius, 0);
  const [Q, bits] = checkCodes(operation, "queries", queries);
  const [N] = checkCodes(operation, "items", items);
  checkFit(operation, queries, items, "sets");
  if (excludeSelf)
    checkSameLength(operation, ["queries", { length: Q }], ["items (excludeSelf)", { length: N }]);
  const left = codeWords(operation, "queries", packCodes(queries));
  const right = codeWords(operation, "items", packCodes(items));
  const { width } = left;
  const distances = new Uint16Array(N);
  const perQuery = new Float64Array(Q);
  const atK = ks.map(() => 0);
  let [precision, recall] = [0, 0];
  for (let q = 0; q < Q; q++) {
    const groups = Array.from({ length: bits + 1 }, () => ({ tied: 0, relevant: 0, gain: 0 }));
    let relevant = 0;
    distancesTo(left.words.subarray(q * width, (q + 1) * width), right, distances);
    for (let i = 0; i < N; i++) {
      if (excludeSelf && i === q) continue;
      const group = groups[distances[i] as number] as { tied: number; relevant: number };
      group.tied++;
      if (relevance(q, i) > 0) {
        group.relevant++;
        relevant++;
      }
    }
    if (relevant === 0) throw new RangeError(`${operation}: query ${q} has no relevant item`);
    perQuery[q] = expectedPrecisionSum(groups, N) / relevant;
    for (const [i, k] of ks.entries()) {
      const value = expectedPrecisionSum(groups, k) / precisionDivisor(normalizer, relevant, k);
      atK[i] = (atK[i] as number) + value / Q;
    }
    const near = groups.slice(0, radius + 1);
    const inside = near.reduce((sum, { tied }) => sum + tied, 0);
    const hits = near.reduce((sum, group) => sum + group.relevant, 0);
    precision += inside > 0 ? hits / inside / Q : 0;
    recall += hits / relevant / Q;
  }
  return {
    meanAveragePrecision: mean(perQuery),
    meanAveragePrecisionAtK: new Map(ks.map((k, i) => [k, atK[i] as number])),
    precisionWithinRadius: precision,
    recallWithinRadius: recall,
    perQuery,
  };
}
