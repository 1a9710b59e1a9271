import { parentPort } from "node:worker_threads";
import type { WorkerReply, WorkerRequest } from "./worker-pool.ts";

/**
 * The thread's side of `WorkerPool`: answers requests with `handle`, one at a time. Buffers of the typed arrays inside
 * an answer move to the caller without a copy, so the handler must not keep them.
 */
export function serveRequests<Request, Reply>(handle: (request: Request) => Reply | Promise<Reply>): void {
  const port = parentPort;
  if (port === null) throw new Error("serveRequests: this module must be loaded as a worker thread.");
  const answer = async ({ id, request }: WorkerRequest<Request>): Promise<void> => {
    try {
      const reply = await handle(request);
      const message: WorkerReply<Reply> = { id, ok: true, reply };
      port.postMessage(message, [...buffersIn(reply)]);
    } catch (error) {
      const message: WorkerReply<Reply> = {
        id,
        ok: false,
        error: error instanceof Error ? error : new Error(String(error)),
      };
      port.postMessage(message);
    }
  };
  let last = Promise.resolve();
  port.on("message", (message: WorkerRequest<Request>) => {
    last = last.then(() => answer(message));
  });
}

/** The memory behind all typed arrays in nested records and lists. */
function buffersIn(value: unknown, found: Set<ArrayBuffer> = new Set()): Set<ArrayBuffer> {
  if (ArrayBuffer.isView(value)) {
    if (value.buffer instanceof ArrayBuffer) found.add(value.buffer);
  } else if (typeof value === "object" && value !== null) {
    for (const item of Object.values(value)) buffersIn(item, found);
  }
  return found;
}
