import { afterAll, describe, expect, test, vi } from "vitest";
import { runtime as defaultRuntime } from "#runtime";
import type { NDArray, Tensor } from "../src/index.ts";
import {
  add,
  arange,
  cast,
  compile,
  concat,
  constant,
  evaluate,
  exp,
  full,
  gather,
  matmul,
  mean,
  mul,
  ndarray,
  reshape,
  softmax,
  square,
  sub,
  sum,
  tanh,
  tensor,
  toNumbers,
} from "../src/index.ts";
import { randomArrays } from "./support/arrays.ts";
import { nodesOf } from "./support/graph-nodes.ts";
import { trackedRuntime } from "./support/tracked-runtime.ts";

const runtime = trackedRuntime();
afterAll(() => runtime.release());

describe("compile", () => {
  test("traces once for each structure, shapes and dtypes of its arguments", async () => {
    const traced: string[] = [];
    const total = compile(
      (x: Tensor, rest: { readonly bias: Tensor }) => {
        traced.push(`${x} ${rest.bias}`);
        return sum(add(x, rest.bias));
      },
      { runtime },
    );
    const call = async (x: NDArray, bias: NDArray | number): Promise<number[]> =>
      toNumbers(await total(x, { bias }));
    expect(await call(ndarray([1, 2]), 1)).toEqual([5]);
    expect(await call(ndarray([3, 4]), 2)).toEqual([11]);
    expect(await call(ndarray([3, 4]), ndarray(5))).toEqual([17]);
    expect(traced).toEqual(["Tensor(float32 [2]) Tensor(float32 [])"]);
    expect(await call(ndarray([[1], [2]]), 1)).toEqual([5]);
    expect(await call(ndarray([1, 2]), ndarray([1, 2]))).toEqual([6]);
    const double = ndarray([1, 2], { dtype: "float64" });
    expect(await call(double, ndarray(0.25, { dtype: "float64" }))).toEqual([3.5]);
    expect(await call(ndarray([7, 8]), 0)).toEqual([15]);
    expect(traced.slice(1)).toEqual([
      "Tensor(float32 [2, 1]) Tensor(float32 [])",
      "Tensor(float32 [2]) Tensor(float32 [2])",
      "Tensor(float64 [2]) Tensor(float64 [])",
    ]);
  });

  test("gives what the same tensors give when they are read", async () => {
    const [x, w] = randomArrays(1, [
      [3, 4],
      [4, 2],
    ]) as [NDArray, NDArray];
    const network = (a: Tensor, b: Tensor) => ({
      hidden: tanh(matmul(a, b)),
      parts: [softmax(a), mean(mul(b, b), { axes: 0 })],
    });
    const compiled = await compile(network, { runtime })(x, w);
    const { hidden, parts } = network(constant(x), constant(w));
    expect(compiled.hidden).toEqual(await hidden.data());
    expect(compiled.parts).toEqual([await parts[0]!.data(), await parts[1]!.data()]);
  });

  test("returns inputs, constants, numbers and one tensor under two names", async () => {
    const fn = compile(
      (x: Tensor) => {
        const doubled = mul(x, 2);
        return { x, again: x, fixed: tensor([7]), number: 3 as unknown as Tensor, doubled, same: [doubled] };
      },
      { runtime },
    );
    const input = ndarray([1, 2]);
    const result = await fn(input);
    expect(
      Object.values(result)
        .flat()
        .map((array) => toNumbers(array)),
    ).toEqual([[1, 2], [1, 2], [7], [3], [2, 4], [2, 4]]);
    const buffers = new Set([
      input.data.buffer,
      ...Object.values(result)
        .flat()
        .map(({ data }) => data.buffer),
    ]);
    expect(buffers.size).toBe(7);
  });

  test("returns fresh arrays from each call", async () => {
    const square2 = compile((x: Tensor) => square(x), { runtime });
    const first = await square2(ndarray([2]));
    await square2(ndarray([3]));
    expect(toNumbers(first)).toEqual([4]);
  });

  test("reads what an input array holds at the time of the call", async () => {
    const double = compile((x: Tensor) => mul(x, 2), { runtime });
    const x = ndarray([1, 2]);
    expect(toNumbers(await double(x))).toEqual([2, 4]);
    x.data[1] = 10;
    expect(toNumbers(await double(x))).toEqual([2, 20]);
  });

  test("reads arrays that are views into larger or shared memory", async () => {
    const double = compile((x: Tensor) => mul(x, 2), { runtime });
    const view = new Float32Array([1, 2, 3, 4]).subarray(1, 3);
    const shared = new Float32Array(new SharedArrayBuffer(32), 8, 2).fill(5);
    expect(toNumbers(await double({ dtype: "float32", shape: [2], data: view }))).toEqual([4, 6]);
    expect(toNumbers(await double({ dtype: "float32", shape: [2], data: shared }))).toEqual([10, 10]);
    const short = { dtype: "float32", shape: [3], data: view } as const;
    await expect(double(short)).rejects.toThrow("'0' has 2 values, which do not fill its shape [3]");
  });

  test("compiles once for calls that overlap", async () => {
    const counted = trackedRuntime();
    const slow = compile((x: Tensor) => add(exp(x), 1), { runtime: counted });
    const results = await Promise.all([slow(ndarray([0])), slow(ndarray([1])), slow(ndarray([2]))]);
    expect(counted.sessions).toHaveLength(1);
    expect(results.map((y) => Math.round(toNumbers(y)[0]!))).toEqual([2, 4, 8]);
    await counted.release();
  });

  test("feeds only what the results depend on", async () => {
    const observed = trackedRuntime();
    const fn = compile(
      (used: Tensor, _unused: Tensor, tree: { readonly a: Tensor; readonly b: Tensor }) => mul(used, tree.b),
      {
        runtime: observed,
      },
    );
    await fn(ndarray([1]), ndarray([2]), { a: 3, b: 4 });
    expect(observed.runs.map(([feeds, fetches]) => [Object.keys(feeds), Object.keys(fetches)])).toEqual([
      [["in/0", "in/2/b"], ["out/"]],
    ]);
    await observed.release();
  });

  test("takes and returns every dtype", async () => {
    const arrays = {
      float32: ndarray([1.5, -2]),
      float64: ndarray([1.5, -2], { dtype: "float64" }),
      int32: ndarray([-(2 ** 31), 2 ** 31 - 1], { dtype: "int32" }),
      int64: ndarray([-(2 ** 53), 2 ** 40], { dtype: "int64" }),
      uint8: ndarray([0, 255], { dtype: "uint8" }),
      bool: ndarray([true, false], { dtype: "bool" }),
    };
    const turned = await compile(
      (x: { readonly [K in keyof typeof arrays]: Tensor }) =>
        Object.fromEntries(
          Object.entries(x).map(([name, t]) => [name, gather(t, tensor([1, 0], { dtype: "int32" }))]),
        ),
      { runtime },
    )(arrays);
    for (const [name, array] of Object.entries(arrays)) {
      expect(turned[name]!.dtype).toBe(name);
      expect(toNumbers(turned[name]!)).toEqual(toNumbers(array).reverse());
    }
  });

  test("returns a result without tensors as it is, without a runtime", async () => {
    const loaded = runtime.sessions.length;
    const nothing = compile((_x: Tensor) => ({ none: {}, list: [] }), { runtime });
    expect(await nothing(ndarray([1, 2]))).toEqual({ none: {}, list: [] });
    expect(runtime.sessions).toHaveLength(loaded);
    expect(await evaluate({})).toEqual({});
    await nothing.close();
  });

  test("works with empty arrays", async () => {
    const fn = compile(
      (x: Tensor) => ({
        tripled: mul(x, 3),
        columns: sum(x, { axes: 0 }),
        more: concat([x, full([1, 2], 1)]),
      }),
      {
        runtime,
      },
    );
    const { tripled, columns, more } = await fn({
      dtype: "float32",
      shape: [0, 2],
      data: new Float32Array(0),
    });
    expect(tripled.shape).toEqual([0, 2]);
    expect(toNumbers(columns)).toEqual([0, 0]);
    expect(toNumbers(more)).toEqual([1, 1]);
  });

  test("names arguments that are no arrays", async () => {
    const fn = compile((x: { readonly image: Tensor }) => x.image, { runtime, name: "encoder" });
    await expect(fn({ image: "cat" as unknown as NDArray })).rejects.toThrow(
      "encoder: '0/image' must be an array or a number, got string",
    );
    const lazy = mul(tensor([1]), 2) as unknown as NDArray;
    await expect(fn({ image: lazy })).rejects.toThrow(
      "encoder: '0/image' must be an array or a number, got an unevaluated tensor",
    );
  });

  test("explains a tensor that comes from another trace", async () => {
    let leaked: Tensor | undefined;
    await compile(
      (x: Tensor) => {
        leaked = mul(x, 2);
        return leaked;
      },
      { runtime },
    )(ndarray([1]));
    const message =
      "the graph depends on the placeholder 'in/0' of another trace; pass that value as an argument";
    await expect(compile((y: Tensor) => add(y, leaked!), { runtime })(ndarray([1]))).rejects.toThrow(message);
    await expect(leaked!.data()).rejects.toThrow(message);
  });

  test("takes constant tensors as arrays", async () => {
    const fn = compile((x: Tensor) => mul(x, 2), { runtime });
    expect(toNumbers(await fn(tensor([1, 2]) as unknown as NDArray))).toEqual([2, 4]);
  });

  test("throws what the traced function throws, every time", async () => {
    const fn = compile((x: Tensor) => reshape(x, [5]), { runtime });
    for (let i = 0; i < 2; i++)
      await expect(fn(ndarray([1, 2]))).rejects.toThrow("reshape: [2] (2 elements) does not fit [5]");
  });
});

describe("graphs hold each value once", () => {
  const ofVectors = (fn: (x: Tensor, y: Tensor) => Tensor | readonly Tensor[]): Promise<string[]> =>
    nodesOf((x, y) => fn(x!, y!), [ndarray([1, 2]), ndarray([3, 4])]);

  test("equal subexpressions are computed once", async () => {
    expect(await ofVectors((x, y) => add(mul(x, y), mul(x, y)))).toEqual(["Mul", "Add"]);
    expect(await ofVectors((x, y) => sub(tanh(add(x, y)), tanh(add(x, y))))).toEqual(["Add", "Tanh", "Sub"]);
    expect(await ofVectors((x, y) => [mul(x, y), mul(y, x)])).toEqual(["Mul", "Mul"]);
  });

  test("what no result depends on is left out", async () => {
    expect(
      await ofVectors((x, y) => {
        exp(y);
        return tanh(x);
      }),
    ).toEqual(["Tanh"]);
  });

  test("constant factors, reshapes in a row and repeated values cost one node", async () => {
    expect(await ofVectors((x) => mul(mul(mul(x, 2), 3), 0.5))).toEqual(["Mul"]);
    expect(await ofVectors((x) => reshape(reshape(reshape(x, [1, 2]), [2, 1]), [1, 1, 2]))).toEqual([
      "Reshape",
    ]);
    expect(await ofVectors((x) => add(tanh(x), full([2], 1)))).toEqual(["Tanh", "Add"]);
    expect(await ofVectors((x) => tanh(reshape(reshape(x, [1, 2]), [2])))).toEqual(["Tanh"]);
  });
});

describe("evaluate and data", () => {
  test("read any tree of tensors in one graph and free it", async () => {
    const load = vi.spyOn(defaultRuntime, "load");
    try {
      const x = arange(3);
      const { sums, list } = await evaluate({ sums: sum(x), list: [mul(x, 2), cast(x, "int64")] });
      expect([sums, ...list].map(toNumbers)).toEqual([[3], [0, 2, 4], [0, 1, 2]]);
      expect(load).toHaveBeenCalledOnce();
      const session = await load.mock.results[0]!.value;
      await expect(session.run({}, {})).rejects.toThrow();
    } finally {
      load.mockRestore();
    }
  });

  test("read constants that are too large to be merged, and keep those apart", async () => {
    const [a, b] = randomArrays(3, [[100], [100]]) as [NDArray, NDArray];
    const results = await evaluate([constant(a), constant(b), sub(a, constant(a))]);
    expect(results.slice(0, 2)).toEqual([a, b]);
    expect(toNumbers(results[2]!)).toEqual(new Array(100).fill(0));
  });
});
