import type { Worker } from "node:worker_threads";
import { endWorker, siblingModule, startWorker, threadFlags } from "@concord/tensor/workers";
import { StoreError, type StoreErrorCode } from "../store/ports.ts";
import type { Calls, FromThread, SearchSetup, ToThread } from "./messages.ts";

export interface SearchLineOptions {
  /** Module of the thread, beside this one, without its ending. */
  readonly module: "./word-thread" | "./meaning-thread";
  /** What the thread searches by, for notes. */
  readonly by: string;
  /** Tasks that may wait; more are refused. */
  readonly mostWaiting: number;
  /** From asking to answering. A thread that keeps one task for longer is replaced. */
  readonly deadlineMs: number;
  readonly note: (level: "info" | "warn", text: string) => void;
  /** Told when other vectors came into use. */
  readonly onVectors?: (version: string) => void;
}

interface Waiting {
  readonly kind: string;
  readonly ask: object;
  readonly resolve: (reply: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
  /** Whether a thread has died over it already. */
  again: boolean;
}

/** A thread that dies this soon is started again after a pause. */
const SOON_MS = 10_000;
const LONGEST_PAUSE_MS = 30_000;

/**
 * The line of tasks before a thread that ranks. One is with the thread, the others wait in order. When the thread
 * dies, another takes its place, and the task that it had is asked once more.
 */
export class SearchLine<C extends Calls> {
  readonly #setup: SearchSetup;
  readonly #options: SearchLineOptions;
  readonly #waiting: Waiting[] = [];
  #worker: Worker | null = null;
  /** Whether the thread has opened the store: starting may take longer than a search on a busy machine. */
  #ready = false;
  #startedAt = 0;
  #early = 0;
  #current: { readonly id: number; readonly waiting: Waiting } | null = null;
  #lastId = 0;
  #pause: NodeJS.Timeout | null = null;
  #closing: Promise<void> | null = null;

  constructor(setup: SearchSetup, options: SearchLineOptions) {
    this.#setup = setup;
    this.#options = options;
    this.#start();
  }

  /** @throws StoreError `busy` when too many wait, or it took too long; `closed`; what the thread threw */
  ask<K extends keyof C & string>(kind: K, ask: C[K]["ask"]): Promise<C[K]["reply"]> {
    if (this.#closing !== null) return Promise.reject(new StoreError("closed", "The search is closed."));
    if (this.#waiting.length >= this.#options.mostWaiting) {
      return Promise.reject(new StoreError("busy", "Too many searches at once. Try again in a moment."));
    }
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#tooLate(waiting), this.#options.deadlineMs);
      const waiting: Waiting = { kind, ask, resolve, reject, timer, again: false };
      this.#waiting.push(waiting);
      this.#next();
    });
  }

  /** Stops the thread after its task; what waits is refused. */
  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  /** Ends the thread as a crash would. */
  kill(): void {
    if (this.#worker) void endWorker(this.#worker);
  }

  async #end(): Promise<void> {
    if (this.#pause) clearTimeout(this.#pause);
    const gone = new StoreError("closed", "The search is closed.");
    for (const { reject, timer } of this.#waiting.splice(0)) {
      clearTimeout(timer);
      reject(gone);
    }
    const worker = this.#worker;
    this.#worker = null;
    if (this.#current) {
      clearTimeout(this.#current.waiting.timer);
      this.#current.waiting.reject(gone);
      this.#current = null;
    }
    if (worker) await endWorker(worker);
  }

  #start(): void {
    const { module, by, note } = this.#options;
    const worker = startWorker(siblingModule(import.meta.url, module), {
      workerData: this.#setup,
      execArgv: threadFlags(),
    });
    this.#worker = worker;
    this.#ready = false;
    this.#startedAt = performance.now();
    worker.unref();
    worker.on("message", (message: FromThread) => this.#heard(worker, message));
    worker.on("error", (error: Error) =>
      note("warn", `the thread that searches by ${by} failed: ${error.message}`),
    );
    worker.on("exit", (code) => this.#lost(worker, code));
    this.#next();
  }

  #heard(worker: Worker, message: FromThread): void {
    if (message.type === "ready") {
      if (worker !== this.#worker) return;
      this.#ready = true;
      this.#next();
      return;
    }
    if (message.type === "vectors") {
      this.#options.onVectors?.(message.version);
      return;
    }
    if (message.type === "note") {
      this.#options.note(message.level, message.text);
      return;
    }
    if (worker !== this.#worker || this.#current?.id !== message.id) return;
    const { waiting } = this.#current;
    this.#current = null;
    clearTimeout(waiting.timer);
    if (message.type === "reply") waiting.resolve(message.reply);
    else if (message.code !== null)
      waiting.reject(new StoreError(message.code as StoreErrorCode, message.message));
    else waiting.reject(new Error(`search: ${message.message}`));
    this.#next();
  }

  #next(): void {
    const worker = this.#worker;
    if (worker === null || !this.#ready || this.#current !== null) return;
    const waiting = this.#waiting.shift();
    if (waiting === undefined) {
      worker.unref();
      return;
    }
    worker.ref();
    const id = ++this.#lastId;
    this.#current = { id, waiting };
    worker.postMessage({ id, kind: waiting.kind, ask: waiting.ask } satisfies ToThread);
  }

  #tooLate(waiting: Waiting): void {
    waiting.reject(new StoreError("busy", "The search took too long. Try again in a moment."));
    const place = this.#waiting.indexOf(waiting);
    if (place >= 0) this.#waiting.splice(place, 1);
    else if (this.#current?.waiting === waiting) {
      const { by, note } = this.#options;
      note("warn", `a search by ${by} took too long; its thread is started anew`);
      const worker = this.#worker;
      this.#current = null;
      this.#worker = null;
      if (worker) void endWorker(worker);
      this.#startAgain();
    }
  }

  #lost(worker: Worker, code: number): void {
    if (worker !== this.#worker) return;
    this.#worker = null;
    const { by, note } = this.#options;
    note("warn", `the thread that searches by ${by} ended with code ${code}; another takes its place`);
    const current = this.#current;
    this.#current = null;
    if (current) {
      const { waiting } = current;
      if (waiting.again) {
        clearTimeout(waiting.timer);
        waiting.reject(new StoreError("busy", "This search cannot be answered at the moment."));
      } else {
        waiting.again = true;
        this.#waiting.unshift(waiting);
      }
    }
    this.#startAgain();
  }

  #startAgain(): void {
    if (this.#closing !== null || this.#pause !== null) return;
    const soon = performance.now() - this.#startedAt < SOON_MS;
    this.#early = soon ? this.#early + 1 : 0;
    // The first time at once; a thread that keeps dying must not keep the machine busy.
    const pause = this.#early <= 2 ? 0 : Math.min(LONGEST_PAUSE_MS, 100 * 2 ** this.#early);
    this.#pause = setTimeout(() => {
      this.#pause = null;
      if (this.#closing === null) this.#start();
    }, pause);
  }
}
