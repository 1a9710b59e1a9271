import { describe, expect, test } from "vitest";
import {
  diagonal,
  diagonalMatrix,
  linspace,
  meshgrid,
  ones,
  roll,
  tensor,
  tile,
  tril,
} from "../src/index.ts";
import { valuesOf } from "./support/arrays.ts";

describe("linspace", () => {
  test("ends exactly at both bounds", async () => {
    expect(await valuesOf(linspace(0, 1, 5))).toEqual([0, 0.25, 0.5, 0.75, 1]);
    expect(await valuesOf(linspace(2, -1, 4, "float64"))).toEqual([2, 1, 0, -1]);
    expect(await valuesOf(linspace(3, 9, 1))).toEqual([3]);
    const thirds = await valuesOf(linspace(0.1, 0.7, 8, "float64"));
    expect([thirds[0], thirds[7]]).toEqual([0.1, 0.7]);
  });
});

describe("operations that move entries", () => {
  test("take integers too", async () => {
    const x = tensor([1, 2, 3], { dtype: "int32" });
    expect(await valuesOf(roll(x, 1))).toEqual([3, 1, 2]);
    expect(await valuesOf(diagonalMatrix(x))).toEqual([1, 0, 0, 0, 2, 0, 0, 0, 3]);
  });

  test("a diagonal matrix keeps its zeros beside infinities", async () => {
    const x = tensor([Number.POSITIVE_INFINITY, 1]);
    expect(await valuesOf(diagonalMatrix(x))).toEqual([Number.POSITIVE_INFINITY, 0, 0, 1]);
  });

  test("say what does not fit", () => {
    expect(() => tile(ones([2, 3]), [2])).toThrow(
      "tile: needs one integer >= 1 for each axis of [2, 3], got [2]",
    );
    expect(() => tril(ones([2]))).toThrow("tril: expected axes [..., M, N], got [2]");
    expect(() => tril(ones([2, 2], "int32"))).toThrow(
      "tril: expected float32 or float64 or int64, got int32",
    );
    expect(() => diagonal(ones([2, 3]), 3)).toThrow("diagonal: [2, 3] has no diagonal with offset 3");
    expect(() => diagonalMatrix(ones([]))).toThrow("diagonalMatrix: expected axes [..., N], got a scalar");
    expect(() => meshgrid(ones([2]), ones([2, 2]))).toThrow("meshgrid: expected vectors, got shape [2, 2]");
  });
});
