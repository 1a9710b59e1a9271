import { existsSync } from "node:fs";
import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { TEMPORARY_SUFFIX, writeFileAtomic } from "./atomic-file.ts";
import { checkExperiment } from "./check-experiment.ts";
import type { ArmResult, Experiment } from "./contract.ts";
import { onDevice } from "./device.ts";
import { checkEmbeddings, loadEmbeddings, mapEmbeddings, saveEmbeddings } from "./embeddings.ts";
import { describeEnvironment } from "./environment.ts";
import { RunJournal } from "./run-journal.ts";
import { RunLog } from "./run-log.ts";
import type { LogRecord, RunRecord, UnitRecord } from "./run-record.ts";
import { type RunStore, withStatus } from "./run-store.ts";
import { checkFigures, saveFigures } from "./save-figures.ts";
import { createUnitContext } from "./unit-context.ts";
import { removeSaves, settleSaves } from "./unit-saves.ts";
import { judge } from "./verdict.ts";

const CANCEL_POLL_MS = 500;
/** Unit of notes about the run as a whole. */
const WHOLE_RUN = "run";

export interface ExecuteOptions {
  /** Cancels the run; it can be resumed. */
  readonly signal?: AbortSignal;
  /** Told about everything that is written to the log, as it happens. */
  readonly onEvent?: (event: LogRecord) => void;
}

/** What a killed process may have left half-written. */
async function removeTemporaries(folder: string): Promise<void> {
  const names = await readdir(folder, { recursive: true });
  await Promise.all(
    names
      .filter((name) => name.endsWith(TEMPORARY_SUFFIX))
      .map((name) => rm(join(folder, name), { force: true })),
  );
}

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

/** One execution of a run: everything that is left of it, from the first unit that is not done. */
class Execution {
  readonly #experiment: Experiment;
  readonly #folder: string;
  readonly #journal: RunJournal;
  readonly #signal: AbortSignal;

  constructor(experiment: Experiment, folder: string, journal: RunJournal, signal: AbortSignal) {
    this.#experiment = experiment;
    this.#folder = folder;
    this.#journal = journal;
    this.#signal = signal;
  }

  async run(): Promise<void> {
    for (const seed of this.#journal.record.seeds) await this.#runSeed(seed);
    const { verdicts, untested } = judge(this.#experiment.claims, this.#journal.record);
    for (const { claim, reason } of untested) {
      this.note(`Claim '${claim.id}' was not tested: ${reason}.`, "info");
    }
    const finishedAt = new Date().toISOString();
    await this.#journal.write({
      ...withStatus(this.#journal.record, "done"),
      verdicts: [...verdicts],
      finishedAt,
    });
  }

  note(message: string, level: "info" | "warning"): void {
    this.#journal.emit({ kind: "note", unit: WHOLE_RUN, level, message });
  }

  async #runSeed(seed: number): Promise<void> {
    const units = this.#journal.record.units.filter((unit) => unit.seed === seed);
    const preparation = units.find(({ arm }) => arm === null);
    const arms = units.filter(({ arm, status }) => arm !== null && status !== "done");
    if (preparation && arms.length > 0) {
      const shared = await this.#runUnit(preparation, (context) => this.#experiment.prepare(context));
      let finished = false;
      try {
        for (const unit of arms) await this.#runArm(unit, shared);
        finished = true;
      } finally {
        const disposal = this.#experiment.dispose?.(shared);
        // After a failure, that one is what must be reported.
        await (finished ? disposal : disposal?.catch(() => {}));
      }
    }
    await this.#writeMap(seed, units);
    for (const { id } of units) await removeSaves(this.#folderOf(id));
  }

  async #runArm(unit: UnitRecord, shared: unknown): Promise<void> {
    await this.#runUnit(
      unit,
      (context) => this.#experiment.runArm(unit.arm as string, shared, context),
      async (result) => {
        checkResult(this.#experiment, unit, result);
        await saveEmbeddings(this.#folderOf(unit.id), result);
        await saveFigures(this.#folderOf(unit.id), result);
        return result.metrics;
      },
    );
    await removeSaves(this.#folderOf(unit.id));
  }

  async #runUnit<T>(
    unit: UnitRecord,
    work: (context: ReturnType<typeof createUnitContext>) => Promise<T>,
    settle?: (result: T) => Promise<Readonly<Record<string, number>>>,
  ): Promise<T> {
    this.#signal.throwIfAborted();
    await this.#journal.startUnit(unit.id);
    const folder = this.#folderOf(unit.id);
    await mkdir(folder, { recursive: true });
    const result = await work(
      createUnitContext({ unit, journal: this.#journal, folder, signal: this.#signal }),
    );
    await this.#journal.finishUnit(unit.id, await settle?.(result));
    return result;
  }

  async #writeMap(seed: number, units: readonly UnitRecord[]): Promise<void> {
    const path = join(this.#folder, "maps", `seed-${seed}.json`);
    if (existsSync(path)) return;
    const arms = new Map();
    for (const { id, arm } of units) {
      const saved = arm === null ? null : await loadEmbeddings(this.#folderOf(id));
      if (saved) arms.set(arm, saved);
    }
    if (arms.size === 0) return;
    try {
      const map = mapEmbeddings(seed, arms);
      await mkdir(join(this.#folder, "maps"), { recursive: true });
      await writeFileAtomic(path, [JSON.stringify(map)]);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.note(`No embedding map of seed ${seed}: ${error.message}.`, "warning");
    }
  }

  #folderOf(unit: string): string {
    return join(this.#folder, "units", ...unit.split("/"));
  }
}

/** Opens the log without the lines that what is left of the run will write again, and drops unusable saves. */
async function openLog(folder: string, record: RunRecord): Promise<{ log: RunLog; removed: string[] }> {
  const removed: string[] = [];
  const log = await RunLog.open(join(folder, "log.jsonl"), async (counts) => {
    const limits = new Map<string, number>();
    for (const { id, status } of record.units) {
      const settled = await settleSaves(join(folder, "units", ...id.split("/")), counts.get(id) ?? 0);
      removed.push(...settled.removed.map((name) => `${id}/${name}`));
      if (status !== "done") limits.set(id, settled.logLines);
    }
    return limits;
  });
  return { log, removed };
}

function started(record: RunRecord, environment: Record<string, string>): RunRecord {
  const { error: _, finishedAt: __, ...rest } = withStatus(record, "running");
  const resumed = record.startedAt !== undefined;
  return {
    ...rest,
    startedAt: record.startedAt ?? new Date().toISOString(),
    resumes: record.resumes + (resumed ? 1 : 0),
    pid: process.pid,
    environment: resumed ? { ...environment, ...record.environment } : environment,
    units: record.units.map((unit) => (unit.status === "done" ? unit : { ...unit, status: "pending" })),
  };
}

function describeDifference(before: Record<string, string>, now: Record<string, string>): string[] {
  return Object.entries(now)
    .filter(([key, value]) => before[key] !== undefined && before[key] !== value)
    .map(([key, value]) => `${key} ${before[key]} -> ${value}`);
}

/** Ends an execution that did not get to its end; the units that are not done stay to be done. */
async function stop(journal: RunJournal, folder: string, error: unknown, cancelled: boolean): Promise<void> {
  const units = journal.record.units.map(
    (unit): UnitRecord => (unit.status === "done" ? unit : { ...unit, status: "pending" }),
  );
  const message = error instanceof Error ? error.message : String(error);
  if (!cancelled) {
    const stack = error instanceof Error ? (error.stack ?? message) : message;
    await writeFileAtomic(join(folder, "error.txt"), [`${stack}\n`]);
  }
  await journal.write({
    ...withStatus(journal.record, cancelled ? "cancelled" : "failed"),
    units,
    finishedAt: new Date().toISOString(),
    ...(cancelled ? {} : { error: message }),
  });
}

/** A signal that also fires when another process asks for the run to be cancelled. */
function watchCancelRequests(store: RunStore, id: string, signal: AbortSignal | undefined) {
  const controller = new AbortController();
  const timer = setInterval(async () => {
    if (await store.isCancelRequested(id)) controller.abort();
  }, CANCEL_POLL_MS);
  timer.unref();
  return {
    signal: signal ? AbortSignal.any([signal, controller.signal]) : controller.signal,
    end: () => clearInterval(timer),
  };
}

/**
 * Executes a run, or what is left of it: a run that was killed, cancelled or failed goes on where it stopped and
 * ends with the results of one that was never interrupted. A run that is done is left alone.
 *
 * @returns the record: `done`, `failed` (the experiment threw; `error` says what, error.txt where) or `cancelled`
 * @throws RunBusyError when another process executes the run; UnknownRunError and BrokenRunError when it cannot be
 *   read; Error when it belongs to another experiment
 */
export async function executeRun(
  experiment: Experiment,
  store: RunStore,
  id: string,
  options: ExecuteOptions = {},
): Promise<RunRecord> {
  checkExperiment(experiment);
  const lock = store.acquire(id);
  try {
    const record = await store.read(id);
    if (record.paper !== experiment.slug) {
      throw new Error(`Run ${id} belongs to '${record.paper}', not to '${experiment.slug}'.`);
    }
    if (record.status === "done") return record;
    const folder = store.path(id);
    await store.clearCancelRequest(id);
    await removeTemporaries(folder);
    const { log, removed } = await openLog(folder, record);
    const watch = watchCancelRequests(store, id, options.signal);
    const environment = describeEnvironment(record.device);
    const journal = new RunJournal(store, started(record, environment), log, options.onEvent);
    try {
      await journal.write();
      journal.state();
      const execution = new Execution(experiment, folder, journal, watch.signal);
      for (const name of removed) execution.note(`Removed ${name}: damaged or incomplete.`, "warning");
      const changes = describeDifference(record.environment, environment);
      if (changes.length > 0) execution.note(`Resumed elsewhere: ${changes.join(", ")}.`, "warning");
      await onDevice(record.device, () => execution.run());
    } catch (error) {
      await stop(journal, folder, error, watch.signal.aborted);
    } finally {
      watch.end();
      journal.state();
      log.close();
    }
    return journal.record;
  } finally {
    lock.release();
  }
}
