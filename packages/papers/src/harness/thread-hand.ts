import type { Worker } from "node:worker_threads";
import { endWorker, siblingModule, startWorker, threadFlags } from "@concord/tensor/workers";
import type { ArmResult } from "./contract.ts";
import type { Hand } from "./hand.ts";
import type { RunJournal } from "./run-journal.ts";
import type { UnitRecord } from "./run-record.ts";
import type { FromUnitThread, ThreadSetup, ToUnitThread } from "./thread-messages.ts";

/** Does units in a thread of its own, which writes to the run's journal through this one. */
export class ThreadHand implements Hand {
  readonly #worker: Worker;
  readonly #journal: RunJournal;
  #waiting: { resolve(result: ArmResult | null): void; reject(error: Error): void } | null = null;
  #lost: Error | null = null;

  /**
   * @param threads  of a graph
   * @param signal  ends the unit at work
   */
  constructor(
    setup: ThreadSetup,
    options: {
      readonly journal: RunJournal;
      readonly threads: number;
      readonly signal: AbortSignal;
    },
  ) {
    const { journal, threads, signal } = options;
    this.#journal = journal;
    this.#worker = startWorker(siblingModule(import.meta.url, "./unit-thread"), {
      workerData: setup,
      execArgv: threadFlags(),
      env: { ...process.env, CONCORD_THREADS: String(threads) },
    });
    this.#worker.on("message", (message: FromUnitThread) => this.#heard(message));
    this.#worker.on("error", (error: Error) => this.#fail(error));
    this.#worker.on("exit", (code) => this.#fail(new Error(`a thread of the run ended with code ${code}`)));
    const abort = () => this.#post({ type: "abort" });
    if (signal.aborted) abort();
    else signal.addEventListener("abort", abort, { once: true });
  }

  async prepare(unit: UnitRecord): Promise<void> {
    await this.#do({ type: "do", action: "prepare", unit });
  }

  async arm(unit: UnitRecord): Promise<ArmResult> {
    return (await this.#do({ type: "do", action: "arm", unit })) as ArmResult;
  }

  async release(failed: boolean): Promise<void> {
    const released = this.#do({ type: "do", action: "release", failed });
    await (failed ? released.catch(() => {}) : released);
  }

  async close(): Promise<void> {
    this.#worker.removeAllListeners("exit");
    await endWorker(this.#worker);
  }

  #post(message: ToUnitThread): void {
    this.#worker.postMessage(message);
  }

  #do(order: ToUnitThread & { type: "do" }): Promise<ArmResult | null> {
    return new Promise((resolve, reject) => {
      if (this.#lost) reject(this.#lost);
      else {
        this.#waiting = { resolve, reject };
        this.#post(order);
      }
    });
  }

  #fail(error: Error): void {
    this.#lost ??= error;
    this.#waiting?.reject(error);
    this.#waiting = null;
  }

  #heard(message: FromUnitThread): void {
    switch (message.type) {
      case "emit":
        this.#journal.emit(message.record);
        return;
      case "point":
        this.#answer(message.id, this.#journal.point(message.unit));
        return;
      case "write":
        this.#answer(
          message.id,
          this.#journal.write().then(() => 0),
        );
        return;
      case "done":
        this.#waiting?.resolve(message.result);
        this.#waiting = null;
        return;
      case "failed":
        this.#waiting?.reject(message.error);
        this.#waiting = null;
    }
  }

  #answer(id: number, lines: Promise<number>): void {
    lines.then(
      (count) => this.#post({ type: "answer", id, lines: count }),
      (error: Error) => this.#post({ type: "refusal", id, error }),
    );
  }
}
