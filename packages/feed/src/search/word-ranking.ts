import type { TextQueryOptions } from "../store/ports.ts";
import type { ReadingPorts } from "../store/sqlite/reading.ts";
import { LONG_QUERY } from "../store/sqlite/text.ts";
import { stemOf } from "../store/stem.ts";
import { FUSION_DEPTH, type ScoredId } from "./fusion.ts";
import { wordingScores } from "./wording.ts";

export interface WordRanking {
  /** Best first, at most FUSION_DEPTH, by scores that never rise. */
  readonly hits: readonly ScoredId[];
  /** The words that were looked for. */
  readonly words: readonly string[];
}

/**
 * Papers by words: those that the keyword index finds, ranked anew by its score and by what they have of the wording
 * of the query. Where the index puts papers with all the words before the others, they stay before them.
 *
 * @param query  as `TextIndex.search` takes it
 */
export async function rankByWords(
  { text, texts, stemCounts }: Pick<ReadingPorts, "text" | "texts" | "stemCounts">,
  query: string,
  options: TextQueryOptions = {},
): Promise<WordRanking> {
  const { hits, words } = await text.search(query, { ...options, limit: FUSION_DEPTH });
  if (hits.length === 0) return { hits, words };
  const bonus = wordingScores(
    query,
    await texts(hits.map(({ id }) => id)),
    await stemCounts(words.map(stemOf)),
  );
  const ranked: ScoredId[] = [];
  let below = Number.POSITIVE_INFINITY;
  const tiers =
    words.length >= LONG_QUERY ? [hits] : [hits.filter(({ all }) => all), hits.filter(({ all }) => !all)];
  for (const tier of tiers) {
    const scored = tier
      .map(({ id, score }) => ({ id, score: score + (bonus.get(id) ?? 0) }))
      .sort((a, b) => b.score - a.score);
    for (const { id, score } of scored) {
      below = Math.min(below, score);
      ranked.push({ id, score: below });
    }
  }
  return { hits: ranked, words };
}
