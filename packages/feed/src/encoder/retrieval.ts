/** How well known items are found again. */
export interface RetrievalQuality {
  readonly queries: number;
  /** Mean of 1 / place, 0 beyond the tenth. */
  readonly mrr10: number;
  /** Share of the queries whose item is among the first ten. */
  readonly recall10: number;
}

/** From the place (1, 2, ...) of each query's item; Infinity where it was not found. */
export function qualityOf(places: readonly number[]): RetrievalQuality {
  const within = places.filter((place) => place <= 10);
  return {
    queries: places.length,
    mrr10: within.reduce((sum, place) => sum + 1 / place, 0) / Math.max(1, places.length),
    recall10: within.length / Math.max(1, places.length),
  };
}

/**
 * Place of each query's item when all items are ranked by inner products; of equals the item comes last.
 *
 * @param queries  [Q, D]
 * @param items    [N, D]
 * @param wanted   row of the item of each query
 */
export function placesByProduct(
  queries: Float32Array,
  items: Float32Array,
  width: number,
  wanted: ArrayLike<number>,
): number[] {
  const product = (q: number, n: number): number => {
    let sum = 0;
    for (let d = 0; d < width; d++)
      sum += (queries[q * width + d] as number) * (items[n * width + d] as number);
    return sum;
  };
  return Array.from({ length: wanted.length }, (_, q) => {
    const item = wanted[q] as number;
    const own = product(q, item);
    let place = 1;
    for (let n = 0; n < items.length / width; n++) if (n !== item && product(q, n) >= own) place++;
    return place;
  });
}
