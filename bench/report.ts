import type { BenchmarkResult, EngineResult } from "./result.ts";

interface Column {
  readonly title: string;
  readonly value: (engine: EngineResult, result: BenchmarkResult) => string;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(0)} %`;
}

function ratio({ ratio: toConcord }: EngineResult): string {
  if (!toConcord) return "-";
  const [low, high] = toConcord.rounds.map((value) => value.toFixed(2));
  return low === high ? toConcord.medians.toFixed(2) : `${toConcord.medians.toFixed(2)} (${low} to ${high})`;
}

const name: Column = { title: "engine", value: (engine) => engine.name };
const threads: Column = { title: "threads", value: (engine) => String(engine.threads) };
const minimum: Column = { title: "min ms", value: (engine) => engine.minimum.toFixed(0) };
const middle: Column = { title: "median ms", value: (engine) => engine.median.toFixed(0) };
const toConcord: Column = { title: "time / Concord's", value: ratio };
const speed: Column = { title: "GFLOP/s", value: (engine) => engine.gflops.toFixed(1) };
const utilisation: Column = { title: "of peak", value: (engine) => percent(engine.utilisation) };
const memory: Column = { title: "memory MiB", value: (engine) => engine.peakMemory.toFixed(0) };
const first: Column = { title: "first step s", value: (engine) => (engine.firstStep / 1000).toFixed(1) };
const losses: Column = {
  title: "loss",
  value: (engine) => `${engine.firstLoss.toFixed(4)}, ${engine.commonLoss.toFixed(4)}`,
};

const everything = [name, threads, minimum, middle, toConcord, speed, utilisation, memory, first, losses];
const essentials = [name, threads, middle, toConcord, speed, utilisation, memory, first];

function cells(columns: readonly Column[], result: BenchmarkResult): string[][] {
  return result.engines.map((engine) => columns.map((column) => column.value(engine, result)));
}

/** What was run on what, in words. */
function caption(result: BenchmarkResult): string[] {
  const { model, machine, matmulPeak, versions, schedule, commonStep } = result;
  const { batch, layers, width, heads, imageTokens, textTokens, vocabulary } = model;
  const software = Object.entries(versions).map(([what, version]) => `${what} ${version}`);
  return [
    `One training step of a small CLIP: batch ${batch}, two transformers of ${layers} layers, width ${width}, ${heads} heads, ` +
      `${imageTokens} image and ${textTokens} text tokens, ${vocabulary} words, InfoNCE, Adam: ${(model.flops / 1e9).toFixed(1)} GFLOP.`,
    `${machine.cpu}, ${machine.cores} cores, ${machine.memory.toFixed(0)} GiB, ${machine.system}; ${result.threads} threads; ` +
      `${software.join(", ")}; load before the start ${machine.load.toFixed(2)}.`,
    `Peak: ${matmulPeak.gflops.toFixed(0)} GFLOP/s, a ${matmulPeak.size}³ float32 product in ${matmulPeak.milliseconds.toFixed(1)} ms. ` +
      `${schedule.rounds} interleaved rounds of up to ${schedule.steps} steps; in brackets the range over rounds; ` +
      `losses of steps 1 and ${commonStep}.`,
  ];
}

/** For the terminal. */
export function textReport(result: BenchmarkResult): string {
  const rows = [everything.map(({ title }) => title), ...cells(everything, result)];
  const widths = everything.map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  const table = rows.map((row) =>
    row
      .map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
      .join("  ")
      .trimEnd(),
  );
  return [
    "",
    ...caption(result),
    "",
    ...table,
    "",
    ...result.skipped.map(({ id, reason }) => `Not run: ${id}, because ${reason}.`),
    ...result.warnings.map((warning) => `WARNING: ${warning}`),
    ...result.failed.map(({ id, reason }) => `FAILED: ${id}: ${reason}`),
  ].join("\n");
}

/** The table for the README. */
export function markdownReport(result: BenchmarkResult): string {
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [
    line(essentials.map(({ title }) => title)),
    line(essentials.map((column) => (column === name ? "---" : "---:"))),
    ...cells(essentials, result).map(line),
    "",
    ...caption(result),
  ].join("\n");
}
