/** Papers that each way of ranking gives to the fusion; pages are cut from what comes out. */
export const FUSION_DEPTH = 200;
/** k of reciprocal rank fusion. */
const K = 60;
/**
 * What nearness in meaning counts beside words, chosen by titles, titles without their rarest words and sentences of
 * papers other than those that `bench/search-quality.ts` reports. From 0.1 to 0.6 the figures differ by 0.004 at most.
 */
export const MEANING_WEIGHT = 0.3;

export interface ScoredId {
  readonly id: string;
  readonly score: number;
}

export interface FusedHit extends ScoredId {
  readonly byWords: boolean;
  readonly byMeaning: boolean;
}

/**
 * Words and meaning, by their scores:
 *
 *   s(d) = b(d) / max b + λ c(d)
 *
 * b is the keyword score (0 for papers that words did not find), c the cosine (for papers beyond the depth, the lowest
 * that is within). A score says how much better the first is than the second, which its place does not: where one paper
 * has all the rare words of a query, meaning cannot push it down. Reciprocal ranks, which forget that, were measured
 * beside it and lost to words alone.
 *
 * @param words    best first, by scores that never rise (`rankByWords`)
 * @param meaning  best first, cosines
 * @returns best first; equals in the order of words, then of meaning
 * @source Bruch, Gai, Ingber 2023 (convex combination against rank fusion)
 */
export function fuseScores(
  words: readonly ScoredId[],
  meaning: readonly ScoredId[],
  weight = MEANING_WEIGHT,
): FusedHit[] {
  const near = meaning.slice(0, FUSION_DEPTH);
  const cosines = new Map(near.map(({ id, score }) => [id, score]));
  const lowest = near.length < FUSION_DEPTH ? 0 : (near.at(-1)?.score ?? 0);
  const most = Math.max(...words.slice(0, FUSION_DEPTH).map(({ score }) => score), Number.MIN_VALUE);
  const hits = new Map<string, FusedHit>();
  for (const { id, score } of words.slice(0, FUSION_DEPTH)) {
    const cosine = cosines.get(id);
    const total = score / most + weight * (cosine ?? lowest);
    hits.set(id, { id, score: total, byWords: true, byMeaning: cosine !== undefined });
  }
  for (const { id, score } of near)
    if (!hits.has(id)) hits.set(id, { id, score: weight * score, byWords: false, byMeaning: true });
  return [...hits.values()].sort((a, b) => b.score - a.score);
}

/**
 * Reciprocal rank fusion, where scores cannot be compared:
 *
 *   s(d) = w / (k + place in words) + m / (k + place in meaning),   k = 60
 *
 * @param words, meaning  ids, best first; what lies beyond FUSION_DEPTH is left out
 * @returns best first; equals in the order of words, then of meaning
 * @source Cormack, Clarke, Büttcher 2009
 */
export function fuseRanks(
  words: readonly string[],
  meaning: readonly string[],
  weights: { readonly words: number; readonly meaning: number } = { words: 1, meaning: 1 },
): ScoredId[] {
  const scores = new Map<string, number>();
  for (const [ids, weight] of [
    [words, weights.words],
    [meaning, weights.meaning],
  ] as const) {
    ids.slice(0, FUSION_DEPTH).forEach((id, place) => {
      scores.set(id, (scores.get(id) ?? 0) + weight / (K + place + 1));
    });
  }
  return [...scores].map(([id, score]) => ({ id, score })).sort((a, b) => b.score - a.score);
}
