import { setTimeout as delay } from "node:timers/promises";
import { EngineProcess } from "./driver.ts";
import type { EngineReply } from "./engine-process.ts";
import type { Command, EngineId } from "./engines.ts";

export interface Schedule {
  readonly rounds: number;
  /** Steps of each engine in a round; slow engines do fewer, but at least one. */
  readonly steps: number;
  /** Steps after the first that are not counted; slow engines do fewer. */
  readonly warmup: number;
}

/** What an engine did, in milliseconds. */
export interface EngineRecord {
  readonly id: EngineId;
  name: string;
  threads: number;
  /** The first step, with building the model, in which the engines that compile do so. */
  firstStep: number;
  /** Steps by round. Slow engines sit out the later rounds. */
  readonly rounds: number[][];
  /** Loss of every step since the start, warm-up included. */
  readonly losses: number[];
  /** MiB */
  peakMemory: number;
  /** Resident memory before the model was built, in MiB. */
  baseMemory: number;
  /** Why the engine dropped out. */
  error?: string;
}

export interface Contestant {
  readonly id: EngineId;
  readonly command: Command;
}

/** Longest turn of an engine in a round, in milliseconds, unless one step takes longer. */
const TURN_BUDGET_MS = 3_000;
/** Longest time of an engine in all rounds together, unless two rounds take longer. */
const ROUNDS_BUDGET_MS = 15_000;
const WARMUP_BUDGET_MS = 3_000;
const LEAST_ROUNDS = 2;
const PEAK_PRODUCTS_PER_ROUND = 5;
/** Threads of the engine before spin for a while after its last step. */
const SETTLE_MS = 150;

interface Running {
  readonly record: EngineRecord;
  readonly process: EngineProcess;
  stepsPerRound: number;
  rounds: number;
}

function add(record: EngineRecord, reply: EngineReply): void {
  record.name = reply.name;
  record.threads = reply.threads ?? record.threads;
  record.losses.push(...reply.losses);
  record.peakMemory = reply.peakMemory;
  record.baseMemory = reply.baseMemory;
}

async function start({ id, command }: Contestant, threads: number, schedule: Schedule): Promise<Running> {
  const process = new EngineProcess(command);
  const record: EngineRecord = {
    id,
    name: id,
    threads,
    firstStep: 0,
    rounds: [],
    losses: [],
    peakMemory: 0,
    baseMemory: 0,
  };
  const running = { record, process, stepsPerRound: schedule.steps, rounds: schedule.rounds };
  try {
    const first = await process.steps(1);
    add(record, first);
    record.firstStep = first.milliseconds[0] as number;
    let latest = record.firstStep;
    const began = performance.now();
    for (let i = 0; i < schedule.warmup && performance.now() - began < WARMUP_BUDGET_MS; i++) {
      const reply = await process.steps(1);
      add(record, reply);
      latest = reply.milliseconds[0] as number;
    }
    if (schedule.warmup > 0) {
      const within = (budget: number, each: number): number => Math.floor(budget / each);
      running.stepsPerRound = Math.min(schedule.steps, Math.max(1, within(TURN_BUDGET_MS, latest)));
      const affordable = within(ROUNDS_BUDGET_MS, latest * running.stepsPerRound);
      running.rounds = Math.min(schedule.rounds, Math.max(LEAST_ROUNDS, affordable));
    }
  } catch (error) {
    record.error = (error as Error).message;
    await process.close();
  }
  return running;
}

async function takeTurn(running: Running): Promise<void> {
  try {
    const reply = await running.process.steps(running.stepsPerRound);
    add(running.record, reply);
    running.record.rounds.push([...reply.milliseconds]);
  } catch (error) {
    running.record.error = (error as Error).message;
    await running.process.close();
  }
}

/**
 * Measures engines in turns: A B C, A B C, and so on, each in its own process, which idles while the others run. Every
 * round begins with matrix products, so that a machine that changes speed changes it for all.
 */
export async function measure(
  contestants: readonly Contestant[],
  peakCommand: Command,
  threads: number,
  schedule: Schedule,
  onProgress: (text: string) => void,
): Promise<{ readonly records: readonly EngineRecord[]; readonly peakMilliseconds: number[] }> {
  const peak = new EngineProcess(peakCommand);
  const engines: Running[] = [];
  const peakMilliseconds: number[] = [];
  try {
    onProgress("starting: matrix product");
    await peak.steps(PEAK_PRODUCTS_PER_ROUND);
    for (const contestant of contestants) {
      onProgress(`starting: ${contestant.id}`);
      engines.push(await start(contestant, threads, schedule));
      await delay(SETTLE_MS);
    }
    for (let round = 1; round <= schedule.rounds; round++) {
      onProgress(`round ${round} of ${schedule.rounds}: matrix product`);
      peakMilliseconds.push(...(await peak.steps(PEAK_PRODUCTS_PER_ROUND)).milliseconds);
      for (const engine of engines) {
        if (engine.record.error !== undefined || round > engine.rounds) continue;
        onProgress(`round ${round} of ${schedule.rounds}: ${engine.record.id}`);
        await delay(SETTLE_MS);
        await takeTurn(engine);
      }
      await delay(SETTLE_MS);
    }
  } finally {
    await Promise.all([peak.close(), ...engines.map(({ process }) => process.close())]);
  }
  return { records: engines.map(({ record }) => record), peakMilliseconds };
}
