import { type Key, RandomStream, splitKey } from "@concord/tensor";
import { mean } from "../metrics/checks.ts";
import { chanceOfHit, TIE } from "../metrics/ranking.ts";
import { forEachBlockOfProducts } from "../metrics/rows.ts";
import { expectedReciprocalRank } from "../metrics/tied-ranks.ts";
import type { Estimate, RetrievalDirection } from "./finding.ts";
import { estimateOf, meanEstimate, RESAMPLES } from "./resample.ts";
import { choose, type PairedPlaces, partnersOf, takeRows, type UnitRows } from "./sample.ts";

export const RECALL_AT = [1, 5, 10] as const;

/** Where each query's best own item stands. */
export interface QueryRanks {
  /** Items more similar than the best own one. */
  readonly above: Float64Array;
  /** Items as similar as it (nearer than 1e-6), itself among them. */
  readonly tied: Float64Array;
  /** Own items among those. */
  readonly right: Float64Array;
  readonly gallery: number;
}

export interface RankOptions {
  readonly key: Key;
  readonly queries: number;
  /** Factor of each item's products, e.g. its length where products stand in for cosines. */
  readonly itemScale?: Float64Array;
  /** What is taken from each item's products, e.g. how near it is to everybody. */
  readonly itemShift?: Float64Array;
}

/**
 * Ranks of the own items of some queries among all items: Q · N products in blocks of 256 queries.
 *
 * @param from   rows of the side that asks
 * @param to     all rows of the other side
 * @param pairs  which belong together
 * @param side   the side of the pairs that asks
 */
export async function queryRanks(
  from: UnitRows,
  to: UnitRows,
  pairs: PairedPlaces,
  side: "a" | "b",
  { key, queries, itemScale, itemShift }: RankOptions,
): Promise<QueryRanks> {
  const partners = partnersOf(pairs, side);
  const asking = [...partners.keys()];
  const chosen = Array.from(choose(asking.length, queries, key), (place) => asking[place] as number);
  const gallery = to.shape[0] as number;
  const [above, tied, right] = [0, 1, 2].map(() => new Float64Array(chosen.length)) as [
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  await forEachBlockOfProducts(takeRows(from, chosen), to, (first, count, products) => {
    for (let row = 0; row < count; row++) {
      const query = first + row;
      const scores = products.subarray(row * gallery, (row + 1) * gallery);
      if (itemScale)
        for (let j = 0; j < gallery; j++) scores[j] = (scores[j] as number) * (itemScale[j] as number);
      if (itemShift)
        for (let j = 0; j < gallery; j++) scores[j] = (scores[j] as number) - (itemShift[j] as number);
      const own = partners.get(chosen[query] as number) as readonly number[];
      const best = own.reduce((top, item) => Math.max(top, scores[item] as number), Number.NEGATIVE_INFINITY);
      let more = 0;
      let equal = 0;
      for (let j = 0; j < gallery; j++) {
        const score = scores[j] as number;
        if (score > best + TIE) more++;
        else if (score >= best - TIE) equal++;
      }
      above[query] = more;
      tied[query] = equal;
      right[query] = own.filter((item) => (scores[item] as number) >= best - TIE).length;
    }
  });
  return { above, tied, right, gallery };
}

/** Each query's chance to have an own item among the first k. */
export function hitsWithin({ above, tied, right }: QueryRanks, k: number): Float64Array {
  return above.map((better, q) => chanceOfHit(tied[q] as number, right[q] as number, k - better));
}

/** Expected rank of the first own item, ties in random order. */
function expectedRanks({ above, tied, right }: QueryRanks): Float64Array {
  return above.map((better, q) => better + ((tied[q] as number) + 1) / ((right[q] as number) + 1));
}

function median(values: Float64Array): number {
  const sorted = values.slice().sort();
  const middle = sorted.length >> 1;
  const upper = sorted[middle] as number;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] as number) + upper) / 2;
}

function medianEstimate(values: Float64Array, key: Key): Estimate {
  const stream = new RandomStream(key);
  const drawn = new Float64Array(values.length);
  const replicates = Float64Array.from({ length: RESAMPLES }, () => {
    for (let i = 0; i < drawn.length; i++) drawn[i] = values[stream.integer(values.length)] as number;
    return median(drawn);
  });
  return estimateOf(median(values), replicates);
}

/** Recall, mean reciprocal rank and median rank with bootstrap intervals over queries. */
export function summarizeRanks(
  ranks: QueryRanks,
  names: { readonly from: string; readonly to: string },
  key: Key,
): RetrievalDirection {
  const [recallKey, reciprocalKey, medianKey] = splitKey(key, 3) as [Key, Key, Key];
  const { above, tied, right, gallery } = ranks;
  const reciprocal = above.map((better, q) => {
    const [equal, own] = [tied[q] as number, right[q] as number];
    const groups = [
      { tied: better, relevant: 0, gain: 0 },
      { tied: equal, relevant: own, gain: 0 },
    ];
    return expectedReciprocalRank(groups, better + equal);
  });
  return {
    ...names,
    queries: above.length,
    gallery,
    recall: RECALL_AT.map((k) => ({ k, estimate: meanEstimate(hitsWithin(ranks, k), recallKey) })),
    meanReciprocalRank: meanEstimate(reciprocal, reciprocalKey),
    medianRank: medianEstimate(expectedRanks(ranks), medianKey),
  };
}

/** Mean over queries of both directions. */
export function meanRecall(hits: readonly Float64Array[]): number {
  return mean(hits.map((values) => mean(values)));
}
