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
  ones,
  randomKey,
  relu,
  segmentSum,
  softmax,
  softmaxCrossEntropy,
  sum,
  toNumbers,
  uniformArray,
  zerosArray,
} from "../src/index.ts";
import { expectClose } from "./support/arrays.ts";

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

  test("enough work for several threads gives the same bits every time, repeated indices included", async () => {
    const rows = 20_000;
    const [x, w] = [normalArray(randomKey(1), [rows, 32]), normalArray(randomKey(2), [32, 64])];
    const ids = ndarray(Array.from(uniformArray(randomKey(3), [rows], 0, 5).data, Math.floor), {
      dtype: "int32",
    });
    const step = compile((a: Tensor, b: Tensor, segments: Tensor) => {
      const y = softmax(matmul(a, b));
      const pooled = segmentSum(y, segments, 5);
      return {
        pooled,
        gradients: gradients(sum(mul(pooled, pooled)), [a, b]),
        count: segmentSum(ones([rows]), segments, 5),
      };
    });
    const [first, second] = [await step(x, w, ids), await step(x, w, ids)];
    expect(second).toEqual(first);
    const counts = new Array<number>(5).fill(0);
    for (const id of ids.data) counts[id] = counts[id]! + 1;
    expect(toNumbers(first.count)).toEqual(counts);
    expectClose(
      "total of the probabilities",
      [toNumbers(first.pooled).reduce((p, q) => p + q, 0)],
      [rows],
      1e-5,
    );
  });
});
