import { readFile } from "node:fs/promises";
import type { NDArray, OnnxLayer, Traced } from "@concord/tensor";
import {
  adamw,
  add,
  compile,
  exportOnnx,
  importOnnx,
  keyArray,
  mean,
  minimise,
  ndarray,
  normalArray,
  randomKey,
  square,
  sub,
  type Tensor,
  toNumbers,
  treeEntries,
  valueAndGrad,
} from "@concord/tensor";
import { describe, expect, it } from "vitest";
import type { LoraPair, LoraParams } from "./index.ts";
import {
  adaptOnnx,
  loraInit,
  loraTargets,
  mergeLora,
  visionTransformer,
  visionTransformerInit,
  withLora,
} from "./index.ts";

const key = randomKey(5);
const fixtures = new URL("../../tensor/test/onnx/fixtures/", import.meta.url);

async function load(name: string, trainable: "none" | "all" | ((name: string) => boolean) = "none") {
  return importOnnx(new Uint8Array(await readFile(new URL(`${name}.onnx`, fixtures))), { trainable });
}

const image = normalArray(randomKey(2), [2, 3, 12, 12]);
const target = normalArray(randomKey(3), [2, 6]);

/** Adapters as after some training. */
function moved(params: LoraParams): LoraParams {
  return Object.fromEntries(
    Object.entries(params).map(([name, { down, up }], i): [string, LoraPair] => [
      name,
      { down, up: normalArray(randomKey(100 + i), up.shape, 0, 0.2) },
    ]),
  );
}

function worst(a: NDArray, b: NDArray): number {
  expect(a.shape).toEqual(b.shape);
  return Math.max(...toNumbers(a).map((v, i) => Math.abs(v - Number(b.data[i]))));
}

async function run(layer: OnnxLayer, weights: Record<string, NDArray>): Promise<NDArray> {
  const outputs = await compile((p: Record<string, Tensor>, x: Tensor) => layer.apply(p, { image: x }))(
    weights,
    image,
  );
  return outputs.embedding as NDArray;
}

const loss = (embedding: Tensor, wanted: Tensor): Tensor => mean(square(sub(embedding, wanted)));

describe("adapters on an imported model", () => {
  it("change nothing at first, and reach every matrix product", async () => {
    for (const name of ["vit", "vit-opset16"]) {
      const layer = await load(name);
      const adapted = adaptOnnx(key, layer, { rank: 2 });
      expect(Object.keys(adapted.params)).toHaveLength(14);
      const { embedding } = await compile((p: Traced<LoraParams>, x: Tensor) =>
        adapted.apply(p, { image: x }),
      )(adapted.params, image);
      expect(worst(embedding as NDArray, await run(layer, {}))).toBeLessThan(1e-6);
      const { gradients } = await compile((p: Traced<LoraParams>, x: Tensor, y: Tensor) =>
        valueAndGrad((q: Traced<LoraParams>) => loss(adapted.apply(q, { image: x }).embedding as Tensor, y))(
          p,
        ),
      )(adapted.params, image, target);
      for (const [path, gradient] of treeEntries(gradients) as [string, NDArray][])
        expect(
          toNumbers(gradient).some((g) => g !== 0),
          path,
        ).toBe(path.endsWith("/up"));
    }
  });

  it.each(["vit", "vit-opset16"])("%s: merged weights give what the adapters gave", async (name) => {
    const layer = await load(name);
    const adapted = adaptOnnx(key, layer, { rank: 3, alpha: 6 });
    const params = moved(adapted.params);
    const { embedding } = await compile((p: Traced<LoraParams>, x: Tensor) => adapted.apply(p, { image: x }))(
      params,
      image,
    );
    const merged = await adapted.merge(params);
    expect(worst(embedding as NDArray, await run(layer, merged))).toBeLessThan(1e-5);
    expect(worst(embedding as NDArray, await run(layer, {}))).toBeGreaterThan(1e-2);
    const others = Object.keys(layer.frozen).filter((weight) => !(weight in params));
    expect(others.length).toBeGreaterThan(10);
    for (const weight of others) expect(merged[weight]).toBe(layer.frozen[weight]);
  });

  it("have the gradients that finite differences give", async () => {
    const adapted = adaptOnnx(key, await load("vit-opset16"), { rank: 2, match: /query|qkv|head/ });
    expect(Object.keys(adapted.params).sort()).toEqual([
      "blocks.0.attention.query.weight",
      "blocks.1.attention.query.weight",
      "head.weight",
      "qkv.weight",
    ]);
    const params = moved(adapted.params);
    const step = compile((p: Traced<LoraParams>, x: Tensor, y: Tensor) =>
      valueAndGrad((q: Traced<LoraParams>) => loss(adapted.apply(q, { image: x }).embedding as Tensor, y))(p),
    );
    const { gradients } = await step(params, image, target);
    for (const [name, part] of [
      ["qkv.weight", "down"],
      ["head.weight", "up"],
      ["head.weight", "down"],
    ] as const) {
      const gradient = toNumbers((gradients[name] as LoraPair)[part]);
      const size = Math.sqrt(gradient.reduce((total, g) => total + g * g, 0));
      expect(size).toBeGreaterThan(1e-2);
      const at = async (distance: number): Promise<number> => {
        const pair = params[name] as LoraPair;
        const values = toNumbers(pair[part]).map((v, i) => v + (distance * (gradient[i] as number)) / size);
        const array = ndarray(values, { shape: pair[part].shape });
        const { value } = await step({ ...params, [name]: { ...pair, [part]: array } }, image, target);
        return Number(value.data[0]);
      };
      const slope = ((await at(0.005)) - (await at(-0.005))) / 0.01;
      expect(Math.abs(slope / size - 1), `${name}/${part}`).toBeLessThan(1e-2);
    }
  });

  it("train, while the model stays bit for bit; the result goes through a file", async () => {
    const layer = await load("vit-opset16");
    const before = Object.fromEntries(
      Object.entries(layer.frozen).map(([name, { data }]) => [name, data.slice()]),
    );
    const adapted = adaptOnnx(key, layer, { rank: 4, match: /attention|qkv|head/, dropout: 0.1 });
    const trainer = minimise({
      params: adapted.params,
      optimiser: adamw({ learningRate: 2e-2 }),
      loss: (p, batch: { image: Tensor; target: Tensor; key: Tensor }) =>
        loss(adapted.apply(p, { image: batch.image }, { key: batch.key }).embedding as Tensor, batch.target),
    });
    const losses: number[] = [];
    for (let i = 0; i < 30; i++)
      losses.push((await trainer.step({ image, target, key: keyArray(randomKey(i)) })).loss);
    expect(losses.at(-1)).toBeLessThan((losses[0] as number) * 0.8);
    for (const [name, data] of Object.entries(before)) expect(layer.frozen[name]?.data).toEqual(data);
    const trained = trainer.state().params;
    await trainer.close();
    const weights = await adapted.merge(trained);
    const file = exportOnnx((p: Record<string, Tensor>, feeds) => layer.apply(p, feeds), {
      inputs: { image: { shape: [2, 3, 12, 12] } },
      params: weights,
    });
    const again = await importOnnx(file);
    expect(Object.keys(again.params).sort()).toEqual(Object.keys(layer.frozen).sort());
    const { embedding } = await compile((p: Traced<LoraParams>, x: Tensor) => adapted.apply(p, { image: x }))(
      trained,
      image,
    );
    expect(worst(await run(again, {}), embedding as NDArray)).toBeLessThan(1e-5);
  });

  it("can be trained together with some weights", async () => {
    const layer = await load("vit-opset16", (name) => name.startsWith("head."));
    const adapted = adaptOnnx(key, layer, { rank: 2, match: /qkv/ });
    const trainer = minimise({
      params: { adapters: adapted.params, weights: layer.params },
      optimiser: adamw({ learningRate: 1e-2 }),
      loss: (p, batch: { image: Tensor; target: Tensor }) =>
        loss(
          adapted.apply(p.adapters, { image: batch.image }, { weights: p.weights }).embedding as Tensor,
          batch.target,
        ),
    });
    for (let i = 0; i < 5; i++) await trainer.step({ image, target });
    const { adapters, weights } = trainer.state().params;
    await trainer.close();
    expect(worst(weights["head.weight"] as NDArray, layer.params["head.weight"] as NDArray)).toBeGreaterThan(
      1e-3,
    );
    const merged = await adapted.merge(adapters, weights);
    expect(merged["head.bias"]).toBe(weights["head.bias"]);
    expect(worst(merged["qkv.weight"] as NDArray, layer.frozen["qkv.weight"] as NDArray)).toBeGreaterThan(
      1e-4,
    );
  });

  it("say what does not fit", async () => {
    const layer = await load("vit-opset16");
    expect(() => adaptOnnx(key, layer, { rank: 0 })).toThrow(/rank must be an integer >= 1, got 0/);
    expect(() => adaptOnnx(key, layer, { rank: 9 })).toThrow(
      /rank 9 is above that of 'head.weight' \[16, 6\]/,
    );
    expect(() => adaptOnnx(key, layer, { rank: 1, match: /nothing/ })).toThrow(
      /none of 14 matrices matches \/nothing\//,
    );
    expect(() => adaptOnnx(key, layer, { rank: 1, dropout: 1 })).toThrow(
      /dropout must lie in \[0, 1\), got 1/,
    );
  });
});

describe("adapters on our own layers", () => {
  const params = visionTransformerInit(key, { imageSize: 12, patchSize: 4, width: 8, layers: 2, outputs: 6 });
  const options = { rank: 2, alpha: 4 };
  const encode = (p: never, x: Tensor): Tensor => visionTransformer(p, x, { patchSize: 4, heads: 2 });

  it("merged weights give what the adapters gave", async () => {
    const adapters = moved(loraInit(key, loraTargets(params), { ...options, match: /qkv|expand/ }));
    expect(Object.keys(adapters)).toHaveLength(4);
    expect(Object.keys(adapters)).toContain("blocks/layers/0/attention/qkv/weight");
    const adapted = await compile((p: never, a: Traced<LoraParams>, x: Tensor) =>
      encode(withLora(p, a, options), x),
    )(params as never, adapters, image);
    const merged = await mergeLora(params, adapters, options);
    const plain = await compile(encode)(merged as never, image);
    expect(worst(adapted, plain)).toBeLessThan(1e-5);
    expect(worst(adapted, await compile(encode)(params as never, image))).toBeGreaterThan(1e-2);
    expect(merged.positions).toBe(params.positions);
    expect(() => withLora({ other: add(1, 1) }, { wrong: {} } as never, options)).toThrow(/have no 'wrong'/);
  });
});
