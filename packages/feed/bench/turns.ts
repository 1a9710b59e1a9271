import { setImmediate as nextTurn } from "node:timers/promises";

/** What the turns of the event loop cost, in milliseconds of this thread's processor time. */
export interface Turns {
  readonly p99: number;
  readonly longest: number;
}

/**
 * Does `work` and measures every turn of the event loop meanwhile. Processor time, not time by the clock: it says the same
 * on a machine that has other things to do.
 */
export async function measureTurns<T>(
  work: () => Promise<T>,
): Promise<{ readonly result: T; readonly turns: Turns }> {
  const spent = () => {
    const { user, system } = process.threadCpuUsage();
    return (user + system) / 1000;
  };
  let over = false;
  const costs: number[] = [];
  const watch = (async () => {
    let last = spent();
    while (!over) {
      await nextTurn();
      const now = spent();
      costs.push(now - last);
      last = now;
    }
  })();
  const result = await work().finally(() => {
    over = true;
  });
  await watch;
  costs.sort((a, b) => a - b);
  return {
    result,
    turns: { p99: costs[Math.floor(costs.length * 0.99)] ?? 0, longest: costs.at(-1) ?? 0 },
  };
}
