import type { Selectable } from "kysely";
import { z } from "zod";
import {
  type Bounce,
  type Cadence,
  type Consent,
  type Json,
  type Page,
  type PageRequest,
  type Reader,
  type ReaderState,
  type ReaderToken,
  type SavedSearch,
  type SecretHash,
  StoreError,
  type Subscriptions,
} from "../ports.ts";
import { emailAddress, emailKey, requireAccount } from "./accounts.ts";
import type { Db, Gate } from "./gate.ts";
import type { Tables } from "./tables.ts";
import {
  check,
  cutPage,
  fromJson,
  newId,
  pageLimit,
  readCursor,
  secretHash,
  text,
  toJson,
} from "./values.ts";

const MAX_SEARCHES = 200;
const SOFT_WINDOW_MS = 14 * 86_400_000;
const SOFT_BOUNCES = 3;
const MAX_FILTER = 4000;

const topics = z.array(z.string().regex(/^[A-Za-z0-9.-]{1,64}$/, "expected a topic or a category")).max(50);
const searches = z.array(text(64)).max(20);
const cadence = z.enum(["daily", "weekly"]);
const tokens = z.strictObject({ confirm: secretHash, manage: secretHash, unsubscribe: secretHash });
const newWish = z.strictObject({
  email: emailAddress,
  cadence,
  topics: topics.default([]),
  savedSearches: searches.default([]),
  consent: z.strictObject({ form: text(100), addressHash: text(128).nullable() }),
  tokens,
});
const readerChange = z.strictObject({
  cadence: cadence.optional(),
  topics: topics.optional(),
  savedSearches: searches.optional(),
  state: z.enum(["confirmed", "paused", "unsubscribed", "suppressed"]).optional(),
});
const newBounce = z.strictObject({ kind: z.enum(["soft", "hard", "complaint"]), code: text(500, 0) });
const newSearch = z.strictObject({
  accountId: text(64).nullable(),
  name: text(100),
  query: text(200, 0),
  filter: z.json(),
});
const idKey = z.tuple([z.string()]) as z.ZodType<[string]>;

/** From which states a reader may come into a state by `update`; by token, see `confirm` and `unsubscribe`. */
const REACHED_FROM: Readonly<Record<Exclude<ReaderState, "pending">, readonly ReaderState[]>> = {
  confirmed: ["confirmed", "paused"],
  paused: ["confirmed", "paused"],
  unsubscribed: ["pending", "confirmed", "paused", "unsubscribed"],
  suppressed: ["pending", "confirmed", "paused", "unsubscribed", "suppressed"],
};

type ReaderRow = Selectable<Tables["readers"]>;

const toReader = (row: ReaderRow): Reader => ({
  id: row.id,
  email: row.email,
  state: row.state,
  cadence: row.cadence,
  topics: fromJson<string[]>(row.topics),
  savedSearches: fromJson<string[]>(row.saved_searches),
  createdAt: row.created_at,
  confirmedAt: row.confirmed_at,
  consent: { at: row.consent_at, form: row.consent_form, addressHash: row.consent_address },
});

const toSearch = (row: Selectable<Tables["saved_searches"]>): SavedSearch => ({
  id: row.id,
  accountId: row.account,
  name: row.name,
  query: row.query,
  filter: fromJson<Json>(row.filter),
  createdAt: row.created_at,
});

const TOKEN_COLUMNS = {
  confirm: "token_confirm",
  manage: "token_manage",
  unsubscribe: "token_unsubscribe",
} as const;

async function requireReader(db: Db, id: string): Promise<ReaderRow> {
  const row = await db.selectFrom("readers").selectAll().where("id", "=", id).executeTakeFirst();
  if (!row) throw new StoreError("not-found", "There is no such reader.");
  return row;
}

/** What is queued for a reader who gets no more mail is not sent. */
async function takeBackQueued(db: Db, reader: string): Promise<void> {
  await db
    .updateTable("outbox")
    .set({ state: "skipped" })
    .where("reader", "=", reader)
    .where("state", "in", ["queued", "unknown"])
    .execute();
}

export class SqlSubscriptions implements Subscriptions {
  readonly #gate: Gate;

  constructor(gate: Gate) {
    this.#gate = gate;
  }

  async subscribe(wish: {
    readonly email: string;
    readonly cadence: Cadence;
    readonly topics?: readonly string[];
    readonly savedSearches?: readonly string[];
    readonly consent: Omit<Consent, "at">;
    readonly tokens: Readonly<Record<ReaderToken, SecretHash>>;
  }): Promise<{ readonly reader: Reader; readonly outcome: "created" | "renewed" | "unchanged" }> {
    const wanted = check(newWish, wish, "wish");
    return this.#gate.write(async (db) => {
      const now = this.#gate.now();
      const known = await db
        .selectFrom("readers")
        .selectAll()
        .where("email_key", "=", emailKey(wanted.email))
        .executeTakeFirst();
      if (known && (known.state === "confirmed" || known.state === "suppressed")) {
        return { reader: toReader(known), outcome: "unchanged" as const };
      }
      const values = {
        email: wanted.email,
        email_key: emailKey(wanted.email),
        cadence: wanted.cadence,
        topics: toJson(wanted.topics),
        saved_searches: toJson(wanted.savedSearches),
        consent_at: now,
        consent_form: wanted.consent.form,
        consent_address: wanted.consent.addressHash,
        token_confirm: wanted.tokens.confirm,
        token_manage: wanted.tokens.manage,
        token_unsubscribe: wanted.tokens.unsubscribe,
      };
      const id = known?.id ?? newId();
      if (known) await db.updateTable("readers").set(values).where("id", "=", id).execute();
      else {
        await db
          .insertInto("readers")
          .values({ id, ...values, state: "pending", created_at: now, confirmed_at: null })
          .execute();
      }
      return { reader: toReader(await requireReader(db, id)), outcome: known ? "renewed" : "created" };
    });
  }

  #by(
    column: "id" | "email_key" | (typeof TOKEN_COLUMNS)[ReaderToken],
    value: string,
  ): Promise<Reader | null> {
    return this.#gate.read(async (db) => {
      const row = await db.selectFrom("readers").selectAll().where(column, "=", value).executeTakeFirst();
      return row ? toReader(row) : null;
    });
  }

  get(id: string) {
    return this.#by("id", id);
  }

  byEmail(email: string) {
    return this.#by("email_key", emailKey(email));
  }

  byToken(purpose: ReaderToken, tokenHash: SecretHash) {
    return this.#by(TOKEN_COLUMNS[purpose], tokenHash);
  }

  async setTokens(id: string, wanted: Partial<Readonly<Record<ReaderToken, SecretHash>>>): Promise<void> {
    const checked = check(tokens.partial(), wanted, "tokens");
    await this.#gate.write(async (db) => {
      const row = await requireReader(db, id);
      await db
        .updateTable("readers")
        .set({
          token_confirm: checked.confirm ?? row.token_confirm,
          token_manage: checked.manage ?? row.token_manage,
          token_unsubscribe: checked.unsubscribe ?? row.token_unsubscribe,
        })
        .where("id", "=", id)
        .execute();
    });
  }

  async confirm(tokenHash: SecretHash): Promise<Reader | null> {
    return this.#gate.write(async (db) => {
      const row = await db
        .selectFrom("readers")
        .selectAll()
        .where("token_confirm", "=", tokenHash)
        .executeTakeFirst();
      if (!row) return null;
      if (row.state === "suppressed" || row.state === "confirmed") return toReader(row);
      await db
        .updateTable("readers")
        .set({ state: "confirmed", confirmed_at: this.#gate.now() })
        .where("id", "=", row.id)
        .execute();
      return toReader(await requireReader(db, row.id));
    });
  }

  async unsubscribe(tokenHash: SecretHash): Promise<Reader | null> {
    return this.#gate.write(async (db) => {
      const row = await db
        .selectFrom("readers")
        .selectAll()
        .where("token_unsubscribe", "=", tokenHash)
        .executeTakeFirst();
      if (!row) return null;
      if (row.state !== "suppressed") {
        await db.updateTable("readers").set({ state: "unsubscribed" }).where("id", "=", row.id).execute();
      }
      await takeBackQueued(db, row.id);
      return toReader(await requireReader(db, row.id));
    });
  }

  async update(
    id: string,
    change: Partial<Pick<Reader, "cadence" | "topics" | "savedSearches">> & {
      readonly state?: "confirmed" | "paused" | "unsubscribed" | "suppressed";
    },
  ): Promise<Reader> {
    const wanted = check(readerChange, change, "change");
    return this.#gate.write(async (db) => {
      const row = await requireReader(db, id);
      const state = wanted.state ?? row.state;
      if (wanted.state !== undefined && !REACHED_FROM[wanted.state].includes(row.state)) {
        throw new StoreError("conflict", `A reader who is ${row.state} cannot become ${wanted.state}.`);
      }
      await db
        .updateTable("readers")
        .set({
          state,
          cadence: wanted.cadence ?? row.cadence,
          topics: wanted.topics ? toJson(wanted.topics) : row.topics,
          saved_searches: wanted.savedSearches ? toJson(wanted.savedSearches) : row.saved_searches,
        })
        .where("id", "=", id)
        .execute();
      if (state === "unsubscribed" || state === "suppressed") await takeBackQueued(db, id);
      return toReader(await requireReader(db, id));
    });
  }

  async remove(id: string): Promise<boolean> {
    return this.#gate.write(async (db) => {
      const result = await db.deleteFrom("readers").where("id", "=", id).executeTakeFirst();
      return result.numDeletedRows > 0n;
    });
  }

  async bounced(readerId: string, bounce: Omit<Bounce, "at">): Promise<Reader | null> {
    const { kind, code } = check(newBounce, bounce, "bounce");
    return this.#gate.write(async (db) => {
      const row = await db.selectFrom("readers").selectAll().where("id", "=", readerId).executeTakeFirst();
      if (!row) return null;
      const now = this.#gate.now();
      await db.insertInto("bounces").values({ reader: readerId, at: now, kind, code }).execute();
      const { soft } = await db
        .selectFrom("bounces")
        .select(({ fn }) => fn.countAll<number>().as("soft"))
        .where("reader", "=", readerId)
        .where("kind", "=", "soft")
        .where("at", ">", now - SOFT_WINDOW_MS)
        .executeTakeFirstOrThrow();
      const pauses = kind === "soft" && Number(soft) >= SOFT_BOUNCES && row.state === "confirmed";
      const state = kind === "soft" ? (pauses ? "paused" : row.state) : "suppressed";
      if (state !== row.state) {
        await db.updateTable("readers").set({ state }).where("id", "=", readerId).execute();
        await takeBackQueued(db, readerId);
      }
      return toReader({ ...row, state });
    });
  }

  async bounces(readerId: string): Promise<Bounce[]> {
    return this.#gate.read(async (db) =>
      db
        .selectFrom("bounces")
        .select(["at", "kind", "code"])
        .where("reader", "=", readerId)
        .orderBy("at")
        .orderBy("num")
        .execute(),
    );
  }

  async readers(
    page: PageRequest & { readonly state?: ReaderState; readonly cadence?: Cadence } = {},
  ): Promise<Page<Reader>> {
    const limit = pageLimit(page.limit);
    const after = readCursor("readers", idKey, page.cursor);
    return this.#gate.read(async (db) => {
      const rows = await db
        .selectFrom("readers")
        .selectAll()
        .where("id", ">", after?.[0] ?? "")
        .$if(page.state !== undefined, (query) => query.where("state", "=", page.state as ReaderState))
        .$if(page.cadence !== undefined, (query) => query.where("cadence", "=", page.cadence as Cadence))
        .orderBy("id")
        .limit(limit + 1)
        .execute();
      return cutPage("readers", rows, limit, (row) => [row.id], toReader);
    });
  }

  async counts(): Promise<Readonly<Record<ReaderState, number>>> {
    return this.#gate.read(async (db) => {
      const rows = await db
        .selectFrom("readers")
        .select(({ fn }) => ["state", fn.countAll<number>().as("n")])
        .groupBy("state")
        .execute();
      const counts = { pending: 0, confirmed: 0, paused: 0, unsubscribed: 0, suppressed: 0 };
      for (const { state, n } of rows) counts[state] = Number(n);
      return counts;
    });
  }

  async saveSearch(
    search: Pick<SavedSearch, "accountId" | "name" | "query" | "filter">,
  ): Promise<SavedSearch> {
    const wanted = check(newSearch, search, "search");
    const filter = JSON.stringify(wanted.filter);
    if (filter.length > MAX_FILTER)
      throw new StoreError("invalid", `filter: expected at most ${MAX_FILTER} characters.`);
    return this.#gate.write(async (db) => {
      if (wanted.accountId !== null) {
        await requireAccount(db, wanted.accountId);
        const { n } = await db
          .selectFrom("saved_searches")
          .select(({ fn }) => fn.countAll<number>().as("n"))
          .where("account", "=", wanted.accountId)
          .executeTakeFirstOrThrow();
        if (Number(n) >= MAX_SEARCHES) {
          throw new StoreError("invalid", `An account may have ${MAX_SEARCHES} saved searches.`);
        }
      }
      const row = {
        id: newId(),
        account: wanted.accountId,
        name: wanted.name,
        query: wanted.query,
        filter,
        created_at: this.#gate.now(),
      };
      await db.insertInto("saved_searches").values(row).execute();
      return toSearch(row);
    });
  }

  async savedSearch(id: string): Promise<SavedSearch | null> {
    return this.#gate.read(async (db) => {
      const row = await db.selectFrom("saved_searches").selectAll().where("id", "=", id).executeTakeFirst();
      return row ? toSearch(row) : null;
    });
  }

  async savedSearches(accountId: string): Promise<SavedSearch[]> {
    return this.#gate.read(async (db) => {
      const rows = await db
        .selectFrom("saved_searches")
        .selectAll()
        .where("account", "=", accountId)
        .orderBy("created_at", "desc")
        .orderBy("id", "desc")
        .execute();
      return rows.map(toSearch);
    });
  }

  async removeSavedSearch(id: string): Promise<boolean> {
    return this.#gate.write(async (db) => {
      const result = await db.deleteFrom("saved_searches").where("id", "=", id).executeTakeFirst();
      return result.numDeletedRows > 0n;
    });
  }
}
