import { type Transferable, Worker } from "node:worker_threads";
import { siblingModule, threadFlags } from "@concord/tensor/workers";

export { siblingModule };

/** A message to a worker, and its answer, which comes with the request's number. */
export interface WorkerRequest<Request> {
  readonly id: number;
  readonly request: Request;
}
export type WorkerReply<Reply> =
  | { readonly id: number; readonly ok: true; readonly reply: Reply }
  | { readonly id: number; readonly ok: false; readonly error: Error };

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
  readonly #depth: number;
  readonly #workerData: unknown;
  readonly #queue: Task<Request, Reply>[] = [];
  /** What each thread was handed and has not answered, by number. */
  readonly #threads = new Map<Worker, Map<number, Task<Request, Reply>>>();
  #requests = 0;
  #closed = false;

  /**
   * @param script module whose top level calls `serveRequests`
   * @param options.size number of threads, >= 1
   * @param options.depth requests that a thread is handed at a time, >= 1; default 1. With more it goes on by itself
   *   while the calling thread is blocked, as by a step of a training
   * @param options.workerData value that every thread finds in `workerData` (structured clone)
   */
  constructor(
    script: URL,
    options: { readonly size: number; readonly depth?: number; readonly workerData?: unknown },
  ) {
    const { size, depth = 1, workerData } = options;
    for (const [name, value] of Object.entries({ size, depth }))
      if (!Number.isInteger(value) || value < 1)
        throw new RangeError(`WorkerPool: ${name} must be an integer >= 1, got ${value}`);
    this.#script = script;
    this.#size = size;
    this.#depth = depth;
    this.#workerData = workerData;
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
    const threads = [...this.#threads];
    this.#threads.clear();
    for (const [, tasks] of threads) for (const task of tasks.values()) task.reject(error);
    await Promise.all(threads.map(([worker]) => worker.terminate()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #dispatch(): void {
    while (this.#queue.length > 0) {
      const worker = this.#next();
      const tasks = worker && this.#threads.get(worker);
      if (!tasks) return;
      const task = this.#queue.shift() as Task<Request, Reply>;
      const id = this.#requests++;
      tasks.set(id, task);
      worker.ref();
      try {
        const message: WorkerRequest<Request> = { id, request: task.request };
        worker.postMessage(message, task.transfer);
      } catch (error) {
        // The request cannot be cloned: the caller's mistake, the worker is fine.
        this.#release(worker, id);
        task.reject(error as Error);
      }
    }
  }

  /** The thread with the least to do, a new one before any gets a second request; undefined when all are full. */
  #next(): Worker | undefined {
    let next: Worker | undefined;
    let least = this.#depth;
    for (const [worker, { size }] of this.#threads) if (size < least) [next, least] = [worker, size];
    return least > 0 && this.#threads.size < this.#size && !this.#closed ? this.#start() : next;
  }

  #start(): Worker {
    const worker = new Worker(this.#script, { workerData: this.#workerData, execArgv: threadFlags() });
    this.#threads.set(worker, new Map());
    worker.on("message", (message: WorkerReply<Reply>) => {
      const task = this.#threads.get(worker)?.get(message.id);
      this.#release(worker, message.id);
      if (message.ok) task?.resolve(message.reply);
      else task?.reject(message.error);
      this.#dispatch();
    });
    worker.on("error", (error: Error) => this.#lost(worker, error));
    worker.on("exit", (code) => this.#lost(worker, new Error(`A worker thread ended with code ${code}.`)));
    return worker;
  }

  #release(worker: Worker, id: number): void {
    const tasks = this.#threads.get(worker);
    tasks?.delete(id);
    if (tasks?.size === 0) worker.unref();
  }

  #lost(worker: Worker, error: Error): void {
    const tasks = this.#threads.get(worker);
    this.#threads.delete(worker);
    for (const task of tasks?.values() ?? []) task.reject(error);
    if (!this.#closed) this.#dispatch();
  }
}
