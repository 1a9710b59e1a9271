import {
  createRun,
  type Experiment,
  executeRun,
  type RunRecord,
  type RunRequest,
  RunStore,
} from "@concord/papers";
import { type Context, coloursFor, columnsOf, hint, runsFolder } from "../context.ts";
import { ExitCode, UsageError } from "../errors.ts";
import { ProgressDisplay } from "../progress-display.ts";
import { countText } from "../render/text.ts";
import { renderReport } from "../report.ts";
import { listenForStop } from "../stop-request.ts";
import { findRun } from "./runs.ts";

export interface RunOptions {
  readonly runs?: string | undefined;
  readonly json?: boolean | undefined;
  /** Leave the run to a running site (or a later `--resume`) instead of executing it here. */
  readonly queue?: boolean | undefined;
  /** Units at a time; undefined: as the machine has threads and memory. */
  readonly parallel?: number | undefined;
}

function openStore(context: Context, options: RunOptions): RunStore {
  return new RunStore(runsFolder(options.runs, context.env));
}

function printRecord(context: Context, store: RunStore, run: RunRecord): void {
  context.stdout.write(`${JSON.stringify({ ...run, folder: store.path(run.id) })}\n`);
}

async function report(
  context: Context,
  options: RunOptions,
  store: RunStore,
  experiment: Experiment,
  run: RunRecord,
): Promise<ExitCode> {
  if (options.json) printRecord(context, store, run);
  else {
    const style = { columns: columnsOf(context.stdout), colours: coloursFor(context.stdout, context.env) };
    context.stdout.write(`\n${await renderReport(store, run, experiment, style)}\n`);
  }
  if (run.status === "done") return ExitCode.done;
  const cancelled = run.status === "cancelled";
  if (!options.json) {
    const what = cancelled
      ? "Cancelled. Go on from here with:"
      : `The run failed; the stack is in ${store.path(run.id, "error.txt")}. Try again from here with:`;
    context.stderr.write(`\n${what}\n  ${hint(context, options.runs, "run", "--resume", run.id)}\n`);
  }
  return cancelled ? ExitCode.cancelled : ExitCode.failed;
}

async function execute(
  context: Context,
  options: RunOptions,
  store: RunStore,
  experiment: Experiment,
  run: RunRecord,
): Promise<ExitCode> {
  if (!options.json) {
    const size = `${countText(run.seeds.length, "seed")}, ${countText(run.arms.length, "arm")}`;
    context.stderr.write(`${run.paper}, preset ${run.preset}: ${size}\nRun ${run.id}\n`);
  }
  const controller = new AbortController();
  let display: ProgressDisplay | undefined;
  const end = listenForStop(context, () => {
    display?.print("Stopping after the current step; once more to stop at once.");
    controller.abort();
  });
  if (!options.json) display = new ProgressDisplay(run, experiment.arms, context);
  const module = context.papers.experimentModule?.(run.paper);
  let record: RunRecord;
  try {
    record = await executeRun(experiment, store, run.id, {
      signal: controller.signal,
      onEvent: (event) => display?.observe(event),
      ...(module && { parallel: { module, workers: options.parallel } }),
    });
  } finally {
    end();
    display?.end();
  }
  return report(context, options, store, experiment, record);
}

/** Makes a run of a paper's experiment and executes it, or queues it. */
export async function runPaper(
  context: Context,
  experiment: Experiment,
  request: RunRequest,
  options: RunOptions,
): Promise<ExitCode> {
  const store = openStore(context, options);
  const run = await createRun(experiment, store, request, { hold: options.queue !== true });
  if (options.queue !== true) return execute(context, options, store, experiment, run);
  if (options.json) printRecord(context, store, run);
  else {
    context.stdout.write(
      `Queued ${run.id}\nIt starts when \`${hint(context, options.runs, "start")}\` serves this folder, or now with:\n  ${hint(context, options.runs, "run", "--resume", run.id)}\n`,
    );
  }
  return ExitCode.done;
}

/** Goes on with a run that was queued, cancelled, killed or failed; prints the results of one that is done. */
export async function resumeRun(context: Context, id: string, options: RunOptions): Promise<ExitCode> {
  const store = openStore(context, options);
  const run = await findRun(store, id);
  const experiment = await context.papers.loadExperiment(run.paper);
  if (run.status === "done") {
    if (!options.json) context.stderr.write(`Run ${run.id} is done already; these are its results.\n`);
    return report(context, options, store, experiment, run);
  }
  if (options.queue) throw new UsageError("--queue and --resume exclude each other.");
  return execute(context, options, store, experiment, run);
}
