import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import type { ExportOnnxOptions, NDArray, Tensor } from "../../src/index.ts";
import {
  add,
  arange,
  batchNormInference,
  broadcastTo,
  cast,
  compile,
  concat,
  conv2d,
  expandDims,
  exportOnnx,
  exportOnnxWithData,
  gather,
  importOnnx,
  lessOrEqual,
  matmul,
  maxPool2d,
  mean,
  mul,
  ndarray,
  OnnxExportError,
  ones,
  relu,
  reshape,
  slice,
  softmax,
  split,
  sum,
  toNumbers,
  transpose,
  where,
} from "../../src/index.ts";
import type { ModelProto } from "../../src/onnx/onnx_pb.ts";
import { ModelProtoSchema } from "../../src/onnx/onnx_pb.ts";
import { runFresh } from "./fresh-process.ts";
import { distance, numbers, runOrt } from "./support.ts";

type Inputs = Record<string, Tensor>;
type Fn<P> = (params: P, inputs: Inputs) => Record<string, Tensor>;

function parse(bytes: Uint8Array): ModelProto {
  return fromBinary(ModelProtoSchema, bytes);
}

/** What the engine computes. */
async function run(
  fn: Fn<never>,
  params: unknown,
  feeds: Record<string, NDArray>,
): Promise<Record<string, NDArray>> {
  return await compile((p: never, inputs: Inputs) => fn(p, inputs))(params as never, feeds);
}

/** Exports, runs with ONNX Runtime at several sizes, and demands what the engine computes at each of them. */
async function expectEqualAtSizes<P>(
  fn: Fn<never>,
  options: ExportOnnxOptions<P>,
  sizes: readonly Readonly<Record<string, number>>[],
): Promise<Uint8Array> {
  const model = exportOnnx(fn as never, options);
  for (const [i, size] of sizes.entries()) {
    const feeds = Object.fromEntries(
      Object.entries(options.inputs).map(([name, { shape, dtype }]) => [
        name,
        numbers(
          shape.map((n) => (typeof n === "string" ? (size[n] as number) : n)),
          i + 1,
          dtype,
        ),
      ]),
    );
    const found = await runOrt(model, feeds);
    const expected = await run(fn as never, options.params ?? {}, feeds);
    expect(Object.keys(found)).toEqual(Object.keys(expected));
    for (const [name, array] of Object.entries(expected))
      expect(distance(found[name] as NDArray, array), `${name} at ${JSON.stringify(size)}`).toBeLessThan(
        1e-5,
      );
  }
  return model;
}

const weight = numbers([4, 3], 2);
const bias = numbers([3], 3);
const dense: Fn<{ weight: Tensor; bias: Tensor }> = ({ weight, bias }, { x }) => ({
  y: relu(add(matmul(x as Tensor, weight), bias)),
});

describe("the file", () => {
  it("states versions, names, axes, metadata; weights stand under their paths", () => {
    const bytes = exportOnnx(
      (p: { layers: readonly { weight: Tensor; bias: Tensor }[] }, { x }) => ({
        y: dense(p.layers[0] as { weight: Tensor; bias: Tensor }, { x: x as Tensor }).y as Tensor,
      }),
      {
        inputs: { x: { shape: ["batch", 4] } },
        params: { layers: [{ weight, bias }] },
        name: "dense",
        producerVersion: "1.2.3",
        metadata: { task: "none", note: "ünicode" },
      },
    );
    const model = parse(bytes);
    expect(model).toMatchObject({ irVersion: 10n, producerName: "concord", producerVersion: "1.2.3" });
    expect(model.opsetImport.map(({ domain, version }) => [domain, version])).toEqual([["", 21n]]);
    expect(model.metadataProps.map(({ key, value }) => [key, value])).toEqual([
      ["task", "none"],
      ["note", "ünicode"],
    ]);
    const { graph } = model;
    expect(graph?.name).toBe("dense");
    expect(graph?.initializer.map(({ name }) => name)).toEqual(["layers/0/weight", "layers/0/bias"]);
    const axes = (values: NonNullable<typeof graph>["input"]) =>
      values.map(({ name, type }) => [name, type?.tensorType?.shape?.dim.map(({ value }) => value.value)]);
    expect(axes(graph?.input ?? [])).toEqual([["x", ["batch", 4n]]]);
    expect(axes(graph?.output ?? [])).toEqual([["y", ["batch", 3n]]]);
  });

  it("runs in a process that has only ONNX Runtime", async () => {
    const bytes = exportOnnx(dense as never, {
      inputs: { x: { shape: ["batch", 4] } },
      params: { weight, bias },
    });
    const feeds = [1, 2, 7].map((batch) => ({ x: numbers([batch, 4], batch) }));
    const { inputs, outputs, results } = await runFresh(bytes, feeds);
    expect([inputs, outputs]).toEqual([["x"], ["y"]]);
    for (const [i, feed] of feeds.entries()) {
      const { y } = await run(dense as never, { weight, bias }, feed);
      expect(distance(results[i]?.y as NDArray, y as NDArray)).toBeLessThan(1e-6);
    }
  });

  it("stores a weight once that is used twice, and none that is not used", () => {
    const table = numbers([5, 5], 1);
    const bytes = exportOnnx(
      (p: { encoder: Tensor; decoder: Tensor; other: Tensor }, { x }) =>
        matmul(matmul(x as Tensor, p.encoder), transpose(p.decoder)),
      {
        inputs: { x: { shape: ["batch", 5] } },
        params: { encoder: table, decoder: table, other: numbers([3]) },
      },
    );
    const { graph } = parse(bytes);
    expect(graph?.initializer.map(({ name }) => name)).toEqual(["encoder"]);
    expect(graph?.output.map(({ name }) => name)).toEqual(["output"]);
  });

  it("keeps constants apart from weights, so that importing it trains the weights only", async () => {
    const bytes = exportOnnx(
      (p: { w: Tensor }, { x }) => ({ y: add(mul(x as Tensor, p.w), ndarray([5, 6, 7])) }),
      { inputs: { x: { shape: [2, 3] } }, params: { w: numbers([3]) } },
    );
    expect(Object.keys((await importOnnx(bytes)).params)).toEqual(["w"]);
  });

  it("keeps inner names apart from given ones", async () => {
    const fn: Fn<{ c0: Tensor }> = ({ c0 }, { t0, t1 }) => ({
      t2: add(mul(t0 as Tensor, c0), 2),
      t3: mul(add(t1 as Tensor, c0), 3),
      copy: t0 as Tensor,
    });
    const sizes = [{ n: 2 }, { n: 5 }];
    const params = { c0: numbers([3]) };
    await expectEqualAtSizes(
      fn as never,
      { inputs: { t0: { shape: ["n", 3] }, t1: { shape: ["n", 3] } }, params },
      sizes,
    );
    expect(() =>
      exportOnnx((_: object, { x }) => ({ x: relu(x as Tensor) }), { inputs: { x: { shape: [2] } } }),
    ).toThrow(/'x' is the name of two of inputs, outputs and weights/);
  });

  it("keeps inputs that nothing depends on", async () => {
    const bytes = exportOnnx((_: object, { x }) => ({ y: relu(x as Tensor) }), {
      inputs: { x: { shape: ["n"] }, ignored: { shape: ["n", 2], dtype: "int64" } },
    });
    expect(parse(bytes).graph?.input.map(({ name }) => name)).toEqual(["x", "ignored"]);
    const { results } = await runFresh(bytes, [
      { x: ndarray([-1, 2]), ignored: numbers([2, 2], 1, "int64") },
    ]);
    expect(toNumbers(results[0]?.y as NDArray)).toEqual([0, 2]);
  });

  it("can store weights in half the bytes", async () => {
    const params = { weight: numbers([40, 30], 2), bias: numbers([30], 3) };
    const options = { inputs: { x: { shape: ["batch", 40] } }, params };
    const [whole, half] = [
      exportOnnx(dense as never, options),
      exportOnnx(dense as never, { ...options, weights: "float16" }),
    ];
    expect(half.length).toBeLessThan(whole.length * 0.6);
    const x = numbers([3, 40], 9);
    const [a, b] = [await runOrt(whole, { x }), await runOrt(half, { x })];
    expect(distance(a.y as NDArray, b.y as NDArray)).toBeGreaterThan(0);
    expect(distance(a.y as NDArray, b.y as NDArray)).toBeLessThan(5e-3);
    const layer = await importOnnx(half);
    expect(Object.keys(layer.params)).toEqual(["weight", "bias"]);
    expect(distance(layer.params.weight as NDArray, params.weight)).toBeLessThan(1e-3);
    expect(layer.linears.map(({ name }) => name)).toEqual(["weight"]);
  });

  it("can put weights into a second file", async () => {
    const params = { weight: numbers([40, 30], 2), bias: numbers([30], 3) };
    const options = { inputs: { x: { shape: ["batch", 40] } }, params, location: "model.bin" };
    const { model, data } = exportOnnxWithData(dense as never, options);
    expect(model.length).toBeLessThan(1500);
    expect(data.length).toBe(4800);
    const x = numbers([3, 40], 9);
    const { results } = await runFresh(model, [{ x }], { "model.bin": data });
    const { y } = await runOrt(exportOnnx(dense as never, { inputs: options.inputs, params }), { x });
    expect(distance(results[0]?.y as NDArray, y as NDArray)).toBe(0);
    const layer = await importOnnx(model, { externalData: { "model.bin": data } });
    expect(toNumbers(layer.params.weight as NDArray)).toEqual(toNumbers(params.weight));
  });

  it("reads its own second file back by path", async () => {
    const params = { weight: numbers([40, 30], 2), bias: numbers([30], 3) };
    const options = { inputs: { x: { shape: ["batch", 40] } }, params, location: "weights/model.bin" };
    const { model, data } = exportOnnxWithData(dense as never, options);
    const folder = await mkdtemp(join(tmpdir(), "export-"));
    try {
      await mkdir(join(folder, "weights"));
      await writeFile(join(folder, "model.onnx"), model);
      await writeFile(join(folder, "weights", "model.bin"), data);
      const layer = await importOnnx(join(folder, "model.onnx"));
      for (const name of ["weight", "bias"] as const)
        expect(toNumbers(layer.params[name] as NDArray)).toEqual(toNumbers(params[name]));
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  it("says so when weights do not fit into one file", () => {
    const buffer = new ArrayBuffer(2 ** 29 + 64);
    const params = Array.from(
      { length: 4 },
      (_, i): NDArray => ({
        dtype: "float32",
        shape: [2 ** 27],
        data: new Float32Array(buffer, 4 * i, 2 ** 27),
      }),
    );
    expect(() =>
      exportOnnx((p: readonly Tensor[], { x }) => p.reduce((y, w) => add(y, sum(w)), x as Tensor), {
        inputs: { x: { shape: [1] } },
        params,
      }),
    ).toThrow(/the weights take 2147483648 bytes.*exportOnnxWithData/);
  });
});

describe("axes of open size", () => {
  it("a convolutional network: batch, and height and width in steps of its stride", async () => {
    const fn: Fn<{ w: Tensor; v: Tensor; n: Tensor[] }> = ({ w, v, n }, { image }) => {
      const x = conv2d(image as Tensor, w, { stride: 2, padding: 1 });
      const [gain, shift, average, variance] = n as [Tensor, Tensor, Tensor, Tensor];
      const normal = batchNormInference(x, gain, shift, { mean: average, variance: mul(variance, variance) });
      const y = conv2d(maxPool2d(relu(normal), 2), v);
      const { shape } = y;
      return {
        pooled: mean(y, { axes: [2, 3] }),
        tokens: transpose(reshape(y, [shape[0] as number, shape[1] as number, -1]), [0, 2, 1]),
      };
    };
    const model = await expectEqualAtSizes(
      fn as never,
      {
        inputs: { image: { shape: ["batch", 3, "height", "width"] } },
        params: {
          w: numbers([4, 3, 3, 3], 1),
          v: numbers([5, 4, 1, 1], 2),
          n: [1, 2, 3, 4].map((seed) => numbers([4], seed)),
        },
        axes: { height: { multipleOf: 4 }, width: { multipleOf: 4, minimum: 8 } },
      },
      [
        { batch: 1, height: 8, width: 12 },
        { batch: 3, height: 20, width: 8 },
      ],
    );
    const [, tokens] = parse(model).graph?.output ?? [];
    expect(tokens?.type?.tensorType?.shape?.dim.map(({ value }) => value.value)).toEqual([
      "batch",
      "height/4*width/4",
      5n,
    ]);
  });

  it("attention with a causal mask, a class token and stored positions", async () => {
    const [heads, size] = [2, 3];
    const fn: Fn<{ table: Tensor; positions: Tensor; token: Tensor; qkv: Tensor }> = (p, { ids, mask }) => {
      const [B, T] = (ids as Tensor).shape as [number, number];
      const words = add(gather(p.table, ids as Tensor), slice(p.positions, [0, 0], [T, heads * size]));
      const x = concat([broadcastTo(p.token, [B, 1, heads * size]), words], 1);
      const [q, k, v] = split(matmul(x, p.qkv), 3).map((part) =>
        transpose(reshape(part, [B, T + 1, heads, size]), [0, 2, 1, 3]),
      ) as [Tensor, Tensor, Tensor];
      const at = arange(T + 1, "int64");
      const causal = lessOrEqual(expandDims(at, 0), expandDims(at, 1));
      const whole = concat([ones([B, 1]), cast(mask as Tensor, "float32")], 1);
      const scores = matmul(q, k, { transposeB: true, scale: 0.5 });
      const hidden = mul(add(reshape(whole, [B, 1, 1, T + 1]), -1), 1e4);
      const weights = softmax(where(causal, add(scores, hidden), -1e4));
      return { states: reshape(transpose(matmul(weights, v), [0, 2, 1, 3]), [B * (T + 1), heads * size]) };
    };
    await expectEqualAtSizes(
      fn as never,
      {
        inputs: {
          ids: { shape: ["batch", "tokens"], dtype: "int64" },
          mask: { shape: ["batch", "tokens"], dtype: "int32" },
        },
        params: {
          table: numbers([9, 6], 1),
          positions: numbers([12, 6], 2),
          token: numbers([1, 1, 6], 3),
          qkv: numbers([6, 18], 4),
        },
        axes: { tokens: { maximum: 12 } },
      },
      [
        { batch: 1, tokens: 1 },
        { batch: 3, tokens: 7 },
        { batch: 2, tokens: 12 },
      ],
    );
  });

  it("sums over the batch, products of sizes, scalars", async () => {
    const fn: Fn<object> = (_, { x, y }) => {
      const [N, M] = [(x as Tensor).shape[0] as number, (y as Tensor).shape[0] as number];
      const pairs = add(reshape(x as Tensor, [N, 1, 3]), reshape(y as Tensor, [1, M, 3]));
      return {
        total: sum(x as Tensor, { axes: 0 }),
        flat: reshape(pairs, [N * M * 3]),
        rows: reshape(pairs, [N * M, 3]),
        doubled: reshape(concat([pairs, pairs], 0), [2 * N, 3 * M]),
        filled: mul(ones([N, 2 * M + 1]), 3),
      };
    };
    await expectEqualAtSizes(fn as never, { inputs: { x: { shape: ["n", 3] }, y: { shape: ["m", 3] } } }, [
      { n: 1, m: 1 },
      { n: 4, m: 2 },
      { n: 2, m: 9 },
    ]);
  });

  const inputs = { x: { shape: ["batch", "tokens"] } };
  const x = (given: Inputs): Tensor => given.x as Tensor;

  it.each([
    [
      "a number that depends on a size",
      (_: object, given: Inputs) => mul(sum(x(given), { axes: 1 }), 1 / (x(given).shape[1] as number)),
      /the constant input 1 of node 'Mul_\d+.*' \(Mul\) holds values that depend on 'tokens'/,
    ],
    [
      "values that depend on a size",
      (_: object, given: Inputs) =>
        add(x(given), ndarray(Array.from({ length: x(given).shape[1] as number }, (_, i) => i * i))),
      /\(Add\) holds values that depend on 'tokens'/,
    ],
    [
      "a size that is no multilinear function",
      (_: object, given: Inputs) => {
        const [B, T] = x(given).shape as [number, number];
        return reshape(broadcastTo(reshape(x(given), [B, T, 1]), [B, T, T]), [B, T * T]);
      },
      /constant input 1 of node 'Reshape.*, entry 1, is .* no whole-numbered multilinear function/,
    ],
    [
      "half a size",
      (_: object, given: Inputs) => {
        const [B, T] = x(given).shape as [number, number];
        return sum(slice(x(given), [0, 0], [B, Math.floor(T / 2)]), { axes: 1 });
      },
      /constant input 2 of node 'Slice.*entry 1, is [\d, ]+ at .* multilinear/,
    ],
    [
      "a graph that changes",
      (_: object, given: Inputs) =>
        (x(given).shape[1] as number) % 4 === 3 ? relu(x(given)) : mul(x(given), 2),
      /the graph changes with|has \d+, \d+/,
    ],
    [
      "an attribute",
      (_: object, given: Inputs) => {
        const [B, T] = x(given).shape as [number, number];
        return maxPool2d(reshape(x(given), [B, 1, T, 1]), [T, 1]);
      },
      /an attribute of node 'MaxPool_\d+.*' \(MaxPool\) depends on 'tokens'/,
    ],
  ])("refuses %s", (_, fn, message) => {
    expect(() => exportOnnx(fn, { inputs })).toThrow(message);
    expect(() => exportOnnx(fn, { inputs })).toThrow(OnnxExportError);
    // The same is fine where the size is fixed.
    expect(exportOnnx(fn, { inputs: { x: { shape: ["batch", 5] } } }).length).toBeGreaterThan(0);
  });

  it("refuses axes that it cannot tell apart or do not exist", () => {
    const fn = (_: object, given: Inputs) => relu(x(given));
    expect(() => exportOnnx(fn, { inputs, axes: { time: {} } })).toThrow(
      /names 'time', but no input has such an axis/,
    );
    expect(() => exportOnnx(fn, { inputs, axes: { tokens: { maximum: 2 } } })).toThrow(
      /at least three sizes/,
    );
    expect(() => exportOnnx(fn, { inputs: { x: { shape: ["a", "b", "c", "d", "e", "f"] } } })).toThrow(
      /6 axes of open size \(a, b, c, d, e, f\), at most 5/,
    );
    expect(() => exportOnnx(fn as never, { inputs, params: { w: "text" } })).toThrow(
      /'w' must be an array, got string/,
    );
  });
});
