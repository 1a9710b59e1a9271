import { setImmediate as nextTurn } from "node:timers/promises";

const BUDGET_MS = 12;

/** Long work in short pieces, so that whatever else the process does is not held up. */
export class Turns {
  #start = performance.now();

  /** Lets others have their turn when this one has lasted long enough. */
  async breathe(): Promise<void> {
    if (performance.now() - this.#start < BUDGET_MS) return;
    await nextTurn();
    this.#start = performance.now();
  }

  /** Marks that others just had their turn. */
  restart(): void {
    this.#start = performance.now();
  }
}
