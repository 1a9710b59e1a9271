import { AsyncLocalStorage } from "node:async_hooks";
import { setImmediate as breathe, setTimeout as sleep } from "node:timers/promises";
import { Kysely } from "kysely";
import { type Clock, StoreError } from "../ports.ts";
import type { Db, Gate } from "../sql/gate.ts";
import type { Tables } from "../sql/tables.ts";
import { NodeSqliteDialect, SqliteConnection } from "./dialect.ts";
import type { OpenDatabase } from "./open.ts";

/** How long a transaction of `steps` may go on before it commits and lets others write. */
const STEP_MS = 10;
/** How long a write waits for another process before it throws `busy`. */
const PATIENCE_MS = 10_000;
const MAX_PAUSE_MS = 50;

const SQLITE_BUSY = 5;
const SQLITE_CORRUPT = 11;
const SQLITE_CONSTRAINT = 19;
const SQLITE_NOTADB = 26;

/** SQLite's primary result code of an error; 0 for errors of another kind. */
function sqliteCode(error: unknown): number {
  return error instanceof Error && "errcode" in error && typeof error.errcode === "number"
    ? error.errcode & 0xff
    : 0;
}

/** Errors of SQLite in the store's terms; other errors as they are. */
function translate(error: unknown): unknown {
  const cause = { cause: error };
  switch (sqliteCode(error)) {
    case SQLITE_BUSY:
      return new StoreError("busy", "Another process holds the store's write lock.", cause);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return new StoreError("corrupt", "The store's file is damaged. Restore a backup.", cause);
    case SQLITE_CONSTRAINT:
      return new StoreError("conflict", `Refused by the store: ${(error as Error).message}.`, cause);
    default:
      return error;
  }
}

/** Lets one caller in at a time, in the order of asking. */
class Turnstile {
  #last: Promise<unknown> = Promise.resolve();

  enter<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work, work);
    this.#last = turn.catch(() => {});
    return turn;
  }

  idle(): Promise<unknown> {
    return this.#last;
  }
}

/** Gate of the calls inside one transaction. */
class InnerGate implements Gate {
  readonly now: Clock;
  readonly #db: Db;
  readonly #connection: SqliteConnection;
  readonly #turnstile = new Turnstile();
  #open = true;

  constructor(db: Db, connection: SqliteConnection, now: Clock) {
    this.#db = db;
    this.#connection = connection;
    this.now = now;
  }

  read<T>(work: (db: Db) => Promise<T>): Promise<T> {
    return this.#turnstile.enter(async () => {
      this.#check();
      return work(this.#db);
    });
  }

  write<T>(work: (db: Db) => Promise<T>): Promise<T> {
    return this.#turnstile.enter(async () => {
      this.#check();
      const { database } = this.#connection;
      database.exec("savepoint inner_call");
      try {
        const result = await work(this.#db);
        database.exec("release inner_call");
        return result;
      } catch (error) {
        if (database.isTransaction) database.exec("rollback to inner_call; release inner_call");
        throw translate(error);
      }
    });
  }

  async steps(step: (db: Db) => Promise<boolean>): Promise<void> {
    await this.write(async (db) => {
      while (await step(db));
    });
  }

  /** Ends the gate when what was asked for is done. */
  async end(): Promise<void> {
    await this.#turnstile.idle();
    this.#open = false;
  }

  #check(): void {
    if (!this.#open) throw new StoreError("conflict", "This transaction has ended; its ports are of no use.");
  }
}

/**
 * Access to an SQLite store: one connection that writes, one caller at a time, and one that reads what is committed.
 * A store in memory has one connection for both.
 */
export class SqliteGate implements Gate {
  readonly now: Clock;
  /** Absolute path of the file, or ":memory:". */
  readonly path: string;
  readonly writer: SqliteConnection;
  readonly #reader: SqliteConnection | null;
  readonly #writeDb: Db;
  readonly #readDb: Db;
  readonly #turnstile = new Turnstile();
  readonly #inside = new AsyncLocalStorage<true>();
  readonly #underWay = new Set<Promise<unknown>>();
  #closing: Promise<void> | null = null;

  constructor(open: OpenDatabase, now: Clock) {
    this.now = now;
    this.path = open.path;
    this.writer = new SqliteConnection(open.writer);
    this.#reader = open.reader === null ? null : new SqliteConnection(open.reader);
    this.#writeDb = new Kysely<Tables>({ dialect: new NodeSqliteDialect(this.writer) });
    this.#readDb =
      this.#reader === null
        ? this.#writeDb
        : new Kysely<Tables>({ dialect: new NodeSqliteDialect(this.#reader) });
  }

  read<T>(work: (db: Db) => Promise<T>): Promise<T> {
    return this.#enter(async () => {
      try {
        if (this.#reader === null) return await this.#turnstile.enter(() => work(this.#readDb));
        return await work(this.#readDb);
      } catch (error) {
        throw translate(error);
      }
    });
  }

  write<T>(work: (db: Db) => Promise<T>): Promise<T> {
    return this.#enter(() => this.#turnstile.enter(() => this.#atomic(() => work(this.#writeDb))));
  }

  steps(step: (db: Db) => Promise<boolean>): Promise<void> {
    return this.#enter(async () => {
      for (let more = true; more; ) {
        await this.#turnstile.enter(() =>
          this.#unflushed(async () => {
            const end = performance.now() + STEP_MS;
            do more = await step(this.#writeDb);
            while (more && performance.now() < end);
          }),
        );
        // Everything above runs in microtasks: without this, a long import would keep the server from answering.
        if (more) await breathe();
      }
      // Flushing one commit flushes the log before it: what is acknowledged now is on the disk.
      const mark = this.#writeDb.updateTable("sequences").set({ value: 0 }).where("name", "=", "flush");
      await this.#turnstile.enter(() => this.#atomic(() => mark.execute()));
    });
  }

  transaction<T>(work: (gate: Gate) => Promise<T>): Promise<T> {
    return this.#enter(() =>
      this.#turnstile.enter(() =>
        this.#atomic(async () => {
          const inner = new InnerGate(this.#writeDb, this.writer, this.now);
          try {
            return await this.#inside.run(true, () => work(inner));
          } finally {
            await inner.end();
          }
        }),
      ),
    );
  }

  /** For what needs the connection itself, such as a check: no transaction is under way. */
  exclusive<T>(work: (writer: SqliteConnection) => Promise<T>): Promise<T> {
    return this.#enter(() => this.#turnstile.enter(() => work(this.writer)));
  }

  close(): Promise<void> {
    this.#closing ??= Promise.allSettled(this.#underWay).then(() => {
      this.#reader?.database.close();
      this.writer.database.close();
    });
    return this.#closing;
  }

  /** Begins a call, unless the store is closed or the caller inside a transaction. */
  async #enter<T>(work: () => Promise<T>): Promise<T> {
    if (this.#closing !== null) throw new StoreError("closed", "The store is closed.");
    if (this.#inside.getStore()) {
      throw new StoreError(
        "conflict",
        "Inside a transaction, use the ports that it is given, not the store.",
      );
    }
    const call = work();
    this.#underWay.add(call);
    try {
      return await call;
    } finally {
      this.#underWay.delete(call);
    }
  }

  /** A transaction whose commit does not wait for the disk: one of several, of which the last one does. */
  async #unflushed<T>(work: () => Promise<T>): Promise<T> {
    const { database } = this.writer;
    database.exec("pragma synchronous = normal");
    try {
      return await this.#atomic(work);
    } finally {
      database.exec("pragma synchronous = full");
    }
  }

  async #atomic<T>(work: () => Promise<T>): Promise<T> {
    const { database } = this.writer;
    await this.#begin();
    try {
      const result = await work();
      database.exec("commit");
      return result;
    } catch (error) {
      if (database.isTransaction) database.exec("rollback");
      throw translate(error);
    }
  }

  /** Waits for other processes without blocking this one. */
  async #begin(): Promise<void> {
    const end = performance.now() + PATIENCE_MS;
    for (let pause = 1; ; pause = Math.min(MAX_PAUSE_MS, pause * 2)) {
      try {
        this.writer.database.exec("begin immediate");
        return;
      } catch (error) {
        if (sqliteCode(error) !== SQLITE_BUSY || performance.now() > end) throw translate(error);
      }
      await sleep(pause * (0.5 + Math.random()));
    }
  }
}
