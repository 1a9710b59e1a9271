/**
 * Cosines nearer than this count as equal: products in float32 differ by rounding even for equal vectors.
 */
export const TIE = 1e-6;

/**
 * Probability that at least one of `right` of `tied` items lands in the first `places` when the tied ones come in
 * random order.
 */
export function chanceOfHit(tied: number, right: number, places: number): number {
  if (places <= 0) return 0;
  if (places > tied - right) return 1;
  let miss = 1;
  for (let i = 0; i < places; i++) miss *= (tied - right - i) / (tied - i);
  return 1 - miss;
}

/**
 * For one query, the probability of finding one of its own items among the k nearest: 0 or 1, unless its best own item
 * ties with others, when it is the chance under a random order of the tied.
 *
 * @param scores  similarity of every item
 * @param isOwn   whether an item belongs to the query; at least one does
 */
export function hitsAt(
  scores: Float32Array,
  isOwn: (item: number) => boolean,
  ks: readonly number[],
): number[] {
  let best = Number.NEGATIVE_INFINITY;
  for (let j = 0; j < scores.length; j++) if (isOwn(j)) best = Math.max(best, scores[j] as number);
  let above = 0;
  let tied = 0;
  let right = 0;
  for (let j = 0; j < scores.length; j++) {
    const lead = (scores[j] as number) - best;
    if (lead > TIE) above++;
    else if (lead >= -TIE) {
      tied++;
      if (isOwn(j)) right++;
    }
  }
  return ks.map((k) => chanceOfHit(tied, right, k - above));
}

/** @throws RangeError unless every k is a positive integer */
export function checkKs(operation: string, ks: readonly number[]): void {
  const wrong = ks.find((k) => !Number.isInteger(k) || k < 1);
  if (wrong !== undefined) throw new RangeError(`${operation}: k must be an integer >= 1, got ${wrong}`);
}
