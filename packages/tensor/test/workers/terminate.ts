// Ends threads in the middle of their training, again and again; the process and a training of its own live on.
import { once } from "node:events";
import { endWorker, startWorker } from "../../src/runtime/workers.ts";
import { trainings } from "../browser/trainings.ts";

const script = new URL("training-worker.ts", import.meta.url);

for (let round = 0; round < 4; round++) {
  const workers = [0, 1].map(() => startWorker(script, { workerData: "for ever" }));
  await Promise.all(workers.map((worker) => once(worker, "message")));
  // At different moments of a step.
  await new Promise((resolve) => setTimeout(resolve, 3 * round));
  await Promise.all(workers.map(endWorker));
}
// A thread that is still loading the engine, or its first graph.
for (const wait of [0, 30, 200]) {
  const worker = startWorker(script, { workerData: "for ever" });
  await new Promise((resolve) => setTimeout(resolve, wait));
  await endWorker(worker);
}
const losses = await trainings.smallCnn(undefined);
console.log(JSON.stringify(losses.at(-1)));
