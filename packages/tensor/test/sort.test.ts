import { describe, expect, test } from "vitest";
import {
  argmax,
  argmin,
  argsort,
  cumprod,
  cumsum,
  keyTensor,
  ones,
  randomKey,
  searchSorted,
  sort,
  takeAlong,
  tensor,
  topK,
  uniform,
} from "../src/index.ts";
import { allValuesOf, valuesOf } from "./support/arrays.ts";

describe("sorting", () => {
  test("keeps integers", async () => {
    const x = tensor([3, -1, 2, 3], { dtype: "int64" });
    expect(sort(x).dtype).toBe("int64");
    expect(await valuesOf(sort(x, -1, { descending: true }))).toEqual([3, 3, 2, -1]);
  });

  test("indices are int32, from every operation that finds some", () => {
    const x = ones([2, 3]);
    for (const found of [topK(x, 1).indices, argsort(x), argmax(x), argmin(x), searchSorted(x, x)])
      expect(found.dtype).toBe("int32");
  });

  test("argmax and argmin take integers", async () => {
    for (const dtype of ["int32", "int64", "uint8", "float64"] as const) {
      const x = tensor(
        [
          [3, 1, 3],
          [2, 5, 2],
        ],
        { dtype },
      );
      expect(await allValuesOf([argmax(x), argmin(x), argmax(x, 0)])).toEqual([
        [0, 1],
        [1, 0],
        [0, 1, 0],
      ]);
    }
    expect(() => argmax(ones([2, 0]))).toThrow("argmax: [2, 0] has no entries along axis 1");
    expect(() => argmin(tensor([true], { dtype: "bool" }))).toThrow("argmin: expected float32 or");
  });

  test("indices lead back to the values", async () => {
    const x = uniform(keyTensor(randomKey(4)), [3, 50]);
    const [sorted, taken] = (await allValuesOf([sort(x), takeAlong(x, argsort(x))])) as [number[], number[]];
    expect(taken).toEqual(sorted);
    for (const row of [0, 1, 2]) {
      const own = sorted.slice(row * 50, (row + 1) * 50);
      expect(own).toEqual([...own].sort((a, b) => a - b));
    }
  });

  test("says what does not fit", () => {
    expect(() => topK(ones([2, 3]), 4)).toThrow(
      "topK: k must be an integer from 1 to 3, the size of axis 1 of [2, 3]; got 4",
    );
    expect(() => topK(ones([2, 3]), 0)).toThrow("topK: k must be an integer from 1 to 3");
    expect(() => topK(tensor([true], { dtype: "bool" }), 1)).toThrow("topK: expected float32");
    expect(() => sort(ones([2]), 1)).toThrow("sort: axis 1 does not exist in a tensor of rank 1");
    expect(() => searchSorted(tensor(1 as never, { shape: [] }), ones([2]))).toThrow(
      "searchSorted: boundaries need an axis [..., N], got []",
    );
    expect(() => searchSorted(ones([2, 3]), ones([3, 4]))).toThrow("do not broadcast");
  });
});

describe("running sums and products", () => {
  test("of integers", async () => {
    expect(await valuesOf(cumsum(tensor([1, 2, 3], { dtype: "int64" })))).toEqual([1, 3, 6]);
  });

  test("say what does not fit", () => {
    expect(() => cumsum(ones([2]), 1)).toThrow("cumsum: axis 1 does not exist in a tensor of rank 1");
    expect(() => cumprod(tensor([1], { dtype: "int32" }))).toThrow(
      "cumprod: expected float32 or float64, got int32",
    );
  });
});
