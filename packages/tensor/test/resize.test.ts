import { describe, expect, test } from "vitest";
import type { ResizeOptions, Tensor } from "../src/index.ts";
import {
  boxFilter,
  DTypeError,
  mul,
  ones,
  resize,
  ShapeError,
  sum,
  tensor,
  transpose,
} from "../src/index.ts";
import { allValuesOf, expectClose, randomArray, valuesOf } from "./support/arrays.ts";

const random = (seed: number, shape: readonly number[]): Tensor =>
  tensor([...(randomArray(seed, shape).data as Float64Array)], { shape, dtype: "float64" });

/** Interpolation of one line, written out: the value of the piecewise linear function at each place. */
function lineAt(values: readonly number[], places: readonly number[]): number[] {
  return places.map((place) => {
    const inside = Math.min(Math.max(place, 0), values.length - 1);
    const left = Math.min(Math.floor(inside), values.length - 2);
    return values[left]! + (inside - left) * (values[left + 1]! - values[left]!);
  });
}

describe("resize", () => {
  test("linear in one dimension, by hand, in both conventions", async () => {
    const line = [1, 4, 2, 8];
    const x = tensor([line], { shape: [1, 1, 4], dtype: "float64" });
    const outputs = [0, 1, 2, 3, 4, 5];
    const [areas, points] = await allValuesOf([
      resize(x, { size: 6 }),
      resize(x, { size: 6, alignCorners: true }),
    ]);
    expectClose(
      "areas",
      areas!,
      lineAt(
        line,
        outputs.map((i) => ((i + 0.5) * 4) / 6 - 0.5),
      ),
      1e-12,
    );
    expectClose(
      "points",
      points!,
      lineAt(
        line,
        outputs.map((i) => (i * 3) / 5),
      ),
      1e-12,
    );
  });

  test("every mode keeps constants and, where nothing changes, the image", async () => {
    const modes: ResizeOptions[] = [
      { mode: "nearest" },
      { mode: "linear" },
      { mode: "cubic" },
      { mode: "linear", alignCorners: true },
      { mode: "cubic", alignCorners: true },
      { mode: "linear", antialias: true },
      { mode: "cubic", antialias: true },
    ];
    const flat = ones([1, 2, 5, 4], "float64");
    const image = random(1, [1, 2, 5, 4]);
    for (const options of modes) {
      expectClose(
        "constant",
        await valuesOf(resize(flat, { ...options, size: [3, 9] })),
        Array(54).fill(1),
        1e-12,
      );
      expect(resize(image, { ...options, size: [5, 4] })).toBe(image);
    }
  });

  test("reproduces planes where corners meet, and exchanging axes exchanges results", async () => {
    const plane = tensor([0, 1, 2, 10, 11, 12], { shape: [1, 1, 2, 3], dtype: "float64" });
    expectClose(
      "plane",
      await valuesOf(resize(plane, { size: [3, 5], alignCorners: true })),
      [0, 0.5, 1, 1.5, 2, 5, 5.5, 6, 6.5, 7, 10, 10.5, 11, 11.5, 12],
      1e-12,
    );
    const volume = random(2, [1, 1, 3, 4, 2]);
    const order = [0, 1, 4, 2, 3];
    const [straight, turned] = await allValuesOf([
      transpose(resize(volume, { size: [5, 2, 3] }), order),
      resize(transpose(volume, order), { size: [3, 5, 2] }),
    ]);
    expectClose("exchanged axes", turned!, straight!, 1e-12);
  });

  test("antialiasing keeps the mean that plain sampling loses", async () => {
    const stripes = tensor(
      Array.from({ length: 16 }, (_, i) => i % 4),
      { shape: [1, 1, 16], dtype: "float64" },
    );
    const [plain, smooth] = await allValuesOf([
      resize(stripes, { size: 4 }),
      resize(stripes, { size: 4, antialias: true }),
    ]);
    expect(Math.max(...plain!) - Math.min(...plain!)).toBe(0);
    expectClose("inner means", smooth!.slice(1, 3), [1.5, 1.5], 0.03);
  });

  test("labels are resized without floats", async () => {
    const labels = tensor([1, 2, 3, 4], { shape: [1, 1, 2, 2], dtype: "int32" });
    const larger = resize(labels, { size: [4, 3], mode: "nearest" });
    expect(larger.dtype).toBe("int32");
    expect(await valuesOf(larger)).toEqual([1, 1, 2, 1, 1, 2, 3, 3, 4, 3, 3, 4]);
    const mask = tensor([true, false], { shape: [1, 1, 2], dtype: "bool" });
    expect(await valuesOf(resize(mask, { scale: 2, mode: "nearest" }))).toEqual([1, 1, 0, 0]);
  });
});

describe("boxFilter", () => {
  test("a window wider than the image gives its mean", async () => {
    const x = random(3, [1, 1, 3, 4]);
    const mean = (await valuesOf(mul(sum(x), 1 / 12)))[0]!;
    expectClose("mean", await valuesOf(boxFilter(x, 9, { border: "inside" })), Array(12).fill(mean), 1e-12);
  });

  test("sums of a window around each position, written out", async () => {
    const x = random(4, [1, 2, 4, 5]);
    const values = await valuesOf(x);
    const wanted = values.map((_, at) => {
      const [plane, row, column] = [Math.floor(at / 20), Math.floor(at / 5) % 4, at % 5];
      let total = 0;
      for (let i = row - 1; i <= row + 1; i++)
        for (let j = column - 1; j <= column + 1; j++)
          if (i >= 0 && i < 4 && j >= 0 && j < 5) total += values[plane * 20 + i * 5 + j]!;
      return total / 9;
    });
    expectClose("boxFilter", await valuesOf(boxFilter(x, 3)), wanted, 1e-12);
  });
});

describe("errors", () => {
  const x = ones([1, 1, 4, 4]);
  test("sizes and options that do not fit", () => {
    expect(() => resize(ones([4, 4]), { size: 2 })).toThrow(
      "resize: x needs the axes [B, C, ...], got [4, 4]",
    );
    expect(() => resize(x, {})).toThrow("resize: needs either size or scale");
    expect(() => resize(x, { size: 2, scale: 2 })).toThrow("resize: needs either size or scale");
    expect(() => resize(x, { size: [2] })).toThrow(
      "resize: size has 1 entries for the 2 spatial axes of x [1, 1, 4, 4]",
    );
    expect(() => resize(x, { scale: 0.1 })).toThrow("resize: [1, 1, 4, 4] cannot become [0, 0]");
    expect(() => resize(x, { size: 2.5 })).toThrow(ShapeError);
    expect(() => resize(x, { size: 2, mode: "nearest", alignCorners: true })).toThrow(RangeError);
    expect(() => resize(x, { size: 2, antialias: true, alignCorners: true })).toThrow(
      "resize: antialias works on areas, alignCorners on points; choose one",
    );
    expect(() => resize(ones([1, 1, 4], "int32"), { size: 2 })).toThrow(DTypeError);
    expect(() => boxFilter(x, 4)).toThrow("boxFilter: widths must be odd, got 4, 4");
    expect(() => boxFilter(x, [3])).toThrow(
      "boxFilter: 1 widths do not fit the spatial axes of x [1, 1, 4, 4]",
    );
  });
});
