import type { ArmResult, Experiment } from "./contract.ts";
import type { UnitRecord } from "./run-record.ts";
import { createUnitContext, type UnitJournal } from "./unit-context.ts";
import { folderOfUnit } from "./unit-saves.ts";

/** Who does the units of a run, one at a time: the preparation of a seed, arms of that seed, and then its release. */
export interface Hand {
  prepare(unit: UnitRecord): Promise<void>;
  arm(unit: UnitRecord): Promise<ArmResult>;
  /** Lets go of what `prepare` made. @param failed  true after a failure, which is what must be reported */
  release(failed: boolean): Promise<void>;
  close(): Promise<void>;
}

/** Does units in this thread. */
export class LocalHand implements Hand {
  readonly #experiment: Experiment;
  readonly #folder: string;
  readonly #journal: UnitJournal;
  readonly #signal: AbortSignal;
  #shared: { readonly value: unknown } | null = null;

  /** @param folder  of the run */
  constructor(experiment: Experiment, folder: string, journal: UnitJournal, signal: AbortSignal) {
    this.#experiment = experiment;
    this.#folder = folder;
    this.#journal = journal;
    this.#signal = signal;
  }

  async prepare(unit: UnitRecord): Promise<void> {
    this.#shared = { value: await this.#experiment.prepare(this.#context(unit)) };
  }

  async arm(unit: UnitRecord): Promise<ArmResult> {
    if (this.#shared === null || unit.arm === null) throw new Error(`${unit.id}: its seed is not prepared`);
    return this.#experiment.runArm(unit.arm, this.#shared.value, this.#context(unit));
  }

  async release(failed: boolean): Promise<void> {
    if (this.#shared === null) return;
    const disposal = this.#experiment.dispose?.(this.#shared.value);
    this.#shared = null;
    await (failed ? disposal?.catch(() => {}) : disposal);
  }

  async close(): Promise<void> {}

  #context(unit: UnitRecord) {
    const folder = folderOfUnit(this.#folder, unit.id);
    return createUnitContext({ unit, journal: this.#journal, folder, signal: this.#signal });
  }
}
