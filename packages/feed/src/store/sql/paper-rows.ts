import { type Selectable, sql } from "kysely";
import { dayOf, isLocalId, localId, type PaperRecord } from "../../record.ts";
import { mergeRecords } from "../../record-merge.ts";
import { type StoredPaper, StoreError, type Upserted } from "../ports.ts";
import type { Db } from "./gate.ts";
import type { PaperTable } from "./tables.ts";
import { flag, fromJson, sha256 } from "./values.ts";

/** Trending key of papers without events: below every other, and finite. */
export const NO_TREND = -1e9;

export type PaperRow = Selectable<PaperTable>;

/** What an engine does for text search when papers come, change and go; called within their transaction. */
export interface TextWriter {
  put(
    db: Db,
    papers: readonly { readonly num: number; readonly record: PaperRecord; readonly fresh: boolean }[],
  ): Promise<void>;
  remove(db: Db, num: number): Promise<void>;
  putAuthors(db: Db, authors: readonly { readonly num: number; readonly name: string }[]): Promise<void>;
  /** Some milliseconds of what keeps the index quick; called after every few papers. */
  tidy(db: Db): Promise<void>;
}

export function toPaper(row: PaperRow): StoredPaper {
  return {
    ...fromJson<PaperRecord>(row.record),
    day: row.day === "" ? null : row.day,
    upvotes: row.upvotes,
    comments: row.comments,
    bookmarks: row.bookmarks,
    trend: row.trend === NO_TREND ? null : row.trend,
    addedAt: row.added_at,
    revision: row.revision,
    textHash: row.text_hash,
  };
}

/** A record as JSON with its fields in one order, so that equal records are equal texts. */
function encode(record: PaperRecord): string {
  const { links } = record;
  return JSON.stringify({
    id: record.id,
    slug: record.slug,
    title: record.title,
    abstract: record.abstract,
    authors: record.authors.map(({ name, affiliation }) => ({ name, affiliation })),
    authorCount: record.authorCount,
    published: record.published,
    updated: record.updated,
    announced: record.announced,
    version: record.version,
    versions: record.versions.map(({ version, date }) => ({ version, date })),
    categories: record.categories,
    primaryCategory: record.primaryCategory,
    topics: record.topics,
    comment: record.comment,
    journalRef: record.journalRef,
    doi: record.doi,
    licence: record.licence,
    links: { abstract: links.abstract, pdf: links.pdf, code: links.code, project: links.project },
    withdrawn: record.withdrawn,
    runnable: record.runnable,
    sources: record.sources,
  } satisfies { readonly [Field in keyof PaperRecord]-?: unknown });
}

/** A name without case, accents and punctuation: what makes two spellings one author. */
export function authorKey(name: string): string {
  const plain = name.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
  return (plain.match(/[\p{L}\p{N}]+/gu) ?? [name]).join(" ");
}

/** Categories with their archives ("cs.LG" is in "cs"), so that both can be asked for. */
function termsOf(record: PaperRecord): { kind: "c" | "t"; value: string }[] {
  const categories = new Set(
    record.categories.flatMap((category) => {
      const dot = category.search(/\.[A-Za-z]/);
      return dot > 0 && /^[a-z-]+$/.test(category.slice(0, dot))
        ? [category, category.slice(0, dot)]
        : [category];
    }),
  );
  return [
    ...[...categories].map((value) => ({ kind: "c" as const, value })),
    ...[...new Set(record.topics)].map((value) => ({ kind: "t" as const, value })),
  ];
}

const authorKeys = (record: PaperRecord) => [...new Set(record.authors.map(({ name }) => authorKey(name)))];

/** SQLite allows 32,766 parameters a statement, PostgreSQL 65,535. */
const ROWS_PER_INSERT = 1000;

function* slices<T>(rows: readonly T[]): Generator<T[]> {
  for (let start = 0; start < rows.length; start += ROWS_PER_INSERT)
    yield rows.slice(start, start + ROWS_PER_INSERT);
}

async function insertTerms(db: Db, entries: readonly { num: number; record: PaperRecord }[]): Promise<void> {
  const rows = entries.flatMap(({ num, record }) =>
    termsOf(record).map((term) => ({ ...term, day: dayOf(record) ?? "", id: record.id, num })),
  );
  for (const slice of slices(rows)) await db.insertInto("paper_terms").values(slice).execute();
}

async function deleteTerms(db: Db, record: PaperRecord): Promise<void> {
  for (const { kind, value } of termsOf(record)) {
    await db
      .deleteFrom("paper_terms")
      .where("kind", "=", kind)
      .where("value", "=", value)
      .where("day", "=", dayOf(record) ?? "")
      .where("id", "=", record.id)
      .execute();
  }
}

async function insertAuthors(
  db: Db,
  entries: readonly { num: number; record: PaperRecord }[],
  writer: TextWriter,
): Promise<void> {
  const names = new Map<string, string>();
  const counts = new Map<string, number>();
  for (const { record } of entries) {
    for (const { name } of record.authors) if (!names.has(authorKey(name))) names.set(authorKey(name), name);
    for (const key of authorKeys(record)) counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  const nums = new Map<string, number>();
  for (const slice of slices([...names])) {
    const made = await db
      .insertInto("authors")
      .values(slice.map(([key, name]) => ({ key, name, papers: counts.get(key) ?? 0 })))
      .onConflict((conflict) =>
        conflict
          .column("key")
          .doUpdateSet((eb) => ({ papers: eb("authors.papers", "+", eb.ref("excluded.papers")) })),
      )
      .returning(["num", "key", "name", "papers"])
      .execute();
    for (const { num, key } of made) nums.set(key, num);
    const fresh = made.filter(({ key, papers }) => papers === counts.get(key));
    if (fresh.length > 0) await writer.putAuthors(db, fresh);
  }
  const rows = entries.flatMap(({ num, record }) =>
    authorKeys(record).flatMap((key) => {
      const author = nums.get(key);
      return author === undefined ? [] : [{ author, num }];
    }),
  );
  for (const slice of slices(rows)) await db.insertInto("paper_authors").values(slice).execute();
}

async function deleteAuthors(db: Db, num: number, record: PaperRecord): Promise<void> {
  for (const slice of slices(authorKeys(record))) {
    const known = await db.selectFrom("authors").select("num").where("key", "in", slice).execute();
    const nums = known.map((author) => author.num);
    if (nums.length === 0) continue;
    await db.deleteFrom("paper_authors").where("num", "=", num).where("author", "in", nums).execute();
    await db
      .updateTable("authors")
      .set((eb) => ({ papers: eb("papers", "-", 1) }))
      .where("num", "in", nums)
      .execute();
  }
}

/** The next revisions, one a change. @returns the first of them */
async function takeRevisions(db: Db, count: number): Promise<number> {
  const { value } = await db
    .updateTable("sequences")
    .set((eb) => ({ value: eb("value", "+", count) }))
    .where("name", "=", "revision")
    .returning("value")
    .executeTakeFirstOrThrow();
  return value - count + 1;
}

function columnsOf(record: PaperRecord) {
  return {
    id: record.id,
    slug: record.slug ?? null,
    title_key: localId(record.title).slice("local:".length),
    day: dayOf(record) ?? "",
    has_code: flag(record.links.code !== undefined),
    runnable: flag(record.runnable),
    record: encode(record),
    text_hash: sha256(`${record.title}\n${record.abstract}`),
  };
}

/** Writes a changed record over a row, with everything that is derived from it. */
export async function updatePaper(
  db: Db,
  row: Pick<PaperRow, "num" | "record">,
  record: PaperRecord,
  writer: TextWriter,
): Promise<void> {
  const before = fromJson<PaperRecord>(row.record);
  const { num } = row;
  const columns = columnsOf(record);
  const revision = await takeRevisions(db, 1);
  await db
    .updateTable("papers")
    .set({ ...columns, revision })
    .where("num", "=", num)
    .execute();
  if (
    JSON.stringify([dayOf(before), before.id, termsOf(before)]) !==
    JSON.stringify([dayOf(record), record.id, termsOf(record)])
  ) {
    await deleteTerms(db, before);
    await insertTerms(db, [{ num, record }]);
  }
  if (JSON.stringify(authorKeys(before)) !== JSON.stringify(authorKeys(record))) {
    await deleteAuthors(db, num, before);
    await insertAuthors(db, [{ num, record }], writer);
  }
  await writer.put(db, [{ num, record, fresh: false }]);
}

async function insertPapers(
  db: Db,
  records: readonly PaperRecord[],
  now: number,
  writer: TextWriter,
): Promise<void> {
  if (records.length === 0) return;
  const first = await takeRevisions(db, records.length);
  const made = await db
    .insertInto("papers")
    .values(
      records.map((record, index) => ({ ...columnsOf(record), revision: first + index, added_at: now })),
    )
    .returning(["num", "id"])
    .execute();
  const nums = new Map(made.map(({ id, num }) => [id, num]));
  const entries = records.map((record) => ({ num: nums.get(record.id) as number, record, fresh: true }));
  await insertTerms(db, entries);
  await insertAuthors(db, entries, writer);
  await writer.put(db, entries);
}

/** Takes a paper out with what hangs on it. Foreign keys take votes, comments, vectors and aliases along. */
export async function deletePaper(
  db: Db,
  row: Pick<PaperRow, "num" | "record">,
  writer: TextWriter,
): Promise<void> {
  const record = fromJson<PaperRecord>(row.record);
  await deleteTerms(db, record);
  await deleteAuthors(db, row.num, record);
  await writer.remove(db, row.num);
  await sql`update collections set papers = papers - 1 where id in (select collection from collection_papers where num = ${row.num})`.execute(
    db,
  );
  await db.deleteFrom("papers").where("num", "=", row.num).execute();
}

export type KnownRow = Pick<PaperRow, "num" | "id" | "record" | "title_key" | "slug">;

/** The rows that records of a batch may belong to: by id, by alias, by title. */
async function findKnown(db: Db, records: readonly PaperRecord[]): Promise<KnownRow[]> {
  const ids = records.map(({ id }) => id);
  const titles = records.map(({ title }) => localId(title).slice("local:".length));
  const columns = ["num", "id", "record", "title_key", "slug"] as const;
  const byId = await db.selectFrom("papers").select(columns).where("id", "in", ids).execute();
  const found = new Map<number, KnownRow>(byId.map((row) => [row.num, row]));
  const locals = records.filter(({ id }) => isLocalId(id));
  const byTitle = await db
    .selectFrom("papers")
    .select(columns)
    .where("title_key", "in", titles)
    // Papers with one title and different arXiv ids stay apart: only what has a local id joins another.
    .$if(locals.length === 0, (query) => query.where("id", "like", "local:%"))
    .execute();
  for (const row of byTitle) found.set(row.num, row);
  return [...found.values()];
}

/**
 * Brings a batch of records in, within the caller's transaction.
 *
 * @returns one result per record, and pairs of rows of one paper that the caller has to unite
 */
export async function upsertBatch(
  db: Db,
  records: readonly PaperRecord[],
  now: number,
  writer: TextWriter,
  unite: (db: Db, from: KnownRow, into: KnownRow) => Promise<void>,
): Promise<Upserted[]> {
  const aliases = new Map(
    (
      await db
        .selectFrom("aliases")
        .innerJoin("papers", "papers.num", "aliases.num")
        .select(["aliases.alias", "papers.id"])
        .where(
          "aliases.alias",
          "in",
          records.map(({ id }) => id),
        )
        .execute()
    ).map(({ alias, id }) => [alias, id]),
  );
  const known = await findKnown(db, [
    ...records,
    ...records.flatMap((record) =>
      aliases.has(record.id) ? [{ ...record, id: aliases.get(record.id) as string }] : [],
    ),
  ]);
  const byId = new Map(known.map((row) => [row.id, row]));
  const fresh = new Map<string, PaperRecord>();
  /** Titles of `fresh`, and whether one of them is a local record. */
  const freshTitles = new Map<string, boolean>();
  const results: Upserted[] = [];
  const titleKey = (record: PaperRecord) => localId(record.title).slice("local:".length);
  const flush = async () => {
    await insertPapers(db, [...fresh.values()], now, writer);
    fresh.clear();
    freshTitles.clear();
  };
  for (const record of records) {
    const key = titleKey(record);
    // Twice in one batch, or related by title to one that is about to be inserted: that one goes in first.
    const related = isLocalId(record.id) ? freshTitles.has(key) : freshTitles.get(key) === true;
    if (fresh.has(record.id) || related) {
      await flush();
      for (const row of await findKnown(db, [record])) byId.set(row.id, row);
    }
    const rows = [...byId.values()];
    const sameTitle = rows.filter((row) => row.title_key === key);
    const named = byId.get(aliases.get(record.id) ?? record.id);
    const target =
      named ??
      (isLocalId(record.id)
        ? sameTitle.sort(
            (a, b) => Number(isLocalId(a.id)) - Number(isLocalId(b.id)) || (a.id < b.id ? 1 : -1),
          )[0]
        : sameTitle.find((row) => isLocalId(row.id)));
    if (target === undefined) {
      fresh.set(record.id, record);
      freshTitles.set(key, freshTitles.get(key) === true || isLocalId(record.id));
      results.push({ id: record.id, outcome: "inserted" });
      continue;
    }
    let merged = mergeRecords(fromJson<PaperRecord>(target.record), record);
    const twin = isLocalId(target.id) ? undefined : sameTitle.find((row) => isLocalId(row.id));
    if (twin) {
      merged = mergeRecords(merged, fromJson<PaperRecord>(twin.record));
      await unite(db, twin, target);
      byId.delete(twin.id);
    }
    const text = encode(merged);
    if (text === target.record && twin === undefined) {
      results.push({ id: merged.id, outcome: "unchanged" });
      continue;
    }
    if (merged.slug !== undefined && merged.slug !== target.slug)
      await requireFreeSlug(db, merged.slug, target.num);
    await updatePaper(db, target, merged, writer);
    const renamed = merged.id !== target.id;
    if (renamed) await db.insertInto("aliases").values({ alias: target.id, num: target.num }).execute();
    byId.delete(target.id);
    byId.set(merged.id, {
      ...target,
      id: merged.id,
      record: text,
      title_key: titleKey(merged),
      slug: merged.slug ?? null,
    });
    const gone = renamed ? target.id : twin?.id;
    results.push({ id: merged.id, outcome: "updated", ...(gone === undefined ? {} : { merged: gone }) });
  }
  await flush();
  return results;
}

async function requireFreeSlug(db: Db, slug: string, num: number): Promise<void> {
  const holder = await db
    .selectFrom("papers")
    .select(["num", "id"])
    .where("slug", "=", slug)
    .executeTakeFirst();
  if (holder && holder.num !== num) {
    throw new StoreError("conflict", `slug '${slug}' belongs to paper ${holder.id}.`);
  }
}
