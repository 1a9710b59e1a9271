import { sql } from "kysely";
import {
  type Clock,
  type Maintenance,
  type Store,
  StoreError,
  type StoreHealth,
  type StorePorts,
} from "../ports.ts";
import { SqlActivity } from "../sql/activity.ts";
import { SqlComments } from "../sql/comments.ts";
import type { Gate } from "../sql/gate.ts";
import { SqlIntake } from "../sql/intake.ts";
import { SqlJobs } from "../sql/jobs.ts";
import { SqlRateLimits } from "../sql/limits.ts";
import { SqlOutbox } from "../sql/outbox.ts";
import { SqlPapers } from "../sql/papers.ts";
import { SqlPeople } from "../sql/people.ts";
import { SqlSettings } from "../sql/settings.ts";
import { SqlSubscriptions } from "../sql/subscriptions.ts";
import { SqlVectors } from "../sql/vectors.ts";
import { SqliteGate } from "./gate.ts";
import { schemaVersion } from "./migrations.ts";
import { IN_MEMORY, openDatabase } from "./open.ts";
import { SqliteTextIndex, sqliteTextWriter } from "./text.ts";

/** Address blocks of voters are forgotten after this; votes are compared for one hour. */
const BLOCK_KEPT_MS = 2 * 3_600_000;
/** Pages of the full-text index that one step of its tidying moves. */
const MERGE_PAGES = 64;

function portsOf(gate: Gate): StorePorts {
  return {
    papers: new SqlPapers(gate, sqliteTextWriter),
    text: new SqliteTextIndex(gate),
    vectors: new SqlVectors(gate),
    people: new SqlPeople(gate),
    limits: new SqlRateLimits(gate),
    activity: new SqlActivity(gate),
    comments: new SqlComments(gate),
    subscriptions: new SqlSubscriptions(gate),
    outbox: new SqlOutbox(gate),
    jobs: new SqlJobs(gate),
    intake: new SqlIntake(gate),
    settings: new SqlSettings(gate),
  };
}

/** An embedded store that also gives copies of itself. */
export interface SqliteStore extends Store {
  /** Absolute path of the file, or ":memory:". */
  readonly path: string;
}

export interface SqliteStoreOptions {
  /** Where the time comes from; default: the machine's clock. */
  readonly clock?: Clock;
}

/**
 * Opens the embedded store, a single SQLite file with its write-ahead log beside it; makes it if it is not there.
 *
 * @param path  the file, or ":memory:" for a store that goes with the process
 * @throws StoreError `schema` for the file of a newer Concord or of another program, `corrupt` for a damaged one
 */
export function openSqliteStore(path: string, options: SqliteStoreOptions = {}): SqliteStore {
  const opened = openDatabase(path);
  const gate = new SqliteGate(opened, options.clock ?? Date.now);
  const version = schemaVersion(opened.writer);
  return {
    ...portsOf(gate),
    path: opened.path,
    transaction: (work) => gate.transaction((inner) => work(portsOf(inner))),
    maintain: () => maintain(gate),
    health: () => health(gate, version),
    close: () => gate.close(),
  };
}

async function maintain(gate: SqliteGate): Promise<Maintenance> {
  const start = performance.now();
  const now = gate.now();
  let expired = 0;
  const steps = [
    sql`delete from sessions where token_hash in (select token_hash from sessions where expires_at <= ${now} limit 500)`,
    sql`delete from login_tokens where token_hash in (select token_hash from login_tokens where expires_at <= ${now} limit 500)`,
    sql`delete from rate_limits where (key, window_ms) in (select key, window_ms from rate_limits where reset_at <= ${now} limit 500)`,
    sql`update activity set block = null where (num, kind, account) in (
      select num, kind, account from activity where block is not null and at < ${now - BLOCK_KEPT_MS} limit 500)`,
  ];
  for (const step of steps) {
    await gate.steps(async (db) => {
      const { numAffectedRows } = await step.execute(db);
      expired += Number(numAffectedRows ?? 0n);
      return (numAffectedRows ?? 0n) >= 500n;
    });
  }
  await gate.steps(async (db) => {
    const before = await sql<{ n: number }>`select total_changes() as n`.execute(db);
    await sql`insert into paper_text (paper_text, rank) values ('merge', ${MERGE_PAGES})`.execute(db);
    const after = await sql<{ n: number }>`select total_changes() as n`.execute(db);
    // The index says by fewer than two changes that there was nothing left to merge.
    return Number(after.rows[0]?.n) - Number(before.rows[0]?.n) >= 2;
  });
  await gate.exclusive(async ({ database }) => {
    database.exec("pragma optimize");
  });
  return { expired, ms: performance.now() - start };
}

async function health(gate: SqliteGate, version: number): Promise<StoreHealth> {
  const start = performance.now();
  try {
    await gate.write((db) =>
      sql`insert into sequences (name, value) values ('health', 1)
        on conflict (name) do update set value = value + 1`.execute(db),
    );
    const numbers = await gate.read(async (db) => {
      const { rows } = await sql<{ papers: number; pages: number; size: number }>`
        select (select count(*) from papers) as papers,
          (select page_count from pragma_page_count()) as pages,
          (select page_size from pragma_page_size()) as size`.execute(db);
      return rows[0];
    });
    return {
      ok: true,
      problem: null,
      engine: `sqlite ${process.versions.sqlite ?? ""}`.trim(),
      schemaVersion: version,
      papers: Number(numbers?.papers ?? 0),
      bytes: gate.path === IN_MEMORY ? 0 : Number(numbers?.pages ?? 0) * Number(numbers?.size ?? 0),
      latencyMs: performance.now() - start,
    };
  } catch (error) {
    if (error instanceof StoreError && error.code === "closed") throw error;
    return {
      ok: false,
      problem: error instanceof Error ? error.message : String(error),
      engine: "sqlite",
      schemaVersion: version,
      papers: 0,
      bytes: 0,
      latencyMs: performance.now() - start,
    };
  }
}
