import { readdir, rm } from "node:fs/promises";
import { freemem } from "node:os";
import { join } from "node:path";
import { defaultDevice, defaultThreads } from "@concord/tensor/environment";
import { TEMPORARY_SUFFIX, writeFileAtomic } from "./atomic-file.ts";
import { checkExperiment } from "./check-experiment.ts";
import type { Experiment } from "./contract.ts";
import { onDevice } from "./device.ts";
import { describeEnvironment } from "./environment.ts";
import { type Hand, LocalHand } from "./hand.ts";
import { RunJournal } from "./run-journal.ts";
import { RunLog } from "./run-log.ts";
import type { LogRecord, RunRecord, UnitRecord } from "./run-record.ts";
import { type RunStore, withStatus } from "./run-store.ts";
import { UnitRunner, WHOLE_RUN } from "./run-units.ts";
import { ThreadHand } from "./thread-hand.ts";
import { folderOfUnit, settleSaves } from "./unit-saves.ts";
import { judge } from "./verdict.ts";

const CANCEL_POLL_MS = 500;
const MAX_WORKERS = 4;
/** Memory that a worker should find free. */
const BYTES_PER_WORKER = 2 * 2 ** 30;

export interface ExecuteOptions {
  /** Cancels the run; it can be resumed. */
  readonly signal?: AbortSignal;
  /** Told about everything that is written to the log, as it happens. */
  readonly onEvent?: (event: LogRecord) => void;
  /**
   * Units may be done at the same time, in threads that import the experiment from this module. `workers`: how many;
   * default: as many as there are threads for graphs (CONCORD_THREADS, else cores) and memory, at most 4, and one for
   * the preset `paper` and on other devices than the CPU. They share the threads for graphs. Default: one unit after
   * another, in this thread.
   */
  readonly parallel?: { readonly module: URL; readonly workers?: number | undefined };
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

/** How many units of a run are done at a time unless somebody says otherwise. */
function defaultWorkers({ device = defaultDevice(), preset }: RunRecord): number {
  if (device !== "cpu" || preset === "paper") return 1;
  return Math.max(1, Math.min(MAX_WORKERS, defaultThreads(), Math.floor(freemem() / BYTES_PER_WORKER)));
}

/**
 * Units at a time, and the threads of each one's graphs: those of the start for a run that is resumed, as graphs of
 * another number of threads may round otherwise.
 */
function divideThreads(
  record: RunRecord,
  parallel: ExecuteOptions["parallel"],
): { readonly workers: number; readonly threads: number } {
  const all = defaultThreads();
  if (parallel === undefined) return { workers: 1, threads: all };
  const { workers: before = "1", threads: share = String(all) } = record.environment;
  const resumed = record.startedAt !== undefined;
  const wanted = parallel.workers ?? (resumed ? Number(before) : defaultWorkers(record));
  const workers = Math.max(1, Math.min(wanted, record.arms.length * record.seeds.length));
  return { workers, threads: resumed ? Number(share) : Math.max(1, Math.floor(all / workers)) };
}

/** Opens the log without the lines that what is left of the run will write again, and drops unusable saves. */
async function openLog(folder: string, record: RunRecord): Promise<{ log: RunLog; removed: string[] }> {
  const removed: string[] = [];
  const log = await RunLog.open(join(folder, "log.jsonl"), async (counts) => {
    const limits = new Map<string, number>();
    for (const { id, status } of record.units) {
      const settled = await settleSaves(folderOfUnit(folder, id), counts.get(id) ?? 0);
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
    const { workers, threads } = divideThreads(record, options.parallel);
    const environment = describeEnvironment(record.device, { workers, threads });
    const journal = new RunJournal(store, started(record, environment), log, options.onEvent);
    const note = (message: string, level: "info" | "warning") =>
      journal.emit({ kind: "note", unit: WHOLE_RUN, level, message });
    const failing = new AbortController();
    const signal = AbortSignal.any([watch.signal, failing.signal]);
    const hands: Hand[] = [];
    try {
      await journal.write();
      journal.state();
      for (const name of removed) note(`Removed ${name}: damaged or incomplete.`, "warning");
      const changes = describeDifference(record.environment, environment);
      if (changes.length > 0) note(`Resumed elsewhere: ${changes.join(", ")}.`, "warning");
      const runner = new UnitRunner(experiment, folder, journal, { signal, fail: () => failing.abort() });
      if (options.parallel && workers > 1) {
        const setup = { experiment: options.parallel.module.href, folder, record: journal.record };
        const left = record.units.filter(({ arm, status }) => arm !== null && status !== "done").length;
        for (let i = 0; i < Math.min(workers, left); i++)
          hands.push(new ThreadHand(setup, { journal, threads, signal }));
        await runner.run(hands);
      } else {
        const hand = new LocalHand(experiment, folder, journal, signal);
        await onDevice(record.device, () => runner.run([hand]));
      }
      const { verdicts, untested } = judge(experiment.claims, journal.record);
      for (const { claim, reason } of untested)
        note(`Claim '${claim.id}' was not tested: ${reason}.`, "info");
      const finishedAt = new Date().toISOString();
      await journal.write({ ...withStatus(journal.record, "done"), verdicts: [...verdicts], finishedAt });
    } catch (error) {
      await stop(journal, folder, error, watch.signal.aborted);
    } finally {
      watch.end();
      await Promise.all(hands.map((hand) => hand.close()));
      journal.state();
      log.close();
    }
    return journal.record;
  } finally {
    lock.release();
  }
}
