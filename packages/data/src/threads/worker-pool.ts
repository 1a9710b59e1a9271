import { type Transferable, Worker } from "node:worker_threads";
import { siblingModule, threadFlags } from "@concord/tensor/workers";

export { siblingModule };

/** A message to a worker, and its answer. One is under way per worker at any time. */
export interface WorkerRequest<Request> {
  readonly request: Request;
}
export type WorkerReply<Reply> =
  | { readonly ok: true; readonly reply: Reply }
  | { readonly ok: false; readonly error: Error };

interface Task<Request, Reply> {
  readonly request: Request;
  readonly transfer: readonly Transferable[];
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: Error) => void;
}

/**
 * A few worker threads that answer requests one at a time each, first come first served. Threads start when
 * first needed. An idle pool does not keep the process alive; `close` ends the threads.
 */
export class WorkerPool<Request, Reply> {
  readonly #script: URL;
  readonly #size: number;
  readonly #workerData: unknown;
  readonly #queue: Task<Request, Reply>[] = [];
  readonly #idle: Worker[] = [];
  readonly #busy = new Map<Worker, Task<Request, Reply>>();
  #closed = false;

  /**
   * @param script module whose top level calls `serveRequests`
   * @param options.size number of threads, >= 1
   * @param options.workerData value that every thread finds in `workerData` (structured clone)
   */
  constructor(script: URL, options: { readonly size: number; readonly workerData?: unknown }) {
    if (!Number.isInteger(options.size) || options.size < 1)
      throw new RangeError(`WorkerPool: size must be an integer >= 1, got ${options.size}`);
    this.#script = script;
    this.#size = options.size;
    this.#workerData = options.workerData;
  }

  /**
   * The answer of one of the threads.
   *
   * @param transfer buffers of the request that move to the thread instead of being copied
   * @throws whatever the thread threw; Error when the thread ended or the pool was closed meanwhile
   */
  run(request: Request, transfer: readonly Transferable[] = []): Promise<Reply> {
    if (this.#closed) return Promise.reject(new Error("The worker pool is closed."));
    return new Promise((resolve, reject) => {
      this.#queue.push({ request, transfer, resolve, reject });
      this.#dispatch();
    });
  }

  /** Ends all threads; requests that are still under way are rejected. */
  async close(): Promise<void> {
    this.#closed = true;
    const error = new Error("The worker pool was closed before it answered.");
    for (const task of this.#queue.splice(0)) task.reject(error);
    for (const task of this.#busy.values()) task.reject(error);
    const workers = [...this.#idle.splice(0), ...this.#busy.keys()];
    this.#busy.clear();
    await Promise.all(workers.map((worker) => worker.terminate()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #dispatch(): void {
    while (this.#queue.length > 0) {
      const worker =
        this.#idle.pop() ?? (this.#busy.size < this.#size && !this.#closed ? this.#start() : undefined);
      if (worker === undefined) return;
      const task = this.#queue.shift() as Task<Request, Reply>;
      this.#busy.set(worker, task);
      worker.ref();
      try {
        const message: WorkerRequest<Request> = { request: task.request };
        worker.postMessage(message, task.transfer);
      } catch (error) {
        // The request cannot be cloned: the caller's mistake, the worker is fine.
        this.#release(worker);
        task.reject(error as Error);
      }
    }
  }

  #start(): Worker {
    const worker = new Worker(this.#script, { workerData: this.#workerData, execArgv: threadFlags() });
    worker.on("message", (message: WorkerReply<Reply>) => {
      const task = this.#busy.get(worker);
      this.#release(worker);
      if (message.ok) task?.resolve(message.reply);
      else task?.reject(message.error);
      this.#dispatch();
    });
    worker.on("error", (error: Error) => this.#lost(worker, error));
    worker.on("exit", (code) => this.#lost(worker, new Error(`A worker thread ended with code ${code}.`)));
    return worker;
  }

  #release(worker: Worker): void {
    if (!this.#busy.delete(worker)) return;
    this.#idle.push(worker);
    worker.unref();
  }

  #lost(worker: Worker, error: Error): void {
    const task = this.#busy.get(worker);
    this.#busy.delete(worker);
    const place = this.#idle.indexOf(worker);
    if (place >= 0) this.#idle.splice(place, 1);
    task?.reject(error);
    if (!this.#closed) this.#dispatch();
  }
}
