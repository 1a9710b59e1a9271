import type { Selectable } from "kysely";
import { z } from "zod";
import {
  type Cadence,
  type Delivery,
  type DeliveryState,
  type Issue,
  type Json,
  type LeasedDelivery,
  type Millis,
  type Outbox,
  type Page,
  type PageRequest,
  StoreError,
} from "../ports.ts";
import type { Db, Gate } from "./gate.ts";
import type { Tables } from "./tables.ts";
import { check, cutPage, fromJson, newId, sha256, timePage, toJson } from "./values.ts";

const FILL_BATCH = 200;
const MAX_LEASED = 500;
const MAX_CODE = 500;

const newIssue = z.strictObject({
  kind: z.string().regex(/^[a-z0-9-]{1,40}$/, "expected a kind such as daily"),
  period: z.string().regex(/^[A-Za-z0-9-]{1,40}$/, "expected a period such as 2026-11-20"),
  content: z.json(),
});
const mailHost = z.string().regex(/^[A-Za-z0-9.-]{1,253}$/, "expected a host name");
const leaseOptions = z.strictObject({ limit: z.int().min(1).max(MAX_LEASED), leaseMs: z.int().min(1) });

const expireOptions = z.strictObject({ attempts: z.int().min(1).default(1) });

type DeliveryRow = Selectable<Tables["outbox"]>;

const toIssue = (row: Selectable<Tables["issues"]>): Issue => ({
  id: row.id,
  kind: row.kind,
  period: row.period,
  builtAt: row.built_at,
  content: fromJson<Json>(row.content),
  contentHash: row.content_hash,
  state: row.state,
});

const toDelivery = (row: DeliveryRow): Delivery => ({
  id: row.id,
  issueId: row.issue,
  readerId: row.reader,
  state: row.state,
  attempts: row.attempts,
  messageId: row.message_id,
  lastCode: row.last_code,
  runAt: row.run_at,
  sentAt: row.sent_at,
});

async function requireIssue(db: Db, id: string): Promise<Selectable<Tables["issues"]>> {
  const row = await db.selectFrom("issues").selectAll().where("id", "=", id).executeTakeFirst();
  if (!row) throw new StoreError("not-found", "There is no such issue.");
  return row;
}

export class SqlOutbox implements Outbox {
  readonly #gate: Gate;

  constructor(gate: Gate) {
    this.#gate = gate;
  }

  async createIssue(issue: { readonly kind: string; readonly period: string; readonly content: Json }) {
    const { kind, period, content } = check(newIssue, issue, "issue");
    return this.#gate.write(async (db) => {
      const known = await db
        .selectFrom("issues")
        .selectAll()
        .where("kind", "=", kind)
        .where("period", "=", period)
        .executeTakeFirst();
      if (known) return { issue: toIssue(known), created: false };
      const frozen = toJson(content as Json);
      const row = {
        id: newId(),
        kind,
        period,
        built_at: this.#gate.now(),
        content: frozen,
        content_hash: sha256(frozen),
        state: "filling" as const,
        filled_to: "",
      };
      await db.insertInto("issues").values(row).execute();
      return { issue: toIssue(row), created: true };
    });
  }

  async issue(id: string): Promise<Issue | null> {
    return this.#gate.read(async (db) => {
      const row = await db.selectFrom("issues").selectAll().where("id", "=", id).executeTakeFirst();
      return row ? toIssue(row) : null;
    });
  }

  async issues(page: PageRequest & { readonly kind?: string } = {}): Promise<Page<Issue>> {
    const { limit, after } = timePage("issues", page);
    return this.#gate.read(async (db) => {
      const rows = await db
        .selectFrom("issues")
        .selectAll()
        .$if(page.kind !== undefined, (query) => query.where("kind", "=", page.kind as string))
        .$if(after !== null, (query) =>
          query.where(({ eb, refTuple, tuple }) =>
            eb(refTuple("built_at", "id"), "<", tuple(...(after as [number, string]))),
          ),
        )
        .orderBy("built_at", "desc")
        .orderBy("id", "desc")
        .limit(limit + 1)
        .execute();
      return cutPage("issues", rows, limit, (row) => [row.built_at, row.id], toIssue);
    });
  }

  async fill(
    issueId: string,
    options: {
      readonly cadence: Cadence;
      readonly host: string;
      readonly select?: (readerId: string) => boolean;
    },
  ): Promise<number> {
    const host = check(mailHost, options.host, "host");
    const { cadence, select = () => true } = options;
    await this.#gate.steps(async (db) => {
      const issue = await requireIssue(db, issueId);
      if (issue.state !== "filling") return false;
      const readers = await db
        .selectFrom("readers")
        .select("id")
        .where("state", "=", "confirmed")
        .where("cadence", "=", cadence)
        .where("id", ">", issue.filled_to)
        .where("confirmed_at", "<=", issue.built_at)
        .orderBy("id")
        .limit(FILL_BATCH)
        .execute();
      const last = readers.at(-1);
      if (last === undefined) {
        await db.updateTable("issues").set({ state: "open" }).where("id", "=", issueId).execute();
        return false;
      }
      const rows = readers
        .filter(({ id }) => select(id))
        .map(({ id }) => ({
          id: newId(),
          issue: issueId,
          reader: id,
          state: "queued" as const,
          message_id: `<${issueId}.${sha256(`${issueId} ${id}`).slice(0, 22)}@${host}>`,
          last_code: null,
          run_at: issue.built_at,
          lease: null,
          lease_until: null,
          sent_at: null,
        }));
      if (rows.length > 0) {
        await db
          .insertInto("outbox")
          .values(rows)
          .onConflict((conflict) => conflict.columns(["issue", "reader"]).doNothing())
          .execute();
      }
      await db.updateTable("issues").set({ filled_to: last.id }).where("id", "=", issueId).execute();
      return true;
    });
    return this.#gate.read(async (db) => {
      await requireIssue(db, issueId);
      const { n } = await db
        .selectFrom("outbox")
        .select(({ fn }) => fn.countAll<number>().as("n"))
        .where("issue", "=", issueId)
        .executeTakeFirstOrThrow();
      return Number(n);
    });
  }

  async pause(issueId: string, paused: boolean): Promise<void> {
    await this.#gate.write(async (db) => {
      const { state } = await requireIssue(db, issueId);
      if (state === "filling") throw new StoreError("conflict", "This issue is still being filled.");
      await db
        .updateTable("issues")
        .set({ state: paused ? "paused" : "open" })
        .where("id", "=", issueId)
        .execute();
    });
  }

  async lease(options: { readonly limit: number; readonly leaseMs: number }): Promise<LeasedDelivery[]> {
    const { limit, leaseMs } = check(leaseOptions, options, "options");
    return this.#gate.write(async (db) => {
      const now = this.#gate.now();
      const leased: LeasedDelivery[] = [];
      const skipped: string[] = [];
      const due = await db
        .selectFrom("outbox as o")
        .innerJoin("issues as i", "i.id", "o.issue")
        .innerJoin("readers as r", "r.id", "o.reader")
        .selectAll("o")
        .select(["r.state as reader_state", "r.email"])
        .where("o.state", "=", "queued")
        .where("o.run_at", "<=", now)
        .where("i.state", "=", "open")
        .orderBy("o.run_at")
        .orderBy("o.id")
        .limit(limit)
        .execute();
      for (const { reader_state, email, ...row } of due) {
        if (reader_state !== "confirmed") {
          skipped.push(row.id);
          continue;
        }
        const lease = newId();
        const leaseUntil = now + leaseMs;
        const next = {
          ...row,
          state: "sending" as const,
          attempts: row.attempts + 1,
          lease,
          lease_until: leaseUntil,
        };
        await db
          .updateTable("outbox")
          .set({ state: next.state, attempts: next.attempts, lease, lease_until: leaseUntil })
          .where("id", "=", row.id)
          .execute();
        leased.push({ ...toDelivery(next), email, lease, leaseUntil });
      }
      if (skipped.length > 0) {
        await db.updateTable("outbox").set({ state: "skipped" }).where("id", "in", skipped).execute();
      }
      return leased;
    });
  }

  #settle(
    delivery: Pick<LeasedDelivery, "id" | "lease">,
    values: { state: DeliveryState; last_code: string; run_at?: number; sent_at?: number },
  ): Promise<boolean> {
    return this.#gate.write(async (db) => {
      const result = await db
        .updateTable("outbox")
        .set({ ...values, last_code: values.last_code.slice(0, MAX_CODE), lease: null, lease_until: null })
        .where("id", "=", delivery.id)
        // A late answer settles a row that has become `unknown`, as long as nobody else has leased it since.
        .where("lease", "=", delivery.lease)
        .where("state", "in", ["sending", "unknown"])
        .executeTakeFirst();
      return result.numUpdatedRows > 0n;
    });
  }

  async sent(delivery: Pick<LeasedDelivery, "id" | "lease">, code: string): Promise<boolean> {
    return this.#settle(delivery, { state: "sent", last_code: code, sent_at: this.#gate.now() });
  }

  async failed(
    delivery: Pick<LeasedDelivery, "id" | "lease">,
    answer: { readonly code: string; readonly retryAt: Millis | null },
  ): Promise<boolean> {
    const { code, retryAt } = answer;
    return this.#settle(
      delivery,
      retryAt === null
        ? { state: "failed", last_code: code }
        : { state: "queued", last_code: code, run_at: retryAt },
    );
  }

  async released(delivery: Pick<LeasedDelivery, "id" | "lease">): Promise<boolean> {
    return this.#gate.write(async (db) => {
      const result = await db
        .updateTable("outbox")
        .set(({ eb }) => ({
          state: "queued",
          attempts: eb("attempts", "-", 1),
          lease: null,
          lease_until: null,
        }))
        .where("id", "=", delivery.id)
        .where("lease", "=", delivery.lease)
        .where("state", "in", ["sending", "unknown"])
        .executeTakeFirst();
      return result.numUpdatedRows > 0n;
    });
  }

  async skipped(delivery: Pick<LeasedDelivery, "id" | "lease">, reason: string): Promise<boolean> {
    return this.#settle(delivery, { state: "skipped", last_code: reason });
  }

  async expire(policy: "resend" | "hold", options: { readonly attempts?: number } = {}): Promise<number> {
    const { attempts } = check(expireOptions, options, "options");
    return this.#gate.write(async (db) => {
      const now = this.#gate.now();
      const lost = await db
        .updateTable("outbox")
        .set({ state: "unknown", lease_until: null })
        .where("state", "=", "sending")
        .where("lease_until", "<=", now)
        .executeTakeFirst();
      if (policy === "hold") return Number(lost.numUpdatedRows);
      const again = await db
        .updateTable("outbox")
        .set({ state: "queued", lease: null, run_at: now })
        .where("state", "=", "unknown")
        .where("attempts", "<=", attempts)
        .executeTakeFirst();
      return Math.max(Number(lost.numUpdatedRows), Number(again.numUpdatedRows));
    });
  }

  async progress(issueId: string): Promise<Readonly<Record<DeliveryState, number>>> {
    return this.#gate.read(async (db) => {
      const rows = await db
        .selectFrom("outbox")
        .select(({ fn }) => ["state", fn.countAll<number>().as("n")])
        .where("issue", "=", issueId)
        .groupBy("state")
        .execute();
      const counts = { queued: 0, sending: 0, sent: 0, failed: 0, skipped: 0, unknown: 0 };
      for (const { state, n } of rows) counts[state] = Number(n);
      return counts;
    });
  }

  async ofReader(readerId: string, page: PageRequest = {}): Promise<Page<Delivery>> {
    const { limit, after } = timePage("deliveries", page);
    return this.#gate.read(async (db) => {
      const rows = await db
        .selectFrom("outbox")
        .selectAll()
        .where("reader", "=", readerId)
        .$if(after !== null, (query) =>
          query.where(({ eb, refTuple, tuple }) =>
            eb(refTuple("run_at", "id"), "<", tuple(...(after as [number, string]))),
          ),
        )
        .orderBy("run_at", "desc")
        .orderBy("id", "desc")
        .limit(limit + 1)
        .execute();
      return cutPage("deliveries", rows, limit, (row) => [row.run_at, row.id], toDelivery);
    });
  }
}
