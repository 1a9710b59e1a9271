import { closeSync, constants, fsyncSync, openSync, writeSync } from "node:fs";
import { open, readFile } from "node:fs/promises";
import { writeFileAtomic } from "./atomic-file.ts";
import { type LogRecord, logRecord } from "./run-record.ts";

const FLUSH_MS = 200;
const NEWLINE = 0x0a;
const READ_BYTES = 16 * 2 ** 20;

function parseLine(line: string): LogRecord | null {
  try {
    return logRecord.parse(JSON.parse(line));
  } catch {
    return null;
  }
}

/** What makes a curve point or a note the same when a resumed unit comes by again. */
function identity(record: LogRecord): string | null {
  if (record.kind === "step") {
    return JSON.stringify([record.phase, record.step, ...Object.keys(record.values).sort()]);
  }
  return record.kind === "note" ? JSON.stringify([record.level, record.message]) : null;
}

/**
 * Decides how much of the log survives a restart, given how many whole lines it has of each unit.
 *
 * @returns per unit how many of its lines to keep, from the first; of units that are not named all are kept
 */
export type LimitLines = (lines: ReadonlyMap<string, number>) => Promise<ReadonlyMap<string, number>>;

/**
 * `log.jsonl`, open for appending. Lines are buffered and reach the file within about a quarter of a second, or at
 * `flush`. A curve point (unit, phase, step and names of its values) and a note are written once: what a resumed unit
 * logs again on its way to where it stopped is dropped.
 */
export class RunLog {
  readonly #file: number;
  readonly #timer: NodeJS.Timeout;
  readonly #lines = new Map<string, number>();
  readonly #seen = new Map<string, Set<string>>();
  #buffer: string[] = [];

  private constructor(file: number) {
    this.#file = file;
    this.#timer = setInterval(() => this.flush(), FLUSH_MS);
    this.#timer.unref();
  }

  /**
   * Opens the log of a run, which may have been killed at any moment: a torn last line and lines beyond
   * their unit's limit are removed, in one atomic rewrite.
   */
  static async open(path: string, limit: LimitLines): Promise<RunLog> {
    const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return "";
      throw error;
    });
    const whole = text.slice(0, text.lastIndexOf("\n") + 1);
    const parsed = whole.split("\n").flatMap((line) => {
      const record = parseLine(line);
      return record ? [{ line, record }] : [];
    });
    const counts = new Map<string, number>();
    for (const { record } of parsed) {
      if (record.unit !== undefined) counts.set(record.unit, (counts.get(record.unit) ?? 0) + 1);
    }
    const limits = await limit(counts);
    const passed = new Map<string, number>();
    const kept = parsed.filter(({ record }) => {
      if (record.unit === undefined) return true;
      const index = passed.get(record.unit) ?? 0;
      passed.set(record.unit, index + 1);
      return index < (limits.get(record.unit) ?? Number.POSITIVE_INFINITY);
    });
    const rewritten = kept.map(({ line }) => `${line}\n`).join("");
    if (rewritten !== text) await writeFileAtomic(path, [rewritten]);

    const log = new RunLog(
      openSync(path, constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT, 0o644),
    );
    for (const { record } of kept) log.#remember(record);
    return log;
  }

  /** Adds a record, unless it is a curve point or a note that the log has already. Returns whether it was added. */
  append(record: LogRecord): boolean {
    if (!this.#remember(record)) return false;
    this.#buffer.push(`${JSON.stringify(record)}\n`);
    return true;
  }

  /** How many lines the log has of a unit, buffered ones included. */
  linesOf(unit: string): number {
    return this.#lines.get(unit) ?? 0;
  }

  /** Hands the buffered lines to the operating system: they survive a kill of this process. */
  flush(): void {
    if (this.#buffer.length === 0) return;
    const bytes = Buffer.from(this.#buffer.join(""));
    this.#buffer = [];
    for (let start = 0; start < bytes.length; ) start += writeSync(this.#file, bytes, start);
  }

  /** Flushes to the disk: the lines survive a power cut. */
  sync(): void {
    this.flush();
    fsyncSync(this.#file);
  }

  close(): void {
    clearInterval(this.#timer);
    this.flush();
    closeSync(this.#file);
  }

  #remember(record: LogRecord): boolean {
    if (record.unit === undefined) return true;
    const key = identity(record);
    if (key !== null) {
      const seen = this.#seen.get(record.unit) ?? new Set();
      if (seen.has(key)) return false;
      this.#seen.set(record.unit, seen.add(key));
    }
    this.#lines.set(record.unit, this.linesOf(record.unit) + 1);
    return true;
  }
}

/**
 * Follows a log that grows. A line that is not complete yet is left for the next read; lines that are not log
 * records are skipped.
 */
export class LogTail {
  readonly #path: string;
  #position = 0;
  #file: bigint | null = null;

  constructor(path: string) {
    this.#path = path;
  }

  /**
   * The records that were added since the last read.
   *
   * @returns restarted: true when the log was rewritten (its run was resumed) and `records` are all there are, from
   *   the first on
   */
  async read(): Promise<{ readonly records: LogRecord[]; readonly restarted: boolean }> {
    const handle = await open(this.#path, "r").catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return null;
      throw error;
    });
    if (!handle) return { records: [], restarted: false };
    try {
      const { ino, size } = await handle.stat({ bigint: true });
      const restarted = this.#file !== null && (this.#file !== ino || size < BigInt(this.#position));
      if (restarted) this.#position = 0;
      this.#file = ino;
      const records: LogRecord[] = [];
      let rest: Buffer = Buffer.alloc(0);
      for (let at = this.#position; at < Number(size); ) {
        const length = Math.min(READ_BYTES, Number(size) - at);
        const { bytesRead, buffer } = await handle.read(Buffer.alloc(length), 0, length, at);
        if (bytesRead === 0) break;
        at += bytesRead;
        const bytes = Buffer.concat([rest, buffer.subarray(0, bytesRead)]);
        const end = bytes.lastIndexOf(NEWLINE) + 1;
        for (const line of bytes.toString("utf8", 0, end).split("\n")) {
          const record = line === "" ? null : parseLine(line);
          if (record) records.push(record);
        }
        rest = bytes.subarray(end);
        this.#position += end;
      }
      return { records, restarted };
    } finally {
      await handle.close();
    }
  }
}
