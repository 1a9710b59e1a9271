import { type Selectable, sql } from "kysely";
import { z } from "zod";
import type { Intake, Json, Page, PageRequest, Rejection, SourceState } from "../ports.ts";
import type { Gate } from "./gate.ts";
import type { Tables } from "./tables.ts";
import { check, cutPage, fromJson, millis, pageLimit, readCursor, text } from "./values.ts";

const KEPT_REJECTIONS = 10_000;
const BATCH = 200;

const sourceName = text(200);
const sourceChange = z
  .strictObject({
    cursor: z.json(),
    etag: text(1000).nullable(),
    lastModified: text(200).nullable(),
    succeededAt: millis.nullable(),
    attemptedAt: millis.nullable(),
    lastError: z
      .string()
      .transform((value) => value.toWellFormed().slice(0, 2000))
      .nullable(),
    notBefore: millis.nullable(),
  })
  .partial();
/** What was refused is often too long: that is why it was refused. */
const cut = (limit: number) =>
  z.string().transform((value) => value.toWellFormed().replaceAll("\0", "").slice(0, limit));
const newRejections = z.array(
  z.strictObject({ source: sourceName, ref: cut(300), reason: cut(1000), sample: cut(2000) }),
);

const toState = (row: Selectable<Tables["sources"]>): SourceState => ({
  source: row.source,
  cursor: fromJson<Json>(row.cursor),
  etag: row.etag,
  lastModified: row.last_modified,
  succeededAt: row.succeeded_at,
  attemptedAt: row.attempted_at,
  lastError: row.last_error,
  notBefore: row.not_before,
});

const neverRead = (source: string): SourceState => ({
  source,
  cursor: null,
  etag: null,
  lastModified: null,
  succeededAt: null,
  attemptedAt: null,
  lastError: null,
  notBefore: null,
});

const numKey = z.tuple([z.number()]) as z.ZodType<[number]>;

export class SqlIntake implements Intake {
  readonly #gate: Gate;

  constructor(gate: Gate) {
    this.#gate = gate;
  }

  async state(source: string): Promise<SourceState> {
    return this.#gate.read(async (db) => {
      const row = await db.selectFrom("sources").selectAll().where("source", "=", source).executeTakeFirst();
      return row ? toState(row) : neverRead(source);
    });
  }

  async states(): Promise<SourceState[]> {
    return this.#gate.read(async (db) =>
      (await db.selectFrom("sources").selectAll().orderBy("source").execute()).map(toState),
    );
  }

  async save(source: string, change: Partial<Omit<SourceState, "source">>): Promise<SourceState> {
    check(sourceName, source, "source");
    const wanted = check(sourceChange, change, "change");
    return this.#gate.write(async (db) => {
      const row = await db.selectFrom("sources").selectAll().where("source", "=", source).executeTakeFirst();
      const defined = Object.fromEntries(Object.entries(wanted).filter(([, value]) => value !== undefined));
      const next: SourceState = { ...(row ? toState(row) : neverRead(source)), ...defined };
      const values = {
        cursor: JSON.stringify(next.cursor),
        etag: next.etag,
        last_modified: next.lastModified,
        succeeded_at: next.succeededAt,
        attempted_at: next.attemptedAt,
        last_error: next.lastError,
        not_before: next.notBefore,
      };
      await db
        .insertInto("sources")
        .values({ source, ...values })
        .onConflict((conflict) => conflict.column("source").doUpdateSet(values))
        .execute();
      return next;
    });
  }

  async reject(rejections: readonly Omit<Rejection, "id" | "at">[]): Promise<void> {
    const wanted = check(newRejections, rejections, "rejections");
    if (wanted.length === 0) return;
    const at = this.#gate.now();
    let start = 0;
    await this.#gate.steps(async (db) => {
      for (const row of wanted.slice(start, start + BATCH)) {
        // Deleted and inserted anew, so that the newest has the largest number.
        await db
          .deleteFrom("rejections")
          .where("source", "=", row.source)
          .where("ref", "=", row.ref)
          .execute();
        await db
          .insertInto("rejections")
          .values({ ...row, at })
          .execute();
      }
      start += BATCH;
      if (start < wanted.length) return true;
      await sql`delete from rejections where num <= (
        select num from rejections order by num desc limit 1 offset ${KEPT_REJECTIONS})`.execute(db);
      return false;
    });
  }

  async accept(source: string, refs: readonly string[]): Promise<void> {
    if (refs.length === 0) return;
    let start = 0;
    await this.#gate.steps(async (db) => {
      const some = refs.slice(start, start + BATCH);
      await db.deleteFrom("rejections").where("source", "=", source).where("ref", "in", some).execute();
      start += BATCH;
      return start < refs.length;
    });
  }

  async rejections(page: PageRequest & { readonly source?: string } = {}): Promise<Page<Rejection>> {
    const limit = pageLimit(page.limit);
    const after = readCursor("rejections", numKey, page.cursor);
    return this.#gate.read(async (db) => {
      const rows = await db
        .selectFrom("rejections")
        .selectAll()
        .$if(page.source !== undefined, (query) => query.where("source", "=", page.source as string))
        .$if(after !== null, (query) => query.where("num", "<", (after as [number])[0]))
        .orderBy("num", "desc")
        .limit(limit + 1)
        .execute();
      return cutPage(
        "rejections",
        rows,
        limit,
        (row) => [row.num],
        ({ num, ...row }) => ({ id: String(num), ...row }),
      );
    });
  }
}
