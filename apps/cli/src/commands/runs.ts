import {
  NoExperimentError,
  type RunRecord,
  RunStore,
  UnknownPaperError,
  UnknownRunError,
} from "@concord/papers";
import { type Context, coloursFor, columnsOf, hint, runsFolder } from "../context.ts";
import { ExitCode, UsageError } from "../errors.ts";
import { type Cell, renderTable } from "../render/table.ts";
import { durationText, printable } from "../render/text.ts";
import { renderReport } from "../report.ts";

const MAX_SHOWN_MATCHES = 5;

export interface RunsOptions {
  readonly runs?: string | undefined;
  readonly json?: boolean | undefined;
}

/**
 * The run with this id, or the only one whose id contains the text.
 *
 * @throws UnknownRunError when there is none, UsageError when there are several
 */
export async function findRun(store: RunStore, text: string): Promise<RunRecord> {
  try {
    return await store.read(text);
  } catch (error) {
    if (!(error instanceof UnknownRunError)) throw error;
    const matches = text === "" ? [] : (await store.list()).filter(({ id }) => id.includes(text));
    if (matches.length === 0) {
      throw new UsageError(`${error.message.slice(0, -1)} in ${store.folder}.`, { cause: error });
    }
    if (matches.length > 1) {
      const shown = matches.slice(0, MAX_SHOWN_MATCHES).map(({ id }) => `  ${id}`);
      if (matches.length > shown.length) shown.push(`  ... and ${matches.length - shown.length} more`);
      throw new UsageError(`Several runs match ${JSON.stringify(text)}:\n${shown.join("\n")}`);
    }
    return matches[0] as RunRecord;
  }
}

function statusOf(store: RunStore, run: RunRecord): string {
  return store.isInterrupted(run) ? "interrupted" : run.status;
}

/** `3 ✓ 1 ✗ 2 ?`: how many claims were reproduced, not reproduced, inconclusive. */
function verdictText({ verdicts }: RunRecord): string {
  const count = (outcome: string) => verdicts.filter((verdict) => verdict.outcome === outcome).length;
  const parts = [`${count("reproduced")} ✓`, `${count("not reproduced")} ✗`, `${count("inconclusive")} ?`];
  return parts.filter((part) => !part.startsWith("0 ")).join("  ");
}

/** Lists the runs of a folder, newest first. */
export async function listRuns(context: Context, options: RunsOptions): Promise<ExitCode> {
  const store = new RunStore(runsFolder(options.runs, context.env));
  const runs = await store.list({
    onBroken: (_, error) => context.stderr.write(`Left out: ${printable(error.message)}\n`),
  });
  if (options.json) {
    const list = runs.map((run) => ({ ...run, status: statusOf(store, run), folder: store.path(run.id) }));
    context.stdout.write(`${JSON.stringify(list)}\n`);
    return ExitCode.done;
  }
  if (runs.length === 0) {
    context.stdout.write(
      `No runs in ${store.folder} yet. Start one: ${context.name} run clip-refine --preset smoke\n`,
    );
    return ExitCode.done;
  }
  const colours = coloursFor(context.stdout, context.env);
  const styles: Readonly<Record<string, Cell["style"]>> = {
    done: colours.green,
    failed: colours.red,
    interrupted: colours.yellow,
    cancelled: colours.yellow,
    running: colours.cyan,
  };
  const rows = runs.map((run) => {
    const status = statusOf(store, run);
    const style = styles[status];
    const done = run.units.filter((unit) => unit.status === "done").length;
    const units = status === "done" ? "" : ` ${done}/${run.units.length}`;
    return [
      run.id,
      run.preset,
      { text: `${status}${units}`, ...(style ? { style } : {}) },
      run.seconds === 0 ? "" : durationText(run.seconds),
      verdictText(run),
    ];
  });
  const heads = ["Run", "Preset", "Status", "Time", "Claims"];
  const table = renderTable(
    heads.map((head) => ({ head, align: head === "Time" ? "right" : "left" })),
    rows,
    colours,
  );
  context.stdout.write(
    `${table}\n\nClaims: ✓ reproduced, ✗ not reproduced, ? inconclusive. An id begins with the time in UTC.\nOne of them in full: ${context.name} runs ID (a part that no other id has is enough)\n`,
  );
  return ExitCode.done;
}

/** Shows one run. */
export async function showRun(context: Context, id: string, options: RunsOptions): Promise<ExitCode> {
  const store = new RunStore(runsFolder(options.runs, context.env));
  const run = await findRun(store, id);
  if (options.json) {
    const status = statusOf(store, run);
    context.stdout.write(`${JSON.stringify({ ...run, status, folder: store.path(run.id) })}\n`);
    return ExitCode.done;
  }
  // A record outlives its experiment: without it, ids stand in for labels.
  const experiment = await context.papers.loadExperiment(run.paper).catch((error: unknown) => {
    if (error instanceof UnknownPaperError || error instanceof NoExperimentError) return null;
    throw error;
  });
  const style = { columns: columnsOf(context.stdout), colours: coloursFor(context.stdout, context.env) };
  context.stdout.write(`${await renderReport(store, run, experiment, style)}\n`);
  const resumable = run.status === "cancelled" || run.status === "failed" || store.isInterrupted(run);
  if (resumable)
    context.stdout.write(`\nGo on from here: ${hint(context, options.runs, "run", "--resume", run.id)}\n`);
  return ExitCode.done;
}
