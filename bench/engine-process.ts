import { createInterface } from "node:readline";

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
}

/** Runs steps on request: each line of stdin is a number of steps, each line of stdout an `EngineReply`. */
export async function serve(engine: Engine): Promise<void> {
  const { name, threads } = engine;
  for await (const line of createInterface({ input: process.stdin })) {
    const milliseconds: number[] = [];
    const losses: number[] = [];
    for (let i = 0; i < Number(line); i++) {
      const start = performance.now();
      losses.push(await engine.step());
      milliseconds.push(performance.now() - start);
    }
    const reply: EngineReply = {
      name,
      ...(threads === undefined ? {} : { threads }),
      milliseconds,
      losses,
      peakMemory: process.resourceUsage().maxRSS / 1024,
    };
    process.stdout.write(`${JSON.stringify(reply)}\n`);
  }
  await engine.close?.();
}

/** The arguments that every engine in JavaScript except Concord is started with. */
export function engineArguments(): { readonly stateFile: string; readonly threads: number } {
  const [stateFile, threads] = process.argv.slice(2);
  if (stateFile === undefined || !(Number(threads) >= 1))
    throw new Error("usage: ENGINE STATE_FILE THREADS; the benchmark (bench/main.ts) starts engines itself");
  return { stateFile, threads: Number(threads) };
}
