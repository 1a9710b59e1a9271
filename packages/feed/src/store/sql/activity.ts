import { sql } from "kysely";
import { z } from "zod";
import { WHY_WINDOW_MS } from "../../ranking/trending.ts";
import {
  type Activity,
  type Actor,
  type Collection,
  type DatedPaper,
  type EventKind,
  type Page,
  type PageRequest,
  StoreError,
  type VoteResult,
  type Why,
} from "../ports.ts";
import { requireAccount } from "./accounts.ts";
import type { Db, Gate } from "./gate.ts";
import { type PaperRow, toPaper } from "./paper-rows.ts";
import { findNums, requireNum } from "./papers.ts";
import { noteEvent, withdrawNoted } from "./trend.ts";
import { check, checkIds, cutPage, flag, newId, pageLimit, readCursor, text } from "./values.ts";

const MAX_COLLECTIONS = 200;
const positionKey = z.tuple([z.number(), z.number()]) as z.ZodType<[number, number]>;

const newCollection = z.strictObject({ accountId: text(64), name: text(100), public: z.boolean() });
const collectionChange = z.strictObject({ name: text(100).optional(), public: z.boolean().optional() });

interface CollectionRow {
  id: string;
  account: string;
  name: string;
  public: 0 | 1;
  papers: number;
  created_at: number;
}

const toCollection = (row: CollectionRow): Collection => ({
  id: row.id,
  accountId: row.account,
  name: row.name,
  public: row.public === 1,
  papers: row.papers,
  createdAt: row.created_at,
});

async function requireCollection(db: Db, id: string): Promise<CollectionRow> {
  const row = await db.selectFrom("collections").selectAll().where("id", "=", id).executeTakeFirst();
  if (!row) throw new StoreError("not-found", "There is no such collection.");
  return row;
}

export class SqlActivity implements Activity {
  readonly #gate: Gate;

  constructor(gate: Gate) {
    this.#gate = gate;
  }

  #set(paperId: string, kind: EventKind, actor: Actor, on: boolean) {
    return this.#gate.write(async (db) => {
      const num = await requireNum(db, paperId);
      const now = this.#gate.now();
      if (!on) await requireAccount(db, actor.accountId);
      const changed = on
        ? await noteEvent(db, num, kind, actor, now)
        : await withdrawNoted(db, num, kind, actor.accountId, now);
      const { upvotes } = await db
        .selectFrom("papers")
        .select("upvotes")
        .where("num", "=", num)
        .executeTakeFirstOrThrow();
      return { changed, upvotes };
    });
  }

  async vote(paperId: string, actor: Actor, up: boolean): Promise<VoteResult> {
    return this.#set(paperId, "upvote", actor, up);
  }

  async bookmark(paperId: string, actor: Actor, on: boolean) {
    const { changed } = await this.#set(paperId, "bookmark", actor, on);
    return { changed };
  }

  async ran(paperId: string, actor: Actor) {
    const { changed } = await this.#set(paperId, "run", actor, true);
    return { changed };
  }

  #marked(kind: EventKind, accountId: string, paperIds: readonly string[]): Promise<Set<string>> {
    return this.#gate.read(async (db) => {
      const nums = await findNums(db, checkIds(paperIds));
      if (nums.size === 0) return new Set<string>();
      const rows = await db
        .selectFrom("activity")
        .select("num")
        .where("account", "=", accountId)
        .where("kind", "=", kind)
        .where("num", "in", [...nums.values()])
        .execute();
      const marked = new Set(rows.map(({ num }) => num));
      return new Set(paperIds.filter((id) => marked.has(nums.get(id) ?? -1)));
    });
  }

  voted(accountId: string, paperIds: readonly string[]) {
    return this.#marked("upvote", accountId, paperIds);
  }

  bookmarked(accountId: string, paperIds: readonly string[]) {
    return this.#marked("bookmark", accountId, paperIds);
  }

  /** Papers with the time and number of a row that points at them, newest first. */
  #dated(list: string, source: ReturnType<typeof sql>, page: PageRequest): Promise<Page<DatedPaper>> {
    const limit = pageLimit(page.limit);
    const after = readCursor(list, positionKey, page.cursor);
    return this.#gate.read(async (db) => {
      const { rows } = await sql<PaperRow & { at: number }>`
        select p.*, e.at as at from ${source} ${after ? sql`and (e.at, e.num) < (${after[0]}, ${after[1]})` : sql``}
        order by e.at desc, e.num desc limit ${limit + 1}`.execute(db);
      return cutPage(
        list,
        rows,
        limit,
        (row) => [row.at, row.num],
        (row) => ({ paper: toPaper(row), at: row.at }),
      );
    });
  }

  #events(kind: EventKind, accountId: string, page: PageRequest) {
    return this.#dated(
      kind,
      sql`activity as e join papers as p on p.num = e.num where e.account = ${accountId} and e.kind = ${kind}`,
      page,
    );
  }

  votes(accountId: string, page: PageRequest = {}) {
    return this.#events("upvote", accountId, page);
  }

  bookmarks(accountId: string, page: PageRequest = {}) {
    return this.#events("bookmark", accountId, page);
  }

  async why(paperIds: readonly string[]): Promise<Map<string, Why>> {
    return this.#gate.read(async (db) => {
      const nums = await findNums(db, checkIds(paperIds));
      const counts = new Map<string, number>();
      if (nums.size > 0) {
        const rows = await db
          .selectFrom("activity")
          .select(({ fn }) => ["num", "kind", fn.countAll<number>().as("n")])
          .where("num", "in", [...nums.values()])
          .where("at", ">", this.#gate.now() - WHY_WINDOW_MS)
          .groupBy(["num", "kind"])
          .execute();
        for (const { num, kind, n } of rows) counts.set(`${num} ${kind}`, Number(n));
      }
      return new Map(
        paperIds.map((id) => {
          const of = (kind: EventKind) => counts.get(`${nums.get(id)} ${kind}`) ?? 0;
          return [
            id,
            { upvotes: of("upvote"), bookmarks: of("bookmark"), commenters: of("comment"), runs: of("run") },
          ];
        }),
      );
    });
  }

  async createCollection(collection: Pick<Collection, "accountId" | "name" | "public">): Promise<Collection> {
    const wanted = check(newCollection, collection, "collection");
    return this.#gate.write(async (db) => {
      await requireAccount(db, wanted.accountId);
      const names = await db
        .selectFrom("collections")
        .select("name")
        .where("account", "=", wanted.accountId)
        .execute();
      if (names.length >= MAX_COLLECTIONS) {
        throw new StoreError("invalid", `An account may have ${MAX_COLLECTIONS} collections.`);
      }
      if (names.some(({ name }) => name === wanted.name)) {
        throw new StoreError("conflict", "name: there is a collection of this name.");
      }
      const row: CollectionRow = {
        id: newId(),
        account: wanted.accountId,
        name: wanted.name,
        public: flag(wanted.public),
        papers: 0,
        created_at: this.#gate.now(),
      };
      await db.insertInto("collections").values(row).execute();
      return toCollection(row);
    });
  }

  async collection(id: string): Promise<Collection | null> {
    return this.#gate.read(async (db) => {
      const row = await db.selectFrom("collections").selectAll().where("id", "=", id).executeTakeFirst();
      return row ? toCollection(row) : null;
    });
  }

  async collections(accountId: string): Promise<Collection[]> {
    return this.#gate.read(async (db) => {
      const rows = await db
        .selectFrom("collections")
        .selectAll()
        .where("account", "=", accountId)
        .orderBy("name")
        .execute();
      return rows.map(toCollection);
    });
  }

  collectionsHolding(accountId: string, paperId: string): Promise<Set<string>> {
    return this.#gate.read(async (db) => {
      const num = (await findNums(db, [paperId])).get(paperId);
      if (num === undefined) return new Set<string>();
      const rows = await db
        .selectFrom("collection_papers as p")
        .innerJoin("collections as c", "c.id", "p.collection")
        .select("c.id")
        .where("c.account", "=", accountId)
        .where("p.num", "=", num)
        .execute();
      return new Set(rows.map(({ id }) => id));
    });
  }

  async updateCollection(
    id: string,
    change: Partial<Pick<Collection, "name" | "public">>,
  ): Promise<Collection> {
    const wanted = check(collectionChange, change, "change");
    return this.#gate.write(async (db) => {
      const row = await requireCollection(db, id);
      const next = { ...row, name: wanted.name ?? row.name, public: flag(wanted.public ?? row.public === 1) };
      const taken = await db
        .selectFrom("collections")
        .select("id")
        .where("account", "=", row.account)
        .where("name", "=", next.name)
        .where("id", "!=", id)
        .executeTakeFirst();
      if (taken) throw new StoreError("conflict", "name: there is a collection of this name.");
      await db
        .updateTable("collections")
        .set({ name: next.name, public: next.public })
        .where("id", "=", id)
        .execute();
      return toCollection(next);
    });
  }

  async removeCollection(id: string): Promise<boolean> {
    return this.#gate.write(async (db) => {
      const result = await db.deleteFrom("collections").where("id", "=", id).executeTakeFirst();
      return result.numDeletedRows > 0n;
    });
  }

  async collect(collectionId: string, paperId: string, on: boolean): Promise<{ readonly changed: boolean }> {
    return this.#gate.write(async (db) => {
      await requireCollection(db, collectionId);
      const num = await requireNum(db, paperId);
      const result = on
        ? (
            await db
              .insertInto("collection_papers")
              .values({ collection: collectionId, num, at: this.#gate.now() })
              .onConflict((conflict) => conflict.doNothing())
              .executeTakeFirst()
          ).numInsertedOrUpdatedRows
        : (
            await db
              .deleteFrom("collection_papers")
              .where("collection", "=", collectionId)
              .where("num", "=", num)
              .executeTakeFirst()
          ).numDeletedRows;
      const changed = (result ?? 0n) > 0n;
      if (changed) {
        await db
          .updateTable("collections")
          .set((eb) => ({ papers: eb("papers", "+", on ? 1 : -1) }))
          .where("id", "=", collectionId)
          .execute();
      }
      return { changed };
    });
  }

  async collected(collectionId: string, page: PageRequest = {}): Promise<Page<DatedPaper>> {
    return this.#dated(
      "collection",
      sql`collection_papers as e join papers as p on p.num = e.num where e.collection = ${collectionId}`,
      page,
    );
  }
}
