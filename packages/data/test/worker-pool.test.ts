import { describe, expect, test } from "vitest";
import { WorkerPool } from "../src/index.ts";

const script = new URL("./counting-worker.ts", import.meta.url);

function counting(options: { readonly size: number; readonly depth?: number }) {
  const count = new Int32Array(new SharedArrayBuffer(4));
  const pool = new WorkerPool<number, { readonly n: number; readonly together: number }>(script, {
    ...options,
    workerData: { count },
  });
  return { pool, count };
}

/** Blocks this thread until so many requests were answered, for some seconds at most. */
function blockUntil(count: Int32Array, answered: number, seconds: number): number {
  const end = performance.now() + 1000 * seconds;
  for (
    let now = Atomics.load(count, 0);
    now < answered && performance.now() < end;
    now = Atomics.load(count, 0)
  )
    Atomics.wait(count, 0, now, end - performance.now());
  return Atomics.load(count, 0);
}

describe("a pool of threads", () => {
  test.each([
    [1, 2],
    [3, 4],
  ])("of depth %i goes on by itself while the caller is blocked: %i answers", async (depth, answers) => {
    const { pool, count } = counting({ size: 1, depth });
    await using _ = pool;
    await pool.run(0);
    const replies = Promise.all([1, 2, 3, 4].map((n) => pool.run(n)));
    // More than what was handed over does not come, however long one waits.
    expect(blockUntil(count, answers, 20)).toBe(answers);
    expect(blockUntil(count, answers + 1, 0.1)).toBe(answers);
    expect((await replies).map(({ n }) => n)).toEqual([1, 2, 3, 4]);
  });

  test("answers one request of a thread at a time, and those of a full pool as well", async () => {
    const { pool } = counting({ size: 2, depth: 3 });
    await using _ = pool;
    const replies = await Promise.all(Array.from({ length: 20 }, (_, n) => pool.run(n)));
    expect(replies).toEqual(Array.from({ length: 20 }, (_, n) => ({ n, together: 1 })));
  });

  test("hands errors to whoever asked", async () => {
    const { pool } = counting({ size: 1, depth: 3 });
    await using _ = pool;
    const [good, bad, unclonable, last] = await Promise.allSettled([
      pool.run(1),
      pool.run(-2),
      pool.run((() => {}) as never),
      pool.run(3),
    ]);
    expect([good, last]).toMatchObject([{ value: { n: 1 } }, { value: { n: 3 } }]);
    expect(bad).toMatchObject({ reason: new RangeError("-2 is negative") });
    expect(unclonable).toMatchObject({ reason: { name: "DataCloneError" } });
  });

  test("refuses what a thread that ended was handed, and goes on with another", async () => {
    const { pool } = counting({ size: 1, depth: 2 });
    await using _ = pool;
    const [first, fatal, held, later] = await Promise.allSettled([1, 999, 2, 3].map((n) => pool.run(n)));
    expect([first, later]).toMatchObject([{ value: { n: 1 } }, { value: { n: 3 } }]);
    for (const lost of [fatal, held])
      expect(lost).toMatchObject({ reason: new Error("A worker thread ended with code 3.") });
  });

  test("refuses requests when it is closed, and sizes that are none", async () => {
    const { pool } = counting({ size: 1, depth: 2 });
    const refused = Promise.allSettled([1, 2, 3].map((n) => pool.run(n)));
    await pool.close();
    for (const one of await refused)
      expect(one).toMatchObject({ reason: new Error("The worker pool was closed before it answered.") });
    await expect(pool.run(4)).rejects.toThrow("The worker pool is closed.");
    expect(() => counting({ size: 0 })).toThrow("size must be an integer >= 1, got 0");
    expect(() => counting({ size: 1, depth: 1.5 })).toThrow("depth must be an integer >= 1, got 1.5");
  });
});
