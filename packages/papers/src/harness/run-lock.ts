import { existsSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";

const SQLITE_BUSY = 5;
/** A database that nobody refers to would be closed by the garbage collector, and its lock lost. */
const held = new Set<DatabaseSync>();
/** How long to wait for a reader that is just probing the lock. */
const PATIENCE_MS = 100;

/** Held by the process that executes a run, for as long as it lives. */
export interface RunLock {
  release(): void;
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && "errcode" in error && error.errcode === SQLITE_BUSY;
}

/**
 * Takes the lock at `path`, or returns null when somebody else holds it.
 *
 * The lock is one of the operating system's, through an empty SQLite database: it vanishes with its process however
 * that ends, so a number that a later process reuses, another container or a stale file cannot fake a live run.
 */
export function acquireLock(path: string): RunLock | null {
  const database = new DatabaseSync(path, { timeout: PATIENCE_MS });
  try {
    database.exec("BEGIN EXCLUSIVE");
  } catch (error) {
    database.close();
    if (isBusy(error)) return null;
    throw error;
  }
  held.add(database);
  return {
    release() {
      if (held.delete(database)) database.close();
    },
  };
}

/** Whether some process (this one included) holds the lock at `path`. */
export function isLocked(path: string): boolean {
  if (!existsSync(path)) return false;
  const database = new DatabaseSync(path, { readOnly: true, timeout: 0 });
  try {
    database.exec("SELECT count(*) FROM sqlite_schema");
    return false;
  } catch (error) {
    if (isBusy(error)) return true;
    throw error;
  } finally {
    database.close();
  }
}
