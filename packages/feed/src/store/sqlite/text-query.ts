import { type RawBuilder, sql } from "kysely";
import type { PaperFilter } from "../ports.ts";
import type { Db } from "../sql/gate.ts";
import { filterParts, isNarrowing } from "../sql/paper-filter.ts";
import { foldText, stemOf } from "../stem.ts";

/** Candidates that are ranked for one query: the newest. They bound its time, of which a score takes 1 µs. */
const MAX_RANKED = 25_000;
/** Papers that are looked for by single words; of more, a filter is asked for its list. */
const MAX_PICKED = 10_000;
/** With fewer papers that have all the words, papers with any of them follow; the rarer words are to find as many. */
export const FEW_HITS = 20;
/** Words in more of the papers than this say too little; 0.1 lost what half the words of titles say. */
const FREQUENT_SHARE = 0.5;
/** In a store of a few papers every word is in many of them. */
const FREQUENT_LEAST = 50;
const MAX_WORDS = 32;
/** Title, authors, abstract. */
const WEIGHTS = sql.raw("4.0, 2.0, 1.0");

/** The words of a query that differ in their stems, at most MAX_WORDS. */
export function queryWords(query: string): string[] {
  const words = foldText(query)
    .toLowerCase()
    .match(/[\p{L}\p{N}\p{Co}]+/gu);
  // Forms of one word are one question; the first form is kept.
  const forms = new Map<string, string>();
  for (const word of words ?? []) if (!forms.has(stemOf(word))) forms.set(stemOf(word), word);
  return [...forms.values()].slice(0, MAX_WORDS);
}

/** A word as a string of FTS5: never an operator, a column or a wildcard. */
export const quote = (word: string) => `"${word.replaceAll('"', '""')}"`;

/** Endings that the index takes off words, as one may be typing them. */
const ENDINGS =
  "ings,edly,ly,ency,ations,izations,izing,ities,ivity,ability,ically,ments,ness,ers,ables,ives,ions,als".split(
    ",",
  );

/**
 * A word that is being typed: words that begin so, and those whose stems are shorter than what is there already. The
 * index has "cluster" for "clustering", which "clusteri" does not begin.
 */
export function begun(word: string): string {
  const stems = new Set<string>();
  for (const ending of ENDINGS) {
    for (let typed = 1; typed < ending.length; typed++) {
      if (!word.endsWith(ending.slice(0, typed))) continue;
      const stem = stemOf(word + ending.slice(typed));
      if (stem.length < word.length) stems.add(stem);
    }
  }
  const whole = [...stems].map(quote);
  return `(${[`${quote(word)}*`, ...whole].join(" OR ")})`;
}

/** How many papers there are, and how many have each stem or word; those that none has are left out. */
export interface PaperCounts {
  readonly papers: number;
  readonly having: ReadonlyMap<string, number>;
}

/** Counts of stems, as the index has them. */
export async function stemCounts(db: Db, stems: readonly string[]): Promise<PaperCounts> {
  const { rows } = await sql<{ n: number }>`select count(*) as n from papers`.execute(db);
  const { rows: found } = await sql<{ term: string; doc: number }>`
    select term, doc from paper_words where term in (select value from json_each(${JSON.stringify(stems)}))`.execute(
    db,
  );
  return {
    papers: Number(rows[0]?.n ?? 0),
    having: new Map(found.map(({ term, doc }) => [term, Number(doc)])),
  };
}

/** @param words  as `queryWords` gives them: no two of one stem */
export async function wordCounts(db: Db, words: readonly string[]): Promise<PaperCounts> {
  const { papers, having } = await stemCounts(db, words.map(stemOf));
  const counted = words.map((word) => [word, having.get(stemOf(word)) ?? 0] as const);
  return { papers, having: new Map(counted.filter(([, count]) => count > 0)) };
}

export interface PickedWords {
  /** Papers with any of these are found. */
  readonly by: ReadonlySet<string>;
  /** These count in the score of what was found. */
  readonly beside: ReadonlySet<string>;
  /** No more papers than this are found. */
  readonly expected: number;
}

/**
 * The words that papers are looked for by, one by one: the rarest first, for they tell most, until MAX_PICKED papers have
 * them. Words that more than FREQUENT_SHARE of the papers have say nothing, unless there is no other.
 */
export function pickWords(words: readonly string[], { papers, having }: PaperCounts): PickedWords {
  const frequent = Math.max(FREQUENT_LEAST, papers * FREQUENT_SHARE);
  // Words that no paper has cost nothing; of one that is being typed nobody knows.
  const by = new Set(words.filter((word) => !having.has(word)));
  const beside = new Set<string>();
  let expected = 0;
  for (const [word, doc] of [...having].sort(([, a], [, b]) => a - b)) {
    const little = doc <= frequent ? expected < FEW_HITS : expected === 0;
    if (little || (expected + doc <= MAX_PICKED && doc <= frequent)) {
      by.add(word);
      expected += doc;
    } else if (doc <= frequent) beside.add(word);
  }
  return { by, beside, expected };
}

/**
 * Papers with any of the terms `by`, which all terms score. The index scores a term as often as a query names it, so
 * that each is named twice.
 */
export function anyOf(
  by: readonly string[],
  beside: readonly string[],
): { readonly query: string; readonly times: number } {
  const query = by.join(" OR ");
  if (beside.length === 0) return { query, times: 1 };
  return { query: `(${query}) AND (${[query, ...beside, ...beside].join(" OR ")})`, times: 2 };
}

export interface Match {
  /** In the language of FTS5. */
  readonly query: string;
  /** How often the query names each term. Default 1. */
  readonly times?: number;
  readonly filter: PaperFilter;
  /** No more papers than this have what the query asks for. */
  readonly expected: number;
  readonly limit: number;
}

export interface Hit {
  readonly id: string;
  readonly score: number;
}

/** The newest papers that match, best first. */
export async function match(db: Db, { query, times = 1, filter, expected, limit }: Match): Promise<Hit[]> {
  // The innermost query hands on the newest candidates without looking at others; only those are scored, and only the
  // best of them are read.
  const { rows } = await sql<Hit>`
    select papers.id as id, -best.score / ${times} as score from (
      select num, score from (
        select rowid as num, bm25(paper_text, ${WEIGHTS}) as score from paper_text
        where paper_text match ${query} ${allowed(filter, expected)} order by rowid desc limit ${MAX_RANKED}
      ) order by score, num desc limit ${limit}
    ) as best join papers on papers.num = best.num
    order by best.score, papers.id desc`.execute(db);
  return rows;
}

/** The condition that a filter puts on papers in the index: few are looked up one by one, many in a list of what it lets through. */
function allowed(filter: PaperFilter, expected: number): RawBuilder<unknown> {
  if (!isNarrowing(filter)) return sql``;
  if (expected <= MAX_PICKED) {
    const { from, where } = filterParts(filter, { lead: false });
    return sql`and exists (select 1 from ${from} where p.num = paper_text.rowid and ${where})`;
  }
  const { from, where } = filterParts(filter);
  // The plus keeps SQLite from asking the index anew for every paper that the filter lets through: 100 times slower.
  return sql`and +paper_text.rowid in (select p.num from ${from} where ${where})`;
}
