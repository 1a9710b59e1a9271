import { randomUUID } from "node:crypto";
import { mkdirSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { type Clock, systemClock } from "./clock.ts";

/** How often one group of hosts may be asked. */
export interface PolitenessRule {
  /** Hosts with the same group share one queue. */
  readonly group: string;
  /** Least time between the starts of two requests, in milliseconds. */
  readonly intervalMs: number;
}

/** One request's turn. */
export interface Turn {
  /** By the gate's clock, in milliseconds since 1970. */
  readonly startedAt: number;
  /** Ends it. `pauseMs`: nobody of the group may ask again before so many milliseconds have passed. */
  release(pauseMs?: number): void;
}

/** Gives requests to a group their turns, one after another. */
export interface PolitenessGate {
  /**
   * @param holdMs  after so long without `release` the holder counts as dead
   * @throws PauseTooLongError when the group has to rest for longer than `maxPauseMs`
   */
  take(
    rule: PolitenessRule,
    options: {
      readonly holdMs: number;
      readonly maxPauseMs: number;
      readonly signal?: AbortSignal | undefined;
    },
  ): Promise<Turn>;
}

/** A server asked for a rest that is longer than the caller will wait. */
export class PauseTooLongError extends Error {
  override readonly name = "PauseTooLongError";
  readonly pauseMs: number;

  constructor(group: string, pauseMs: number) {
    super(`${group} asked not to be called for another ${Math.ceil(pauseMs / 1000)} seconds`);
    this.pauseMs = pauseMs;
  }
}

const ARXIV_INTERVAL_MS = 3000;
const OTHER_INTERVAL_MS = 1000;

/**
 * arXiv's terms count its query interface, RSS and OAI-PMH together: one request in three seconds over one
 * connection, from all of a user's programs. Other hosts are asked at most once a second.
 *
 * @source arXiv API Terms of Use, "Rate limits"
 */
export function politenessRule(hostname: string): PolitenessRule {
  const name = hostname.replace(/\.$/, "");
  if (name === "arxiv.org" || name.endsWith(".arxiv.org")) {
    return { group: "arxiv.org", intervalMs: ARXIV_INTERVAL_MS };
  }
  return { group: name, intervalMs: OTHER_INTERVAL_MS };
}

/** When a group may be asked next, and who is asking now. */
interface GroupState {
  readonly nextAt: number;
  readonly holder: string | null;
  readonly holdUntil: number;
}

interface StateStore {
  /** Replaces a group's state by what `change` makes of it, with nobody in between. */
  update(group: string, change: (state: GroupState) => GroupState): void;
}

const FREE: GroupState = { nextAt: 0, holder: null, holdUntil: 0 };
/** How often to look whether another holder has finished. */
const POLL_MS = 50;
/** A pause that was noted longer ahead than this comes from a clock that has since been set back. */
const MAX_REMEMBERED_PAUSE_MS = 24 * 3_600_000;
const MAX_REMEMBERED_HOLD_MS = 3_600_000;

class Gate implements PolitenessGate {
  readonly #store: StateStore;
  readonly #clock: Clock;

  constructor(store: StateStore, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  async take(rule: PolitenessRule, options: Parameters<PolitenessGate["take"]>[1]): Promise<Turn> {
    const { group, intervalMs } = rule;
    const { holdMs, maxPauseMs, signal } = options;
    const holder = randomUUID();
    for (;;) {
      signal?.throwIfAborted();
      let now = 0;
      let waitMs = 0;
      this.#store.update(group, (state) => {
        // Read where nobody else can come in between: getting there may have taken a while.
        now = this.#clock.now();
        const pause = state.nextAt - now;
        const resting = pause > 0 && pause <= MAX_REMEMBERED_PAUSE_MS;
        const held = state.holdUntil - now;
        const taken = state.holder !== null && held > 0 && held <= MAX_REMEMBERED_HOLD_MS;
        if (resting || taken) {
          waitMs = Math.max(resting ? pause : 0, taken ? POLL_MS : 0);
          return state;
        }
        return { nextAt: now + intervalMs, holder, holdUntil: now + holdMs };
      });
      if (waitMs === 0) {
        return { startedAt: now, release: (pauseMs = 0) => this.#release(group, holder, pauseMs) };
      }
      if (waitMs > maxPauseMs) throw new PauseTooLongError(group, waitMs);
      await this.#clock.sleep(waitMs, signal);
    }
  }

  #release(group: string, holder: string, pauseMs: number): void {
    const until = this.#clock.now() + pauseMs;
    this.#store.update(group, (state) => ({
      // Somebody else holds the group where this turn outlived its hold.
      ...(state.holder === holder ? FREE : state),
      nextAt: Math.max(state.nextAt, pauseMs > 0 ? until : 0),
    }));
  }
}

/** A gate for this process alone. */
export function memoryGate(clock: Clock = systemClock): PolitenessGate {
  const groups = new Map<string, GroupState>();
  const update: StateStore["update"] = (group, change) => {
    groups.set(group, change(groups.get(group) ?? FREE));
  };
  return new Gate({ update }, clock);
}

/**
 * A gate shared by all processes that open the same file, an SQLite database that is made when it is missing. A
 * process that is killed loses its turn after `holdMs`.
 */
export function fileGate(path: string, clock: Clock = systemClock): PolitenessGate & Disposable {
  mkdirSync(dirname(path), { recursive: true });
  const database = new DatabaseSync(path, { timeout: 5000 });
  database.exec(
    "CREATE TABLE IF NOT EXISTS turn (host_group TEXT PRIMARY KEY, next_at INTEGER NOT NULL, holder TEXT, hold_until INTEGER NOT NULL) STRICT",
  );
  const read = database.prepare("SELECT next_at, holder, hold_until FROM turn WHERE host_group = ?");
  const write = database.prepare(
    "INSERT INTO turn VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET next_at = excluded.next_at, holder = excluded.holder, hold_until = excluded.hold_until",
  );
  const update: StateStore["update"] = (group, change) => {
    database.exec("BEGIN IMMEDIATE");
    try {
      const row = read.get(group);
      const state: GroupState =
        row === undefined
          ? FREE
          : {
              nextAt: Number(row.next_at),
              holder: row.holder === null ? null : String(row.holder),
              holdUntil: Number(row.hold_until),
            };
      const next = change(state);
      write.run(group, Math.ceil(next.nextAt), next.holder, Math.ceil(next.holdUntil));
      database.exec("COMMIT");
    } catch (error) {
      database.exec("ROLLBACK");
      throw error;
    }
  };
  const gate = new Gate({ update }, clock);
  return {
    take: (rule, options) => gate.take(rule, options),
    [Symbol.dispose]: () => database.close(),
  };
}

/** The gate's file for everything that this user runs on this machine. */
export function defaultGatePath(env: Readonly<Record<string, string | undefined>>): string {
  const state = env.XDG_STATE_HOME || env.LOCALAPPDATA || join(homedir(), ".local", "state");
  return join(state, "concord", "politeness.sqlite");
}
