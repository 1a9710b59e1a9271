import type { Kysely } from "kysely";
import type { Clock } from "../ports.ts";
import type { Tables } from "./tables.ts";

export type Db = Kysely<Tables>;

/**
 * How the ports reach the database. Outside a transaction every `read` and `write` is one of its own; inside, all of
 * them are parts of it, and a `write` that fails is undone alone.
 */
export interface Gate {
  readonly now: Clock;
  read<T>(work: (db: Db) => Promise<T>): Promise<T>;
  /** `work` must await nothing but `db`: it holds the write lock. */
  write<T>(work: (db: Db) => Promise<T>): Promise<T>;
  /**
   * Long work in short transactions: `step` is called until it returns false, as often as fits into the time that a
   * transaction may hold the write lock. Inside a transaction everything is part of it.
   */
  steps(step: (db: Db) => Promise<boolean>): Promise<void>;
}
