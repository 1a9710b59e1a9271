import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, expect, it } from "vitest";
import { type AdaptRequest, adapt, openEncoder } from "../../src/index.ts";
import { temporaryFolder } from "../support/tiny-encoders.ts";
import { closedModel, pairedWorld, rowsOf, vectorModel, WIDTH, writeVectorPairs } from "./worlds.ts";

const ROWS = 300;
const world = pairedWorld(ROWS);
let folder: string;
let request: AdaptRequest;

beforeAll(async () => {
  folder = await temporaryFolder();
  await writeFile(join(folder, "left.onnx"), closedModel(3));
  await writeFile(join(folder, "right.onnx"), vectorModel(4));
  await writeVectorPairs(join(folder, "pairs.jsonl"), world);
  request = {
    recipe: "languagebind",
    towers: {
      left: { encoder: join(folder, "left.onnx") },
      right: { encoder: join(folder, "right.onnx") },
    },
    pairs: join(folder, "pairs.jsonl"),
    out: "",
    cache: join(folder, "cache"),
    steps: 150,
    batchSize: 64,
    learningRate: 1e-2,
  };
});

it("a frozen encoder that cannot be taken apart gets its head behind its graph", async () => {
  const out = join(folder, "head");
  const { record } = await adapt({ ...request, out, anchor: "right", saveEmbeddings: true });
  expect(record.notes.join("\n")).toMatch(/'left' stays as it is, operator by operator.*Hardmax/);
  await using encoder = await openEncoder(join(out, "left.onnx"));
  expect(encoder.width).toBe(WIDTH);
  // The file computes what was measured: each held-out row of the saved .npy is a row of the exported model.
  const npy = await readFile(join(out, "embeddings", "left-after.npy"));
  const count = record.data.split.heldOut;
  const saved = new Float32Array(npy.buffer.slice(npy.byteOffset + npy.length - 4 * WIDTH * count));
  const { values } = await encoder.encode(rowsOf(world.a).map((vector) => ({ vector })));
  for (let held = 0; held < count; held++) {
    const distances = Array.from({ length: ROWS }, (_, row) => {
      let sum = 0;
      for (let k = 0; k < WIDTH; k++)
        sum += ((values[row * WIDTH + k] as number) - (saved[held * WIDTH + k] as number)) ** 2;
      return sum;
    });
    expect(Math.min(...distances), `row ${held}`).toBeLessThan(1e-8);
  }
});

it.each(["adapters", "whole"] as const)("cannot be trained itself: %s", async (train) => {
  const refused = adapt({ ...request, out: join(folder, train), train });
  await expect(refused).rejects.toThrow(/left\.onnx cannot be taken apart[\s\S]*Hardmax[\s\S]*--train head/);
});
