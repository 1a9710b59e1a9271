import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as ort from "onnxruntime-node";
import { describe, expect, it } from "vitest";
import type { NDArray, OnnxLayer, Tensor } from "../../src/index.ts";
import { add, compile, exportOnnx, grad, importOnnx, mul, ndarray, sum, toNumbers } from "../../src/index.ts";
import { memoryReader } from "../../src/onnx/import/files.ts";
import { fuse } from "../../src/onnx/import/fuse.ts";
import { defaultOnnxLimits } from "../../src/onnx/import/limits.ts";
import { parseModel, readModel } from "../../src/onnx/import/model.ts";
import { needed } from "../../src/onnx/import/trace.ts";
import { distance, expectSameAsOrt, fixture, fixtures, numbers, recorded, runLayer } from "./support.ts";

const models = [
  "vit",
  "vit-opset16",
  "bert",
  "bert-unfolded",
  "clip-text",
  "resnet",
  "resnet-preserved",
  "mobilenet",
  "gru-text",
  "shapes",
];

/** Exported without folding, so that every weight keeps its name. */
const complete = new Set(["vit-opset16", "bert-unfolded", "resnet-preserved"]);

function feedsOf(layer: OnnxLayer, record: ReadonlyMap<string, NDArray>): Record<string, NDArray> {
  return Object.fromEntries(layer.inputs.map(({ name }) => [name, record.get(`feed/${name}`) as NDArray]));
}

/** Gradients of Σ output · probe for the weights and the float inputs. */
async function gradientsOf(
  layer: OnnxLayer,
  record: ReadonlyMap<string, NDArray>,
): Promise<{ weights: Record<string, NDArray>; feeds: Record<string, NDArray> }> {
  const feeds = feedsOf(layer, record);
  const floats = Object.fromEntries(Object.entries(feeds).filter(([, { dtype }]) => dtype === "float32"));
  const probes = Object.fromEntries(
    layer.outputs.map(({ name }) => [name, record.get(`probe/${name}`) as NDArray]),
  );
  type Leaves = Record<string, Tensor>;
  const run = compile((weights: Leaves, inner: Leaves, all: Leaves, weighting: Leaves) =>
    grad((leaves: { weights: Leaves; feeds: Leaves }) => {
      const outputs = layer.apply(leaves.weights, { ...all, ...leaves.feeds });
      const parts = Object.entries(outputs).map(([name, y]) => sum(mul(y, weighting[name] as Tensor)));
      return parts.reduce((a, b) => add(a, b));
    })({ weights, feeds: inner }),
  );
  return await run(layer.params, floats, feeds, probes);
}

describe("models exported by PyTorch", () => {
  it.each(models)("%s: outputs are PyTorch's", async (name) => {
    const layer = await importOnnx(await fixture(`${name}.onnx`));
    const record = await recorded(name);
    const outputs = await runLayer(layer, feedsOf(layer, record));
    for (const { name: output } of layer.outputs)
      expect(distance(outputs[output] as NDArray, record.get(`out/${output}`) as NDArray)).toBeLessThan(1e-5);
  });

  it.each(models)("%s: gradients are PyTorch's", async (name) => {
    const layer = await importOnnx(await fixture(`${name}.onnx`));
    const record = await recorded(name);
    const { weights, feeds } = await gradientsOf(layer, record);
    let compared = 0;
    for (const [key, expected] of record) {
      const [kind, path] = [key.slice(0, key.indexOf("/")), key.slice(key.indexOf("/") + 1)];
      const found = kind === "grad" ? weights[path] : kind === "gradfeed" ? feeds[path] : undefined;
      if (!found) {
        if (complete.has(name)) expect(kind).not.toMatch(/^grad/);
        continue;
      }
      compared++;
      // Some gradients are small all over; they are held to their own size.
      const size = Math.max(...toNumbers(expected).map(Math.abs));
      const worst = Math.max(...toNumbers(found).map((v, i) => Math.abs(v - Number(expected.data[i]))));
      expect(worst / Math.max(size, 1e-2), key).toBeLessThan(5e-5);
    }
    expect(compared).toBeGreaterThan(2);
  });

  it("takes other sizes where the model does, as ONNX Runtime computes them", async () => {
    await expectSameAsOrt(await fixture("vit.onnx"), { image: numbers([5, 3, 12, 12], 4) });
    await expectSameAsOrt(await fixture("resnet.onnx"), { image: numbers([1, 3, 33, 18], 4) });
    await expectSameAsOrt(await fixture("mobilenet.onnx"), { image: numbers([3, 3, 17, 29], 4) });
    await expectSameAsOrt(await fixture("shapes.onnx"), { sound: numbers([1, 5, 21], 4) });
    const ids = ndarray([[4, 5, 6, 0, 0]], { dtype: "int64" });
    const mask = ndarray([[1, 1, 1, 0, 0]], { dtype: "int64" });
    const feeds = { input_ids: ids, attention_mask: mask, token_type_ids: mask };
    await expectSameAsOrt(await fixture("bert.onnx"), feeds);
  });

  it.each(models)("%s reads the same from a Buffer that is a view into other memory", async (name) => {
    const bytes = await fixture(`${name}.onnx`);
    const memory = Buffer.alloc(bytes.length + 24, 7);
    memory.set(bytes, 3);
    const [plain, viewed] = [await importOnnx(bytes), await importOnnx(memory.subarray(3, 3 + bytes.length))];
    expect(viewed.params).toEqual(plain.params);
    expect(viewed.frozen).toEqual(plain.frozen);
  });

  it("tells what a model is and wants", async () => {
    const layer = await importOnnx(new URL("vit.onnx", fixtures).pathname);
    expect(layer.inputs).toEqual([{ name: "image", dtype: "float32", shape: ["batch", 3, 12, 12] }]);
    expect(layer.outputs.map(({ name, dtype }) => [name, dtype])).toEqual([["embedding", "float32"]]);
    expect([layer.opset, layer.producer]).toEqual([14, "pytorch 1.13.0"]);
    expect(layer.linears).toHaveLength(14);
    expect(layer.linears.find(({ name }) => name === "head.weight")).toEqual({
      name: "head.weight",
      inputs: 16,
      outputs: 6,
      transposed: true,
    });
    const same = await importOnnx(await fixture("vit-opset16.onnx"));
    expect(same.linears).toContainEqual({ name: "qkv.weight", inputs: 16, outputs: 48, transposed: true });
  });

  it("stores its constants once, however often it is applied", async () => {
    const layer = await importOnnx(await fixture("vit.onnx"), { trainable: "none" });
    const image = { shape: [2, 3, 12, 12] };
    const once = exportOnnx((_: object, { a }) => layer.apply({}, { image: a }), { inputs: { a: image } });
    const twice = exportOnnx(
      (_: object, { a, b }) => ({
        first: layer.apply({}, { image: a }).embedding as Tensor,
        second: layer.apply({}, { image: b }).embedding as Tensor,
      }),
      { inputs: { a: image, b: image } },
    );
    const bytes = Object.values(layer.frozen).reduce((total, { data }) => total + data.byteLength, 0);
    expect(twice.length - once.length).toBeLessThan(bytes);
    expect(once.length).toBeGreaterThan(bytes);
  });

  it("returns values from within", async () => {
    const bytes = await fixture("resnet.onnx");
    const image = numbers([2, 3, 24, 20]);
    const whole = await importOnnx(bytes);
    expect(Object.keys(await runLayer(whole, { image }))).toEqual(["logits"]);
    const inner = await importOnnx(bytes, { outputs: ["/Flatten_output_0"] });
    const features = (await runLayer(inner, { image }))["/Flatten_output_0"];
    expect(features?.shape).toEqual([2, 20]);
    // What only the head needs is gone.
    expect(Object.keys(inner.params)).not.toContain("head.weight");
    await expect(importOnnx(bytes, { outputs: ["none"] })).rejects.toThrow(
      /makes no 'none'; its outputs are 'logits'/,
    );
  });

  it("converts integers and refuses what does not fit", async () => {
    const layer = await importOnnx(await fixture("bert.onnx"));
    const record = await recorded("bert");
    const feeds = feedsOf(layer, record);
    const narrow = Object.fromEntries(
      Object.entries(feeds).map(([name, array]) => [
        name,
        ndarray(toNumbers(array), { shape: array.shape, dtype: "int32" }),
      ]),
    );
    const [wide, same] = [await runLayer(layer, feeds), await runLayer(layer, narrow)];
    expect(distance(same.pooled as NDArray, wide.pooled as NDArray)).toBe(0);
    const { input_ids: ids, ...others } = feeds as Record<string, NDArray> & { input_ids: NDArray };
    expect(() => layer.apply({}, others)).toThrow(/input 'input_ids' is missing; inputs are 'input_ids'/);
    expect(() => layer.apply({}, { ...others, input_ids: ndarray([[1, 2]]) })).toThrow(
      /input 'input_ids' is int64, got float32/,
    );
    expect(() => layer.apply({}, { ...others, input_ids: ndarray([[1, 2]], { dtype: "int64" }) })).toThrow(
      /input 'attention_mask' has axes \[batch, tokens\] with batch = 1, tokens = 2, got shape \[3, 7\]/,
    );
    expect(() => layer.apply({ "words.weight": numbers([2, 2]) }, { ...others, input_ids: ids })).toThrow(
      /weight 'words.weight' is float32 \[29, 16\], got float32 \[2, 2\]/,
    );
    expect(() => layer.apply({ nothing: 1 }, feeds)).toThrow(/no weight 'nothing'/);
  });
});

describe("models rewritten by ONNX Runtime's optimiser", () => {
  it.each(models)("%s", async (name) => {
    const folder = await mkdtemp(join(tmpdir(), "optimised-"));
    try {
      const optimizedModelFilePath = join(folder, "model.onnx");
      const session = await ort.InferenceSession.create(new URL(`${name}.onnx`, fixtures).pathname, {
        graphOptimizationLevel: "extended",
        optimizedModelFilePath,
        logSeverityLevel: 4,
      });
      await session.release();
      const layer = await importOnnx(optimizedModelFilePath);
      const record = await recorded(name);
      const outputs = await runLayer(layer, feedsOf(layer, record));
      for (const { name: output } of layer.outputs)
        expect(distance(outputs[output] as NDArray, record.get(`out/${output}`) as NDArray)).toBeLessThan(
          1e-5,
        );
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});

describe("chains of nodes that are one operation", () => {
  async function operators(name: string, wanted?: readonly string[]): Promise<string[]> {
    const parsed = parseModel(await fixture(`${name}.onnx`), defaultOnnxLimits);
    const { graph } = await readModel(parsed, defaultOnnxLimits, memoryReader({}));
    const outputs = wanted ?? graph.outputs;
    return needed(fuse(graph, outputs), outputs).map(({ op }) => op);
  }
  const count = (list: readonly string[], op: string): number => list.filter((one) => one === op).length;

  it.each([
    ["vit", 5, 2],
    ["bert-unfolded", 5, 2],
    ["clip-text", 5, 0],
    ["shapes", 0, 2],
  ] as const)("%s has %i layer norms and %i GELUs", async (name, norms, gelus) => {
    const found = await operators(name);
    expect([count(found, "LayerNormalization"), count(found, "Gelu"), count(found, "Erf")]).toEqual([
      norms,
      gelus,
      0,
    ]);
  });

  it("batch norms go into their convolutions, unless those are read elsewhere too", async () => {
    const bytes = await fixture("resnet-preserved.onnx");
    const inner =
      parseModel(bytes, defaultOnnxLimits).graph?.node.filter(({ opType }) => opType === "Conv") ?? [];
    const image = numbers([2, 3, 24, 20]);
    const operators = (layer: OnnxLayer): number =>
      parseModel(
        exportOnnx((p: Record<string, Tensor>, feeds) => layer.apply(p, feeds), {
          inputs: { image: { shape: [2, 3, 24, 20] } },
          params: { ...layer.params, ...layer.frozen },
        }),
        defaultOnnxLimits,
      ).graph?.node.length ?? 0;
    const drawnIn = await importOnnx(bytes);
    const apart = await importOnnx(bytes, {
      outputs: ["logits", ...inner.map(({ output }) => output[0] as string)],
    });
    const [a, b] = [await runLayer(drawnIn, { image }), await runLayer(apart, { image })];
    expect(distance(a.logits as NDArray, b.logits as NDArray)).toBeLessThan(1e-6);
    expect(operators(drawnIn)).toBeLessThan(operators(apart));
  });

  it("stay apart where a value within is wanted", async () => {
    const parsed = parseModel(await fixture("vit.onnx"), defaultOnnxLimits);
    const wanted = parsed.graph?.node.find(({ opType }) => opType === "Erf")?.output[0] as string;
    const found = await operators("vit", [wanted, "embedding"]);
    expect([count(found, "Gelu"), count(found, "Erf")]).toEqual([1, 1]);
  });
});

describe("what is trained", () => {
  it("all weights but the statistics of batch norms", async () => {
    const layer = await importOnnx(await fixture("resnet-preserved.onnx"));
    expect(Object.keys(layer.params)).toHaveLength(29);
    expect(Object.keys(layer.params)).toContain("stem.weight");
    expect(Object.keys(layer.frozen).every((name) => /running_(mean|var)$/.test(name))).toBe(true);
    expect(Object.keys(layer.frozen)).toHaveLength(18);
  });

  it("none, or those of a name", async () => {
    const bytes = await fixture("vit-opset16.onnx");
    const none = await importOnnx(bytes, { trainable: "none" });
    expect([Object.keys(none.params).length, Object.keys(none.frozen).length]).toEqual([0, 42]);
    const part = await importOnnx(bytes, { trainable: (name) => name.startsWith("head.") });
    expect(Object.keys(part.params).sort()).toEqual(["head.bias", "head.weight"]);
    const record = await recorded("vit-opset16");
    const { weights } = await gradientsOf(part, record);
    for (const name of ["head.bias", "head.weight"])
      expect(distance(weights[name] as NDArray, record.get(`grad/${name}`) as NDArray)).toBeLessThan(1e-5);
    // Frozen weights can be given all the same, e.g. changed ones.
    const feeds = feedsOf(part, record);
    const zeros = Object.fromEntries(
      Object.entries({ ...part.params, ...part.frozen }).map(([name, { shape }]) => [
        name,
        ndarray(new Float32Array(shape.reduce((a, b) => a * b, 1)), { shape }),
      ]),
    );
    const silent = await runLayer(part, feeds, zeros);
    expect(toNumbers(silent.embedding as NDArray).every((v) => v === 0)).toBe(true);
  });

  it("gradients agree with finite differences", async () => {
    const layer = await importOnnx(await fixture("vit-opset16.onnx"));
    const record = await recorded("vit-opset16");
    const { weights } = await gradientsOf(layer, record);
    const probe = record.get("probe/embedding") as NDArray;
    const feeds = feedsOf(layer, record);
    const loss = async (params: Record<string, NDArray>): Promise<number> => {
      const { embedding } = await runLayer(layer, feeds, params);
      return toNumbers(embedding as NDArray).reduce((total, v, i) => total + v * Number(probe.data[i]), 0);
    };
    for (const name of ["patches.weight", "blocks.0.norm1.weight", "qkv.weight", "token"]) {
      const array = layer.params[name] as NDArray;
      const gradient = toNumbers(weights[name] as NDArray);
      const size = Math.sqrt(gradient.reduce((total, g) => total + g * g, 0));
      // A step along the gradient must change the loss by its length.
      const moved = (step: number): Record<string, NDArray> => ({
        ...layer.params,
        [name]: ndarray(
          toNumbers(array).map((v, i) => v + (step * (gradient[i] as number)) / size),
          { shape: array.shape },
        ),
      });
      const step = 0.002;
      const slope = ((await loss(moved(step))) - (await loss(moved(-step)))) / (2 * step);
      expect(Math.abs(slope - size) / size, name).toBeLessThan(1e-2);
    }
  });
});
