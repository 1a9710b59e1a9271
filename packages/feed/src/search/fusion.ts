/** Papers that each way of ranking gives to the fusion; pages are cut from what comes out. */
export const FUSION_DEPTH = 200;
/** k of reciprocal rank fusion. */
const K = 60;

export interface FusionWeights {
  readonly words: number;
  readonly meaning: number;
}

/** Tuned on papers other than those that `bench/search-quality.ts` reports. */
export const fusionWeights: FusionWeights = { words: 1, meaning: 1 };

export interface FusedHit {
  readonly id: string;
  readonly score: number;
  readonly byWords: boolean;
  readonly byMeaning: boolean;
}

/**
 * Reciprocal rank fusion of two rankings, over a depth that does not depend on the page:
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
  weights: FusionWeights = fusionWeights,
): FusedHit[] {
  const hits = new Map<string, { id: string; score: number; byWords: boolean; byMeaning: boolean }>();
  words.slice(0, FUSION_DEPTH).forEach((id, place) => {
    hits.set(id, { id, score: weights.words / (K + place + 1), byWords: true, byMeaning: false });
  });
  meaning.slice(0, FUSION_DEPTH).forEach((id, place) => {
    const score = weights.meaning / (K + place + 1);
    const known = hits.get(id);
    if (known) {
      known.score += score;
      known.byMeaning = true;
    } else hits.set(id, { id, score, byWords: false, byMeaning: true });
  });
  return [...hits.values()].sort((a, b) => b.score - a.score);
}
