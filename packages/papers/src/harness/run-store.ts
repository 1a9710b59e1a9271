import { mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { z } from "zod";
import { writeFileAtomic } from "./atomic-file.ts";
import { isRunId, makeRunId, UnknownRunError } from "./run-id.ts";
import { acquireLock, isLocked, type RunLock } from "./run-lock.ts";
import { type RunRecord, type RunStatus, runRecord } from "./run-record.ts";

const MAX_RECORD_BYTES = 64 * 2 ** 20;

/** What a new run starts from; see `createRun`, which fills it from an experiment. */
export type NewRun = Pick<
  RunRecord,
  "paper" | "preset" | "seeds" | "arms" | "inputs" | "config" | "units" | "device"
>;

/** A run whose `run.json` is missing, unreadable or not a run record. */
export class BrokenRunError extends Error {
  override readonly name = "BrokenRunError";
}

/** Some process is executing the run already. */
export class RunBusyError extends Error {
  override readonly name = "RunBusyError";

  constructor(id: string) {
    super(`Run ${id} is being executed by another process.`);
  }
}

/** The status that a run may go to from each status; `running` to `running` is a resume after a kill. */
const transitions: Readonly<Record<RunStatus, readonly RunStatus[]>> = {
  queued: ["running", "cancelled"],
  running: ["running", "queued", "done", "failed", "cancelled"],
  failed: ["running", "queued"],
  cancelled: ["running", "queued"],
  done: [],
};

/**
 * The record with another status.
 *
 * @throws Error when a run cannot go from its status to that one, e.g. when it is done
 */
export function withStatus(record: RunRecord, status: RunStatus): RunRecord {
  if (!transitions[record.status].includes(status)) {
    throw new Error(`Run ${record.id} is ${record.status} and cannot become ${status}.`);
  }
  return { ...record, status };
}

/** The runs in a folder: one subfolder each, named by its id. Any number of processes may share the folder. */
export class RunStore {
  readonly folder: string;
  readonly #held = new Map<string, RunLock>();
  #newest = 0;

  constructor(folder: string) {
    this.folder = resolve(folder);
  }

  /**
   * Absolute path of a run's folder, or of something inside it.
   *
   * @throws UnknownRunError when the id is malformed; ids from outside can thus not leave the folder
   */
  path(id: string, ...inside: readonly string[]): string {
    if (!isRunId(id)) throw new UnknownRunError(id);
    return join(this.folder, id, ...inside);
  }

  /**
   * Makes a run's folder and its record, which is `queued`.
   *
   * @param options.hold  true when the caller executes the run at once: the run's lock is taken before the record
   *   exists, so that nobody who works off the queue takes the run; `acquire` hands the lock out
   */
  async create(request: NewRun, options: { readonly hold?: boolean } = {}): Promise<RunRecord> {
    // Strictly increasing, so that runs created in one millisecond keep their order.
    this.#newest = Math.max(Date.now(), this.#newest + 1);
    const time = new Date(this.#newest);
    const record: RunRecord = {
      version: 1,
      id: makeRunId(request.paper, time),
      ...request,
      status: "queued",
      createdAt: time.toISOString(),
      seconds: 0,
      resumes: 0,
      environment: {},
      results: [],
      verdicts: [],
    };
    await mkdir(this.path(record.id), { recursive: true });
    if (options.hold === true) this.#held.set(record.id, this.acquire(record.id));
    await this.write(record);
    return record;
  }

  /**
   * The record of one run.
   *
   * @throws UnknownRunError when there is no such run, BrokenRunError when its record cannot be read
   */
  async read(id: string): Promise<RunRecord> {
    const path = this.path(id, "run.json");
    let text: string;
    try {
      const { size } = await stat(path);
      if (size > MAX_RECORD_BYTES) {
        throw new BrokenRunError(`${path}: ${size} bytes, at most ${MAX_RECORD_BYTES} are read`);
      }
      text = await readFile(path, "utf8");
    } catch (error) {
      if (error instanceof BrokenRunError) throw error;
      const folder = await stat(this.path(id)).catch(() => null);
      if (!folder?.isDirectory()) throw new UnknownRunError(id);
      throw new BrokenRunError(`${path} cannot be read: ${(error as Error).message}`, { cause: error });
    }
    let json: unknown;
    try {
      json = JSON.parse(text);
    } catch (error) {
      throw new BrokenRunError(`${path} is not JSON: ${(error as Error).message}`, { cause: error });
    }
    const parsed = runRecord.safeParse(json);
    if (!parsed.success) {
      throw new BrokenRunError(`${path} is not a run record:\n${z.prettifyError(parsed.error)}`);
    }
    if (parsed.data.id !== id) {
      throw new BrokenRunError(`${path} belongs to run ${JSON.stringify(parsed.data.id)}, expected ${id}`);
    }
    return parsed.data;
  }

  /** Writes a record; a concurrent reader sees the old one or the new one, never half of it. */
  async write(record: RunRecord): Promise<void> {
    await writeFileAtomic(this.path(record.id, "run.json"), [`${JSON.stringify(record, null, 2)}\n`]);
  }

  /**
   * All runs that can be read, newest first.
   *
   * @param options.onBroken  told about every run folder whose record cannot be read
   */
  async list(options: { readonly onBroken?: (id: string, error: Error) => void } = {}): Promise<RunRecord[]> {
    const names = await readdir(this.folder).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return [] as string[];
      throw error;
    });
    const ids = names.filter(isRunId).sort().reverse();
    const records = await Promise.all(
      ids.map((id) =>
        this.read(id).catch((error: Error) => {
          // Deleted since the folder was read.
          if (!(error instanceof UnknownRunError)) options.onBroken?.(id, error);
          return null;
        }),
      ),
    );
    return records.filter((record) => record !== null);
  }

  /** Runs that wait for somebody to execute them, oldest first. */
  async queue(): Promise<RunRecord[]> {
    const records = await this.list();
    return records
      .filter(({ id, status }) => status === "queued" && !isLocked(this.path(id, "lock")))
      .reverse();
  }

  /**
   * Takes the right to execute a run, until it is released or this process ends.
   *
   * @throws RunBusyError when somebody has it already
   */
  acquire(id: string): RunLock {
    const held = this.#held.get(id);
    if (held) {
      this.#held.delete(id);
      return held;
    }
    const lock = acquireLock(this.path(id, "lock"));
    if (!lock) throw new RunBusyError(id);
    return lock;
  }

  /** Whether the record says `running` but nobody executes the run: its process was killed. It can be resumed. */
  isInterrupted(record: Pick<RunRecord, "id" | "status">): boolean {
    return record.status === "running" && !isLocked(this.path(record.id, "lock"));
  }

  /**
   * Cancels a run; it keeps what it has and can be resumed.
   *
   * @returns "cancelled", or "requested" when some process executes the run: that stops within about a second
   * @throws Error when the run is done, failed or cancelled already
   */
  async cancel(id: string): Promise<"cancelled" | "requested"> {
    const record = await this.read(id);
    withStatus(record, "cancelled");
    const lock = acquireLock(this.path(id, "lock"));
    if (!lock) {
      await writeFile(this.#cancelRequest(id), "");
      return "requested";
    }
    try {
      await this.write(withStatus(await this.read(id), "cancelled"));
    } finally {
      lock.release();
    }
    return "cancelled";
  }

  /** Whether somebody asked the process that executes the run to stop. */
  async isCancelRequested(id: string): Promise<boolean> {
    return stat(this.#cancelRequest(id)).then(
      () => true,
      () => false,
    );
  }

  async clearCancelRequest(id: string): Promise<void> {
    await rm(this.#cancelRequest(id), { force: true });
  }

  /**
   * Puts a failed, cancelled or interrupted run back into the queue; it will go on where it stopped.
   *
   * @throws RunBusyError when it is being executed, Error when it is done
   */
  async requeue(id: string): Promise<RunRecord> {
    await this.read(id);
    const lock = this.acquire(id);
    try {
      const { error: _, finishedAt: __, ...record } = await this.read(id);
      const queued = withStatus(record, "queued");
      await this.write(queued);
      return queued;
    } finally {
      lock.release();
    }
  }

  /**
   * Deletes a run and everything in its folder.
   *
   * @throws RunBusyError while it is being executed
   */
  async delete(id: string): Promise<void> {
    const folder = this.path(id);
    const found = await stat(folder).catch(() => null);
    if (!found?.isDirectory()) throw new UnknownRunError(id);
    this.acquire(id).release();
    await rm(folder, { recursive: true, force: true });
  }

  #cancelRequest(id: string): string {
    return this.path(id, "cancel");
  }
}
