import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { mkdir, open, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { acquireLock, RunBusyError, type RunLock, type RunRecord, type RunStore } from "@concord/papers";
import type { RunIndex } from "./run-index.ts";

export interface RunQueueOptions {
  readonly store: RunStore;
  readonly index: RunIndex;
  /** Program and first arguments of the command that executes a run; the queue adds which run. */
  readonly command: readonly string[];
  /** How often to look for work that other processes have queued, in milliseconds. */
  readonly pollMs?: number;
  /** How long a cancelled run may take to stop before it is killed, in milliseconds. */
  readonly killAfterMs?: number;
  /** Told about what goes wrong outside of any run, e.g. a folder that cannot be read. */
  readonly onProblem?: (error: Error) => void;
}

/** How the process of a run ended. */
interface Ending {
  readonly text: string;
}

const STDERR_FILE = "stderr.txt";
const STDERR_TAIL_BYTES = 4000;
/** Beside `run.json`: in which unit the process of the run died the last time. */
const DEATH_FILE = "death.json";
const LOCK_PATIENCE_MS = 3000;
const LOCK_RETRY_MS = 50;
/** While one server holds it, no other executes runs of the folder. */
const QUEUE_LOCK = "queue.lock";

/** The unit that was being computed; null before the first. */
function currentUnit(record: RunRecord): string | null {
  return record.units.find(({ status }) => status === "running")?.id ?? null;
}

/** Place of a run among those that wait, 1 for the next; null for a run that does not wait. */
export function queuePosition(records: readonly RunRecord[], id: string): number | null {
  const waiting = records
    .filter(({ status }) => status === "queued")
    .sort((a, b) => a.id.localeCompare(b.id));
  const index = waiting.findIndex((record) => record.id === id);
  return index < 0 ? null : index + 1;
}

/** Does something that needs the lock of a run that has just stopped: its process may hold it for a moment longer. */
async function whenFree(action: () => Promise<unknown>): Promise<void> {
  const deadline = Date.now() + LOCK_PATIENCE_MS;
  for (;;) {
    try {
      await action();
      return;
    } catch (error) {
      if (!(error instanceof RunBusyError) || Date.now() > deadline) throw error;
      await sleep(LOCK_RETRY_MS);
    }
  }
}

/**
 * Executes the queued runs of a folder, one at a time and each in a process of its own, so that neither its memory
 * nor its death is the server's. Several servers may share a folder: the first one to take the lock executes.
 */
export class RunQueue {
  readonly #store: RunStore;
  readonly #index: RunIndex;
  readonly #command: readonly string[];
  readonly #pollMs: number;
  readonly #killAfterMs: number;
  readonly #onProblem: (error: Error) => void;
  #lock: RunLock | null = null;
  #active: { readonly id: string; readonly process: ChildProcess; cancelled: boolean } | null = null;
  #killTimer: NodeJS.Timeout | undefined;
  #closed = false;
  #wake: () => void = () => {};
  #loop: Promise<void> | null = null;

  constructor(options: RunQueueOptions) {
    if (options.command.length === 0) throw new Error("RunQueue: the command is empty.");
    this.#store = options.store;
    this.#index = options.index;
    this.#command = options.command;
    this.#pollMs = options.pollMs ?? 1000;
    this.#killAfterMs = options.killAfterMs ?? 10_000;
    this.#onProblem = options.onProblem ?? ((error) => console.error(`Run queue: ${error.message}`));
  }

  /** Whether this queue, and not that of another server, executes the runs of the folder. */
  get executes(): boolean {
    return this.#lock !== null;
  }

  /** Begins to work off the queue: first what an earlier server left behind, then the oldest queued run, and so on. */
  async start(): Promise<void> {
    await mkdir(this.#store.folder, { recursive: true });
    this.#takeLock();
    this.#loop = this.#work();
  }

  /** Looks for work now instead of at the next poll. */
  notify(): void {
    this.#wake();
  }

  /** Cancels a run. One that executes is asked to stop, then told (SIGTERM), and killed when it does not listen. */
  async cancel(id: string): Promise<void> {
    await this.#store.cancel(id);
    // Told as well: a process that is just starting does not see the request, or takes a cancelled run for a resumed one.
    if (this.#active?.id === id && !this.#active.cancelled) {
      this.#active.cancelled = true;
      this.#signal("SIGTERM");
      this.#killTimer = setTimeout(() => this.#signal("SIGKILL"), this.#killAfterMs);
    }
  }

  /** Puts a stopped run back into the queue. */
  async resume(id: string): Promise<void> {
    await rm(this.#store.path(id, DEATH_FILE), { force: true });
    await this.#store.clearCancelRequest(id);
    await whenFree(() => this.#store.requeue(id));
    this.notify();
  }

  /** Deletes a run that has stopped. */
  async delete(id: string): Promise<void> {
    await whenFree(() => this.#store.delete(id));
  }

  /** Stops working. A run that executes is killed, which it survives: it goes back to the head of the queue. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#wake();
    this.#signal("SIGKILL");
    await this.#loop;
    this.#lock?.release();
    this.#lock = null;
  }

  #takeLock(): void {
    this.#lock ??= acquireLock(join(this.#store.folder, QUEUE_LOCK));
  }

  async #work(): Promise<void> {
    while (!this.#closed) {
      try {
        const next = await this.#next();
        if (next && !this.#closed) {
          await this.#execute(next);
          continue;
        }
      } catch (error) {
        this.#onProblem(error instanceof Error ? error : new Error(String(error)));
      }
      if (!this.#closed) await this.#pause();
    }
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, this.#pollMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** The run to execute now; null while there is none, or another process is at work in the folder. */
  async #next(): Promise<RunRecord | null> {
    this.#takeLock();
    if (!this.#lock) return null;
    const records = (await this.#index.list()).reverse();
    for (const record of records) {
      if (record.status !== "running") continue;
      if (!this.#store.isInterrupted(record)) return null;
      await this.#afterDeath(record, { text: "The process that executed the run is gone." });
      return this.#next();
    }
    return records.find(({ id, status }) => status === "queued" && this.#isFree(id)) ?? null;
  }

  /** Whether no process, e.g. one in a terminal, has taken the run already. */
  #isFree(id: string): boolean {
    try {
      this.#store.acquire(id).release();
      return true;
    } catch (error) {
      if (error instanceof RunBusyError) return false;
      throw error;
    }
  }

  async #execute(record: RunRecord): Promise<void> {
    const { id } = record;
    const ending = await this.#spawn(id);
    clearTimeout(this.#killTimer);
    const cancelled = this.#active?.cancelled ?? false;
    this.#active = null;
    const after = await this.#store.read(id);
    if (after.status !== "running" && after.status !== "queued") return;
    if (this.#closed) {
      if (after.status === "running") await this.#store.requeue(id);
      return;
    }
    // A process that took the run over meanwhile answers for it.
    if (after.status === "running" && !this.#store.isInterrupted(after)) return;
    if (!cancelled) await this.#afterDeath(after, ending);
    // `queued` again: it was cancelled and resumed before its process was gone.
    else if (after.status === "running") await this.#store.cancel(id);
  }

  /** Runs the command for one run and waits for its end. Standard error goes to a file in the run's folder. */
  #spawn(id: string): Promise<Ending> {
    const stderr = openSync(this.#store.path(id, STDERR_FILE), "w");
    const [program, ...args] = this.#command;
    try {
      const child = spawn(
        program!,
        [...args, "run", "--resume", id, "--runs", this.#store.folder, "--json"],
        {
          stdio: ["ignore", "ignore", stderr],
          // A group of its own: Ctrl-C in the server's terminal does not reach it, and helpers can be killed with it.
          detached: process.platform !== "win32",
          windowsHide: true,
        },
      );
      this.#active = { id, process: child, cancelled: false };
      return new Promise((resolve) => {
        child.once("error", (error) =>
          resolve({ text: `The command could not be started: ${error.message}.` }),
        );
        child.once("exit", (code, signal) =>
          resolve({
            text: signal
              ? `The process was ended by ${signal}.`
              : `The process ended with exit code ${code} and left the run unfinished.`,
          }),
        );
      });
    } finally {
      closeSync(stderr);
    }
  }

  #signal(signal: NodeJS.Signals): void {
    const child = this.#active?.process;
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    try {
      if (process.platform === "win32") child.kill(signal);
      else process.kill(-child.pid, signal);
    } catch (error) {
      // It ended just now.
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }

  /** A run whose process died goes back to the queue once; dying again in the same unit, it has failed. */
  async #afterDeath(record: RunRecord, ending: Ending): Promise<void> {
    const { id } = record;
    if (await this.#store.isCancelRequested(id)) {
      await this.#store.cancel(id);
      await this.#store.clearCancelRequest(id);
      return;
    }
    const unit = currentUnit(record);
    const path = this.#store.path(id, DEATH_FILE);
    const earlier = await readFile(path, "utf8").catch(() => null);
    const death = JSON.stringify({ unit });
    if (earlier !== death) {
      await writeFile(path, death);
      if (record.status === "running") await this.#store.requeue(id);
      return;
    }
    await this.#fail(
      record,
      `${ending.text} It happened twice ${unit ? `in ${unit}` : "before the first unit"}.`,
    );
  }

  async #fail(record: RunRecord, why: string): Promise<void> {
    const lock = this.#store.acquire(record.id);
    try {
      const tail = await this.#stderrTail(record.id);
      await this.#store.write({
        ...record,
        status: "failed",
        finishedAt: new Date().toISOString(),
        error: tail === "" ? why : `${why}\n\n${tail}`,
      });
    } finally {
      lock.release();
    }
  }

  /** The last lines that the run's process wrote to standard error. */
  async #stderrTail(id: string): Promise<string> {
    const file = await open(this.#store.path(id, STDERR_FILE), "r").catch(() => null);
    if (!file) return "";
    try {
      const { size } = await file.stat();
      const start = Math.max(0, size - STDERR_TAIL_BYTES);
      const { buffer, bytesRead } = await file.read({
        buffer: Buffer.alloc(STDERR_TAIL_BYTES),
        position: start,
      });
      const text = buffer.toString("utf8", 0, bytesRead).trim();
      // Without the first line, of which the beginning is cut off.
      return start === 0 ? text : text.slice(text.indexOf("\n") + 1);
    } finally {
      await file.close();
    }
  }
}
