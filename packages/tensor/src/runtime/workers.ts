import { getEnvironmentData, setEnvironmentData, Worker, type WorkerOptions } from "node:worker_threads";

/** Environment data with which a thread is told where its lock lies. */
const LOCK = "concord engine lock";
/** What a lock says: the thread is outside of ONNX Runtime, inside, or must not enter it again. */
const [OUTSIDE, INSIDE, CLOSED] = [0, 1, 2];

const locks = new WeakMap<Worker, Int32Array>();

/**
 * A thread that may compute with the engine and be ended at any time by `endWorker`. `terminate` of a plain `Worker`
 * while ONNX Runtime computes there brings the whole process down: its binding cannot return to a thread that ends.
 */
export function startWorker(script: string | URL, options: WorkerOptions = {}): Worker {
  const lock = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  const before = getEnvironmentData(LOCK);
  setEnvironmentData(LOCK, lock);
  try {
    const worker = new Worker(script, options);
    locks.set(worker, lock);
    return worker;
  } finally {
    setEnvironmentData(LOCK, before);
  }
}

/**
 * `execArgv` for a thread that runs under the flags of the process, e.g. to find sources. `--input-type` speaks of
 * `--eval` only and is left out. Undefined, which inherits them all, where it is not there: flags of V8 are inherited, but
 * refused when they are named.
 */
export function threadFlags(): string[] | undefined {
  const flags = process.execArgv.filter((flag) => !flag.startsWith("--input-type"));
  return flags.length < process.execArgv.length ? flags : undefined;
}

/**
 * Ends a thread that `startWorker` started, as soon as the graph that it runs, if any, is done.
 *
 * @returns the thread's exit code
 * @throws TypeError when the thread was started otherwise
 */
export async function endWorker(worker: Worker): Promise<number> {
  const lock = locks.get(worker);
  if (!lock) throw new TypeError("endWorker: expected a worker that startWorker started");
  while (Atomics.compareExchange(lock, 0, OUTSIDE, CLOSED) === INSIDE) {
    await Atomics.waitAsync(lock, 0, INSIDE).value;
  }
  return worker.terminate();
}

const own = getEnvironmentData(LOCK);
const ownLock = own instanceof Int32Array ? own : undefined;
// Threads that this one starts are not under its lock.
if (ownLock) setEnvironmentData(LOCK, undefined);
let depth = 0;

/** Work inside of ONNX Runtime, during which `endWorker` waits. */
export async function inRuntime<T>(work: () => Promise<T>): Promise<T> {
  if (!ownLock) return work();
  if (depth === 0 && Atomics.compareExchange(ownLock, 0, OUTSIDE, INSIDE) === CLOSED) {
    // This thread is about to end.
    Atomics.wait(ownLock, 0, CLOSED);
  }
  depth++;
  try {
    return await work();
  } finally {
    depth--;
    if (depth === 0) {
      Atomics.store(ownLock, 0, OUTSIDE);
      Atomics.notify(ownLock, 0);
    }
  }
}

/** A module beside the caller, as `.ts` when running from source and as `.js` when compiled. */
export function siblingModule(callerUrl: string, path: string): URL {
  return new URL(`${path}${callerUrl.endsWith(".ts") ? ".ts" : ".js"}`, callerUrl);
}
