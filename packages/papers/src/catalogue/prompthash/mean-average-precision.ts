import { hammingDistances, packCodes } from "@concord/align";
import type { NDArray } from "@concord/tensor";

export interface MeanAveragePrecision {
  /** In [0, 1]. */
  readonly meanAveragePrecision: number;
  /** Average precision of each query. */
  readonly perQuery: Float64Array;
}

export interface MeanAveragePrecisionOptions {
  /** Take the first so many relevant items of a list, wherever they rank. Default: all. */
  readonly firstRelevant?: number;
}

/** Queries whose distances are held at a time. */
const CHUNK = 64;

/**
 * Mean average precision of Hamming ranking over the whole database, as the released code measures it: items are
 * relevant when they share a label, equal distances keep the order of the database, and a query without relevant items
 * counts 0.
 *
 *   AP = mean over relevant items of (place among the relevant) / (rank)
 *
 * Ties in database order are neither lucky nor unlucky when the database is in random order; `hammingRetrieval`
 * takes the expectation over all orders instead.
 *
 * @param queryCodes      [Q, B] of any dtype: a bit is set where the value is above 0
 * @param databaseCodes   [N, B]
 * @param queryLabels     [Q, C], a label holds where the value is above 0
 * @param databaseLabels  [N, C]
 * @throws RangeError when shapes do not fit, a code is NaN or `firstRelevant` is no positive integer
 * @source released code (calc_map_k)
 */
export function meanAveragePrecision(
  queryCodes: NDArray,
  databaseCodes: NDArray,
  queryLabels: NDArray,
  databaseLabels: NDArray,
  { firstRelevant = Number.POSITIVE_INFINITY }: MeanAveragePrecisionOptions = {},
): MeanAveragePrecision {
  if (!(firstRelevant >= 1) || (Number.isFinite(firstRelevant) && !Number.isInteger(firstRelevant)))
    throw new RangeError(`meanAveragePrecision: firstRelevant must be an integer >= 1, got ${firstRelevant}`);
  const perQuery = new Float64Array(queryCodes.shape[0] ?? 0);
  forEachRanking(queryCodes, databaseCodes, queryLabels, databaseLabels, (query, ranking) => {
    perQuery[query] = averagePrecision(ranking, firstRelevant);
  });
  const total = perQuery.reduce((sum, value) => sum + value, 0);
  return { meanAveragePrecision: total / perQuery.length, perQuery };
}

/** Average precision of one ranking, 0 when nothing is relevant. */
export function averagePrecision(
  { order, counts }: Ranking,
  firstRelevant = Number.POSITIVE_INFINITY,
): number {
  const relevant = counts.reduce((sum, count) => sum + count.relevant, 0);
  if (relevant === 0) return 0;
  let [found, sum] = [0, 0];
  for (let rank = 1; rank <= order.length && found < firstRelevant; rank++)
    if (order[rank - 1]) sum += ++found / rank;
  return sum / Math.min(relevant, firstRelevant);
}

/** The database as one query ranks it. */
export interface Ranking {
  /** 1 where the item at this rank is relevant; reused for the next query. */
  readonly order: Uint8Array;
  /** By Hamming distance, 0 to B: items, and relevant ones among them. */
  readonly counts: readonly { items: number; relevant: number }[];
}

/**
 * Visits the ranking of the database of every query, ties in database order.
 *
 * @throws RangeError when shapes do not fit
 */
export function forEachRanking(
  queryCodes: NDArray,
  databaseCodes: NDArray,
  queryLabels: NDArray,
  databaseLabels: NDArray,
  visit: (query: number, ranking: Ranking) => void,
): void {
  const [Q = 0, bits = 0] = queryCodes.shape;
  const [N = 0] = databaseCodes.shape;
  for (const [what, codes, labels] of [
    ["queries", queryCodes, queryLabels],
    ["database", databaseCodes, databaseLabels],
  ] as const) {
    if (labels.shape.length !== 2 || labels.shape[0] !== codes.shape[0])
      throw new RangeError(
        `forEachRanking: ${what} have codes [${codes.shape.join(", ")}] but labels [${labels.shape.join(", ")}]`,
      );
  }
  if (queryLabels.shape[1] !== databaseLabels.shape[1])
    throw new RangeError(
      `forEachRanking: queries have ${queryLabels.shape[1]} labels, the database ${databaseLabels.shape[1]}`,
    );
  // A bit a label: eight labels are compared at once.
  const [wanted, given] = [packCodes(queryLabels), packCodes(databaseLabels)];
  const labelBytes = given.bytes.length / N;
  const database = packCodes(databaseCodes);
  const packed = packCodes(queryCodes);
  const width = packed.bytes.length / Q;
  const order = new Uint8Array(N);
  const relevant = new Uint8Array(N);
  for (let start = 0; start < Q; start += CHUNK) {
    const count = Math.min(CHUNK, Q - start);
    const bytes = packed.bytes.subarray(start * width, (start + count) * width);
    const distances = hammingDistances({ count, bits, bytes }, database).data;
    for (let q = 0; q < count; q++) {
      const counts = Array.from({ length: bits + 1 }, () => ({ items: 0, relevant: 0 }));
      for (let i = 0; i < N; i++) {
        relevant[i] = 0;
        for (let b = 0; b < labelBytes; b++)
          if (
            ((wanted.bytes[(start + q) * labelBytes + b] as number) &
              (given.bytes[i * labelBytes + b] as number)) !==
            0
          )
            relevant[i] = 1;
        const group = counts[distances[q * N + i] as number] as { items: number; relevant: number };
        group.items++;
        group.relevant += relevant[i] as number;
      }
      // Counting sort, which keeps the order of equal distances.
      let before = 0;
      const next = counts.map(({ items }) => {
        before += items;
        return before - items;
      });
      for (let i = 0; i < N; i++) {
        const distance = distances[q * N + i] as number;
        order[next[distance] as number] = relevant[i] as number;
        next[distance] = (next[distance] as number) + 1;
      }
      visit(start + q, { order, counts });
    }
  }
}
