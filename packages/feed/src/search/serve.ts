import { parentPort } from "node:worker_threads";
import { StoreError } from "../store/ports.ts";
import type { Calls, FromThread, ToThread } from "./messages.ts";

/** Sends a message to the thread that started this one. */
export function post(message: FromThread): void {
  if (parentPort === null) throw new Error("This module must be loaded as a worker thread.");
  parentPort.postMessage(message);
}

/** Answers what a `SearchLine` asks, and says that it may ask. */
export function serve<C extends Calls>(
  answers: {
    readonly [K in keyof C]: (ask: C[K]["ask"]) => Promise<C[K]["reply"]>;
  },
): void {
  parentPort?.on("message", async ({ id, kind, ask }: ToThread) => {
    try {
      const answer = answers[kind];
      if (answer === undefined) throw new Error(`nothing is known of '${kind}'`);
      post({ type: "reply", id, reply: await answer(ask) });
    } catch (error) {
      const code = error instanceof StoreError ? error.code : null;
      post({ type: "failure", id, code, message: error instanceof Error ? error.message : String(error) });
    }
  });
  post({ type: "ready" });
}
