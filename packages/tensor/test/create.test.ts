import { describe, expect, test } from "vitest";
import type { Tensor } from "../src/index.ts";
import { arange, eye, full, oneHot, ones, tensor, zeros, zerosLike } from "../src/index.ts";

async function contentOf(x: Tensor) {
  const { dtype, shape, data } = await x.data();
  return { dtype, shape, data: Array.from(data as Iterable<number | bigint>, Number) };
}

describe("tensors made from numbers", () => {
  test.each([
    ["full", full([2, 2], 1.5), { dtype: "float32", shape: [2, 2], data: [1.5, 1.5, 1.5, 1.5] }],
    ["full of int64", full([2], 7, "int64"), { dtype: "int64", shape: [2], data: [7, 7] }],
    ["full scalar", full([], -1, "float64"), { dtype: "float64", shape: [], data: [-1] }],
    ["full without entries", full([0, 3], 1), { dtype: "float32", shape: [0, 3], data: [] }],
    ["zeros", zeros([1, 2]), { dtype: "float32", shape: [1, 2], data: [0, 0] }],
    ["ones", ones([3], "int32"), { dtype: "int32", shape: [3], data: [1, 1, 1] }],
    ["ones of bool", ones([2], "bool"), { dtype: "bool", shape: [2], data: [1, 1] }],
    [
      "zerosLike",
      zerosLike(tensor([[1, 2]], { dtype: "float64" })),
      { dtype: "float64", shape: [1, 2], data: [0, 0] },
    ],
    ["arange", arange(4), { dtype: "float32", shape: [4], data: [0, 1, 2, 3] }],
    ["arange of int64", arange(3, "int64"), { dtype: "int64", shape: [3], data: [0, 1, 2] }],
    ["eye", eye(2), { dtype: "float32", shape: [2, 2], data: [1, 0, 0, 1] }],
    ["eye of bool", eye(2, "bool"), { dtype: "bool", shape: [2, 2], data: [1, 0, 0, 1] }],
    [
      "oneHot with an index outside",
      oneHot(tensor([2, -1, 3], { dtype: "int32" }), 3, "int32"),
      { dtype: "int32", shape: [3, 3], data: [0, 0, 1, 0, 0, 0, 0, 0, 0] },
    ],
  ] as const)("%s", async (_name, made, expected) => {
    expect(await contentOf(made)).toEqual(expected);
  });
});
