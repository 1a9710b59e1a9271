import { availableParallelism, cpus, loadavg, totalmem } from "node:os";
import { type EngineId, packageVersion, peakMatrixSize } from "./engines.ts";
import type { EngineRecord, Schedule } from "./measure.ts";
import { median, range } from "./statistics.ts";
import type { SizeName, Workload, WorkloadId } from "./workload.ts";

/**
 * All engines start from the same numbers, so their losses differ by rounding only: over the first steps by no more
 * than this share of the loss (or this much, for losses below 1). Later steps amplify rounding.
 */
export const LOSS_TOLERANCE = 1e-3;
export const COMPARED_STEPS = 3;

/** Median over minimum of the matrix products, up to which a machine counts as quiet. */
const QUIET_SLOWDOWN = 1.25;

export interface EngineResult {
  readonly id: EngineId;
  readonly name: string;
  readonly threads: number;
  /** Milliseconds a step. */
  readonly minimum: number;
  readonly median: number;
  /**
   * Median over Concord's median within each round that both took part in: the median of these, the smallest and the
   * largest. Null without Concord.
   */
  readonly ratio: { readonly median: number; readonly range: readonly [number, number] } | null;
  readonly gflops: number;
  /** Share of the machine's matrix product peak. */
  readonly utilisation: number;
  /** Of the whole process, in MiB. */
  readonly peakMemory: number;
  /** The part of it that came with the model: peak less what was resident before, in MiB. */
  readonly modelMemory: number;
  /** Milliseconds of the first step, with building and compiling. */
  readonly firstStep: number;
  readonly firstLoss: number;
  /** Loss at the last step that all engines reached. */
  readonly commonLoss: number;
  /** Milliseconds of every measured step, by round. */
  readonly rounds: readonly (readonly number[])[];
  readonly losses: readonly number[];
}

export interface NotRun {
  readonly id: EngineId;
  readonly reason: string;
}

export interface WorkloadResult {
  readonly id: WorkloadId;
  readonly title: string;
  readonly size: SizeName;
  readonly description: string;
  readonly flops: number;
  readonly matmulPeak: { readonly size: number; readonly milliseconds: number; readonly gflops: number };
  /** Number of the step whose loss is `commonLoss`, from 1. */
  readonly commonStep: number;
  readonly engines: readonly EngineResult[];
  /** Engines that ran and failed, or computed something else. */
  readonly failed: readonly NotRun[];
  readonly warnings: readonly string[];
}

export interface BenchmarkResult {
  readonly machine: {
    readonly cpu: string;
    readonly cores: number;
    /** GiB */
    readonly memory: number;
    readonly system: string;
    /** Average number of busy threads in the minute before the start. Zero where the system does not say. */
    readonly load: number;
  };
  readonly versions: Readonly<Record<string, string>>;
  readonly threads: number;
  readonly schedule: Schedule;
  readonly workloads: readonly WorkloadResult[];
  /** Engines that are not installed here. */
  readonly skipped: readonly NotRun[];
  readonly warnings: readonly string[];
}

/** Operations a nanosecond. */
function gflops(operations: number, milliseconds: number): number {
  return operations / milliseconds / 1e6;
}

/** Why a record cannot stand beside the others, if it cannot. */
function failureOf(record: EngineRecord, reference: EngineRecord | undefined): string | undefined {
  if (record.error !== undefined) return record.error;
  const expected = reference?.losses ?? [];
  for (let step = 0; step < Math.min(COMPARED_STEPS, expected.length, record.losses.length); step++) {
    const [loss, wanted] = [record.losses[step] as number, expected[step] as number];
    if (Math.abs(loss - wanted) <= LOSS_TOLERANCE * Math.max(1, Math.abs(wanted))) continue;
    return `its loss at step ${step + 1} is ${loss}, that of ${reference?.id} ${wanted}: it does not compute the same model`;
  }
  return undefined;
}

function ratioTo(concord: EngineRecord | undefined, record: EngineRecord): EngineResult["ratio"] {
  if (!concord) return null;
  const shared = Math.min(record.rounds.length, concord.rounds.length);
  const perRound = Array.from(
    { length: shared },
    (_, i) => median(record.rounds[i] ?? []) / median(concord.rounds[i] ?? []),
  );
  return { median: median(perRound), range: range(perRound) };
}

export function machineNow(): BenchmarkResult["machine"] {
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown processor",
    cores: availableParallelism(),
    memory: totalmem() / 2 ** 30,
    system: `${process.platform} ${process.arch}`,
    load: loadavg()[0] ?? 0,
  };
}

export function softwareVersions(): BenchmarkResult["versions"] {
  return { node: process.versions.node, "onnxruntime-node": packageVersion("onnxruntime-node") };
}

/** Other work shows in the matrix products, which otherwise take nearly the same time throughout. */
function disturbance(peakMilliseconds: readonly number[]): string[] {
  const slowdown = median(peakMilliseconds) / range(peakMilliseconds)[0];
  if (slowdown <= QUIET_SLOWDOWN) return [];
  return [
    `other work disturbed the measurement: the median matrix product took ${slowdown.toFixed(2)} times as long as the fastest.`,
  ];
}

/** Turns the records of a workload into the figures that are shown. */
export function summarise(
  workload: Pick<Workload, "id" | "title" | "size" | "description" | "flops">,
  records: readonly EngineRecord[],
  peakMilliseconds: readonly number[],
): WorkloadResult {
  const { id, title, size, description, flops } = workload;
  const reference = records.find(({ error }) => error === undefined);
  const failures = records.map((record) => ({ id: record.id, reason: failureOf(record, reference) }));
  const failed = failures.filter((failure): failure is NotRun => failure.reason !== undefined);
  const sound = records.filter((record) => !failed.some((failure) => failure.id === record.id));
  const concord = sound.find((record) => record.id === "concord");
  const commonStep = Math.min(...sound.map(({ losses }) => losses.length));
  const peakTime = median(peakMilliseconds);
  const peak = gflops(2 * peakMatrixSize ** 3, peakTime);
  const engines = sound.map((record): EngineResult => {
    const { peakMemory, baseMemory, firstStep, rounds, losses } = record;
    const steps = rounds.flat();
    const speed = gflops(flops, median(steps));
    return {
      id: record.id,
      name: record.name,
      threads: record.threads,
      minimum: range(steps)[0],
      median: median(steps),
      ratio: ratioTo(concord, record),
      gflops: speed,
      utilisation: speed / peak,
      peakMemory,
      modelMemory: peakMemory - baseMemory,
      firstStep,
      firstLoss: losses[0] as number,
      commonLoss: losses[commonStep - 1] as number,
      rounds,
      losses,
    };
  });
  return {
    id,
    title,
    size,
    description,
    flops,
    matmulPeak: { size: peakMatrixSize, milliseconds: peakTime, gflops: peak },
    commonStep,
    engines,
    failed,
    warnings: disturbance(peakMilliseconds),
  };
}
