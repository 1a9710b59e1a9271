import { describe, expect, test } from "vitest";
import type { Tensor } from "../src/index.ts";
import {
  add,
  constant,
  DTypeError,
  gradients,
  less,
  maskedLogSoftmax,
  maskedLogSumExp,
  maskedMean,
  maskedSoftmax,
  mul,
  ones,
  ShapeError,
  softmax,
  sparsemax,
  sum,
  tensor,
} from "../src/index.ts";
import { allValuesOf, expectClose, randomArray, valuesOf } from "./support/arrays.ts";

const random = (seed: number, shape: readonly number[]): Tensor =>
  tensor([...(randomArray(seed, shape).data as Float64Array)], { shape, dtype: "float64" });
const bool = (values: readonly number[], shape: readonly number[]): Tensor =>
  tensor(values, { shape, dtype: "bool" });

describe("reductions under masks", () => {
  const ops = {
    maskedSoftmax: (x: Tensor, mask: Tensor) => maskedSoftmax(x, mask),
    maskedLogSoftmax: (x: Tensor, mask: Tensor) => maskedLogSoftmax(x, mask),
    maskedLogSumExp: (x: Tensor, mask: Tensor) => maskedLogSumExp(x, mask, { axes: -1 }),
    maskedMean: (x: Tensor, mask: Tensor) => maskedMean(x, mask, { axes: -1 }),
  };

  test.each(Object.entries(ops))(
    "%s: rows without a true entry are 0 and pass no gradient",
    async (_name, op) => {
      for (const dtype of ["float32", "float64"] as const) {
        const x = tensor([1, 2, 3, 4, 5, 6], { shape: [2, 3], dtype });
        const y = op(x, bool([0, 0, 0, 1, 0, 1], [2, 3]));
        const [values, slopes] = await allValuesOf([y, ...gradients(sum(mul(y, add(y, 1))), [x])]);
        expect(values!.slice(0, values!.length / 2).every((v) => v === 0)).toBe(true);
        expect(slopes!.slice(0, 3)).toEqual([0, 0, 0]);
        expect(slopes!.every(Number.isFinite)).toBe(true);
      }
    },
  );

  test.each(Object.entries(ops))("%s: nothing that the mask hides matters", async (_name, op) => {
    const mask = bool([1, 1, 0, 0, 1, 1], [2, 3]);
    const hidden = [1e30, -1e30, Infinity, -Infinity, Number.NaN];
    const seen = async (value: number): Promise<number[][]> => {
      const data = Float64Array.of(0.5, -1, value, value, 2, 0.25);
      const x = constant({ dtype: "float64", shape: [2, 3], data });
      const y = op(x, mask);
      return allValuesOf([y, ...gradients(sum(mul(y, random(1, y.shape))), [x])]);
    };
    const wanted = await seen(0);
    for (const value of hidden) expect(await seen(value)).toEqual(wanted);
  });

  test("large and small numbers do not overflow", async () => {
    const x = tensor([1e30, 1e30, -1e30, -1e30], { shape: [2, 2] });
    const mask = bool([1, 1, 1, 0], [2, 2]);
    const [soft, log, total] = await allValuesOf([
      maskedSoftmax(x, mask),
      maskedLogSoftmax(x, mask),
      maskedLogSumExp(x, mask, { axes: -1 }),
    ]);
    expect(soft).toEqual([0.5, 0.5, 1, 0]);
    expectClose("log", log!, [-Math.log(2), -Math.log(2), 0, 0], 1e-6);
    expect(total!.every(Number.isFinite)).toBe(true);
  });

  test("a mask that keeps everything changes nothing", async () => {
    const x = random(2, [3, 4]);
    const [found, wanted] = await allValuesOf([maskedSoftmax(x, bool([1], [1])), softmax(x)]);
    expectClose("softmax", found!, wanted!, 1e-12);
  });
});

describe("sparsemax", () => {
  test("rows lie on the simplex, and no other point of it is nearer", async () => {
    const x = random(3, [20, 7]);
    const [p, values] = await allValuesOf([sparsemax(x), x]);
    for (let row = 0; row < 20; row++) {
      const [point, start] = [p!, values!].map((list) => list.slice(row * 7, row * 7 + 7)) as [
        number[],
        number[],
      ];
      expect(point.every((v) => v >= 0)).toBe(true);
      expect(point.reduce((a, b) => a + b)).toBeCloseTo(1, 12);
      // The nearest point q of a convex set has (x - q) · (z - q) ≤ 0 for its corners z.
      const inner = (z: number): number =>
        start.reduce((total, v, i) => total + (v - point[i]!) * ((i === z ? 1 : 0) - point[i]!), 0);
      for (let corner = 0; corner < 7; corner++) expect(inner(corner)).toBeLessThanOrEqual(1e-12);
    }
  });

  test("ties share, a shift does not matter, and far apart entries give one", async () => {
    for (const dtype of ["float32", "float64"] as const) {
      expectClose(
        "ties",
        await valuesOf(sparsemax(tensor([2, 2, 2, 2], { dtype }))),
        Array(4).fill(0.25),
        1e-7,
      );
      expect(await valuesOf(sparsemax(tensor([1e6, -1e6, 0], { dtype })))).toEqual([1, 0, 0]);
      expect(await valuesOf(sparsemax(tensor([3], { dtype })))).toEqual([1]);
      // 0 is exactly at the threshold of [1, 0]: outside the support.
      expect(await valuesOf(sparsemax(tensor([1, 0], { dtype })))).toEqual([1, 0]);
    }
    const x = random(4, [3, 5]);
    const [found, shifted] = await allValuesOf([sparsemax(x), sparsemax(add(x, 100))]);
    expectClose("shift", shifted!, found!, 1e-12);
  });

  test("long rows keep their sum in float32", async () => {
    const size = 100_000;
    const even = tensor(Array.from({ length: size }, () => 0.5));
    expectClose("even", (await valuesOf(sparsemax(even))).slice(0, 3), Array(3).fill(1 / size), 1e-9);
    const spread = tensor(Array.from({ length: size }, (_, i) => -i / 1000));
    const p = await valuesOf(sparsemax(spread));
    expect(p.reduce((a, b) => a + b)).toBeCloseTo(1, 4);
    // k entries 1/1000 apart fill the simplex when k² / 2000 is about 1.
    expect(p.filter((v) => v > 0)).toHaveLength(45);
  });

  test.each([
    ["normal", (i: number) => Math.sqrt(2) * Math.sin(i * i) * Math.cos(3 * i)],
    ["narrow", (i: number) => 0.003 * Math.sin(i * i)],
    ["even", (i: number) => -i / 5000],
    ["squares", (i: number) => -((i / 5000) ** 2)],
    ["equal", () => 0.25],
    ["halving", (i: number) => -(2 ** -(i % 40))],
  ])("long rows (%s) equal a complete sort, in both dtypes", async (_name, entry) => {
    const row = Array.from({ length: 5000 }, (_, i) => entry(i));
    const sorted = [...row].sort((a, b) => b - a);
    let [sum, threshold] = [0, 0];
    sorted.forEach((z, i) => {
      sum += z;
      if (1 + (i + 1) * z > sum) threshold = (sum - 1) / (i + 1);
    });
    const wanted = row.map((z) => Math.max(z - threshold, 0));
    expectClose("float64", await valuesOf(sparsemax(tensor(row, { dtype: "float64" }))), wanted, 1e-12);
    expectClose("float32", await valuesOf(sparsemax(tensor(row))), wanted, 1e-6);
  });

  test("the gradient is that of the support alone", async () => {
    const x = tensor([1, 0.6, -3], { dtype: "float64" });
    const w = tensor([2, 1, 7], { dtype: "float64" });
    const [slopes] = await allValuesOf(gradients(sum(mul(sparsemax(x), w)), [x]));
    expectClose("slopes", slopes!, [0.5, -0.5, 0], 1e-12);
  });
});

describe("errors", () => {
  test("masks and rows that do not fit", () => {
    const x = ones([2, 3]);
    expect(() => maskedSoftmax(x, ones([2, 3]))).toThrow(
      "maskedSoftmax: the mask must be bool, got float32; compare or cast() it",
    );
    expect(() => maskedMean(x, less(ones([4, 2, 3]), 2))).toThrow(
      "maskedMean: a mask [4, 2, 3] does not broadcast to x [2, 3]",
    );
    expect(() => maskedLogSumExp(x, less(ones([2]), 2))).toThrow(ShapeError);
    expect(() => maskedLogSoftmax(ones([2], "int32"), less(ones([2]), 2))).toThrow(DTypeError);
    expect(() => sparsemax(ones([2, 0]))).toThrow("sparsemax: axis -1 of [2, 0] is empty");
    expect(() => sparsemax(ones([2], "int32"))).toThrow(DTypeError);
  });
});
