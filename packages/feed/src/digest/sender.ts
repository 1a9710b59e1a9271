import { setImmediate as nextTurn } from "node:timers/promises";
import type { Mailer } from "../people/mail-port.ts";
import type { Clock, Issue, LeasedDelivery, Store, StorePorts } from "../store/ports.ts";
import { type Failure, failureOf, statusOf } from "./answers.ts";
import { type IssueContent, readContent } from "./issue.ts";
import type { ReaderLinks } from "./links.ts";
import { DIGEST_PAPERS, digestMessage } from "./messages.ts";
import { DomainPace, domainOf } from "./pace.ts";

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;

/** After a 4xx answer: four more attempts within a day. */
export const RETRY_MS = [15 * MINUTE_MS, HOUR_MS, 4 * HOUR_MS, 18 * HOUR_MS] as const;
const ATTEMPTS = RETRY_MS.length + 1;

const IDLE_MS = 30 * SECOND_MS;
const EXPIRE_EVERY_MS = 30 * SECOND_MS;
const MOST_BACKOFF_MS = 5 * MINUTE_MS;
const KEPT_ISSUES = 3;
/** Troubles without a message in between after which `drain` gives up. */
const MOST_TROUBLES = 8;
/**
 * Refusals for good, with no message taken in between, that are believed. Readers have all confirmed their address: when
 * one after another is refused, it is the server that is set up wrong, or we stand on a list of its own.
 */
const MOST_REFUSALS = 5;
/** Rows that are leased in one transaction; a process that dies leaves them for the end of their lease. */
const HELD_PER_CONNECTION = 8;

/** What became of the messages since the sender was made. */
export interface SenderTally {
  readonly sent: number;
  readonly skipped: number;
  /** Refused for good. */
  readonly failed: number;
  /** Attempts that are to be made again. */
  readonly later: number;
}

export interface SenderOptions {
  readonly store: Store;
  readonly mailer: Mailer;
  readonly links: ReaderLinks;
  readonly clock?: Clock;
  /** Messages under way at once; default 4. */
  readonly connections?: number;
  /** Messages a minute and domain of recipients; default 300. */
  readonly perMinute?: number;
  /** Papers in a message; default 20. */
  readonly papers?: number;
  /**
   * What happens to a message whose sender died before the server's answer was noted: `resend` (default) sends it again
   * under the same Message-ID, `hold` leaves it.
   */
  readonly unknown?: "resend" | "hold";
  /** How long a row is held; must be longer than any conversation with the mail server. Default 5 minutes. */
  readonly leaseMs?: number;
  /** Told of trouble, never of addresses. */
  readonly onTrouble?: (what: string, details: Readonly<Record<string, unknown>>) => void;
}

/**
 * Sends what is queued. Each row is leased in a committed transaction before the mail server is spoken to, the reader is
 * looked at again, and the answer is noted after it came. So a process that dies loses nothing, and repeats at most the
 * messages that were under way, at most one per connection. Any number of processes may send at once.
 */
export class DigestSender {
  readonly #options: Required<Omit<SenderOptions, "onTrouble">> & Pick<SenderOptions, "onTrouble">;
  readonly #pace: DomainPace;
  readonly #held: LeasedDelivery[] = [];
  readonly #flying = new Set<Promise<void>>();
  readonly #issues = new Map<string, Promise<{ issue: Issue; content: IssueContent } | null>>();
  readonly #tally = { sent: 0, skipped: 0, failed: 0, later: 0 };
  #stopping = false;
  #running: Promise<void> | null = null;
  readonly #sleepers = new Set<() => void>();
  #troubles = 0;
  /** Since the last message that was taken. */
  #refusals = 0;
  /** By `performance.now()`, as everything that waits: the clock on the wall may jump. */
  #quietUntil = 0;
  #expireAt = 0;
  #settling: { notes: ((ports: StorePorts) => Promise<unknown>)[]; done: Promise<void> } | null = null;

  constructor(options: SenderOptions) {
    this.#options = {
      clock: Date.now,
      connections: 4,
      perMinute: 300,
      papers: DIGEST_PAPERS,
      unknown: "resend",
      leaseMs: 5 * MINUTE_MS,
      ...options,
    };
    this.#pace = new DomainPace(this.#options.perMinute);
  }

  /** Whether the last attempts all failed for want of a mail server. */
  get isStuck(): boolean {
    return this.#troubles >= MOST_TROUBLES;
  }

  get tally(): SenderTally {
    return { ...this.#tally };
  }

  /** Sends from now on whatever is due. */
  start(): void {
    this.#running ??= this.#work(false);
  }

  /** There is something new to send: do not wait for the next look. */
  nudge(): void {
    for (const wake of this.#sleepers) wake();
  }

  /** Finishes what is under way, gives back what was only held, and ends. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.nudge();
    await this.#running;
  }

  /** Sends what is due now, and ends when nothing is, or when there is no mail server; for terminals. */
  async drain(): Promise<SenderTally> {
    this.#running ??= this.#work(true);
    await this.#running;
    return this.tally;
  }

  async #work(once: boolean): Promise<void> {
    while (!this.#stopping) {
      try {
        const idle = await this.#step();
        if (once && (idle || this.#troubles >= MOST_TROUBLES)) break;
        if (idle) await this.#sleep(IDLE_MS);
      } catch (error) {
        // The store may be busy or its disk full: what is leased stays leased, and is expired when that time comes.
        this.#trouble("digests cannot be sent for the moment", error);
        await this.#sleep(this.#backoff());
      }
    }
    await Promise.allSettled(this.#flying);
    for (const row of this.#held.splice(0)) await this.#options.store.outbox.released(row).catch(() => false);
  }

  /** @returns whether there is nothing to do */
  async #step(): Promise<boolean> {
    const { connections, store, leaseMs, clock, unknown } = this.#options;
    const now = performance.now();
    if (now < this.#quietUntil) {
      await Promise.race([this.#sleep(this.#quietUntil - now), ...this.#flying]);
      return false;
    }
    if (now >= this.#expireAt) {
      // Only with empty hands: when the clock was put forward, our own leases look as if they had run out.
      await Promise.allSettled(this.#flying);
      const lost = await store.outbox.expire(unknown, { attempts: ATTEMPTS - 1 });
      if (lost > 0)
        this.#options.onTrouble?.("deliveries without an answer were found", { rows: lost, policy: unknown });
      this.#expireAt = performance.now() + Math.min(EXPIRE_EVERY_MS, leaseMs);
    }
    if (this.#held.length === 0) {
      this.#held.push(...(await store.outbox.lease({ limit: HELD_PER_CONNECTION * connections, leaseMs })));
    }
    let wait = Number.POSITIVE_INFINITY;
    for (let at = 0; at < this.#held.length && this.#flying.size < connections; ) {
      const row = this.#held[at] as LeasedDelivery;
      if (row.leaseUntil - clock() < leaseMs / 2) {
        // Held too long, or the clock jumped: somebody else may have the row by now.
        this.#held.splice(at, 1);
        await store.outbox.released(row);
        continue;
      }
      const pause = this.#pace.take(domainOf(row.email));
      if (pause > 0) {
        wait = Math.min(wait, pause);
        at++;
        continue;
      }
      this.#held.splice(at, 1);
      const flight: Promise<void> = this.#deliver(row)
        .catch((error: unknown) => this.#trouble("a delivery could not be settled", error))
        .finally(() => this.#flying.delete(flight));
      this.#flying.add(flight);
    }
    if (this.#flying.size === 0 && this.#held.length === 0) return true;
    await Promise.race([...this.#flying, ...(Number.isFinite(wait) ? [this.#sleep(wait)] : [])]);
    return false;
  }

  #issue(id: string): Promise<{ issue: Issue; content: IssueContent } | null> {
    let known = this.#issues.get(id);
    if (known === undefined) {
      known = this.#options.store.outbox
        .issue(id)
        .then((issue) => issue && { issue, content: readContent(issue.content) });
      known.catch(() => this.#issues.delete(id));
      this.#issues.set(id, known);
      for (const old of [...this.#issues.keys()].slice(0, -KEPT_ISSUES)) this.#issues.delete(old);
    }
    return known;
  }

  async #deliver(row: LeasedDelivery): Promise<void> {
    const { store, mailer, links, papers } = this.#options;
    const [found, reader] = await Promise.all([
      this.#issue(row.issueId),
      store.subscriptions.get(row.readerId),
    ]);
    // Looked at again: the reader may have left since the row was leased.
    if (!found || reader?.state !== "confirmed") {
      this.#tally.skipped += 1;
      await this.#settle(({ outbox }) => outbox.skipped(row, "the reader left"));
      return;
    }
    const message = digestMessage(found.content, reader, links, { messageId: row.messageId, papers });
    if (message === null) {
      this.#tally.skipped += 1;
      await this.#settle(({ outbox }) => outbox.skipped(row, "nothing for this reader"));
      return;
    }
    let response: string;
    try {
      ({ response } = await mailer.send(message));
    } catch (error) {
      await this.#refused(row, error);
      return;
    }
    this.#troubles = 0;
    this.#refusals = 0;
    this.#tally.sent += 1;
    // Should this fail, the row stays leased: it must not be queued as if the message had not been taken.
    await this.#settle(({ outbox }) => outbox.sent(row, statusOf(response) || "250"));
  }

  async #refused(row: LeasedDelivery, error: unknown): Promise<void> {
    const { clock, unknown } = this.#options;
    const { failure: seen, status } = failureOf(error);
    const failure = this.#believed(seen, status);
    if (failure === "server") {
      this.#trouble("the mail server does not take mail", error, status);
      this.#quietUntil = performance.now() + this.#backoff();
      await this.#settle(({ outbox }) => outbox.released(row));
      return;
    }
    if (failure === "unknown" && unknown === "hold") {
      // The lease stays until it runs out; then the row is `unknown`, for a person to decide.
      this.#trouble("a delivery got no answer and is held", error);
      return;
    }
    const pause = RETRY_MS[row.attempts - 1];
    const again = (failure === "later" || failure === "unknown") && pause !== undefined;
    const code = status || failure;
    this.#tally[again ? "later" : "failed"] += 1;
    await this.#settle(async ({ outbox, subscriptions }) => {
      const ours = await outbox.failed(row, { code, retryAt: again ? clock() + pause : null });
      if (ours && !again)
        await subscriptions.bounced(row.readerId, { kind: failure === "hard" ? "hard" : "soft", code });
    });
  }

  /** A refusal for good, or, when there were too many in a row, one for now: nobody is given up for a fault of ours. */
  #believed(failure: Failure, status: string): Failure {
    if (failure !== "hard" && failure !== "refused") return failure;
    this.#refusals += 1;
    if (this.#refusals <= MOST_REFUSALS) return failure;
    if (this.#refusals === MOST_REFUSALS + 1)
      this.#options.onTrouble?.(
        "the mail server refuses one message after another: they are tried again later",
        {
          status,
        },
      );
    return "later";
  }

  /**
   * Notes an answer, in one transaction with the others that came at the same time. Resolves when it is on the disk: only
   * then is the connection free for another message, so that at most one per connection is ever in doubt.
   */
  #settle(note: (ports: StorePorts) => Promise<unknown>): Promise<void> {
    if (this.#settling === null) {
      const notes: ((ports: StorePorts) => Promise<unknown>)[] = [];
      const done = nextTurn().then(() => {
        this.#settling = null;
        return this.#options.store.transaction(async (ports) => {
          for (const one of notes) await one(ports);
        });
      });
      this.#settling = { notes, done };
    }
    this.#settling.notes.push(note);
    return this.#settling.done;
  }

  #backoff(): number {
    return Math.min(MOST_BACKOFF_MS, SECOND_MS * 2 ** Math.min(this.#troubles, 10));
  }

  #trouble(what: string, error: unknown, status = ""): void {
    this.#troubles += 1;
    // Words of mail servers repeat addresses: the kind of failure alone.
    const kind = error instanceof Error ? error.name : "unknown";
    this.#options.onTrouble?.(what, { kind, status, times: this.#troubles });
  }

  #sleep(ms: number): Promise<void> {
    if (this.#stopping) return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#sleepers.delete(done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      this.#sleepers.add(done);
    });
  }
}
