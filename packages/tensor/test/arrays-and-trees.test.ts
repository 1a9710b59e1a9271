import { describe, expect, test } from "vitest";
import type { NDArray } from "../src/index.ts";
import {
  add,
  allocate,
  bytesPerElement,
  evaluate,
  holds,
  isFloat,
  isNDArray,
  ndarray,
  sizeOf,
  tensor,
  toNumbers,
  treeEntries,
  treeLeaves,
  treeMap,
  treeSignature,
  treeZip,
  zerosArray,
} from "../src/index.ts";

describe("ndarray", () => {
  test("takes shape and values from nested lists", () => {
    expect(
      ndarray([
        [1, 2, 3],
        [4, 5, 6],
      ]),
    ).toEqual({
      dtype: "float32",
      shape: [2, 3],
      data: Float32Array.of(1, 2, 3, 4, 5, 6),
    });
    expect(ndarray(3).shape).toEqual([]);
    expect(ndarray([]).shape).toEqual([0]);
    expect(ndarray([[], []]).shape).toEqual([2, 0]);
  });

  test("takes flat values of any iterable in a given shape", () => {
    expect(ndarray(new Float64Array([1, 2, 3, 4]), { shape: [2, 2] }).shape).toEqual([2, 2]);
    expect(toNumbers(ndarray(new Set([3, 1]), { dtype: "int64" }))).toEqual([3, 1]);
    expect(ndarray([7], { shape: [] }).shape).toEqual([]);
  });

  test("converts to every dtype", () => {
    expect(ndarray([1, -2], { dtype: "int64" }).data).toEqual(BigInt64Array.of(1n, -2n));
    expect(ndarray([0, 255], { dtype: "uint8" }).data).toEqual(Uint8Array.of(0, 255));
    expect(ndarray([true, false], { dtype: "bool" }).data).toEqual(Uint8Array.of(1, 0));
    expect(ndarray([2, -0.5, 0], { dtype: "bool" }).data).toEqual(Uint8Array.of(1, 1, 0));
    expect(ndarray([true, false]).data).toEqual(Float32Array.of(1, 0));
  });

  test.each<[string, () => NDArray, string]>([
    [
      "rows of two lengths",
      () => ndarray([[1, 2], [3]]),
      "ndarray: ragged nesting at depth 1: lengths 2 and 1",
    ],
    ["a number beside a list", () => ndarray([[1], 2]), "ndarray: ragged nesting: numbers at depths 2 and 1"],
    ["a list beside a number", () => ndarray([1, [2]]), "ndarray: ragged nesting: numbers at depths 1 and 2"],
    [
      "too few values",
      () => ndarray([1, 2, 3], { shape: [2, 2] }),
      "ndarray: 3 values do not fill shape [2, 2]",
    ],
    [
      "a negative shape",
      () => ndarray([1, 2], { shape: [-1, -2] }),
      "ndarray: 2 values do not fill shape [-1, -2]",
    ],
    ["a fraction", () => ndarray([1, 2.5], { dtype: "int32" }), "ndarray: 2.5 at position 1 is no int32"],
    [
      "a number out of range",
      () => ndarray([256], { dtype: "uint8" }),
      "ndarray: 256 at position 0 is no uint8",
    ],
    [
      "not a number",
      () => ndarray([Number.NaN], { dtype: "int64" }),
      "ndarray: NaN at position 0 is no int64",
    ],
  ])("refuses %s", (_what, make, message) => {
    expect(make).toThrow(RangeError);
    expect(make).toThrow(message);
  });
});

test("sizes, allocation and kinds of arrays", () => {
  expect([sizeOf([]), sizeOf([2, 3]), sizeOf([2, 0])]).toEqual([1, 6, 0]);
  expect(allocate("int64", 2)).toEqual(new BigInt64Array(2));
  expect(zerosArray([2, 1])).toEqual(ndarray([[0], [0]]));
  expect(zerosArray([1], "bool").data).toEqual(new Uint8Array(1));
  for (const [dtype, bytes] of Object.entries(bytesPerElement))
    expect(allocate(dtype as NDArray["dtype"], 1).BYTES_PER_ELEMENT).toBe(bytes);
  expect((["float32", "float64", "int32", "bool"] as const).map(isFloat)).toEqual([true, true, false, false]);
  expect([
    holds("float32", 0.1),
    holds("uint8", -1),
    holds("int32", 2 ** 31 - 1),
    holds("int32", 2 ** 31),
  ]).toEqual([true, false, true, false]);
  expect([
    isNDArray(ndarray(1)),
    isNDArray(tensor(1)),
    isNDArray(null),
    isNDArray({ shape: [], data: [] }),
  ]).toEqual([true, false, false, false]);
});

describe("trees", () => {
  const [w, b, s] = [ndarray([1, 2]), ndarray([3]), ndarray(4)];
  const tree = { layers: [{ w, b }, { w: b }], scale: s, none: undefined };

  test("list their leaves with paths, in order", () => {
    expect(treeEntries(tree)).toEqual([
      ["layers/0/w", w],
      ["layers/0/b", b],
      ["layers/1/w", b],
      ["scale", s],
    ]);
    expect(treeLeaves<NDArray>({ a: w, b: [b, s] })).toEqual([w, b, s]);
    expect(treeEntries(w)).toEqual([["", w]]);
    expect(treeEntries({})).toEqual([]);
  });

  test("map to trees of the same structure", () => {
    expect(treeMap(tree, (leaf, path) => `${path}=${toNumbers(leaf as NDArray)}`)).toEqual({
      layers: [{ w: "layers/0/w=1,2", b: "layers/0/b=3" }, { w: "layers/1/w=3" }],
      scale: "scale=4",
      none: undefined,
    });
  });

  test("zip leaf by leaf, and say where they differ", async () => {
    const [p, q] = [
      { a: tensor([1]), b: [tensor(2)] },
      { a: tensor([10]), b: [tensor(20)] },
    ];
    const zipped = await evaluate(treeZip(p, [q, p], (x, y, z) => add(add(x, y), z)));
    expect([toNumbers(zipped.a), toNumbers(zipped.b[0]!)]).toEqual([[12], [24]]);
    expect(() => treeZip(p, [{ a: q.a, b: [] }], add)).toThrow("trees differ in structure at 'b/0'");
  });

  test("have one signature for each structure, shapes and dtypes", () => {
    expect(treeSignature({ a: w, n: 1 })).toBe('{"a":float32[2];"n":float32[]}');
    expect(treeSignature({ a: ndarray([9, 9]), n: ndarray(2) })).toBe(treeSignature({ a: w, n: 1 }));
    const signatures = [
      { a: w },
      { a: b },
      { b: w },
      { a: [w] },
      { a: ndarray([1, 2], { dtype: "float64" }) },
      { a: "x" },
    ];
    expect(new Set(signatures.map(treeSignature)).size).toBe(signatures.length);
  });
});
