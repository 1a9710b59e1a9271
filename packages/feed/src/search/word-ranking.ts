import type { AuthorMatch, TextQueryOptions } from "../store/ports.ts";
import type { ReadingPorts } from "../store/sqlite/reading.ts";
import { LONG_QUERY, MAX_WORDS_QUERY } from "../store/sqlite/text.ts";
import { stemOf } from "../store/stem.ts";
import { FUSION_DEPTH, type ScoredId } from "./fusion.ts";
import type { WordCalls } from "./messages.ts";
import { tasteWords } from "./taste-words.ts";
import { timed } from "./timed.ts";
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

/** Whether a name may be meant: a few words without digits or signs that names lack. */
function mayBeName(query: string): boolean {
  return /^[\p{L}\p{M}.,'’ -]{2,60}$/u.test(query) && query.trim().split(/\s+/).length <= 4;
}

/** Authors whose names resemble the query, at most `limit`. */
export async function authorsLike(
  { text }: Pick<ReadingPorts, "text">,
  query: string,
  limit: number,
): Promise<readonly AuthorMatch[]> {
  if (limit === 0 || !mayBeName(query)) return [];
  return text.authors(query.slice(0, MAX_WORDS_QUERY), { limit });
}

/** Papers by words, and authors whose names resemble the query. */
export async function searchByWords(
  ports: ReadingPorts,
  { query, filter, rank, authors }: WordCalls["search"]["ask"],
): Promise<WordCalls["search"]["reply"]> {
  const short = query.slice(0, MAX_WORDS_QUERY);
  const [hits, words] = await timed(async () =>
    rank ? (await rankByWords(ports, short, { filter })).hits : [],
  );
  const [names, spent] = await timed(() => authorsLike(ports, query, authors));
  return { hits, authors: names, parts: { words, authors: spent } };
}

/** Papers that share the words which tell liked papers from the rest, without any of them. */
export async function papersAlike(
  { papers, text }: ReadingPorts,
  { like, unlike, filter, limit }: WordCalls["alike"]["ask"],
): Promise<string[]> {
  const query = tasteWords(await papers.getMany(like), await papers.getMany(unlike)).join(" ");
  if (query === "") return [];
  const { hits } = await text.search(query, { mode: "any", filter, limit: FUSION_DEPTH });
  const known = new Set([...like, ...unlike]);
  return hits
    .map(({ id }) => id)
    .filter((id) => !known.has(id))
    .slice(0, limit);
}
