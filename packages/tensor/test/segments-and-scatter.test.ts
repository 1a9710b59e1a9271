import { afterAll, describe, expect, test } from "vitest";
import type { Tensor } from "../src/index.ts";
import {
  compile,
  concat,
  gatherNd,
  gradients,
  mul,
  ndarray,
  oneHot,
  ones,
  scatterAddAlong,
  scatterSet,
  scatterSetAlong,
  segmentMax,
  segmentMean,
  segmentSoftmax,
  segmentSum,
  sum,
  tensor,
  toNumbers,
} from "../src/index.ts";
import { expectClose, randomArray, valuesOf } from "./support/arrays.ts";
import { trackedRuntime } from "./support/tracked-runtime.ts";

const runtime = trackedRuntime();
afterAll(() => runtime.release());

describe("segments", () => {
  test("the gradient of a maximum goes to the first of equal entries", async () => {
    const x = tensor([2, 1, 2, 5, 5]);
    const ids = tensor([0, 0, 0, 1, 1], { dtype: "int32" });
    const [dx] = gradients(sum(mul(segmentMax(x, ids, 3), tensor([1, 10, 100]))), [x]);
    expect(await valuesOf(dx as Tensor)).toEqual([1, 0, 0, 10, 0]);
  });

  test("take plain arrays", async () => {
    const [x, ids] = [
      ndarray([
        [1, 2],
        [3, 5],
        [4, 1],
      ]),
      ndarray([1, 0, 1], { dtype: "int64" }),
    ];
    expect(await valuesOf(segmentSum(x, ids, 2))).toEqual([3, 5, 5, 3]);
    expect(await valuesOf(segmentMean(x, ids, 2))).toEqual([3, 5, 2.5, 1.5]);
    expect(await valuesOf(segmentMax(x, ids, 2))).toEqual([3, 5, 4, 2]);
    expect(await valuesOf(segmentSoftmax(x, ids, 2))).toHaveLength(6);
    const places = ndarray(
      [
        [1, 1],
        [0, 1],
        [0, 0],
      ],
      { dtype: "int32" },
    );
    expect(await valuesOf(scatterAddAlong(x, places, [3, 2]))).toEqual([0, 3, 3, 5, 5, 0]);
    expect(await valuesOf(oneHot(ndarray([1, 0], { dtype: "int32" }), 2))).toEqual([0, 1, 1, 0]);
    expect(await valuesOf(concat([x, tensor([[7, 8]])]))).toEqual([1, 2, 3, 5, 4, 1, 7, 8]);
  });

  test("are right on several threads, where rows are many", async () => {
    const [rows, width, segments] = [6000, 16, 7];
    const x = randomArray(3, [rows, width], { dtype: "float32" });
    const ids = ndarray(
      Array.from({ length: rows }, (_, i) => (i * i) % segments),
      { dtype: "int32" },
    );
    const run = compile(
      (values: Tensor, at: Tensor) => {
        const largest = segmentMax(values, at, segments);
        return {
          largest,
          mean: segmentMean(values, at, segments),
          gradient: gradients(sum(largest), [values])[0]!,
        };
      },
      { runtime, threads: 2 },
    );
    const found = await run(x, ids);
    const largest = new Array<number>(segments * width).fill(Number.NEGATIVE_INFINITY);
    const total = new Array<number>(segments * width).fill(0);
    const count = new Array<number>(segments).fill(0);
    toNumbers(ids).forEach((segment, row) => {
      count[segment]! += 1;
      for (let column = 0; column < width; column++) {
        const [at, value] = [segment * width + column, Number(x.data[row * width + column])];
        largest[at] = Math.max(largest[at]!, value);
        total[at]! += value;
      }
    });
    const wanted = largest.map((value, at) => (count[Math.floor(at / width)] ? value : 0));
    expect(toNumbers(found.largest)).toEqual(wanted);
    const means = total.map((value, at) => value / Math.max(1, count[Math.floor(at / width)]!));
    expectClose("mean", toNumbers(found.mean), means, 1e-5);
    const chosen = toNumbers(found.gradient).filter((value) => value !== 0);
    expect(chosen).toEqual(new Array(count.filter((n) => n > 0).length * width).fill(1));
  });

  test("say what does not fit", () => {
    const ids = tensor([0, 1], { dtype: "int32" });
    expect(() => segmentMax(ones([3, 2]), ids, 2)).toThrow(
      "segmentMax: x [N, ...] and ids [N] have shapes [3, 2] and [2]",
    );
    expect(() => segmentMean(ones([2], "int32"), ids, 2)).toThrow("segmentMean: expected float32 or float64");
    expect(() => segmentSoftmax(ones([2]), ones([2]), 2)).toThrow(
      "segmentSoftmax: indices must be int32 or int64, got float32",
    );
  });
});

describe("writes at indices", () => {
  test("keep integers", async () => {
    const x = tensor([1, 2, 3], { dtype: "int32" });
    const indices = tensor([2, 0], { dtype: "int32" });
    expect(await valuesOf(scatterSet(x, indices, tensor([7, 8], { dtype: "int32" })))).toEqual([8, 2, 7]);
  });

  test("say what does not fit", () => {
    const at = tensor([0, 1], { dtype: "int32" });
    expect(() => scatterSet(ones([3, 2]), at, ones([2, 3]))).toThrow(
      "scatterSet: updates have shape [2, 3], expected [2, 2]",
    );
    expect(() => scatterSet(ones([3]), at, ones([2], "float64"))).toThrow(
      "scatterSet: x and updates have dtypes float32 and float64",
    );
    expect(() => scatterSet(ones([3]), tensor([[0]], { dtype: "int32" }), ones([1]))).toThrow(
      "scatterSet: indices have shape [1, 1], expected axes [K]",
    );
    expect(() => scatterSetAlong(ones([3, 2]), at, ones([2]))).toThrow(
      "scatterSetAlong: x [3, 2] and indices [2] differ outside axis -1",
    );
    expect(() => gatherNd(ones([3]), tensor([[0, 1]], { dtype: "int32" }))).toThrow(
      "gatherNd: indices [1, 2] name positions of 2 axes, x has shape [3]",
    );
  });
});
