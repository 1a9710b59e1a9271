import { stat } from "node:fs/promises";
import type { RunStore } from "@concord/papers";
import type { Context } from "hono";
import { HTTPException } from "hono/http-exception";
import { type SSEStreamingApi, streamSSE } from "hono/streaming";
import { parseRecord } from "./journal.ts";
import { type LogPosition, parsePosition, positionText, readLog } from "./log-file.ts";

export interface RunEventsOptions {
  readonly store: RunStore;
  /** How often the files are looked at, in milliseconds. */
  readonly pollMs?: number;
  /** How often a sign of life is sent when nothing happens, in milliseconds. */
  readonly heartbeatMs?: number;
  readonly maxConnections?: number;
}

const CHUNK_BYTES = 1 << 16;

/**
 * The live part of a run as server-sent events:
 *
 * - `records`: a list of new log records (steps, progress, notes); the event's id is the position to go on from
 * - `reset`: the log was rewritten, what was sent before does not hold any more and comes again from the start
 * - `state`: run.json has changed
 * - `end`: the run is over, nothing more will come
 */
export class RunEvents {
  readonly #store: RunStore;
  readonly #pollMs: number;
  readonly #heartbeatMs: number;
  readonly #maxConnections: number;
  #connections = 0;
  #closed = false;

  constructor(options: RunEventsOptions) {
    this.#store = options.store;
    this.#pollMs = options.pollMs ?? 400;
    this.#heartbeatMs = options.heartbeatMs ?? 15_000;
    this.#maxConnections = options.maxConnections ?? 64;
  }

  /**
   * Answers with the stream of a run.
   * @param from  position after which to begin, as the page or the browser's Last-Event-ID gives it
   * @param seen  time of the run.json that the page was made from
   * @throws HTTPException 503 when too many streams are open
   */
  stream(context: Context, id: string, from: string | undefined, seen: number): Response {
    if (this.#connections >= this.#maxConnections) {
      throw new HTTPException(503, { message: "Too many pages are following runs at the moment." });
    }
    this.#connections += 1;
    return streamSSE(context, async (stream) => {
      try {
        await this.#follow(stream, id, parsePosition(from), seen);
      } finally {
        this.#connections -= 1;
      }
    });
  }

  /** Ends all streams. */
  close(): void {
    this.#closed = true;
  }

  async #follow(stream: SSEStreamingApi, id: string, from: LogPosition, seen: number): Promise<void> {
    let position = from;
    let changed = seen;
    let over = await this.#isOver(id);
    let quietSince = Date.now();
    while (!this.#closed && !stream.aborted && !stream.closed) {
      // The record is looked at before the log: when it says 'over', the log that is read next is complete.
      const now = await this.#changed(id);
      const stateNews = now !== changed;
      if (stateNews) over = await this.#isOver(id);
      changed = now;
      const sent = await this.#sendRecords(stream, id, position);
      position = sent.position;
      if (stateNews) await stream.writeSSE({ event: "state", data: "" });
      if (over && !sent.more) {
        await stream.writeSSE({ event: "end", data: "" });
        return;
      }
      if (sent.some || stateNews) quietSince = Date.now();
      else if (Date.now() - quietSince >= this.#heartbeatMs) {
        await stream.write(": still here\n\n");
        quietSince = Date.now();
      }
      if (!sent.more) await stream.sleep(this.#pollMs);
    }
  }

  /** When run.json was written last; 0 when it is gone. */
  async #changed(id: string): Promise<number> {
    return stat(this.#store.path(id, "run.json")).then(
      ({ mtimeMs }) => mtimeMs,
      () => 0,
    );
  }

  /** Whether nothing more will come; a run that is gone is over too. */
  async #isOver(id: string): Promise<boolean> {
    return this.#store.read(id).then(
      ({ status }) => status !== "queued" && status !== "running",
      () => true,
    );
  }

  async #sendRecords(stream: SSEStreamingApi, id: string, from: LogPosition) {
    const chunk = await readLog(this.#store.path(id, "log.jsonl"), from, CHUNK_BYTES);
    if (chunk.reset) await stream.writeSSE({ event: "reset", data: "" });
    const records = chunk.lines.flatMap((line) => {
      const record = parseRecord(line);
      return record && record.kind !== "state" ? [record] : [];
    });
    if (records.length > 0) {
      await stream.writeSSE({
        event: "records",
        data: JSON.stringify(records),
        id: positionText(chunk.position),
      });
    }
    return { position: chunk.position, more: chunk.more, some: records.length > 0 || chunk.reset };
  }
}
