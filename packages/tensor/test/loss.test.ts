import { describe, expect, test } from "vitest";
import type { Tensor } from "../src/index.ts";
import {
  bceWithLogits,
  crossEntropy,
  DTypeError,
  gradients,
  mse,
  oneHot,
  ones,
  ShapeError,
  smoothL1,
  softmaxCrossEntropy,
  sum,
  tensor,
  transpose,
} from "../src/index.ts";
import { allValuesOf, expectClose, randomArray, valuesOf } from "./support/arrays.ts";

const random = (seed: number, shape: readonly number[]): Tensor =>
  tensor([...(randomArray(seed, shape).data as Float64Array)], { shape, dtype: "float64" });
const classes = (values: readonly number[], shape = [values.length]): Tensor =>
  tensor(values, { shape, dtype: "int32" });

describe("bceWithLogits", () => {
  test("stays exact and finite for logits of any size, in both dtypes", async () => {
    for (const dtype of ["float32", "float64"] as const) {
      const x = tensor([1e4, -1e4, 1e4, -1e4, 40, -40], { dtype });
      const t = tensor([1, 0, 0, 1, 1, 0], { dtype });
      const loss = bceWithLogits(x, t);
      const [values, slopes] = await allValuesOf([loss, ...gradients(sum(loss), [x])]);
      expectClose("loss", values!, [0, 0, 1e4, 1e4, 4e-18, 4e-18], 1e-7);
      expectClose("gradient", slopes!, [0, 0, 1, -1, 0, 0], 1e-7);
    }
  });
});

describe("crossEntropy", () => {
  test("equals the entropy against one-hot targets, and axes may stand anywhere", async () => {
    const x = random(1, [5, 4]);
    const t = classes([3, 0, 1, 1, 2]);
    const [found, turned, wanted] = await allValuesOf([
      crossEntropy(x, t, { reduction: "none" }),
      crossEntropy(transpose(x), t, { axis: 0, reduction: "none" }),
      softmaxCrossEntropy(x, oneHot(t, 4, "float64")),
    ]);
    expectClose("classes last", found!, wanted!, 1e-12);
    expectClose("classes first", turned!, wanted!, 1e-12);
  });

  test("ignored targets neither count nor pass a gradient, even if all are", async () => {
    const x = random(2, [3, 4]);
    const options = { ignoreIndex: -1, labelSmoothing: 0.1 };
    const [some, kept] = await allValuesOf([
      crossEntropy(x, classes([2, -1, 0]), options),
      crossEntropy(
        tensor(
          (await valuesOf(x)).filter((_, i) => i < 4 || i > 7),
          { shape: [2, 4], dtype: "float64" },
        ),
        classes([2, 0]),
        options,
      ),
    ]);
    expectClose("mean", some!, kept!, 1e-12);
    const none = crossEntropy(x, classes([-1, -1, -1]), options);
    const [value, slopes] = await allValuesOf([none, ...gradients(none, [x])]);
    expect(value).toEqual([0]);
    expect(slopes!.every((v) => v === 0)).toBe(true);
    const [partial] = await allValuesOf(gradients(crossEntropy(x, classes([2, -1, 0]), options), [x]));
    expect(partial!.slice(4, 8)).toEqual([0, 0, 0, 0]);
  });

  test("a class of weight 0 may be all there is", async () => {
    const weights = tensor([0, 1], { dtype: "float64" });
    const found = crossEntropy(random(3, [2, 2]), classes([0, 0]), { classWeights: weights });
    expect(await valuesOf(found)).toEqual([0]);
  });
});

describe("distances", () => {
  test("smoothL1 joins its parts without a jump in value or slope", async () => {
    const beta = 0.5;
    const x = tensor([0.5 - 1e-9, 0.5, 0.5 + 1e-9, -0.5, 0], { dtype: "float64" });
    const y = tensor([0, 0, 0, 0, 0], { dtype: "float64" });
    const loss = smoothL1(x, y, { beta });
    const [values, slopes] = await allValuesOf([loss, ...gradients(sum(loss), [x])]);
    expectClose("values", values!, [0.25, 0.25, 0.25, 0.25, 0], 1e-8);
    expectClose("slopes", slopes!, [1, 1, 1, -1, 0], 1e-8);
  });
});

describe("errors", () => {
  const x = ones([2, 3]);
  test("shapes, dtypes and parameters that do not fit", () => {
    expect(() => bceWithLogits(x, ones([3]))).toThrow(
      "bceWithLogits: predictions [2, 3] and targets [3] differ",
    );
    expect(() => crossEntropy(x, classes([0, 1, 2]))).toThrow(
      "crossEntropy: targets [3] do not fit logits [2, 3] with classes along axis 1",
    );
    expect(() => crossEntropy(x, ones([2]))).toThrow(
      "crossEntropy: targets must be int32 or int64, got float32",
    );
    expect(() => crossEntropy(x, classes([0, 1]), { labelSmoothing: 1 })).toThrow(
      "crossEntropy: label smoothing must be in [0, 1), got 1",
    );
    expect(() => crossEntropy(x, classes([0, 1]), { classWeights: ones([2]) })).toThrow(ShapeError);
    expect(() => smoothL1(x, x, { beta: 0 })).toThrow("smoothL1: beta must be positive, got 0");
    expect(() => smoothL1(x, ones([2, 3], "float64"))).toThrow(DTypeError);
    expect(() => mse(x, ones([2]))).toThrow(ShapeError);
  });
});
