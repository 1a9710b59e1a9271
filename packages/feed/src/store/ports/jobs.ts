import type { Json, Millis, Page, PageRequest } from "./common.ts";

export interface Job {
  readonly id: string;
  readonly queue: string;
  /** At most one unfinished job of a queue has a given key; null: none. */
  readonly key: string | null;
  readonly payload: Json;
  readonly state: "waiting" | "running" | "done" | "failed";
  readonly runAt: Millis;
  readonly attempts: number;
  readonly maxAttempts: number;
  readonly lastError: string | null;
  readonly createdAt: Millis;
  readonly finishedAt: Millis | null;
}

export interface LeasedJob extends Job {
  readonly lease: string;
  readonly leaseUntil: Millis;
}

/** Work that must be done once, later, or again after a crash. Shares transactions with everything else. */
export interface Jobs {
  /** Adds a job; where an unfinished one has the key, gives that one (earlier of both times). Idempotent by key. */
  add(job: {
    readonly queue: string;
    readonly key?: string | null;
    readonly payload?: Json;
    readonly runAt?: Millis;
    /** Default 5. */
    readonly maxAttempts?: number;
  }): Promise<{ readonly job: Job; readonly added: boolean }>;

  get(id: string): Promise<Job | null>;

  /**
   * Takes the job of these queues that is due longest, or null. Committed on return: no other worker gets it before
   * the lease ends. A job whose lease ran out is due again, until `maxAttempts`; then it is `failed`.
   */
  lease(queues: readonly string[], leaseMs: number): Promise<LeasedJob | null>;
  /** Prolongs a lease from now. False when it is lost: stop working. */
  renew(job: Pick<LeasedJob, "id" | "lease">, leaseMs: number): Promise<boolean>;
  done(job: Pick<LeasedJob, "id" | "lease">): Promise<boolean>;
  /** Another attempt at `retryAt`; null, or no attempts left: failed for good. */
  failed(job: Pick<LeasedJob, "id" | "lease">, error: string, retryAt: Millis | null): Promise<boolean>;

  /** Newest first. */
  list(page?: PageRequest & { readonly queue?: string; readonly state?: Job["state"] }): Promise<Page<Job>>;
  /** Forgets finished jobs from before a time, in batches. @returns how many */
  prune(before: Millis): Promise<number>;
}
