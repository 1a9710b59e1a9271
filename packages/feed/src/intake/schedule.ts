import { Cron } from "croner";
import type { SafeFetch } from "../net/index.ts";
import type { LeasedJob, Store } from "../store/ports.ts";
import { type IngestReport, ingest } from "./ingest.ts";
import { readerOf } from "./sources/index.ts";
import type { IngestSource } from "./sources/source.ts";

/** A source with the times at which it is read. */
export interface ScheduledSource {
  /** Unique among the schedule's. */
  readonly name: string;
  readonly source: IngestSource;
  /** Minute, hour, day of month, month, day of week as in crontab(5), e.g. `20 0 * * 1-5`. */
  readonly times: string;
  /** In which the times are, e.g. `America/New_York`. */
  readonly timezone: string;
}

export interface IntakeScheduleOptions {
  readonly store: Pick<Store, "papers" | "intake" | "transaction" | "jobs">;
  readonly fetch: SafeFetch;
  readonly entries: readonly ScheduledSource[];
  readonly onReport?: (name: string, report: IngestReport) => void;
  /** Errors of the program or the store; the schedule goes on. */
  readonly onError?: (error: unknown) => void;
  /** Milliseconds since 1970; default: the system's clock. */
  readonly now?: () => number;
  /** Numbers in [0, 1) that spread the times. */
  readonly random?: () => number;
  /** A reading starts up to so much later than its time, so that not all of the world asks at once; default 10 minutes. */
  readonly jitterMs?: number;
  /** How often to look what is due, in milliseconds; default 15,000. */
  readonly pollMs?: number;
}

const QUEUE = "intake";
const LEASE_MS = 10 * 60_000;
const RENEW_MS = 2 * 60_000;
const MAX_ATTEMPTS = 4;
const FIRST_RETRY_MS = 15 * 60_000;

const arxivTimezone = "America/New_York";

/**
 * When arXiv is best read: listings come at midnight US Eastern after working days, and are looked for twice; the night
 * after, what they leave open is filled in; once a week a harvest brings what was missed.
 */
export function arxivSchedule(categories: readonly string[]): ScheduledSource[] {
  return [
    {
      name: "arxiv-rss",
      source: { kind: "arxiv-rss", categories },
      times: "20 0,4 * * 1-5",
      timezone: arxivTimezone,
    },
    { name: "arxiv-fill", source: { kind: "arxiv-fill" }, times: "40 5 * * *", timezone: arxivTimezone },
    ...categories.map((category) => ({
      name: `arxiv-oai-${category}`,
      source: { kind: "arxiv-oai", set: setOf(category) } as const,
      times: "10 6 * * 6",
      timezone: arxivTimezone,
    })),
  ];
}

/** Archives that OAI-PMH has as sets of their own; all others belong to the group physics. */
const GROUPS = new Set(["cs", "econ", "eess", "math", "q-bio", "q-fin", "stat"]);

/** `cs.LG` as OAI-PMH has it: `cs:cs:LG`. */
function setOf(category: string): string {
  const [archive = "", subject] = category.split(".");
  if (!GROUPS.has(archive))
    return subject === undefined ? `physics:${archive}` : `physics:${archive}:${subject}`;
  return subject === undefined ? archive : `${archive}:${archive}:${subject}`;
}

interface Entry extends ScheduledSource {
  readonly key: string;
  readonly cron: Cron;
  nextAt: number | null;
}

/**
 * Reads sources at their times, by jobs of the store: a source is read by one process at a time, a reading that fails is
 * tried again, and one that was missed while nobody ran is made up for once.
 */
export class IntakeSchedule {
  readonly #options: IntakeScheduleOptions;
  readonly #entries: readonly Entry[];
  readonly #now: () => number;
  readonly #stopping = new AbortController();
  #timer: NodeJS.Timeout | null = null;
  #turn: Promise<void> = Promise.resolve();
  #caughtUp = false;

  /** @throws Error naming the entry whose times cannot be understood; SourceError for sources that cannot be read */
  constructor(options: IntakeScheduleOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#entries = options.entries.map((entry) => {
      try {
        const cron = new Cron(entry.times, { timezone: entry.timezone, paused: true });
        const nextAt = cron.nextRun(new Date(this.#now()))?.getTime() ?? null;
        return { ...entry, key: readerOf(entry.source).key, cron, nextAt };
      } catch (cause) {
        throw new Error(`Schedule of ${entry.name}: ${(cause as Error).message}`, { cause });
      }
    });
    const names = new Set(this.#entries.map(({ name }) => name));
    if (names.size < this.#entries.length) throw new Error("Two entries of the schedule have the same name.");
  }

  /** When which source is read next, without the spread; the earliest first. */
  next(): { readonly name: string; readonly at: number }[] {
    return this.#entries
      .flatMap(({ name, nextAt }) => (nextAt === null ? [] : [{ name, at: nextAt }]))
      .sort((a, b) => a.at - b.at);
  }

  /** Looks for what is due from now on, until `stop`. Keeps no process alive. */
  start(): void {
    if (this.#timer !== null || this.#stopping.signal.aborted) return;
    const look = (): void => {
      this.#turn = this.step()
        .catch((error: unknown) => this.#options.onError?.(error))
        .finally(() => {
          if (this.#stopping.signal.aborted) return;
          this.#timer = setTimeout(look, this.#options.pollMs ?? 15_000);
          this.#timer.unref();
        });
    };
    this.#timer = setTimeout(look, 0);
    this.#timer.unref();
  }

  /** Ends the reading under way after its batch, and starts no other. The store keeps where it was. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    await this.#turn;
  }

  /** Puts what has become due into the queue, and reads what the queue has, until nothing is due. */
  async step(): Promise<void> {
    if (!this.#caughtUp) {
      for (const entry of this.#entries) if (await this.#missed(entry)) await this.#add(entry);
      this.#caughtUp = true;
    }
    for (const entry of this.#entries) {
      if (entry.nextAt === null || entry.nextAt > this.#now()) continue;
      await this.#add(entry);
      entry.nextAt = entry.cron.nextRun(new Date(this.#now()))?.getTime() ?? null;
    }
    while (!this.#stopping.signal.aborted) {
      const job = await this.#options.store.jobs.lease([QUEUE], LEASE_MS);
      if (job === null) return;
      await this.#run(job);
    }
  }

  /** Whether the last time before now passed without a reading. A source that was never read has missed it. */
  async #missed({ cron, key }: Entry): Promise<boolean> {
    const last = cron.previousRuns(1, new Date(this.#now()))[0]?.getTime();
    const { attemptedAt } = await this.#options.store.intake.state(key);
    return last !== undefined && (attemptedAt ?? 0) < last;
  }

  async #add({ name }: Entry): Promise<void> {
    const { random = Math.random, jitterMs = 10 * 60_000, store } = this.#options;
    await store.jobs.add({
      queue: QUEUE,
      key: name,
      payload: { name },
      runAt: Math.round(this.#now() + random() * jitterMs),
      maxAttempts: MAX_ATTEMPTS,
    });
  }

  async #run(job: LeasedJob): Promise<void> {
    const { store, fetch, onReport, onError } = this.#options;
    const entry = this.#entries.find(({ name }) => name === job.key);
    // Left over from another configuration.
    if (entry === undefined) {
      await store.jobs.done(job);
      return;
    }
    const lost = new AbortController();
    const renewal = setInterval(() => {
      store.jobs.renew(job, LEASE_MS).then(
        (held) => {
          if (!held) lost.abort();
        },
        (error: unknown) => onError?.(error),
      );
    }, RENEW_MS);
    renewal.unref();
    const retryAt = this.#now() + FIRST_RETRY_MS * 2 ** job.attempts;
    try {
      const signal = AbortSignal.any([lost.signal, this.#stopping.signal]);
      const report = await ingest(entry.source, store, { fetch, signal, now: this.#now });
      onReport?.(entry.name, report);
      if (report.status === "done" || report.status === "unchanged") await store.jobs.done(job);
      else if (report.status === "stopped") await store.jobs.failed(job, "stopped", this.#now());
      else await store.jobs.failed(job, report.error ?? report.status, report.notBefore ?? retryAt);
    } catch (error) {
      onError?.(error);
      await store.jobs.failed(job, error instanceof Error ? error.message : String(error), retryAt);
    } finally {
      clearInterval(renewal);
    }
  }
}
