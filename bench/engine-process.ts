import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import type { SizeName } from "./workload.ts";

/** What an engine offers to the benchmark: one training step that returns the loss before its update. */
export interface Engine {
  /** Name, version and what it runs on. */
  readonly name: string;
  /** Threads it computes with, where that is not the number it was asked for. */
  readonly threads?: number;
  step(): Promise<number>;
  close?(): Promise<void>;
}

/** The reply to one request line `N`. */
export interface EngineReply {
  readonly name: string;
  readonly threads?: number;
  /** Duration of each of the N steps. */
  readonly milliseconds: readonly number[];
  /** Loss of each of the N steps, in nats. */
  readonly losses: readonly number[];
  /** Peak resident memory of the process so far, in MiB. */
  readonly peakMemory: number;
  /** Resident memory before the model was built, with the engine's libraries loaded, in MiB. */
  readonly baseMemory: number;
}

/**
 * Peak resident memory of this process in MiB. The kernel's own mark where there is one: what `resourceUsage` gives
 * starts, on Linux, at the size of the process that started this one.
 */
function peakMemory(): number {
  try {
    const mark = /VmHWM:\s+(\d+) kB/.exec(readFileSync("/proc/self/status", "utf8"));
    if (mark) return Number(mark[1]) / 1024;
  } catch {
    // Not Linux.
  }
  return process.resourceUsage().maxRSS / 1024;
}

/**
 * Runs steps on request: each line of stdin is a number of steps, each line of stdout an `EngineReply`.
 *
 * @param build  reads the state and makes the model; its time counts to the first step. Libraries should be loaded
 * before, so that `baseMemory` holds them
 */
export async function serve(build: () => Engine | Promise<Engine>): Promise<void> {
  const baseMemory = process.memoryUsage.rss() / 2 ** 20;
  let engine: Engine | undefined;
  for await (const line of createInterface({ input: process.stdin })) {
    const milliseconds: number[] = [];
    const losses: number[] = [];
    for (let i = 0; i < Number(line); i++) {
      const start = performance.now();
      engine ??= await build();
      losses.push(await engine.step());
      milliseconds.push(performance.now() - start);
    }
    if (!engine) throw new Error(`expected a number of steps, got '${line}'`);
    const { name, threads } = engine;
    const reply: EngineReply = {
      name,
      ...(threads === undefined ? {} : { threads }),
      milliseconds,
      losses,
      peakMemory: peakMemory(),
      baseMemory,
    };
    process.stdout.write(`${JSON.stringify(reply)}\n`);
  }
  await engine?.close?.();
}

/** The arguments that every engine in JavaScript is started with. */
export function engineArguments(): {
  readonly stateFile: string;
  readonly threads: number;
  readonly size: SizeName;
} {
  const [stateFile, threads, size] = process.argv.slice(2);
  if (stateFile === undefined || !(Number(threads) >= 1) || (size !== "full" && size !== "tiny"))
    throw new Error(
      "usage: ENGINE STATE_FILE THREADS full|tiny; the benchmark (bench/main.ts) starts engines itself",
    );
  return { stateFile, threads: Number(threads), size };
}
