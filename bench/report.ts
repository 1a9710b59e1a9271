import { type BenchmarkResult, COMPARED_STEPS, type EngineResult, LOSS_TOLERANCE } from "./result.ts";
import { range } from "./statistics.ts";

interface Column {
  readonly title: string;
  readonly value: (engine: EngineResult) => string;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(0)} %`;
}

/** Steps of fast engines and of tiny models need decimals. */
function milliseconds(value: number): string {
  return value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0);
}

function ratio({ ratio: toConcord }: EngineResult): string {
  if (!toConcord) return "-";
  const [low, high] = toConcord.range.map((value) => value.toFixed(2));
  return low === high ? toConcord.median.toFixed(2) : `${toConcord.median.toFixed(2)} (${low} to ${high})`;
}

const name: Column = { title: "engine", value: (engine) => engine.name };
const threads: Column = { title: "threads", value: (engine) => String(engine.threads) };
const minimum: Column = { title: "min ms", value: (engine) => milliseconds(engine.minimum) };
const middle: Column = { title: "median ms", value: (engine) => milliseconds(engine.median) };
const toConcord: Column = { title: "time / Concord's", value: ratio };
const speed: Column = { title: "GFLOP/s", value: (engine) => engine.gflops.toFixed(1) };
const utilisation: Column = { title: "of peak", value: (engine) => percent(engine.utilisation) };
const memory: Column = { title: "peak MiB", value: (engine) => engine.peakMemory.toFixed(0) };
const modelMemory: Column = { title: "for the model", value: (engine) => engine.modelMemory.toFixed(0) };
const first: Column = { title: "first step s", value: (engine) => (engine.firstStep / 1000).toFixed(1) };
const losses: Column = {
  title: "loss",
  value: (engine) => `${engine.firstLoss.toFixed(4)}, ${engine.commonLoss.toFixed(4)}`,
};

const everything = [
  name,
  threads,
  minimum,
  middle,
  toConcord,
  speed,
  utilisation,
  memory,
  modelMemory,
  first,
  losses,
];
const essentials = [name, threads, middle, toConcord, speed, utilisation, memory, modelMemory, first];

/** One row an engine, the workload named in the first of its rows only. */
function cells(columns: readonly Column[], { workloads }: BenchmarkResult): string[][] {
  return workloads.flatMap(({ title, engines }) =>
    engines.map((engine, i) => [i === 0 ? title : "", ...columns.map((column) => column.value(engine))]),
  );
}

/** What was run on what, in words. */
function caption({ machine, workloads, versions, schedule, threads: count }: BenchmarkResult): string[] {
  const software = Object.entries(versions).map(([what, version]) => `${what} ${version}`);
  const peaks = range(workloads.map(({ matmulPeak }) => matmulPeak.gflops)).map((peak) => peak.toFixed(0));
  const size = workloads[0]?.matmulPeak.size ?? 0;
  return [
    ...workloads.map(
      ({ title, description, flops, commonStep }) =>
        `${title}: ${description}: ${(flops / 1e9).toPrecision(3)} GFLOP; losses of steps 1 and ${commonStep}.`,
    ),
    `${machine.cpu}, ${machine.cores} cores, ${machine.memory.toFixed(0)} GiB, ${machine.system}; ${count} threads; ` +
      `${software.join(", ")}; load before the start ${machine.load.toFixed(2)}.`,
    `Peak: ${[...new Set(peaks)].join(" to ")} GFLOP/s, a ${size}³ float32 product. ` +
      `${schedule.rounds} interleaved rounds of up to ${schedule.steps} steps; in brackets the range over rounds. ` +
      `Losses of the first ${COMPARED_STEPS} steps agree to ${LOSS_TOLERANCE}.`,
  ];
}

/** For the terminal. */
export function textReport(result: BenchmarkResult): string {
  const columns = everything;
  const rows = [["workload", ...columns.map(({ title }) => title)], ...cells(columns, result)];
  const widths = rows[0]?.map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0))) ?? [];
  const table = rows.flatMap((row, number) => {
    const line = row
      .map((cell, i) => (i <= 1 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
      .join("  ")
      .trimEnd();
    return number > 0 && row[0] !== "" ? ["", line] : [line];
  });
  return [
    "",
    ...caption(result),
    "",
    ...table,
    "",
    ...result.skipped.map(({ id, reason }) => `Not run: ${id}, because ${reason}.`),
    ...result.warnings.map((warning) => `WARNING: ${warning}`),
    ...result.workloads.flatMap(({ title, warnings }) =>
      warnings.map((warning) => `WARNING: ${title}: ${warning}`),
    ),
    ...result.workloads.flatMap(({ title, failed }) =>
      failed.map(({ id, reason }) => `FAILED: ${title}: ${id}: ${reason}`),
    ),
  ].join("\n");
}

/** The table for the README. */
export function markdownReport(result: BenchmarkResult): string {
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [
    line(["workload", ...essentials.map(({ title }) => title)]),
    line(["---", ...essentials.map((column) => (column === name ? "---" : "---:"))]),
    ...cells(essentials, result).map(line),
    "",
    ...caption(result).map((sentence) => `${sentence}  `.trimEnd()),
  ].join("\n");
}
