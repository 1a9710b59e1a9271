import { closeSync, existsSync, mkdirSync, openSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { StoreError } from "../ports.ts";
import { checkSchema, migrate, SCHEMA_VERSION, schemaVersion } from "./migrations.ts";

/** Keeps a store in memory: for tests. */
export const IN_MEMORY = ":memory:";

/** SQLite itself waits this long for a lock, blocking the thread; the gate waits longer, without blocking. */
const BLOCKING_WAIT_MS = 20;
const CACHE_KIB = 16_384;

export interface OpenDatabase {
  /** Absolute path, or IN_MEMORY. */
  readonly path: string;
  readonly writer: DatabaseSync;
  /** null in memory, where one connection does both. */
  readonly reader: DatabaseSync | null;
}

/**
 * Makes an empty file that its owner alone can read, unless there is a file already. What SQLite writes beside it later
 * takes its permissions.
 */
export function makePrivateFile(path: string): void {
  if (!existsSync(path)) closeSync(openSync(path, "a", 0o600));
}

/**
 * Opens the file of a store, makes it if it is not there, and brings its schema up to date.
 *
 * Write-ahead log: readers and the writer never wait for each other. `synchronous = full`: what was acknowledged
 * survives a power cut as well as the death of the process; with `normal` the last commits before a power cut could
 * vanish, among them "this message was sent" and "this reader unsubscribed". It costs one flush of the log a commit.
 *
 * A new file is for its owner alone: it holds addresses of readers, and the key of the links in their mail.
 *
 * @throws StoreError `schema` for a newer store and for files that are no store, `corrupt` for damaged ones
 */
export function openDatabase(path: string): OpenDatabase {
  const file = path === IN_MEMORY ? path : resolve(path);
  if (file !== IN_MEMORY) mkdirSync(dirname(file), { recursive: true });
  let writer: DatabaseSync | undefined;
  try {
    if (file !== IN_MEMORY) makePrivateFile(file);
    writer = new DatabaseSync(file, { timeout: 5000, enableForeignKeyConstraints: true });
    checkSchema(writer, file);
    writer.exec("pragma journal_mode = wal; pragma synchronous = full; pragma trusted_schema = off");
    writer.exec(`pragma cache_size = -${CACHE_KIB}; pragma journal_size_limit = 67108864`);
    // Pages of the log before it is moved into the file: moving waits for the disk twice.
    writer.exec("pragma wal_autocheckpoint = 2000");
    migrate(writer, file);
    writer.exec(`pragma busy_timeout = ${BLOCKING_WAIT_MS}`);
    const reader = file === IN_MEMORY ? null : new DatabaseSync(file, { readOnly: true, timeout: 5000 });
    reader?.exec(`pragma cache_size = -${CACHE_KIB}; pragma query_only = on; pragma trusted_schema = off`);
    return { path: file, writer, reader };
  } catch (error) {
    writer?.close();
    throw explain(error, file);
  }
}

/**
 * Opens a store for reading alone, e.g. in the thread that searches. It never writes, not even a migration.
 * @throws StoreError as `openDatabase`; `schema` also for an older store, which its server brings up to date first
 */
export function openForReading(path: string): DatabaseSync {
  const file = resolve(path);
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(file, { readOnly: true, timeout: 5000 });
    checkSchema(database, file);
    if (schemaVersion(database) < SCHEMA_VERSION) {
      throw new StoreError("schema", `${file} has an older schema: open it for writing once.`);
    }
    database.exec(`pragma cache_size = -${CACHE_KIB}; pragma query_only = on; pragma trusted_schema = off`);
    return database;
  } catch (error) {
    database?.close();
    throw explain(error, file);
  }
}

function explain(error: unknown, file: string): unknown {
  if (error instanceof StoreError || !(error instanceof Error) || !("errcode" in error)) return error;
  const code = Number(error.errcode) & 0xff;
  if (code === 26 || code === 11) {
    return new StoreError("corrupt", `${file} is damaged or no SQLite database: ${error.message}.`, {
      cause: error,
    });
  }
  if (code === 5) return new StoreError("busy", `${file} is locked by another process.`, { cause: error });
  if (code === 14) return new StoreError("not-found", `${file} cannot be opened.`, { cause: error });
  return error;
}
