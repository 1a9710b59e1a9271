import { setImmediate as breathe } from "node:timers/promises";
import { sql } from "kysely";
import { z } from "zod";
import { readSpan, spanOf } from "../../calendar.ts";
import { type PaperRecord, paperRecord } from "../../record.ts";
import {
  type Facet,
  type PaperFilter,
  type Papers,
  type Period,
  type PeriodKind,
  type StoredPaper,
  StoreError,
  type Upserted,
} from "../ports.ts";
import type { Db, Gate } from "./gate.ts";
import { filterParts } from "./paper-filter.ts";
import {
  deletePaper,
  type KnownRow,
  type PaperRow,
  type TextWriter,
  toPaper,
  updatePaper,
  upsertBatch,
} from "./paper-rows.ts";
import { recount } from "./trend.ts";
import { checkIds, cutPage, fromJson, pageLimit, readCursor } from "./values.ts";

/** Records of one step of `upsert`: some milliseconds of work. */
const BATCH = 32;
/** Records that are checked before others of the process get a turn. */
const CHECKED_AT_ONCE = 100;
const MAX_CHANGES = 1000;
const MAX_FACETS = 500;
/** Rows are counted off up to here; farther down a list only cursors lead. */
const MAX_SKIP = 20_000;

const cursors = {
  newest: z.tuple([z.string(), z.string()]),
  trending: z.tuple([z.number(), z.string()]),
  top: z.tuple([z.number(), z.number(), z.string()]),
};

/** The number of the paper with an id or alias; undefined for none. */
export async function findNum(db: Db, id: string): Promise<number | undefined> {
  const paper = await db.selectFrom("papers").select("num").where("id", "=", id).executeTakeFirst();
  if (paper) return paper.num;
  return (await db.selectFrom("aliases").select("num").where("alias", "=", id).executeTakeFirst())?.num;
}

/** @throws StoreError `not-found` */
export async function requireNum(db: Db, id: string): Promise<number> {
  const num = await findNum(db, id);
  if (num === undefined)
    throw new StoreError("not-found", `There is no paper ${JSON.stringify(id.slice(0, 100))}.`);
  return num;
}

/** Numbers of papers by the ids and aliases asked for. */
export async function findNums(db: Db, ids: readonly string[]): Promise<Map<string, number>> {
  if (ids.length === 0) return new Map();
  const direct = await db.selectFrom("papers").select(["id", "num"]).where("id", "in", ids).execute();
  const nums = new Map(direct.map(({ id, num }) => [id, num]));
  const missing = ids.filter((id) => !nums.has(id));
  if (missing.length > 0) {
    const others = await db.selectFrom("aliases").selectAll().where("alias", "in", missing).execute();
    for (const { alias, num } of others) nums.set(alias, num);
  }
  return nums;
}

/** Moves what hangs on one row to another row of the same paper, and takes the first out. */
async function unite(db: Db, from: KnownRow, into: KnownRow, writer: TextWriter): Promise<void> {
  const [old, num] = [from.num, into.num];
  await sql`insert into activity (num, kind, account, at, weight, block)
    select ${num}, kind, account, at, weight, block from activity where num = ${old}
    on conflict do nothing`.execute(db);
  await db.updateTable("comments").set({ num }).where("num", "=", old).execute();
  await sql`insert into collection_papers (collection, num, at)
    select collection, ${num}, at from collection_papers where num = ${old} on conflict do nothing`.execute(
    db,
  );
  await db.updateTable("aliases").set({ num }).where("num", "=", old).execute();
  await deletePaper(db, from, writer);
  await db.insertInto("aliases").values({ alias: from.id, num }).execute();
  await sql`update collections set papers = (select count(*) from collection_papers as c where c.collection = collections.id)
    where id in (select collection from collection_papers where num = ${num})`.execute(db);
  await recount(db, num);
}

/** The papers in a database that speaks SQL; `writer` keeps its text search in step. */
export class SqlPapers implements Papers {
  readonly #gate: Gate;
  readonly #writer: TextWriter;

  constructor(gate: Gate, writer: TextWriter) {
    this.#gate = gate;
    this.#writer = writer;
  }

  async upsert(records: readonly PaperRecord[]): Promise<Upserted[]> {
    const checked: PaperRecord[] = [];
    for (const [index, record] of records.entries()) {
      const result = paperRecord.safeParse(record);
      if (!result.success) {
        const [issue] = result.error.issues;
        throw new StoreError(
          "invalid",
          `records[${index}].${issue?.path.join(".") ?? ""}: ${issue?.message ?? "malformed"}.`,
        );
      }
      checked.push(result.data);
      if (checked.length % CHECKED_AT_ONCE === 0) await breathe();
    }
    const results: Upserted[] = [];
    if (checked.length === 0) return results;
    let start = 0;
    await this.#gate.steps(async (db) => {
      const batch = checked.slice(start, start + BATCH);
      const made = await upsertBatch(db, batch, this.#gate.now(), this.#writer, (inner, from, into) =>
        unite(inner, from, into, this.#writer),
      );
      if (made.some(({ outcome }) => outcome !== "unchanged")) await this.#writer.tidy(db);
      results.splice(start, results.length, ...made);
      start += batch.length;
      return start < checked.length;
    });
    return results;
  }

  async get(id: string): Promise<StoredPaper | null> {
    return this.#gate.read(async (db) => {
      const num = await findNum(db, id);
      if (num === undefined) return null;
      const row = await db.selectFrom("papers").selectAll().where("num", "=", num).executeTakeFirst();
      return row ? toPaper(row) : null;
    });
  }

  async getMany(ids: readonly string[]): Promise<StoredPaper[]> {
    return this.#gate.read(async (db) => {
      const nums = await findNums(db, checkIds(ids));
      if (nums.size === 0) return [];
      const rows = await db
        .selectFrom("papers")
        .selectAll()
        .where("num", "in", [...nums.values()])
        .execute();
      const byNum = new Map(rows.map((row) => [row.num, row]));
      return ids.flatMap((id) => {
        const row = byNum.get(nums.get(id) ?? -1);
        return row ? [toPaper(row)] : [];
      });
    });
  }

  async bySlug(slug: string): Promise<StoredPaper | null> {
    return this.#gate.read(async (db) => {
      const row = await db.selectFrom("papers").selectAll().where("slug", "=", slug).executeTakeFirst();
      return row ? toPaper(row) : null;
    });
  }

  list(query: Parameters<Papers["list"]>[0]) {
    const { order = "newest", filter = {}, cursor, skip = 0 } = query;
    const limit = pageLimit(query.limit);
    if (!Number.isInteger(skip) || skip < 0 || skip > MAX_SKIP)
      throw new StoreError("invalid", `skip: expected 0 to ${MAX_SKIP}, got ${skip}.`);
    return this.#gate.read(async (db) => {
      const parts = filterParts(filter);
      const conditions = [parts.where];
      const { day, id } = parts;
      let orderBy = sql`${day} desc, ${id} desc`;
      if (order === "newest") {
        const after = readCursor(order, cursors.newest, cursor);
        if (after) conditions.push(sql`(${day}, ${id}) < (${after[0]}, ${after[1]})`);
      } else if (order === "trending") {
        const after = readCursor(order, cursors.trending, cursor);
        // The literal lets the partial index be found.
        conditions.push(sql`p.trend > -1e9`);
        if (after) conditions.push(sql`(p.trend, p.id) < (${after[0]}, ${after[1]})`);
        orderBy = sql`p.trend desc, p.id desc`;
      } else {
        const after = readCursor(order, cursors.top, cursor);
        if (after) conditions.push(sql`(p.upvotes, p.trend, p.id) < (${after[0]}, ${after[1]}, ${after[2]})`);
        orderBy = sql`p.upvotes desc, p.trend desc, p.id desc`;
      }
      const { rows } = await sql<PaperRow>`select p.* from ${parts.from}
        where ${sql.join(conditions, sql` and `)} order by ${orderBy} limit ${limit + 1} offset ${skip}`.execute(
        db,
      );
      const keyOf = (row: PaperRow): (string | number)[] =>
        order === "newest"
          ? [row.day, row.id]
          : order === "trending"
            ? [row.trend, row.id]
            : [row.upvotes, row.trend, row.id];
      return cutPage(order, rows, limit, keyOf, toPaper);
    });
  }

  async count(filter: PaperFilter = {}): Promise<number> {
    return this.#gate.read(async (db) => {
      const { from, where } = filterParts(filter);
      // Without conditions on the papers themselves, the list of a term is enough.
      const { author, hasCode, runnable, topic, category } = filter;
      const termAlone =
        author === undefined &&
        hasCode === undefined &&
        runnable === undefined &&
        (topic === undefined) !== (category === undefined);
      const source = termAlone ? sql`paper_terms as lead` : from;
      const { rows } = await sql<{ n: number }>`select count(*) as n from ${source} where ${where}`.execute(
        db,
      );
      return Number(rows[0]?.n ?? 0);
    });
  }

  async period(
    kind: PeriodKind,
    options: { readonly at?: string | undefined; readonly filter?: Omit<PaperFilter, "from" | "to"> } = {},
  ): Promise<Period | null> {
    const { at, filter = {} } = options;
    const asked = at === undefined ? null : readSpan(kind, at);
    if (at !== undefined && asked === null) {
      throw new StoreError(
        "invalid",
        `Expected a ${kind} such as ${spanOf(kind, "2026-11-20").key}, got ${JSON.stringify(at.slice(0, 40))}.`,
      );
    }
    return this.#gate.read(async (db) => {
      const { from, where, day } = filterParts(filter);
      const nearest = async (condition: ReturnType<typeof sql>, best: "max" | "min") => {
        const order = best === "max" ? sql`desc` : sql`asc`;
        const { rows } = await sql<{ day: string }>`select ${day} as day from ${from}
          where ${where} and ${day} > '' and ${condition} order by ${day} ${order} limit 1`.execute(db);
        return rows[0]?.day ?? null;
      };
      const real =
        asked === null
          ? await nearest(sql`1 = 1`, "max")
          : ((await nearest(sql`${day} <= ${asked.to}`, "max")) ??
            (await nearest(sql`${day} > ${asked.to}`, "min")));
      if (real === null) return null;
      const span = spanOf(kind, real);
      const [previous, next] = [
        await nearest(sql`${day} < ${span.from}`, "max"),
        await nearest(sql`${day} > ${span.to}`, "min"),
      ];
      const { rows } = await sql<{ n: number }>`select count(*) as n from ${from}
        where ${where} and ${day} >= ${span.from} and ${day} <= ${span.to}`.execute(db);
      return {
        kind,
        ...span,
        papers: Number(rows[0]?.n ?? 0),
        previous: previous === null ? null : spanOf(kind, previous).key,
        next: next === null ? null : spanOf(kind, next).key,
      };
    });
  }

  async categories(): Promise<Facet[]> {
    return this.#facets("c");
  }

  async topics(): Promise<Facet[]> {
    return this.#facets("t");
  }

  #facets(kind: "c" | "t"): Promise<Facet[]> {
    return this.#gate.read(async (db) => {
      const rows = await db
        .selectFrom("paper_terms")
        .select(({ fn }) => ["value", fn.countAll<number>().as("papers")])
        .where("kind", "=", kind)
        .groupBy("value")
        .orderBy("papers", "desc")
        .orderBy("value")
        .limit(MAX_FACETS)
        .execute();
      return rows.map(({ value, papers }) => ({ value, papers: Number(papers) }));
    });
  }

  async changes(options: { readonly after: number; readonly limit?: number }): Promise<StoredPaper[]> {
    return this.#gate.read(async (db) => {
      const rows = await db
        .selectFrom("papers")
        .selectAll()
        .where("revision", ">", options.after)
        .orderBy("revision")
        .limit(pageLimit(options.limit, MAX_CHANGES))
        .execute();
      return rows.map(toPaper);
    });
  }

  async revision(): Promise<number> {
    return this.#gate.read(async (db) => {
      const row = await db
        .selectFrom("sequences")
        .select("value")
        .where("name", "=", "revision")
        .executeTakeFirst();
      return row?.value ?? 0;
    });
  }

  async markCatalogue(
    marks: readonly { readonly id: string; readonly slug: string; readonly runnable: boolean }[],
  ): Promise<number> {
    return this.#gate.write(async (db) => {
      const wanted = new Map<number, { readonly slug: string; readonly runnable: boolean }>();
      for (const { id, slug, runnable } of marks) wanted.set(await requireNum(db, id), { slug, runnable });
      const rows = await db
        .selectFrom("papers")
        .select(["num", "record", "slug"])
        .where(({ or, eb }) =>
          or([eb("slug", "is not", null), ...(wanted.size > 0 ? [eb("num", "in", [...wanted.keys()])] : [])]),
        )
        .execute();
      const changed = rows.filter(({ num, record, slug }) => {
        const mark = wanted.get(num);
        return (
          slug !== (mark?.slug ?? null) ||
          fromJson<PaperRecord>(record).runnable !== (mark?.runnable ?? false)
        );
      });
      // Slugs are unique: all are freed before any is given.
      for (const { num } of changed)
        await db.updateTable("papers").set({ slug: null }).where("num", "=", num).execute();
      for (const row of changed) {
        const { slug: _, ...record } = fromJson<PaperRecord>(row.record);
        const mark = wanted.get(row.num);
        const marked = { ...record, ...(mark && { slug: mark.slug }), runnable: mark?.runnable ?? false };
        await updatePaper(db, row, marked, this.#writer);
      }
      return changed.length;
    });
  }

  async remove(id: string): Promise<boolean> {
    return this.#gate.write(async (db) => {
      const num = await findNum(db, id);
      if (num === undefined) return false;
      const row = await db
        .selectFrom("papers")
        .select(["num", "record"])
        .where("num", "=", num)
        .executeTakeFirstOrThrow();
      await deletePaper(db, row, this.#writer);
      return true;
    });
  }
}
