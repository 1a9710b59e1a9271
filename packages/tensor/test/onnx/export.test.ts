import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { NDArray, Tensor } from "../../src/index.ts";
import {
  add,
  exportOnnx,
  exportOnnxWithData,
  importOnnx,
  matmul,
  mul,
  ndarray,
  relu,
  sum,
  toNumbers,
  transpose,
} from "../../src/index.ts";
import { runFresh } from "./fresh-process.ts";
import type { Fn } from "./support.ts";
import { distance, expectEqualAtSizes, numbers, parseModel, runEngine, runOrt } from "./support.ts";

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
    const model = parseModel(bytes);
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
      const { y } = await runEngine(dense as never, { weight, bias }, feed);
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
    const { graph } = parseModel(bytes);
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
    expect(parseModel(bytes).graph?.input.map(({ name }) => name)).toEqual(["x", "ignored"]);
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
