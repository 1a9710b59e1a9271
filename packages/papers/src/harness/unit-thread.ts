import { parentPort, workerData } from "node:worker_threads";
import type { Experiment } from "./contract.ts";
import { onDevice } from "./device.ts";
import { LocalHand } from "./hand.ts";
import type { FromUnitThread, ThreadSetup, ToUnitThread } from "./thread-messages.ts";
import type { UnitJournal } from "./unit-context.ts";

const port = parentPort;
if (port === null) throw new Error("unit-thread.ts must be loaded as a worker thread.");
const post = (message: FromUnitThread) => port.postMessage(message);
const { experiment: module, folder, record } = workerData as ThreadSetup;

type Question = Extract<FromUnitThread, { type: "point" | "write" }>;
const asked = new Map<number, { resolve(lines: number): void; reject(error: Error): void }>();
let questions = 0;

function ask(question: (id: number) => Question): Promise<number> {
  const id = ++questions;
  return new Promise((resolve, reject) => {
    asked.set(id, { resolve, reject });
    post(question(id));
  });
}

const journal: UnitJournal = {
  record,
  emit: (line) => post({ type: "emit", record: line }),
  point: (unit) => ask((id) => ({ type: "point", id, unit })),
  write: async () => void (await ask((id) => ({ type: "write", id }))),
};
const stopping = new AbortController();

async function act(hand: LocalHand, order: Extract<ToUnitThread, { type: "do" }>): Promise<void> {
  try {
    if (order.action === "release") await hand.release(order.failed);
    else if (order.action === "prepare") await hand.prepare(order.unit);
    const result = order.action === "arm" ? await hand.arm(order.unit) : null;
    post({ type: "done", result });
  } catch (error) {
    post({ type: "failed", error: error instanceof Error ? error : new Error(String(error)) });
  }
}

await onDevice(record.device, async () => {
  const { experiment } = (await import(module)) as { readonly experiment: Experiment };
  const hand = new LocalHand(experiment, folder, journal, stopping.signal);
  port.on("message", (message: ToUnitThread) => {
    if (message.type === "abort") stopping.abort();
    else if (message.type === "do") void act(hand, message);
    else {
      const question = asked.get(message.id);
      asked.delete(message.id);
      if (message.type === "answer") question?.resolve(message.lines);
      else question?.reject(message.error);
    }
  });
  // The device stays in use until the thread is ended.
  await new Promise(() => {});
});
