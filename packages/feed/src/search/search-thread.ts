import { parentPort, workerData } from "node:worker_threads";
import { StoreError } from "../store/ports.ts";
import type { FromThread, SearchSetup, ToThread } from "./messages.ts";
import { Ranker } from "./ranker.ts";

/** Changes of the store are looked for this often, so that a search rarely has to take them in. */
const LOOK_EVERY_MS = 1000;

const port = parentPort;
if (port === null) throw new Error("search-thread.ts must be loaded as a worker thread.");
const post = (message: FromThread) => port.postMessage(message);
const ranker = new Ranker(workerData as SearchSetup, (level, text) => post({ type: "note", level, text }));

port.on("message", async ({ id, task }: ToThread) => {
  try {
    post({ type: "reply", id, reply: await ranker.run(task) });
  } catch (error) {
    const code = error instanceof StoreError ? error.code : null;
    post({ type: "failure", id, code, message: error instanceof Error ? error.message : String(error) });
  }
});

post({ type: "ready" });
void ranker.catchUp();
setInterval(() => void ranker.catchUp(), LOOK_EVERY_MS);
