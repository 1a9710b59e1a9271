import { createInterface } from "node:readline";

/** What an engine offers to the benchmark: one training step that returns the loss. */
export interface Engine {
  readonly name: string;
  step(): Promise<number>;
  close?(): Promise<void>;
}

/** The reply to one request line `N`: milliseconds of each of N steps, the last loss, and peak memory in MiB. */
export interface EngineReply {
  readonly name: string;
  readonly milliseconds: readonly number[];
  readonly loss: number;
  readonly peakMemory: number;
}

/** Runs steps on request: each line of stdin is a number of steps, each line of stdout an `EngineReply`. */
export async function serve(engine: Engine): Promise<void> {
  for await (const line of createInterface({ input: process.stdin })) {
    const milliseconds: number[] = [];
    let loss = Number.NaN;
    for (let i = 0; i < Number(line); i++) {
      const start = performance.now();
      loss = await engine.step();
      milliseconds.push(performance.now() - start);
    }
    const reply: EngineReply = { name: engine.name, milliseconds, loss, peakMemory: process.resourceUsage().maxRSS / 1024 };
    process.stdout.write(`${JSON.stringify(reply)}\n`);
  }
  await engine.close?.();
}
