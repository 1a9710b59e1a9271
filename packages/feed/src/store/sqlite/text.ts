import { type RawBuilder, sql } from "kysely";
import type { PaperRecord } from "../../record.ts";
import {
  type AuthorMatch,
  StoreError,
  type TextHit,
  type TextHits,
  type TextIndex,
  type TextQueryOptions,
} from "../ports.ts";
import type { Db, Gate } from "../sql/gate.ts";
import { filterParts } from "../sql/paper-filter.ts";
import { authorKey, type TextWriter } from "../sql/paper-rows.ts";
import { pageLimit } from "../sql/values.ts";
import { foldText, stemOf } from "../stem.ts";

/** Characters of a query. */
export const MAX_WORDS_QUERY = 200;
const MAX_HITS = 200;
/** Candidates that are ranked for one query: the newest. They bound its time; smaller stores are ranked whole. */
const MAX_RANKED = 25_000;
/** With fewer papers that have all the words, papers with any of them follow. */
const FEW_HITS = 20;
/** In queries of so many words hardly anything has all of them by more than chance: score alone decides. */
export const LONG_QUERY = 5;
/** Words in more of the papers than this say too little to look for one by one; 0.1 lost what half the words of titles say. */
const FREQUENT_SHARE = 0.5;
/** In a store of a few papers every word is in many of them. */
const FREQUENT_LEAST = 50;
const MAX_WORDS = 32;
const MAX_AUTHORS = 50;
/** Authors that are compared with a name. */
const AUTHOR_CANDIDATES = 500;
/** Title, authors, abstract. */
const WEIGHTS = sql.raw("4.0, 2.0, 1.0");

/** Keeps the full-text tables in step with the papers. */
export const sqliteTextWriter: TextWriter = {
  async put(db, papers) {
    if (papers.length === 0) return;
    const old = papers.filter(({ fresh }) => !fresh).map(({ num }) => num);
    for (const num of old) await sql`delete from paper_text where rowid = ${num}`.execute(db);
    for (const { num, record } of papers) {
      await sql`insert into paper_text (rowid, title, authors, abstract)
        values (${num}, ${foldText(record.title)}, ${foldText(authorText(record))}, ${foldText(record.abstract)})`.execute(
        db,
      );
    }
  },
  async remove(db, num) {
    await sql`delete from paper_text where rowid = ${num}`.execute(db);
  },
  async putAuthors(db, authors) {
    for (const { num, name } of authors) {
      await sql`insert or replace into author_text (rowid, name) values (${num}, ${authorKey(name)})`.execute(
        db,
      );
    }
  },
  async tidy(db) {
    await sql`insert into paper_text (paper_text, rank) values ('merge', ${MERGED_PAGES})`.execute(db);
    await sql`insert into author_text (author_text, rank) values ('merge', ${MERGED_PAGES})`.execute(db);
  },
};

/** Pages of an index that are merged at a time: more than a batch of papers adds on average, level upon level. */
const MERGED_PAGES = 24;

const authorText = (record: PaperRecord) => record.authors.map(({ name }) => name).join(", ");

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
const quote = (word: string) => `"${word.replaceAll('"', '""')}"`;

/** Endings that the index takes off words, as one may be typing them. */
const ENDINGS =
  "ings,edly,ly,ency,ations,izations,izing,ities,ivity,ability,ically,ments,ness,ers,ables,ives,ions,als".split(
    ",",
  );

/**
 * A word that is being typed: words that begin so, and those whose stems are shorter than what is there already. The
 * index has "cluster" for "clustering", which "clusteri" does not begin.
 */
function begun(word: string): string {
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

interface Hit {
  readonly id: string;
  readonly score: number;
}

/** Keyword search by FTS5. */
export class SqliteTextIndex implements TextIndex {
  readonly #gate: Gate;

  constructor(gate: Gate) {
    this.#gate = gate;
  }

  async search(query: string, options: TextQueryOptions = {}): Promise<TextHits> {
    if (query.length > MAX_WORDS_QUERY) {
      throw new StoreError(
        "invalid",
        `A query may have ${MAX_WORDS_QUERY} characters; this one has ${query.length}.`,
      );
    }
    const limit = options.limit === undefined ? MAX_HITS : pageLimit(options.limit, MAX_HITS);
    const { mode = "auto", prefix = false } = options;
    const words = queryWords(query);
    const terms = words.map((word, index) =>
      prefix && index === words.length - 1 ? begun(word) : quote(word),
    );
    return this.#gate.read(async (db) => {
      if (words.length === 0) return { hits: [], words, dropped: [] };
      const all = mode === "any" ? [] : await this.#match(db, terms.join(" AND "), options, limit);
      const hits: TextHit[] = all.map((hit) => ({ ...hit, all: true }));
      const enough =
        mode === "all" || (mode === "auto" && (all.length >= Math.min(FEW_HITS, limit) || words.length < 2));
      if (enough) return { hits, words, dropped: [] };
      const telling = await this.#telling(db, prefix ? words.slice(0, -1) : words);
      if (prefix) telling.add(words.at(-1) as string);
      const kept = terms.filter((_, index) => telling.has(words[index] as string));
      const dropped = words.filter((word) => !telling.has(word));
      const any = await this.#match(db, kept.join(" OR "), options, limit);
      const known = new Set(all.map(({ id }) => id));
      if (mode === "auto" && words.length >= LONG_QUERY) {
        const ranked = any.map((hit) => ({ ...hit, all: known.has(hit.id) }));
        return { hits: ranked, words, dropped };
      }
      hits.push(
        ...any.filter(({ id }) => !known.has(id)).map((hit) => ({ ...hit, all: words.length === 1 })),
      );
      return { hits: hits.slice(0, limit), words, dropped };
    });
  }

  async #match(db: Db, match: string, { filter = {} }: TextQueryOptions, limit: number): Promise<Hit[]> {
    const narrowed = Object.values(filter).some((value) => value !== undefined);
    const { from, where } = filterParts(filter);
    // The plus keeps SQLite from asking the index anew for every paper that the filter lets through: 100 times slower.
    const allowed: RawBuilder<unknown> = narrowed
      ? sql`and +paper_text.rowid in (select p.num from ${from} where ${where})`
      : sql``;
    // The inner query hands on the newest candidates without looking at others; only those are ranked.
    const { rows } = await sql<Hit>`
      select papers.id as id, -found.score as score from (
        select rowid as num, bm25(paper_text, ${WEIGHTS}) as score from paper_text
        where paper_text match ${match} ${allowed} order by rowid desc limit ${MAX_RANKED}
      ) as found join papers on papers.num = found.num
      order by found.score, papers.id desc limit ${limit}`.execute(db);
    return rows;
  }

  /**
   * Authors whose names share the rarest of these trigrams: a typing error spoils three of them at most, and the
   * frequent ones ("ang", "ing") would bring in half of all authors.
   */
  async #similarAuthors(db: Db, grams: readonly string[]) {
    const { rows: counts } = await sql<{ term: string; doc: number }>`
      select term, doc from author_trigrams where term in (${sql.join(grams)}) order by doc, term`.execute(
      db,
    );
    const rare: string[] = [];
    let expected = 0;
    for (const { term, doc } of counts) {
      if (rare.length > 0 && expected + Number(doc) > AUTHOR_CANDIDATES) break;
      rare.push(term);
      expected += Number(doc);
    }
    if (rare.length === 0) return [];
    const { rows } = await sql<{ key: string; name: string; papers: number }>`
      select key, name, papers from authors where papers > 0 and num in (
        select rowid from author_text where author_text match ${rare.map(quote).join(" OR ")} limit ${2 * AUTHOR_CANDIDATES}
      )`.execute(db);
    return rows;
  }

  /**
   * The words that papers are looked for by, one by one: the rarest first, for they tell most, until as many papers
   * have them as are ranked. Never those that more than FREQUENT_SHARE of the papers have, unless there is no other.
   */
  async #telling(db: Db, words: readonly string[]): Promise<Set<string>> {
    const { rows } = await sql<{ n: number }>`select count(*) as n from papers`.execute(db);
    const most = Math.max(FREQUENT_LEAST, Number(rows[0]?.n ?? 0) * FREQUENT_SHARE);
    const found = await sql<{ term: string; doc: number }>`
      select term, doc from paper_words where term in (select value from json_each(${JSON.stringify(words.map(stemOf))}))`.execute(
      db,
    );
    const known = new Map(found.rows.map(({ term, doc }) => [term, Number(doc)]));
    const counted = words
      .map((word) => ({ word, doc: known.get(stemOf(word)) ?? 0 }))
      .sort((a, b) => a.doc - b.doc);
    // Words that no paper has cost nothing, and must not stand in for those that some have.
    const telling = new Set(words.filter((word) => !known.has(stemOf(word))));
    let [chosen, expected] = [0, 0];
    for (const { word, doc } of counted) {
      expected += doc;
      if (doc === 0) continue;
      if (chosen > 0 && (doc > most || expected > MAX_RANKED)) break;
      telling.add(word);
      chosen++;
      // The rarest word may be frequent itself; then no other is added to it.
      if (doc > most) break;
    }
    return telling;
  }

  async authors(name: string, options: { readonly limit?: number } = {}): Promise<AuthorMatch[]> {
    if (name.length > MAX_WORDS_QUERY) {
      throw new StoreError(
        "invalid",
        `A name may have ${MAX_WORDS_QUERY} characters; this one has ${name.length}.`,
      );
    }
    const limit = options.limit === undefined ? 10 : pageLimit(options.limit, MAX_AUTHORS);
    const key = authorKey(name);
    const wanted = trigrams(key);
    return this.#gate.read(async (db) => {
      // Shorter texts have no trigram in the index: those that begin so.
      const candidates =
        [...key].length < 3
          ? await db
              .selectFrom("authors")
              .select(["key", "name", "papers"])
              .where("key", ">=", key)
              .where("key", "<", `${key}\u{10ffff}`)
              .where("papers", ">", 0)
              .orderBy("papers", "desc")
              .limit(AUTHOR_CANDIDATES)
              .execute()
          : await this.#similarAuthors(db, indexTrigrams(key));
      return candidates
        .map((candidate) => ({
          name: candidate.name,
          papers: candidate.papers,
          similarity: dice(wanted, trigrams(candidate.key)),
        }))
        .sort((a, b) => b.similarity - a.similarity || b.papers - a.papers || (a.name < b.name ? -1 : 1))
        .slice(0, limit);
    });
  }
}

/** Trigrams as the index has them: of the text as it is. */
function indexTrigrams(text: string): string[] {
  const letters = [...text];
  return [...new Set(letters.slice(2).map((_, index) => letters.slice(index, index + 3).join("")))];
}

/** Trigrams with the ends of words marked: "  a", " ab", ..., so that beginnings weigh more. */
function trigrams(text: string): Set<string> {
  const found = new Set<string>();
  for (const word of text.split(" ")) {
    const letters = [..."  ", ...word, " "];
    for (let at = 0; at + 3 <= letters.length; at++) found.add(letters.slice(at, at + 3).join(""));
  }
  return found;
}

/** 2 |A ∩ B| / (|A| + |B|). */
function dice(a: ReadonlySet<string>, b: ReadonlySet<string>): number {
  let common = 0;
  for (const item of a) if (b.has(item)) common++;
  return a.size + b.size === 0 ? 0 : (2 * common) / (a.size + b.size);
}
