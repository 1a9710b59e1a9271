import { Worker } from "node:worker_threads";
import { describe, expect, test } from "vitest";
import type { NDArray, Tensor } from "../src/index.ts";
import {
  add,
  compile,
  concat,
  createTrainer,
  evaluate,
  exp,
  gather,
  logSumExp,
  matmul,
  max,
  mean,
  min,
  minimise,
  mul,
  ndarray,
  sgd,
  softmax,
  sum,
  toNumbers,
  transpose,
  treeEntries,
  treeMap,
  zerosArray,
} from "../src/index.ts";
import { trackedRuntime } from "./support/tracked-runtime.ts";

/** A tracked runtime that knows which of its sessions were released. */
function countingRuntime() {
  const runtime = trackedRuntime();
  const released: number[] = [];
  return {
    ...runtime,
    released,
    async load(...args: Parameters<typeof runtime.load>) {
      const session = await runtime.load(...args);
      const number = runtime.sessions.length - 1;
      return {
        run: session.run,
        async release() {
          released.push(number);
          await session.release();
        },
      };
    },
  };
}
const lengths = (n: number): NDArray => ndarray(Array.from({ length: n }, () => 1));

describe("compiled graphs are kept within bounds", () => {
  test("a function keeps the graphs used last and releases the others", async () => {
    const runtime = countingRuntime();
    const total = compile((x: Tensor) => sum(x), { runtime, graphs: 2 });
    for (const n of [1, 2, 1, 3]) expect(toNumbers(await total(lengths(n)))).toEqual([n]);
    expect([runtime.sessions.length, runtime.released]).toEqual([3, [1]]); // that of length 2
    await total(lengths(1));
    await total(lengths(2));
    expect([runtime.sessions.length, runtime.released]).toEqual([4, [1, 2]]);
    await total.close();
    expect(runtime.released.toSorted()).toEqual([0, 1, 2, 3]);
    expect(toNumbers(await total(lengths(4)))).toEqual([4]);
    await total.close();
    expect(runtime.released).toHaveLength(5);
    expect(() => compile((x: Tensor) => x, { graphs: 0 })).toThrow("must be an integer >= 1, got 0");
  });

  test("graphs in use are released after their runs", async () => {
    const runtime = countingRuntime();
    const total = compile((x: Tensor) => sum(x), { runtime, graphs: 1 });
    const results = await Promise.all(
      [1, 2, 3, 1, 2].map(async (n) => toNumbers(await total(lengths(n)))[0]),
    );
    expect(results).toEqual([1, 2, 3, 1, 2]);
    await total.close();
    expect(new Set(runtime.released).size).toBe(runtime.sessions.length);
    expect(runtime.released).toHaveLength(runtime.sessions.length);
  });

  test("a trainer does the same for shapes of batches, and works on after close", async () => {
    const runtime = countingRuntime();
    const trainer = createTrainer({
      state: { total: ndarray(0) },
      step: ({ total }, { x }: { readonly x: Tensor }) => ({
        state: { total: add(total, sum(x)) },
        metrics: {},
      }),
      options: { runtime, graphs: 2 },
    });
    for (const n of [1, 2, 3, 4]) await trainer.step({ x: lengths(n) });
    expect(runtime.released).toEqual([0, 1]);
    await trainer.close();
    expect(runtime.released).toHaveLength(4);
    await trainer.step({ x: lengths(5) });
    expect(toNumbers(trainer.state().total)).toEqual([15]);
    await trainer.close();
  });

  test("a function that failed to trace is traced again", async () => {
    let broken = true;
    const f = compile((x: Tensor) => {
      if (broken) throw new Error("not yet");
      return mul(x, 2);
    });
    await expect(f(ndarray([1]))).rejects.toThrow("not yet");
    broken = false;
    expect(toNumbers(await f(ndarray([1])))).toEqual([2]);
    await f.close();
  });
});

describe("paths of trees", () => {
  test("tell keys with slashes, tildes and no letters from nesting", async () => {
    const tree = {
      "a/b": ndarray([1]),
      a: { b: ndarray([2]), "": ndarray([3]), "~": ndarray([4]) },
      "a~1b": ndarray([5]),
      "": { a: ndarray([6]) },
    };
    const paths = treeEntries(tree).map(([path]) => path);
    expect(paths).toEqual(["a~1b", "a/b", "a/~", "a/~0", "a~01b", "~/a"]);
    const doubled = compile((t: { readonly [K in keyof typeof tree]: Tensor }) =>
      treeMap(t, (x) => mul(x as Tensor, 2)),
    );
    const found = (await doubled(tree as never)) as typeof tree;
    expect(treeEntries(found).map(([, x]) => toNumbers(x as NDArray)[0])).toEqual([2, 4, 6, 8, 10, 12]);
    const trainer = minimise({
      params: { "w/x": ndarray([1]), w: { x: ndarray([2]) } },
      optimiser: sgd({ learningRate: 1 }),
      loss: (p, _batch: Record<string, never>) => add(sum(p["w/x"]), mul(sum(p.w.x), 3)),
    });
    await trainer.step({});
    expect(trainer.state().params).toEqual({ "w/x": ndarray([0]), w: { x: ndarray([-1]) } });
    await trainer.close();
    await doubled.close();
  });

  test("lists and records with the same leaves are traced apart, empty ones too", async () => {
    const count = compile((t: { readonly xs: readonly Tensor[] | Readonly<Record<string, Tensor>> }) =>
      mul(sum(concat([...Object.values(t.xs), ...Object.values(t.xs)])), Array.isArray(t.xs) ? 1 : 10),
    );
    expect(toNumbers(await count({ xs: [ndarray([1])] }))).toEqual([2]);
    expect(toNumbers(await count({ xs: { 0: ndarray([1]) } }))).toEqual([20]);
    const sized = compile((t: { readonly xs: readonly Tensor[]; readonly y: Tensor }) =>
      mul(t.y, t.xs.length),
    );
    const y = ndarray([3]);
    expect(toNumbers(await sized({ xs: [y], y }))).toEqual([3]);
    expect(toNumbers(await sized({ xs: [], y }))).toEqual([0]);
    await count.close();
    await sized.close();
  });
});

describe("unusual calls", () => {
  test("the same array for several inputs, of a function and of a step", async () => {
    const x = ndarray([1, 2]);
    const f = compile((a: Tensor, b: Tensor, c: readonly Tensor[]) => add(mul(a, b), c[0] as Tensor));
    expect(toNumbers(await f(x, x, [x]))).toEqual([2, 6]);
    const trainer = createTrainer({
      state: { w: x, v: x },
      step: ({ w, v }, { a, b }: { readonly a: Tensor; readonly b: Tensor }) => ({
        state: { w: add(w, a), v: add(v, mul(b, 2)) },
        metrics: {},
      }),
    });
    await trainer.step({ a: x, b: x });
    expect([toNumbers(trainer.state().w), toNumbers(trainer.state().v), toNumbers(x)]).toEqual([
      [2, 4],
      [3, 6],
      [1, 2],
    ]);
    await trainer.close();
    await f.close();
  });

  test("a value that is several results, an input or a constant", async () => {
    const f = compile((x: Tensor) => {
      const y = mul(x, 3);
      return { y, again: [y, y], x, constant: 7 };
    });
    const { y, again, x, constant } = await f(ndarray([2]));
    expect([y, ...again, x].map((r) => toNumbers(r)[0])).toEqual([6, 6, 6, 2]);
    expect(toNumbers(constant as unknown as NDArray)).toEqual([7]);
    await f.close();
  });

  test("scalars and axes of size 0", async () => {
    const empty = zerosArray([0, 3]);
    const some = ndarray([[1, 2, 3]]);
    const f = compile((a: Tensor, b: Tensor) => ({
      total: sum(a),
      columns: sum(a, { axes: 0 }),
      doubled: exp(mul(a, 2)),
      joined: concat([a, b]),
      turned: transpose(a),
      product: matmul(transpose(a), a),
      none: matmul(b, transpose(a)),
      weights: softmax(a),
      scalar: mul(sum(b), 2),
    }));
    const found = await f(empty, some);
    const shapes = Object.fromEntries(Object.entries(found).map(([name, { shape }]) => [name, shape]));
    expect(shapes).toEqual({
      total: [],
      columns: [3],
      doubled: [0, 3],
      joined: [1, 3],
      turned: [3, 0],
      product: [3, 3],
      none: [1, 0],
      weights: [0, 3],
      scalar: [],
    });
    expect(toNumbers(found.total)).toEqual([0]);
    expect(toNumbers(found.columns)).toEqual([0, 0, 0]);
    expect(toNumbers(found.product)).toEqual(Array(9).fill(0));
    expect(toNumbers(found.joined)).toEqual([1, 2, 3]);
    await f.close();
    expect(
      (await evaluate({ rows: gather(mul(ndarray([1, 2]), 1), ndarray([], { dtype: "int32" })) })).rows.shape,
    ).toEqual([0]);
  });

  test("means and extrema of nothing are refused", () => {
    for (const [name, of] of Object.entries({ mean, max, min, logSumExp }))
      expect(() => of(zerosArray([2, 0]), { axes: 1 })).toThrow(
        `${name}: [2, 0] has no entries along axes [1]`,
      );
    expect(max(zerosArray([0, 2]), { axes: 1 }).shape).toEqual([0]);
  });

  test("a signal that is aborted keeps a step from beginning", async () => {
    const trainer = createTrainer({
      state: { n: ndarray(0) },
      step: ({ n }, _batch: Record<string, never>) => ({ state: { n: add(n, 1) }, metrics: {} }),
    });
    const stop = new AbortController();
    await trainer.step({}, { signal: stop.signal });
    stop.abort(new Error("enough"));
    await expect(trainer.step({}, { signal: stop.signal })).rejects.toThrow("enough");
    expect(toNumbers(trainer.state().n)).toEqual([1]);
    await trainer.step({});
    expect(toNumbers(trainer.state().n)).toEqual([2]);
    await trainer.close();
  });
});

test("two workers train at the same time to the same numbers as this thread", async () => {
  const program = `
    import { parentPort } from "node:worker_threads";
    import { train } from ${JSON.stringify(new URL("./support/small-training.ts", import.meta.url).href)};
    parentPort.postMessage(await train(30));
  `;
  const inWorker = (): Promise<number[]> =>
    new Promise((resolve, reject) => {
      const url = new URL(`data:text/javascript,${encodeURIComponent(program)}`);
      const worker = new Worker(url, {
        execArgv: ["--conditions=source", "--disable-warning=ExperimentalWarning"],
      });
      worker.once("message", resolve);
      worker.once("error", reject);
    });
  const { train } = await import("./support/small-training.ts");
  const [one, other, here] = await Promise.all([inWorker(), inWorker(), train(30)]);
  expect(here.at(-1)).toBeLessThan((here[0] as number) / 2);
  expect(one).toEqual(here);
  expect(other).toEqual(here);
});
