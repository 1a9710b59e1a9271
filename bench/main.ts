import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { initialStateFile } from "./clip-step/initial.ts";
import { type EngineId, engineIds, findEngine, matmulPeakCommand } from "./engines.ts";
import { type Contestant, measure } from "./measure.ts";
import { markdownReport, textReport } from "./report.ts";
import { machineNow, type NotRun, summarise } from "./result.ts";

const usage = `npm run bench -- [options]

Trains the same small CLIP in Concord and in other engines, in turns, and compares their speed.

  --engines LIST   which, separated by commas: ${engineIds.join(", ")} (default: all)
  --threads N      threads of each engine (default: the number of cores)
  --rounds N       rounds, in each of which every engine has a turn (default 5)
  --steps N        steps of a turn (default 5; slow engines do fewer, but at least 2)
  --warmup N       steps that are not counted, after the first (default 4; slow engines do fewer)
  --json FILE      also write every figure, with the duration and loss of every step
  --markdown       print the table as Markdown`;

/** A mistake in the command line. */
class UsageError extends Error {}

function wholeNumber(option: string, text: string, least: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < least)
    throw new UsageError(`--${option}: expected a whole number of at least ${least}, got '${text}'`);
  return value;
}

function parseEngines(text: string): EngineId[] {
  const wanted = text.split(",").map((id) => id.trim());
  const unknown = wanted.find((id) => !(engineIds as readonly string[]).includes(id));
  if (unknown !== undefined)
    throw new UsageError(`--engines: expected some of ${engineIds.join(", ")}, got '${unknown}'`);
  return engineIds.filter((id) => wanted.includes(id));
}

function parseOptions() {
  try {
    const { values } = parseArgs({
      options: {
        engines: { type: "string", default: engineIds.join(",") },
        threads: { type: "string", default: String(availableParallelism()) },
        rounds: { type: "string", default: "5" },
        steps: { type: "string", default: "5" },
        warmup: { type: "string", default: "4" },
        json: { type: "string" },
        markdown: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    });
    return {
      engines: parseEngines(values.engines),
      threads: wholeNumber("threads", values.threads, 1),
      schedule: {
        rounds: wholeNumber("rounds", values.rounds, 1),
        steps: wholeNumber("steps", values.steps, 1),
        warmup: wholeNumber("warmup", values.warmup, 0),
      },
      json: values.json,
      markdown: values.markdown,
      help: values.help,
    };
  } catch (error) {
    throw new UsageError((error as Error).message, { cause: error });
  }
}

function showProgress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}

async function main(): Promise<void> {
  const { engines, threads, schedule, json, markdown, help } = parseOptions();
  if (help) return console.log(usage);
  const machine = machineNow();
  const warnings: string[] = [];
  if (machine.load > machine.cores / 2)
    warnings.push(
      `the load before the start was ${machine.load.toFixed(2)}; figures of a busy machine say little.`,
    );

  const folder = mkdtempSync(join(tmpdir(), "concord-bench-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  // So that an interruption, too, ends with the cleaning up. The engines end with their input.
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));
  const stateFile = join(folder, "initial.safetensors");
  writeFileSync(stateFile, initialStateFile());
  const contestants: Contestant[] = [];
  const skipped: NotRun[] = [];
  for (const id of engines) {
    showProgress(`looking for ${id}`);
    const found = await findEngine(id, { stateFile, threads });
    if (found.available) contestants.push({ id, command: found.command });
    else skipped.push({ id, reason: found.reason });
    if (found.available && found.warning !== undefined) warnings.push(found.warning);
  }
  if (contestants.length === 0)
    throw new Error(`no engine to run: ${skipped.map(({ reason }) => reason).join("; ")}`);
  const peak = matmulPeakCommand(threads);
  const measured = await measure(contestants, peak, threads, schedule, showProgress);
  showProgress("");
  const result = summarise({ ...measured, machine, threads, schedule, skipped, warnings });
  console.log(markdown ? markdownReport(result) : textReport(result));
  if (json !== undefined) writeFileSync(json, `${JSON.stringify(result, null, 2)}\n`);
  if (result.failed.length > 0) process.exitCode = 1;
}

try {
  await main();
} catch (error) {
  const isUsage = error instanceof UsageError;
  console.error(
    isUsage ? `${error.message}\n\n${usage}` : `The benchmark failed: ${(error as Error).message}`,
  );
  process.exitCode = isUsage ? 2 : 1;
}
