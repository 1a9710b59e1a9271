import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAtomic } from "./atomic-file.ts";
import type { ArmResult, Experiment } from "./contract.ts";
import { checkEmbeddings, loadEmbeddings, mapEmbeddings, saveEmbeddings } from "./embeddings.ts";
import type { Hand } from "./hand.ts";
import type { RunJournal } from "./run-journal.ts";
import type { UnitRecord } from "./run-record.ts";
import { checkFigures, saveFigures } from "./save-figures.ts";
import { folderOfUnit, removeSaves } from "./unit-saves.ts";

/** Unit of notes about the run as a whole. */
export const WHOLE_RUN = "run";

function checkResult(experiment: Experiment, unit: UnitRecord, result: ArmResult): void {
  for (const { id, optional } of experiment.metrics) {
    const value = result.metrics[id];
    if (optional === true && value === undefined) continue;
    if (value === undefined || !Number.isFinite(value)) {
      throw new Error(`${unit.id}: metric '${id}' must be a finite number, got ${value}.`);
    }
  }
  const declared = new Set(experiment.metrics.map(({ id }) => id));
  const extra = Object.keys(result.metrics).find((id) => !declared.has(id));
  if (extra !== undefined)
    throw new Error(`${unit.id}: metric '${extra}' is not declared by the experiment.`);
  checkEmbeddings(result);
  checkFigures(unit.id, result);
}

/** A seed whose arms are not all done. */
interface Seed {
  readonly units: readonly UnitRecord[];
  readonly preparation: UnitRecord;
  /** Arms that nobody has begun. */
  readonly left: UnitRecord[];
  /** Whether somebody took it on. */
  begun: boolean;
  /** Settled when the first preparation is over, with whether it was done. */
  readonly prepared: PromiseWithResolvers<boolean>;
  hands: number;
}

/** Does the units of a run that are left, by one or several hands. */
export class UnitRunner {
  readonly #experiment: Experiment;
  readonly #folder: string;
  readonly #journal: RunJournal;
  readonly #stopping: { readonly signal: AbortSignal; fail(): void };

  /** @param stopping  `fail` is called for the first unit that fails, so that the others end too */
  constructor(
    experiment: Experiment,
    folder: string,
    journal: RunJournal,
    stopping: { readonly signal: AbortSignal; fail(): void },
  ) {
    this.#experiment = experiment;
    this.#folder = folder;
    this.#journal = journal;
    this.#stopping = stopping;
  }

  /**
   * Units in order, as far as there is one hand. Several take a seed each while there are seeds that nobody has begun; then
   * they help where two arms or more are left, once that seed is prepared: its memos spare them most of the work.
   *
   * @throws what the first unit that failed threw
   */
  async run(hands: readonly Hand[]): Promise<void> {
    const { record } = this.#journal;
    const seeds: Seed[] = [];
    for (const seed of record.seeds) {
      const units = record.units.filter((unit) => unit.seed === seed);
      const preparation = units.find(({ arm }) => arm === null);
      const left = units.filter(({ arm, status }) => arm !== null && status !== "done");
      if (preparation && left.length > 0)
        seeds.push({ units, preparation, left, begun: false, prepared: Promise.withResolvers(), hands: 0 });
      else await this.#finishSeed(units);
    }
    let failure: { readonly error: unknown } | undefined;
    const labour = async (hand: Hand) => {
      try {
        for (let seed = await nextSeed(seeds); seed; seed = await nextSeed(seeds))
          await this.#workOn(hand, seed);
      } catch (error) {
        failure ??= { error };
        this.#stopping.fail();
      }
    };
    await Promise.all(hands.map(labour));
    if (failure) throw failure.error;
  }

  async #workOn(hand: Hand, seed: Seed): Promise<void> {
    seed.hands++;
    let finished = false;
    try {
      await this.#runUnit(seed.preparation, async () => {
        await hand.prepare(seed.preparation);
        return undefined;
      });
      seed.prepared.resolve(true);
      for (let arm = seed.left.shift(); arm; arm = seed.left.shift()) await this.#runArm(hand, arm);
      finished = true;
    } finally {
      seed.prepared.resolve(false);
      await hand.release(!finished);
      seed.hands--;
    }
    if (seed.hands === 0) await this.#finishSeed(seed.units);
  }

  async #runArm(hand: Hand, unit: UnitRecord): Promise<void> {
    const folder = folderOfUnit(this.#folder, unit.id);
    await this.#runUnit(unit, async () => {
      const result = await hand.arm(unit);
      checkResult(this.#experiment, unit, result);
      await saveEmbeddings(folder, result);
      await saveFigures(folder, result);
      return result.metrics;
    });
    await removeSaves(folder);
  }

  async #runUnit(
    unit: UnitRecord,
    work: () => Promise<Readonly<Record<string, number>> | undefined>,
  ): Promise<void> {
    this.#stopping.signal.throwIfAborted();
    await this.#journal.startUnit(unit.id);
    await mkdir(folderOfUnit(this.#folder, unit.id), { recursive: true });
    const metrics = await work();
    await this.#journal.finishUnit(unit.id, metrics);
  }

  async #finishSeed(units: readonly UnitRecord[]): Promise<void> {
    await this.#writeMap(units);
    for (const { id } of units) await removeSaves(folderOfUnit(this.#folder, id));
  }

  async #writeMap(units: readonly UnitRecord[]): Promise<void> {
    const [first] = units;
    if (first === undefined) return;
    const { seed } = first;
    const path = join(this.#folder, "maps", `seed-${seed}.json`);
    if (existsSync(path)) return;
    const arms = new Map();
    for (const { id, arm } of units) {
      const saved = arm === null ? null : await loadEmbeddings(folderOfUnit(this.#folder, id));
      if (saved) arms.set(arm, saved);
    }
    if (arms.size === 0) return;
    try {
      const map = mapEmbeddings(seed, arms);
      await mkdir(join(this.#folder, "maps"), { recursive: true });
      await writeFileAtomic(path, [JSON.stringify(map)]);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.#journal.emit({
        kind: "note",
        unit: WHOLE_RUN,
        level: "warning",
        message: `No embedding map of seed ${seed}: ${error.message}.`,
      });
    }
  }
}

/** A seed to begin, or to help with; undefined when there is nothing to do for another hand. */
async function nextSeed(seeds: readonly Seed[]): Promise<Seed | undefined> {
  const fresh = seeds.find(({ begun }) => !begun);
  if (fresh) {
    fresh.begun = true;
    return fresh;
  }
  for (;;) {
    const busy = seeds.find(({ left }) => left.length >= 2);
    if (busy === undefined || !(await busy.prepared.promise)) return undefined;
    if (busy.left.length >= 2) return busy;
  }
}
