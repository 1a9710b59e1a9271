import { sql } from "kysely";
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
import { isNarrowing } from "../sql/paper-filter.ts";
import { authorKey, type TextWriter } from "../sql/paper-rows.ts";
import { pageLimit } from "../sql/values.ts";
import { foldText } from "../stem.ts";
import { anyOf, begun, FEW_HITS, match, pickWords, queryWords, quote, wordCounts } from "./text-query.ts";

/** Characters of a query. */
export const MAX_WORDS_QUERY = 200;
const MAX_HITS = 200;
/** In queries of so many words hardly anything has all of them by more than chance: score alone decides. */
export const LONG_QUERY = 5;
const MAX_AUTHORS = 50;
/** Authors that are compared with a name. */
const AUTHOR_CANDIDATES = 500;

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
    const { mode = "auto", prefix = false, filter = {} } = options;
    const words = queryWords(query);
    const terms = words.map((word, index) =>
      prefix && index === words.length - 1 ? begun(word) : quote(word),
    );
    return this.#gate.read(async (db) => {
      if (words.length === 0) return { hits: [], words };
      // Often the first step is enough; without a filter it can do without counts.
      const count = () => wordCounts(db, prefix ? words.slice(0, -1) : words);
      const early = isNarrowing(filter) ? await count() : null;
      const rarest = Math.min(...words.map((word) => early?.having.get(word) ?? Number.POSITIVE_INFINITY));
      const all =
        mode === "any"
          ? []
          : await match(db, { query: terms.join(" AND "), filter, expected: rarest, limit });
      const hits: TextHit[] = all.map((hit) => ({ ...hit, all: true }));
      const enough =
        mode === "all" || (mode === "auto" && (all.length >= Math.min(FEW_HITS, limit) || words.length < 2));
      if (enough) return { hits, words };
      const { by, beside, expected } = pickWords(words, early ?? (await count()));
      const most = prefix ? Number.POSITIVE_INFINITY : expected;
      const of = (set: ReadonlySet<string>) => terms.filter((_, index) => set.has(words[index] as string));
      const any = await match(db, { ...anyOf(of(by), of(beside)), filter, expected: most, limit });
      const known = new Set(all.map(({ id }) => id));
      if (mode === "auto" && words.length >= LONG_QUERY)
        return { hits: any.map((hit) => ({ ...hit, all: known.has(hit.id) })), words };
      hits.push(
        ...any.filter(({ id }) => !known.has(id)).map((hit) => ({ ...hit, all: words.length === 1 })),
      );
      return { hits: hits.slice(0, limit), words };
    });
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
