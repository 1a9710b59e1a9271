import { stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { writeFileAtomic } from "@concord/papers";
import {
  type DiagnoseOptions,
  type DiagnoseResult,
  diagnose,
  type PairInput,
  renderReport,
  VectorFileError,
  type VectorPlace,
} from "@concord/toolkit";
import { type Context, coloursFor, columnsOf } from "../context.ts";
import { ExitCode, UsageError } from "../errors.ts";
import { renderDiagnosis } from "../render/diagnosis.ts";
import { shellText } from "../render/text.ts";
import { StageDisplay } from "../stage-display.ts";
import type { DiagnoseFlags } from "./diagnose-options.ts";

/** One value stands for both sets. */
function both(values: readonly string[] | undefined): readonly [string, string] | undefined {
  const [first, second] = values ?? [];
  return first === undefined ? undefined : [first, second ?? first];
}

function pairsOf(flags: DiagnoseFlags, b: string | undefined): PairInput | undefined {
  const needs = (flag: string): never => {
    throw new UsageError(
      `${flag} says something about the pairs of two sets: give ${b === undefined ? "a second file" : "--pairs FILE"}.`,
    );
  };
  if (b === undefined) {
    if (flags.pairs !== undefined) needs("--pairs");
    if (flags.unpaired) needs("--unpaired");
  }
  if (flags.pairs === undefined) {
    if (flags.pairColumns) needs("--pair-columns");
    if (flags.ids) needs("--ids");
    return flags.unpaired ? "none" : undefined;
  }
  const columns = both(flags.pairColumns);
  const ids = both(flags.ids);
  return { file: flags.pairs, ...(columns ? { columns } : {}), ...(ids ? { ids } : {}) };
}

function optionsOf(flags: DiagnoseFlags, b: string | undefined): DiagnoseOptions {
  const pairs = pairsOf(flags, b);
  const columns = both(flags.column);
  const keys = both(flags.key);
  const place = (side: 0 | 1): VectorPlace => ({
    ...(columns ? { column: columns[side] } : {}),
    ...(keys ? { key: keys[side] } : {}),
  });
  const [first, second] = flags.names ?? [];
  return {
    places: [place(0), place(1)],
    ...(pairs === undefined ? {} : { pairs }),
    ...(first === undefined ? {} : { names: second === undefined ? [first] : [first, second] }),
    ...(flags.labels === undefined ? {} : { labels: flags.labels }),
    ...(flags.labelColumn === undefined ? {} : { labelColumn: flags.labelColumn }),
    ...(flags.modalities === undefined ? {} : { modalities: flags.modalities }),
    ...(flags.sample === undefined ? {} : { sample: flags.sample }),
    ...(flags.queries === undefined ? {} : { queries: flags.queries }),
    ...(flags.seed === undefined ? {} : { seed: flags.seed }),
  };
}

/** Refuses before the work what would fail after it. */
async function checkReportPath(html: string, inputs: readonly (string | undefined)[]): Promise<void> {
  const path = resolve(html);
  if (inputs.some((input) => input !== undefined && resolve(input) === path))
    throw new UsageError(`--html ${shellText(html)} is one of the files to be read.`);
  const folder = await stat(dirname(path)).catch(() => null);
  if (!folder?.isDirectory()) throw new UsageError(`--html: there is no folder ${dirname(path)}.`);
  if ((await stat(path).catch(() => null))?.isDirectory())
    throw new UsageError(`--html ${shellText(html)} is a folder; name a file in it.`);
}

function reportOf({ diagnosis, advice }: DiagnoseResult, context: Context): string {
  const names = diagnosis.sets.map(({ name }) => name);
  return renderReport({
    title: names.length === 1 ? `Diagnosis of ${names[0]}` : `Diagnosis of ${names[0]} and ${names[1]}`,
    before: diagnosis,
    advice,
    footer: `Written by ${context.name} diagnose on ${new Date().toISOString().slice(0, 10)}.`,
  });
}

/** Diagnoses one or two files of vectors and prints, or writes, the report. */
export async function runDiagnose(
  context: Context,
  a: string,
  b: string | undefined,
  flags: DiagnoseFlags,
): Promise<ExitCode> {
  const options = optionsOf(flags, b);
  if (flags.html !== undefined) await checkReportPath(flags.html, [a, b, flags.pairs, flags.labels]);
  if (b !== undefined && resolve(a) === resolve(b) && flags.column === undefined && flags.key === undefined)
    context.stderr.write(
      `Both sets are the file ${shellText(a)}: every number will be of a set against itself.\n`,
    );
  const display = new StageDisplay(context);
  const stopping = new AbortController();
  const endWatch = context.onStopRequest(() => stopping.abort());
  let result: DiagnoseResult;
  try {
    result = await diagnose(a, b ?? null, {
      ...options,
      signal: stopping.signal,
      onProgress: (progress) => display.show(progress),
    });
  } catch (error) {
    if (stopping.signal.aborted) return ExitCode.cancelled;
    if (error instanceof RangeError || error instanceof VectorFileError)
      throw new UsageError(error.message, { cause: error });
    throw error;
  } finally {
    endWatch();
    display.end();
  }
  if (flags.html !== undefined) await writeFileAtomic(flags.html, [reportOf(result, context)]);
  if (flags.json) {
    // Points of plots are for drawing; they would bury the numbers.
    const { plots: _, ...diagnosis } = result.diagnosis;
    context.stdout.write(`${JSON.stringify({ ...diagnosis, advice: result.advice })}\n`);
    return ExitCode.done;
  }
  const style = { columns: columnsOf(context.stdout), colours: coloursFor(context.stdout, context.env) };
  context.stdout.write(`${renderDiagnosis(result, { ...style, command: context.name })}\n`);
  if (flags.html !== undefined) context.stdout.write(`\nThe same with plots: ${flags.html}\n`);
  return ExitCode.done;
}
