import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { asTensor, evaluate, ndarray, normalArray, randomKey } from "@concord/tensor";
import { beforeAll, describe, expect, it } from "vitest";
import { tracedPooling } from "../../src/adapt/traced-pooling.ts";
import { pool } from "../../src/encoders/pooling.ts";
import { adapt, openEncoder, POOLINGS } from "../../src/index.ts";
import { temporaryFolder, textModel, tokenizer, WIDTH, writeFiles } from "../support/tiny-encoders.ts";

describe("pooling inside a graph is that of encoders", () => {
  const output = normalArray(randomKey(1), [3, 5, 4]);
  // Padding at the end, at the beginning, and none.
  const mask = [
    [1, 1, 1, 0, 0],
    [0, 0, 1, 1, 1],
    [1, 1, 1, 1, 1],
  ];
  const spans = mask.map((row) => ({ first: row.indexOf(1), end: row.lastIndexOf(1) + 1 }));

  it.each(POOLINGS.filter((pooling) => pooling !== "none"))("%s", async (pooling) => {
    const expected = pool(output, pooling, spans, "output").values;
    const graph = { file: "", output: "output", pooling, mask: "mask", normalize: false };
    const ids = asTensor(ndarray(mask.flat(), { shape: [3, 5], dtype: "int64" }));
    const { x } = await evaluate({ x: tracedPooling(asTensor(output), graph, ids) });
    expect(x.shape).toEqual([3, 4]);
    // float32 sums here, float64 there.
    x.data.forEach((value, i) => {
      expect(Number(value)).toBeCloseTo(expected[i] as number, 5);
    });
  });

  it.each(["mean", "cls", "last", "max"] as const)("%s without a mask", async (pooling) => {
    const expected = pool(output, pooling, undefined, "output").values;
    const graph = { file: "", output: "output", pooling, mask: null, normalize: false };
    const { x } = await evaluate({ x: tracedPooling(asTensor(output), graph, undefined) });
    x.data.forEach((value, i) => {
      expect(Number(value)).toBeCloseTo(expected[i] as number, 5);
    });
  });
});

describe("a text encoder in the hub's layout", () => {
  const words = [
    "a red bicycle",
    "two cats sleep",
    "the snow falls",
    "rain on the roof",
    "a small house",
    "near the sea",
  ];
  const sentences = words.flatMap((first) =>
    words.flatMap((second) => [`${first} ${second}`, `${second} leans on ${first}`]),
  );
  let folder: string;
  let encoder: string;
  beforeAll(async () => {
    folder = await temporaryFolder();
    encoder = join(folder, "encoder");
    await writeFiles(encoder, {
      "onnx/model.onnx": textModel(),
      "config.json": { model_type: "bert" },
      "1_Pooling/config.json": { pooling_mode_mean_tokens: true, word_embedding_dimension: WIDTH },
      "modules.json": [
        { idx: 0, name: "0", path: "", type: "sentence_transformers.models.Transformer" },
        { idx: 1, name: "1", path: "1_Pooling", type: "sentence_transformers.models.Pooling" },
      ],
      "secret.txt": "not a part of the model",
    });
    await tokenizer.save(join(encoder, "tokenizer.json"));
    await writeFile(join(folder, "sentences.txt"), `${sentences.join("\n")}\n`);
  });

  it.each(["head", "whole"] as const)(
    "%s: comes out in its layout, pooling and head inside",
    async (train) => {
      const out = join(folder, train);
      const { record, files } = await adapt({
        recipe: "whitenedcse",
        towers: { text: { encoder } },
        pairs: join(folder, "sentences.txt"),
        cache: join(folder, "cache"),
        out,
        train,
        rank: 2,
        options: { groupSize: 2 },
        batchSize: 16,
        learningRate: 3e-3,
        steps: 20,
        heldOut: 0.2,
        metric: "uniformity",
        saveEmbeddings: true,
      });
      expect(record.outcome.kind).toBe("unclear");
      expect(files[0]).toMatchObject({
        file: "text/onnx/model.onnx",
        folder: "text",
        output: "sentence_embedding",
        width: WIDTH,
      });
      expect((await readdir(join(out, "text"))).sort()).toEqual(["config.json", "onnx", "tokenizer.json"]);
      await using adapted = await openEncoder(join(out, "text"));
      // Of very different lengths: padding must not count.
      const { values } = await adapted.encode(sentences.map((text) => ({ text })));
      const npy = await readFile(join(out, "embeddings", "text-after.npy"));
      const rows = record.data.split.heldOut;
      const saved = new Float32Array(
        npy.buffer.slice(npy.byteOffset + npy.length - 4 * WIDTH * rows, npy.byteOffset + npy.length),
      );
      const distance = (row: number): number => {
        let sum = 0;
        for (let k = 0; k < WIDTH; k++)
          sum += ((values[row * WIDTH + k] as number) - (saved[k] as number)) ** 2;
        return sum;
      };
      expect(Math.min(...sentences.map((_, row) => distance(row)))).toBeLessThan(1e-8);
      const alone = await adapted.encode([{ text: sentences[0] as string }]);
      alone.values.forEach((value, k) => {
        expect(value).toBeCloseTo(values[k] as number, 5);
      });
    },
  );
});
