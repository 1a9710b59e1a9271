import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { encodeSafetensors } from "@concord/tensor";
import { type Availability, type EngineId, engineIds, findEngine, matmulPeakCommand } from "./engines.ts";
import { type Contestant, measure, type Schedule } from "./measure.ts";
import { markdownReport, textReport } from "./report.ts";
import {
  type BenchmarkResult,
  machineNow,
  type NotRun,
  softwareVersions,
  summarise,
  type WorkloadResult,
} from "./result.ts";
import { loadWorkload, type Workload, workloadIds } from "./workload.ts";

const full: Schedule = { rounds: 5, steps: 5, warmup: 3 };
const quick: Schedule = { rounds: 2, steps: 2, warmup: 1 };

const usage = `npm run bench -- [options]

Trains the same models in Concord and in other engines, in turns, and compares their speed.

  --workloads LIST which, separated by commas: ${workloadIds.join(", ")} (default: all)
  --engines LIST   which, separated by commas: ${engineIds.join(", ")} (default: all)
  --threads N      threads of each engine (default: the number of cores)
  --rounds N       rounds, in each of which every engine has a turn (default ${full.rounds})
  --steps N        steps of a turn (default ${full.steps}; slow engines do fewer, but at least 1)
  --warmup N       steps that are not counted, after the first (default ${full.warmup}; slow engines do fewer)
  --quick          ${quick.rounds} rounds of ${quick.steps} steps after ${quick.warmup}, unless said otherwise: a first look
  --tiny           models of toy size, to try the benchmark itself
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

function parseList<I extends string>(option: string, text: string | undefined, known: readonly I[]): I[] {
  if (text === undefined) return [...known];
  const wanted = text.split(",").map((id) => id.trim());
  const unknown = wanted.find((id) => !(known as readonly string[]).includes(id));
  if (unknown !== undefined)
    throw new UsageError(`--${option}: expected some of ${known.join(", ")}, got '${unknown}'`);
  return known.filter((id) => wanted.includes(id));
}

function parseOptions() {
  try {
    const { values } = parseArgs({
      options: {
        workloads: { type: "string" },
        engines: { type: "string" },
        threads: { type: "string", default: String(availableParallelism()) },
        rounds: { type: "string" },
        steps: { type: "string" },
        warmup: { type: "string" },
        quick: { type: "boolean", default: false },
        tiny: { type: "boolean", default: false },
        json: { type: "string" },
        markdown: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    });
    const base = values.quick ? quick : full;
    return {
      workloads: parseList("workloads", values.workloads, workloadIds),
      engines: parseList("engines", values.engines, engineIds),
      threads: wholeNumber("threads", values.threads, 1),
      schedule: {
        rounds: wholeNumber("rounds", values.rounds ?? String(base.rounds), 1),
        steps: wholeNumber("steps", values.steps ?? String(base.steps), 1),
        warmup: wholeNumber("warmup", values.warmup ?? String(base.warmup), 0),
      },
      size: values.tiny ? ("tiny" as const) : ("full" as const),
      json: values.json,
      markdown: values.markdown,
      help: values.help,
    };
  } catch (error) {
    throw new UsageError((error as Error).message, { cause: error });
  }
}

/** On a terminal one line that changes; in a log nothing but the names of the workloads. */
function showProgress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}

function announce(workload: Workload, number: number, count: number): void {
  if (!process.stderr.isTTY) process.stderr.write(`${number} of ${count}: ${workload.title}\n`);
}

type Found = Extract<Availability, { available: true }> & { readonly id: EngineId };

async function findEngines(ids: readonly EngineId[]): Promise<{ found: Found[]; skipped: NotRun[] }> {
  const found: Found[] = [];
  const skipped: NotRun[] = [];
  for (const id of ids) {
    showProgress(`looking for ${id}`);
    const availability = await findEngine(id);
    if (availability.available) found.push({ id, ...availability });
    else skipped.push({ id, reason: availability.reason });
  }
  if (found.length === 0)
    throw new Error(`no engine to run: ${skipped.map(({ reason }) => reason).join("; ")}`);
  return { found, skipped };
}

/** A folder that vanishes with the process, also when that is interrupted. The engines end with their input. */
function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "concord-bench-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));
  return folder;
}

async function main(): Promise<void> {
  const { workloads, engines, threads, schedule, size, json, markdown, help } = parseOptions();
  if (help) return console.log(usage);
  const machine = machineNow();
  const busy =
    machine.load > machine.cores / 2
      ? [`the load before the start was ${machine.load.toFixed(2)}; figures of a busy machine say little.`]
      : [];
  const folder = temporaryFolder();
  const { found, skipped } = await findEngines(engines);
  const results: WorkloadResult[] = [];
  for (const [i, id] of workloads.entries()) {
    const workload = await loadWorkload(id, size);
    announce(workload, i + 1, workloads.length);
    const stateFile = join(folder, `${id}.safetensors`);
    writeFileSync(stateFile, Buffer.concat(encodeSafetensors(workload.initialState())));
    const contestants: Contestant[] = found.map((engine) => ({
      id: engine.id,
      command: engine.command({ workload, stateFile, threads }),
    }));
    const { records, peakMilliseconds } = await measure(
      contestants,
      matmulPeakCommand(threads),
      threads,
      schedule,
      (text) => showProgress(`${i + 1} of ${workloads.length}: ${workload.title}: ${text}`),
    );
    results.push(summarise(workload, records, peakMilliseconds));
  }
  showProgress("");
  const warnings = [...busy, ...found.flatMap(({ warning }) => warning ?? [])];
  const result: BenchmarkResult = {
    machine,
    versions: softwareVersions(),
    threads,
    schedule,
    workloads: results,
    skipped,
    warnings,
  };
  console.log(markdown ? markdownReport(result) : textReport(result));
  if (json !== undefined) writeFileSync(json, `${JSON.stringify(result, null, 2)}\n`);
  if (results.some(({ failed }) => failed.length > 0)) process.exitCode = 1;
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
