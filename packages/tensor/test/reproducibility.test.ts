import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import type { Key, NDArray, Tensor } from "../src/index.ts";
import {
  adamw,
  compile,
  dropout,
  foldIn,
  foldInTensor,
  gather,
  gradients,
  keyArray,
  layerNorm,
  matmul,
  mean,
  minimise,
  mul,
  ndarray,
  normalArray,
  randomKey,
  relu,
  segmentSum,
  softmax,
  softmaxCrossEntropy,
  sum,
  treeEntries,
  uniformArray,
  zeros,
  zerosArray,
} from "../src/index.ts";
import { nodesOf } from "./support/graph-nodes.ts";

describe("runs are reproducible to the bit", () => {
  const width = 24;
  const key = randomKey(11);
  const weights = (layer: number, rows: number, columns: number): NDArray =>
    normalArray(foldIn(key, layer), [rows, columns], 0, 1 / Math.sqrt(rows));

  function classifier() {
    return minimise({
      params: {
        input: weights(0, 16, width),
        gain: ndarray(new Array<number>(width).fill(1)),
        bias: zerosArray([width]),
        output: weights(1, width, 4),
      },
      optimiser: adamw({ learningRate: 0.01 }),
      loss: (
        p,
        { x, labels, noise }: { readonly x: Tensor; readonly labels: Tensor; readonly noise: Tensor },
      ) => {
        const hidden = dropout(
          foldInTensor(noise, 0),
          relu(layerNorm(matmul(x, p.input), p.gain, p.bias)),
          0.2,
        );
        return mean(softmaxCrossEntropy(matmul(hidden, p.output), labels));
      },
    });
  }

  const identity = ndarray([1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1], { shape: [4, 4] });
  const oneHotOf = compile((classes: Tensor) => gather(identity, classes));
  async function batchOf(step: number) {
    const stepKey: Key = foldIn(key, 1000 + step);
    const classes = ndarray(Array.from(uniformArray(stepKey, [64], 0, 4).data, Math.floor), {
      dtype: "int32",
    });
    const x = normalArray(foldIn(stepKey, 1), [64, 16]);
    classes.data.forEach((label, i) => {
      x.data[i * 16 + label] = x.data[i * 16 + label]! + 3;
    });
    return { x, labels: await oneHotOf(classes), noise: keyArray(foldIn(stepKey, 2)) };
  }

  async function run(trainer: ReturnType<typeof classifier>, from: number, to: number): Promise<number[]> {
    const losses: number[] = [];
    for (let step = from; step < to; step++) losses.push((await trainer.step(await batchOf(step))).loss);
    return losses;
  }

  test("the same seed and batches give the same losses and parameters, which learn", async () => {
    const [first, second] = [classifier(), classifier()];
    const losses = await run(first, 0, 40);
    expect(await run(second, 0, 40)).toEqual(losses);
    expect(second.state()).toEqual(first.state());
    expect(losses[0]).toBeGreaterThan(1.2);
    expect(losses.at(-1)).toBeLessThan(0.6);
    await first.close();
    await second.close();
  });

  test("a run that is saved, killed and restored goes on as if nothing had happened", async () => {
    const whole = classifier();
    const losses = await run(whole, 0, 20);
    const killed = classifier();
    await run(killed, 0, 9);
    const saved = structuredClone(killed.state());
    await killed.close();
    const resumed = classifier();
    await run(resumed, 100, 102);
    resumed.restore(saved);
    expect(await run(resumed, 9, 20)).toEqual(losses.slice(9));
    expect(resumed.state()).toEqual(whole.state());
    await whole.close();
    await resumed.close();
  });

  const bytesOf = (tree: unknown): string =>
    createHash("sha256")
      .update(Buffer.concat(treeEntries(tree).map(([, leaf]) => Buffer.from((leaf as NDArray).data.buffer))))
      .digest("hex");

  test("enough work for several threads gives the same bits every time", async () => {
    const rows = 20_000;
    const [x, w] = [normalArray(randomKey(1), [rows, 32]), normalArray(randomKey(2), [32, 64])];
    const step = compile((a: Tensor, b: Tensor) => {
      const y = softmax(matmul(a, b));
      const total = sum(y, { axes: 0 });
      return { y, total, middle: mean(y, { axes: 0 }), gradients: gradients(sum(mul(total, total)), [a, b]) };
    });
    const first = bytesOf(await step(x, w));
    for (let i = 0; i < 5; i++) expect(bytesOf(await step(x, w))).toBe(first);
  });

  test.each([
    ["few segments", 20_000, 64, 5],
    ["many wide segments", 3000, 256, 600],
    ["numbers", 300_000, 1, 7],
    ["little", 900, 64, 40],
  ])(
    "sums of %s over repeated indices lose no update to another thread",
    async (_what, rows, width, segments) => {
      // Small integers, so that every order of adding gives the same float32.
      const x = ndarray(uniformArray(randomKey(4), [rows * width], -8, 8).data.map(Math.round), {
        shape: [rows, width],
      });
      const ids = ndarray(uniformArray(randomKey(5), [rows], 0, segments).data.map(Math.floor), {
        dtype: "int32",
      });
      const expected = zerosArray([segments, width]);
      for (let i = 0; i < x.data.length; i++)
        expected.data[ids.data[Math.floor(i / width)]! * width + (i % width)]! += x.data[i]!;
      const wanted = bytesOf(expected);
      const added = compile((values: Tensor, index: Tensor) => segmentSum(values, index, segments));
      const embedded = compile((values: Tensor, index: Tensor) => {
        const table = zeros([segments, width]);
        return gradients(sum(mul(gather(table, index), values)), [table])[0]!;
      });
      for (let i = 0; i < 6; i++) {
        expect(bytesOf(await added(x, ids))).toBe(wanted);
        expect(bytesOf(await embedded(x, ids))).toBe(wanted);
      }
    },
  );

  test("large sums over repeated indices avoid the kernel that adds unguarded on several threads", async () => {
    const kernels = async (rows: number): Promise<string[]> =>
      nodesOf((x, ids) => segmentSum(x!, ids!, 3), [zerosArray([rows, 64]), zerosArray([rows], "int32")]);
    expect(await kernels(1024)).toContain("ScatterND");
    const large = await kernels(1025);
    expect(large).not.toContain("ScatterND");
    expect(large).toContain("ScatterElements");
  });
});
