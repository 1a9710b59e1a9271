import type { DatabaseSync } from "node:sqlite";
import { StoreError } from "../ports.ts";
import { foldText } from "../stem.ts";
import { initialSchema } from "./migrations/001-initial.ts";
import { stemmedText } from "./migrations/002-stems.ts";
import { gradualMerging } from "./migrations/003-merging.ts";

/** "ConC": tells a store from any other SQLite file. */
export const APPLICATION_ID = 0x436f6e43;

/** Migration i brings a store from version i to i + 1. They are never changed once released, only added to. */
const MIGRATIONS: readonly string[] = [initialSchema, stemmedText, gradualMerging];

/** The version of the schema that this program reads and writes. */
export const SCHEMA_VERSION = MIGRATIONS.length;

/** Version of a store's schema; 0 for an empty file. */
export function schemaVersion(database: DatabaseSync): number {
  return Number(database.prepare("pragma user_version").get()?.user_version);
}

/**
 * Whether the file is a store that this program can open.
 * @throws StoreError `schema` for other databases and for newer stores
 */
export function checkSchema(database: DatabaseSync, path: string): void {
  const application = Number(database.prepare("pragma application_id").get()?.application_id);
  const tables = Number(database.prepare("select count(*) as n from sqlite_schema").get()?.n);
  if (application !== APPLICATION_ID && tables > 0) {
    throw new StoreError("schema", `${path} is an SQLite database, but not a Concord store.`);
  }
  const version = schemaVersion(database);
  if (version > SCHEMA_VERSION) {
    throw new StoreError(
      "schema",
      `${path} was written by a newer Concord (schema ${version}; this one knows ${SCHEMA_VERSION}). Update Concord, or restore an older backup.`,
    );
  }
}

/**
 * Brings a store to the present schema, each step in a transaction of its own: a crash leaves a whole version.
 *
 * @param migrations  for tests of the mechanism; default: the released ones
 */
export function migrate(
  database: DatabaseSync,
  path: string,
  migrations: readonly string[] = MIGRATIONS,
): void {
  checkSchema(database, path);
  database.function("fold", { deterministic: true }, (text) => foldText(String(text ?? "")));
  while (schemaVersion(database) < migrations.length) {
    // Another process may migrate at the same time: the version counts that the lock shows.
    database.exec("begin immediate");
    try {
      const version = schemaVersion(database);
      const statements = migrations[version];
      if (statements !== undefined) {
        database.exec(statements);
        database.exec(`pragma application_id = ${APPLICATION_ID}; pragma user_version = ${version + 1}`);
      }
      database.exec("commit");
    } catch (error) {
      if (database.isTransaction) database.exec("rollback");
      throw error;
    }
  }
}
