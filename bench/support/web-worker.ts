import { resolveObjectURL } from "node:buffer";
import { Worker as NodeWorker } from "node:worker_threads";

/** Gives a worker thread of Node the globals that a dedicated worker has in a browser. */
const prelude = `
const { parentPort } = require("node:worker_threads");
globalThis.self = globalThis;
globalThis.postMessage = (message) => parentPort.postMessage(message);
parentPort.on("message", (data) => globalThis.onmessage({ data }));
`;

/**
 * The part of the browser's `Worker` that jax-js needs for its thread pool and that Node lacks: a worker whose script
 * is a blob. Without it jax-js falls back to one thread.
 */
export class WebWorker {
  onmessage: ((event: { readonly data: unknown }) => void) | null = null;
  onerror: ((error: Error) => void) | null = null;
  readonly #worker: Promise<NodeWorker>;

  constructor(url: string) {
    this.#worker = this.#start(url);
    this.#worker.catch((error: Error) => this.onerror?.(error));
  }

  async #start(url: string): Promise<NodeWorker> {
    const source = await resolveObjectURL(url)?.text();
    if (source === undefined) throw new Error(`${url} is not the URL of a blob`);
    const worker = new NodeWorker(prelude + source, { eval: true });
    worker.on("message", (data) => this.onmessage?.({ data }));
    worker.on("error", (error: Error) => this.onerror?.(error));
    return worker;
  }

  postMessage(message: unknown): void {
    void this.#worker.then((worker) => worker.postMessage(message));
  }
}
