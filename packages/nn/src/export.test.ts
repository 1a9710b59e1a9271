import { readFile } from "node:fs/promises";
import type { NDArray } from "@concord/tensor";
import {
  adamw,
  compile,
  exportOnnx,
  foldIn,
  importOnnx,
  l2Normalize,
  mean,
  minimise,
  ndarray,
  normalArray,
  randomKey,
  slice,
  square,
  sub,
  type Tensor,
  toNumbers,
} from "@concord/tensor";
import { describe, expect, it } from "vitest";
import { runFresh } from "../../tensor/test/onnx/fresh-process.ts";
import {
  convEncoder,
  convEncoderInit,
  textTransformer,
  textTransformerInit,
  transformer,
  transformerInit,
  visionTransformer,
  visionTransformerInit,
} from "./index.ts";

const key = randomKey(21);
type Inputs = Record<string, Tensor>;
type Feeds = Record<string, NDArray>;

function worst(a: NDArray, b: NDArray): number {
  expect(a.shape).toEqual(b.shape);
  return Math.max(...toNumbers(a).map((v, i) => Math.abs(v - Number(b.data[i]))));
}

/** A fresh process with onnxruntime-node alone must compute what the engine computes. */
async function expectSame(
  fn: (params: never, inputs: Inputs) => Record<string, Tensor>,
  options: Parameters<typeof exportOnnx>[1] & { readonly params: unknown },
  feeds: readonly Feeds[],
): Promise<Uint8Array> {
  const model = exportOnnx(fn as never, options as never);
  const { results } = await runFresh(model, feeds);
  const run = compile((p: never, inputs: Inputs) => fn(p, inputs));
  for (const [i, feed] of feeds.entries()) {
    const expected: Feeds = await run(options.params as never, feed);
    for (const [name, array] of Object.entries(expected))
      expect(worst(results[i]?.[name] as NDArray, array)).toBeLessThan(1e-5);
  }
  return model;
}

function tokens(batch: number, length: number, dtype: "int32" | "int64", below: number): NDArray {
  const values = Array.from({ length: batch * length }, (_, i) => (i * 7 + batch) % below);
  return ndarray(values, { shape: [batch, length], dtype });
}

function masks(batch: number, length: number): NDArray {
  const values = Array.from({ length: batch * length }, (_, i) =>
    Number(i % length < Math.max(1, length - Math.floor(i / length))),
  );
  return ndarray(values, { shape: [batch, length] });
}

describe("encoders as ONNX files, batches of any size", () => {
  const pictures = [1, 2, 5].map((batch) => ({ image: normalArray(foldIn(key, batch), [batch, 3, 16, 16]) }));

  it("convolutional", async () => {
    const params = convEncoderInit(key, { imageSize: 16, filters: [4, 6], outputs: 5 });
    const fn = (p: never, { image }: Inputs) => ({ embedding: l2Normalize(convEncoder(p, image as Tensor)) });
    await expectSame(fn, { inputs: { image: { shape: ["batch", 3, 16, 16] } }, params }, pictures);
  });

  it("vision transformer", async () => {
    const params = visionTransformerInit(key, {
      imageSize: 16,
      patchSize: 4,
      width: 16,
      layers: 2,
      outputs: 5,
    });
    const fn = (p: never, { image }: Inputs) => ({
      embedding: visionTransformer(p, image as Tensor, { patchSize: 4, heads: 2 }),
    });
    await expectSame(fn, { inputs: { image: { shape: ["batch", 3, 16, 16] } }, params }, pictures);
  });

  it.each(["int32", "int64"] as const)(
    "text tower of %s ids with masks, texts of any length",
    async (dtype) => {
      const params = textTransformerInit(key, {
        vocabulary: 40,
        context: 12,
        width: 16,
        layers: 2,
        outputs: 5,
      });
      const fn = (p: { positions: Tensor }, { ids, mask }: Inputs) => {
        const [, length] = (ids as Tensor).shape as [number, number];
        const positions = slice(p.positions, [0, 0], [length, 16]);
        return {
          embedding: textTransformer({ ...p, positions } as never, ids as Tensor, mask as Tensor, {
            heads: 2,
          }),
        };
      };
      const shape = ["batch", "tokens"];
      const feeds = [
        [1, 1],
        [3, 5],
        [2, 12],
      ].map(([batch, length]) => ({
        ids: tokens(batch as number, length as number, dtype, 40),
        mask: masks(batch as number, length as number),
      }));
      await expectSame(
        fn as never,
        {
          inputs: { ids: { shape, dtype }, mask: { shape } },
          params,
          axes: { tokens: { maximum: 12 } },
        } as never,
        feeds,
      );
    },
  );

  it("transformer over sequences of any length", async () => {
    const params = transformerInit(key, { width: 12, layers: 2 });
    const fn = (p: never, { x }: Inputs) => ({ y: transformer(p, x as Tensor, { heads: 3 }) });
    const feeds = [
      [1, 1],
      [2, 9],
    ].map(([batch, length]) => ({ x: normalArray(key, [batch as number, length as number, 12]) }));
    await expectSame(fn, { inputs: { x: { shape: ["batch", "length", 12] } }, params }, feeds);
  });
});

describe("a foreign model", () => {
  const fixtures = new URL("../../tensor/test/onnx/fixtures/", import.meta.url);

  it.each([
    ["vit", { image: { shape: ["batch", 3, 12, 12] } }, 6, "embedding"],
    ["mobilenet", { image: { shape: ["batch", 3, 24, 20] } }, 5, "logits"],
    ["resnet", { image: { shape: ["batch", 3, 24, 20] } }, 5, "logits"],
  ] as const)(
    "%s: imported, trained, exported, and run by ONNX Runtime",
    async (name, inputs, width, output) => {
      const layer = await importOnnx(new Uint8Array(await readFile(new URL(`${name}.onnx`, fixtures))));
      const shape = inputs.image.shape.slice(1) as number[];
      const batch = {
        image: normalArray(foldIn(key, 7), [4, ...shape]),
        target: normalArray(foldIn(key, 8), [4, width]),
      };
      const trainer = minimise({
        params: layer.params,
        optimiser: adamw({ learningRate: 3e-3 }),
        loss: (p, { image, target }: { image: Tensor; target: Tensor }) =>
          mean(square(sub(layer.apply(p, { image })[output] as Tensor, target))),
      });
      const losses: number[] = [];
      for (let i = 0; i < 20; i++) losses.push((await trainer.step(batch)).loss);
      expect(losses.at(-1)).toBeLessThan((losses[0] as number) * 0.9);
      const { params } = trainer.state();
      await trainer.close();
      expect(Object.keys(params)).toEqual(Object.keys(layer.params));
      for (const weight of Object.values(params)) expect(toNumbers(weight).every(Number.isFinite)).toBe(true);
      const feeds = [1, 3].map((n) => ({ image: normalArray(foldIn(key, n), [n, ...shape]) }));
      const model = await expectSame((p, x) => layer.apply(p, x), { inputs, params }, feeds);
      expect(Object.keys((await importOnnx(model)).params).sort()).toEqual(Object.keys(params).sort());
    },
  );

  it("with open sizes of the image, where it has them", async () => {
    const layer = await importOnnx(new Uint8Array(await readFile(new URL("mobilenet.onnx", fixtures))));
    const feeds = [
      [1, 16, 24],
      [2, 40, 8],
    ].map(([n, h, w]) => ({ image: normalArray(key, [n as number, 3, h as number, w as number]) }));
    await expectSame(
      (p, x) => layer.apply(p, x),
      {
        inputs: { image: { shape: ["batch", 3, "height", "width"] } },
        params: layer.params,
        axes: { height: { multipleOf: 8 }, width: { multipleOf: 8 } },
      },
      feeds,
    );
  });

  it("text with masks: texts of any length", async () => {
    const layer = await importOnnx(new Uint8Array(await readFile(new URL("bert.onnx", fixtures))));
    const shape = ["batch", "tokens"];
    const input = { shape, dtype: "int64" as const };
    const feeds = [
      [1, 3],
      [2, 12],
    ].map(([n, length]) => {
      const [batch, size] = [n as number, length as number];
      return {
        input_ids: tokens(batch, size, "int64", 29),
        attention_mask: ndarray(toNumbers(masks(batch, size)), { shape: [batch, size], dtype: "int64" }),
        token_type_ids: tokens(batch, size, "int64", 2),
      };
    });
    await expectSame(
      (p, x) => layer.apply(p, x),
      {
        inputs: { input_ids: input, attention_mask: input, token_type_ids: input },
        params: layer.params,
        axes: { tokens: { maximum: 12 } },
      },
      feeds,
    );
  });
});
