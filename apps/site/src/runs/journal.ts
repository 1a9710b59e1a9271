import { type LogRecord, logRecord } from "@concord/papers";
import { type ChartData, CurveCollector } from "@concord/plots";
import { LOG_START, type LogPosition, readLog } from "./log-file.ts";

export type NoteRecord = Extract<LogRecord, { kind: "note" }>;
export type ProgressRecord = Extract<LogRecord, { kind: "progress" }>;

/** What a run's log says so far, condensed. */
export interface Journal {
  readonly charts: readonly ChartData[];
  /** Messages for people, oldest first; repeated ones once. */
  readonly notes: readonly NoteRecord[];
  /** How many more messages there were than are kept. */
  readonly notesDropped: number;
  /** How far the units at work have come, in the order in which they began. */
  readonly progress: readonly ProgressRecord[];
  /** Where a reader of the log goes on from here. */
  readonly position: LogPosition;
}

const CHUNK_BYTES = 1 << 18;
const MAX_NOTES = 200;
const MAX_JOURNALS = 16;

/** One line of a log; null for a line that is no record, e.g. one torn by a crash. */
export function parseRecord(line: string): LogRecord | null {
  try {
    return logRecord.safeParse(JSON.parse(line)).data ?? null;
  } catch {
    return null;
  }
}

/** Follows one log: every call reads only what is new. */
class LogFollower {
  readonly #path: string;
  #position = LOG_START;
  #curves = new CurveCollector();
  #notes = new Map<string, NoteRecord>();
  #notesDropped = 0;
  #progress = new Map<string, ProgressRecord>();
  #reading: Promise<void> = Promise.resolve();

  constructor(path: string) {
    this.#path = path;
  }

  async journal(): Promise<Journal> {
    const reading = this.#reading.then(() => this.#readOn());
    this.#reading = reading.catch(() => {});
    await reading;
    return {
      charts: this.#curves.charts(),
      notes: [...this.#notes.values()],
      notesDropped: this.#notesDropped,
      progress: [...this.#progress.values()],
      position: this.#position,
    };
  }

  async #readOn(): Promise<void> {
    for (;;) {
      const chunk = await readLog(this.#path, this.#position, CHUNK_BYTES);
      if (chunk.reset) {
        this.#curves = new CurveCollector();
        this.#notes = new Map();
        this.#notesDropped = 0;
        this.#progress = new Map();
      }
      this.#position = chunk.position;
      for (const line of chunk.lines) this.#take(parseRecord(line));
      if (!chunk.more) return;
    }
  }

  #take(record: LogRecord | null): void {
    if (record?.kind === "step") this.#curves.add(record);
    else if (record?.kind === "progress") this.#progress.set(record.unit, record);
    else if (record?.kind === "state" && record.unit !== undefined && record.unitStatus === "done")
      this.#progress.delete(record.unit);
    else if (record?.kind === "note") {
      const key = `${record.level}\n${record.message}`;
      if (this.#notes.has(key)) return;
      if (this.#notes.size < MAX_NOTES) this.#notes.set(key, record);
      else this.#notesDropped += 1;
    }
  }
}

/** The journals of the runs that were looked at last. */
export class Journals {
  readonly #followers = new Map<string, LogFollower>();

  /** The journal of the log at this path, up to date. */
  read(path: string): Promise<Journal> {
    const follower = this.#followers.get(path) ?? new LogFollower(path);
    // Moved to the end: the first one in the map is the one that was not used for longest.
    this.#followers.delete(path);
    this.#followers.set(path, follower);
    const oldest = this.#followers.keys().next().value;
    if (this.#followers.size > MAX_JOURNALS && oldest !== undefined) this.#followers.delete(oldest);
    return follower.journal();
  }
}
