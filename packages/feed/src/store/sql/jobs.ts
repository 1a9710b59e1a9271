import type { Selectable } from "kysely";
import { z } from "zod";
import {
  type Job,
  type Jobs,
  type Json,
  type LeasedJob,
  type Millis,
  type Page,
  type PageRequest,
  StoreError,
} from "../ports.ts";
import type { Gate } from "./gate.ts";
import type { Tables } from "./tables.ts";
import { check, cutPage, fromJson, millis, newId, text, timePage } from "./values.ts";

const DEFAULT_ATTEMPTS = 5;
const MAX_PAYLOAD = 1_000_000;
const MAX_ERROR = 2000;
const PRUNE_BATCH = 500;

const newJob = z.strictObject({
  queue: z.string().regex(/^[a-z0-9-]{1,64}$/, "expected a queue such as digest"),
  key: text(200).nullable().optional(),
  payload: z.json().optional(),
  runAt: millis.optional(),
  maxAttempts: z.int().min(1).max(100).optional(),
});

type JobRow = Selectable<Tables["jobs"]>;

const toJob = (row: JobRow): Job => ({
  id: row.id,
  queue: row.queue,
  key: row.key,
  payload: fromJson<Json>(row.payload),
  state: row.state,
  runAt: row.run_at,
  attempts: row.attempts,
  maxAttempts: row.max_attempts,
  lastError: row.last_error,
  createdAt: row.created_at,
  finishedAt: row.finished_at,
});

export class SqlJobs implements Jobs {
  readonly #gate: Gate;

  constructor(gate: Gate) {
    this.#gate = gate;
  }

  async add(job: {
    readonly queue: string;
    readonly key?: string | null;
    readonly payload?: Json;
    readonly runAt?: Millis;
    readonly maxAttempts?: number;
  }): Promise<{ readonly job: Job; readonly added: boolean }> {
    const wanted = check(newJob, job, "job");
    const payload = JSON.stringify(wanted.payload ?? null);
    if (payload.length > MAX_PAYLOAD)
      throw new StoreError("invalid", `payload: expected at most ${MAX_PAYLOAD} characters.`);
    return this.#gate.write(async (db) => {
      const now = this.#gate.now();
      const runAt = wanted.runAt ?? now;
      const key = wanted.key ?? null;
      const known =
        key === null
          ? undefined
          : await db
              .selectFrom("jobs")
              .selectAll()
              .where("queue", "=", wanted.queue)
              .where("key", "=", key)
              .where("state", "in", ["waiting", "running"])
              .executeTakeFirst();
      if (known) {
        const earlier = known.state === "waiting" && runAt < known.run_at ? runAt : known.run_at;
        if (earlier !== known.run_at) {
          await db.updateTable("jobs").set({ run_at: earlier }).where("id", "=", known.id).execute();
        }
        return { job: toJob({ ...known, run_at: earlier }), added: false };
      }
      const row: JobRow = {
        id: newId(),
        queue: wanted.queue,
        key,
        payload,
        state: "waiting",
        run_at: runAt,
        attempts: 0,
        max_attempts: wanted.maxAttempts ?? DEFAULT_ATTEMPTS,
        last_error: null,
        created_at: now,
        finished_at: null,
        lease: null,
        lease_until: null,
      };
      await db.insertInto("jobs").values(row).execute();
      return { job: toJob(row), added: true };
    });
  }

  async get(id: string): Promise<Job | null> {
    return this.#gate.read(async (db) => {
      const row = await db.selectFrom("jobs").selectAll().where("id", "=", id).executeTakeFirst();
      return row ? toJob(row) : null;
    });
  }

  async lease(queues: readonly string[], leaseMs: number): Promise<LeasedJob | null> {
    if (queues.length === 0) return null;
    return this.#gate.write(async (db) => {
      const now = this.#gate.now();
      await db
        .updateTable("jobs")
        .set((eb) => ({
          state: eb
            .case()
            .when("attempts", ">=", eb.ref("max_attempts"))
            .then("failed" as const)
            .else("waiting" as const)
            .end(),
          finished_at: eb.case().when("attempts", ">=", eb.ref("max_attempts")).then(now).else(null).end(),
          last_error: "The worker died, or took longer than its lease.",
          lease: null,
          lease_until: null,
        }))
        .where("state", "=", "running")
        .where("lease_until", "<=", now)
        .execute();
      const row = await db
        .selectFrom("jobs")
        .selectAll()
        .where("state", "=", "waiting")
        .where("queue", "in", queues)
        .where("run_at", "<=", now)
        .orderBy("run_at")
        .orderBy("id")
        .limit(1)
        .executeTakeFirst();
      if (!row) return null;
      const lease = newId();
      const next: JobRow = {
        ...row,
        state: "running",
        attempts: row.attempts + 1,
        lease,
        lease_until: now + leaseMs,
      };
      await db
        .updateTable("jobs")
        .set({ state: next.state, attempts: next.attempts, lease, lease_until: next.lease_until })
        .where("id", "=", row.id)
        .execute();
      return { ...toJob(next), lease, leaseUntil: now + leaseMs };
    });
  }

  async renew(job: Pick<LeasedJob, "id" | "lease">, leaseMs: number): Promise<boolean> {
    return this.#change(job, { lease_until: this.#gate.now() + leaseMs });
  }

  async done(job: Pick<LeasedJob, "id" | "lease">): Promise<boolean> {
    return this.#change(job, {
      state: "done",
      finished_at: this.#gate.now(),
      lease: null,
      lease_until: null,
    });
  }

  async failed(
    job: Pick<LeasedJob, "id" | "lease">,
    error: string,
    retryAt: Millis | null,
  ): Promise<boolean> {
    return this.#gate.write(async (db) => {
      const row = await db
        .selectFrom("jobs")
        .selectAll()
        .where("id", "=", job.id)
        .where("lease", "=", job.lease)
        .where("state", "=", "running")
        .executeTakeFirst();
      if (!row) return false;
      const again = retryAt !== null && row.attempts < row.max_attempts;
      await db
        .updateTable("jobs")
        .set({
          state: again ? "waiting" : "failed",
          run_at: again ? retryAt : row.run_at,
          finished_at: again ? null : this.#gate.now(),
          last_error: error.slice(0, MAX_ERROR),
          lease: null,
          lease_until: null,
        })
        .where("id", "=", job.id)
        .execute();
      return true;
    });
  }

  #change(job: Pick<LeasedJob, "id" | "lease">, values: Partial<JobRow>): Promise<boolean> {
    return this.#gate.write(async (db) => {
      const result = await db
        .updateTable("jobs")
        .set(values)
        .where("id", "=", job.id)
        .where("lease", "=", job.lease)
        .where("state", "=", "running")
        .executeTakeFirst();
      return result.numUpdatedRows > 0n;
    });
  }

  async list(
    page: PageRequest & { readonly queue?: string; readonly state?: Job["state"] } = {},
  ): Promise<Page<Job>> {
    const { limit, after } = timePage("jobs", page);
    return this.#gate.read(async (db) => {
      const rows = await db
        .selectFrom("jobs")
        .selectAll()
        .$if(page.queue !== undefined, (query) => query.where("queue", "=", page.queue as string))
        .$if(page.state !== undefined, (query) => query.where("state", "=", page.state as Job["state"]))
        .$if(after !== null, (query) =>
          query.where(({ eb, refTuple, tuple }) =>
            eb(refTuple("created_at", "id"), "<", tuple(...(after as [number, string]))),
          ),
        )
        .orderBy("created_at", "desc")
        .orderBy("id", "desc")
        .limit(limit + 1)
        .execute();
      return cutPage("jobs", rows, limit, (row) => [row.created_at, row.id], toJob);
    });
  }

  async prune(before: Millis): Promise<number> {
    let pruned = 0;
    await this.#gate.steps(async (db) => {
      const rows = await db
        .selectFrom("jobs")
        .select("id")
        .where("finished_at", "<", before)
        .limit(PRUNE_BATCH)
        .execute();
      if (rows.length > 0) {
        await db
          .deleteFrom("jobs")
          .where(
            "id",
            "in",
            rows.map(({ id }) => id),
          )
          .execute();
      }
      pruned += rows.length;
      return rows.length === PRUNE_BATCH;
    });
    return pruned;
  }
}
