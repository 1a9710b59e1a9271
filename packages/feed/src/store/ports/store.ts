import type { Activity } from "./activity.ts";
import type { Comments } from "./comments.ts";
import type { Json, Millis } from "./common.ts";
import type { Intake } from "./intake.ts";
import type { Jobs } from "./jobs.ts";
import type { Outbox } from "./outbox.ts";
import type { Papers } from "./papers.ts";
import type { People, RateLimits } from "./people.ts";
import type { TextIndex, VectorIndex } from "./search.ts";
import type { Subscriptions } from "./subscriptions.ts";

/** Small values by name: configuration, secrets of the host, marks of jobs. */
export interface Settings {
  /** undefined when it was never set. */
  get(key: string): Promise<Json | undefined>;
  set(key: string, value: Json): Promise<void>;
  /** Sets a value only where there is none. @returns the value that is there now: the same for every caller */
  setOnce(key: string, value: Json): Promise<Json>;
  remove(key: string): Promise<boolean>;
}

/** Everything that the site keeps, as seen from inside or outside a transaction. */
export interface StorePorts {
  readonly papers: Papers;
  readonly text: TextIndex;
  readonly vectors: VectorIndex;
  readonly people: People;
  readonly limits: RateLimits;
  readonly activity: Activity;
  readonly comments: Comments;
  readonly subscriptions: Subscriptions;
  readonly outbox: Outbox;
  readonly jobs: Jobs;
  readonly intake: Intake;
  readonly settings: Settings;
}

export interface StoreHealth {
  readonly ok: boolean;
  /** What is wrong; null when nothing is. */
  readonly problem: string | null;
  readonly engine: string;
  readonly schemaVersion: number;
  readonly papers: number;
  /** Size of the store, where it is known; 0 in memory. */
  readonly bytes: number;
  /** Time that the check took, including a write transaction. */
  readonly latencyMs: number;
}

export interface Maintenance {
  /** Expired sessions, login tokens, limits and address blocks that were forgotten. */
  readonly expired: number;
  readonly ms: number;
}

/**
 * The store.
 *
 * Every call is atomic by itself unless its comment says that it works in batches. What a call acknowledged survives
 * the death of the process. Several processes may use one store at once; a write waits for another's for some seconds
 * and then throws `busy`. Readers never wait for writers.
 */
export interface Store extends StorePorts {
  /**
   * Runs several calls as one: all of them happen, or, when `work` throws, none. Inside, use the ports that `work` is
   * given: the store itself refuses calls from inside with `conflict`. Reads see the transaction's own writes.
   * Await nothing but the store within: other writers wait.
   */
  transaction<T>(work: (ports: StorePorts) => Promise<T>): Promise<T>;

  /** Forgets what has expired and tidies the indexes, in short steps. Call it about once an hour. */
  maintain(): Promise<Maintenance>;

  health(): Promise<StoreHealth>;

  /** Waits for what is under way and closes. Idempotent; later calls throw `closed`. */
  close(): Promise<void>;
}

/** Where the store gets the time from; tests put their own. */
export type Clock = () => Millis;
