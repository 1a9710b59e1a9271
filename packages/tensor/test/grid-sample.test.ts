import { describe, expect, test } from "vitest";
import type { SampleOptions, Tensor } from "../src/index.ts";
import {
  add,
  affineGrid,
  compile,
  constant,
  DTypeError,
  gradients,
  gridSample,
  mul,
  narrow,
  ones,
  pad,
  ShapeError,
  sum,
  tensor,
  toNumbers,
  warp,
  zeros,
} from "../src/index.ts";
import { allValuesOf, expectClose, randomArray, valuesOf } from "./support/arrays.ts";

const random = (seed: number, shape: readonly number[], dtype: "float32" | "float64" = "float64"): Tensor =>
  tensor([...(randomArray(seed, shape).data as Float64Array)], { shape, dtype });
const PADDINGS = ["zeros", "border", "reflection"] as const;

function identity(batch: number, axes: 2 | 3): Tensor {
  const rows = axes === 2 ? [1, 0, 0, 0, 1, 0] : [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0];
  return tensor(Array.from({ length: batch }, () => rows).flat(), {
    shape: [batch, axes, axes + 1],
    dtype: "float64",
  });
}

describe("gridSample", () => {
  test("the identity gives the image back, in two and three dimensions and both conventions", async () => {
    for (const shape of [
      [2, 3, 4, 5],
      [1, 2, 3, 2, 4],
    ]) {
      const x = random(1, shape);
      const size = shape.slice(2);
      for (const alignCorners of [false, true]) {
        const grid = affineGrid(identity(shape[0]!, size.length as 2 | 3), size, { alignCorners });
        for (const padding of PADDINGS) {
          const y = gridSample(x, grid, { padding, alignCorners });
          expectClose("identity", await valuesOf(y), await valuesOf(x), 1e-12);
        }
      }
    }
  });

  test("places that are NaN, infinite or far outside give zeros or the border, and finite gradients", async () => {
    const far = [Number.NaN, Infinity, -Infinity, 1e30, -1e30, 1e9, -3, 0];
    for (const dtype of ["float32", "float64"] as const) {
      const data = far.flatMap((v) => [v, 0]);
      const array = dtype === "float32" ? Float32Array.from(data) : Float64Array.from(data);
      const grid = constant({ dtype, shape: [1, far.length, 2], data: array } as never);
      const x = tensor([1, 2, 3], { shape: [1, 1, 1, 3], dtype });
      const [zero, border, mirrored] = await allValuesOf(
        PADDINGS.map((padding) => gridSample(x, grid, { padding })),
      );
      expect(zero).toEqual([0, 0, 0, 0, 0, 0, 0, 2]);
      expect(border).toEqual([1, 3, 1, 3, 1, 3, 1, 2]);
      expect(mirrored!.every((v) => v >= 1 && v <= 3)).toBe(true);
      for (const padding of PADDINGS) {
        const y = gridSample(x, grid, { padding });
        const [dx, dGrid] = await allValuesOf(gradients(sum(y), [x, grid]));
        expect([...dx!, ...dGrid!].every(Number.isFinite)).toBe(true);
        if (padding !== "reflection") expect(dGrid!.slice(0, 12).every((v) => v === 0)).toBe(true);
        expect(dx!.reduce((a, b) => a + b)).toBeCloseTo(padding === "zeros" ? 1 : far.length, 5);
      }
    }
  });

  test("any axes may stand between, and points are sampled alone", async () => {
    const x = random(2, [2, 3, 4, 5]);
    const grid = random(3, [2, 2, 3, 2]);
    const whole = gridSample(x, grid);
    expect(whole.shape).toEqual([2, 3, 2, 3]);
    const flat = tensor(await valuesOf(grid), { shape: [2, 6, 2], dtype: "float64" });
    const points = gridSample(x, flat);
    expect(points.shape).toEqual([2, 3, 6]);
    expect(await valuesOf(points)).toEqual(await valuesOf(whole));
  });

  test("labels keep their dtype", async () => {
    const grid = tensor([-0.6, -0.5, 0.7, 0.5, 3, 0], { shape: [1, 3, 2] });
    for (const dtype of ["int32", "int64", "uint8", "bool"] as const) {
      const x = tensor([1, 0, 1, 1], { shape: [1, 1, 2, 2], dtype });
      const y = gridSample(x, grid, { mode: "nearest" });
      expect(y.dtype).toBe(dtype);
      expect(await valuesOf(y)).toEqual([1, 1, 0]);
    }
  });

  test.each([1, 2])("many places on few pixels lose no update, %i channels", async (channels) => {
    const places = 100_000;
    const grid = randomArray(4, [1, places, 2], { low: -0.49, high: 0.49, dtype: "float32" });
    const image = randomArray(5, [1, channels, 2, 2], { dtype: "float32" });
    const spread = compile((x: Tensor, g: Tensor) => gradients(sum(gridSample(x, g)), [x])[0]!);
    const first = toNumbers(await spread(image, grid));
    // The shares of each place sum to one.
    for (let channel = 0; channel < channels; channel++) {
      const total = first.slice(4 * channel, 4 * channel + 4).reduce((a, b) => a + b);
      expect(Math.abs(total - places)).toBeLessThan(places * 1e-3);
    }
    for (let i = 0; i < 3; i++) expect(toNumbers(await spread(image, grid))).toEqual(first);
  });
});

describe("warp", () => {
  test("whole displacements move the image, channel by channel of the field", async () => {
    const x = random(6, [1, 2, 3, 4]);
    const down = add(
      pad(zeros([1, 1, 3, 4], "float64"), [
        [0, 0],
        [0, 1],
        [0, 0],
        [0, 0],
      ]),
      tensor([1, 0], { shape: [1, 2, 1, 1], dtype: "float64" }),
    );
    const wanted = pad(narrow(x, 2, 1, 2), [
      [0, 0],
      [0, 0],
      [0, 1],
      [0, 0],
    ]);
    expectClose("moved", await valuesOf(warp(x, down)), await valuesOf(wanted), 1e-12);
    const left = add(
      zeros([1, 2, 3, 4], "float64"),
      tensor([0, -1], { shape: [1, 2, 1, 1], dtype: "float64" }),
    );
    const shifted = pad(narrow(x, 3, 0, 3), [
      [0, 0],
      [0, 0],
      [0, 0],
      [1, 0],
    ]);
    expectClose("moved", await valuesOf(warp(x, left)), await valuesOf(shifted), 1e-12);
  });

  test("every padding and mode leaves the image where nothing moves", async () => {
    const x = random(7, [1, 1, 2, 3, 2], "float32");
    const still = zeros([1, 3, 2, 3, 2]);
    for (const padding of PADDINGS)
      for (const mode of ["linear", "nearest"] as const) {
        const options: SampleOptions = { padding, mode };
        expectClose("still", await valuesOf(warp(x, still, options)), await valuesOf(x), 1e-6);
      }
  });

  test("a uniform field's gradient is the slope of the image", async () => {
    const ramp = tensor([0, 2, 4, 6, 8], { shape: [1, 1, 1, 5], dtype: "float64" });
    const field = mul(
      ones([1, 2, 1, 5], "float64"),
      tensor([0, 0.25], { shape: [1, 2, 1, 1], dtype: "float64" }),
    );
    const [slopes] = await allValuesOf(gradients(sum(warp(ramp, field)), [field]));
    // At the last pixel the image falls from 8 to the zeros outside.
    expectClose("slopes", slopes!.slice(5), [2, 2, 2, 2, -8], 1e-12);
  });
});

describe("errors", () => {
  const x = ones([2, 1, 4, 4]);
  test("shapes and dtypes that do not fit", () => {
    expect(() => gridSample(x, ones([2, 3, 3]))).toThrow(
      "gridSample: x [2, 1, 4, 4] needs a grid [2, ..., 2], got [2, 3, 3]",
    );
    expect(() => gridSample(x, ones([1, 3, 2]))).toThrow(ShapeError);
    expect(() => gridSample(x, ones([2, 2]))).toThrow(ShapeError);
    expect(() => gridSample(ones([4, 4]), ones([4, 4, 2]))).toThrow("gridSample: x needs the axes");
    expect(() => gridSample(zeros([1, 1, 0, 4]), ones([1, 1, 2]))).toThrow("has no pixels");
    expect(() => gridSample(x, ones([2, 3, 2], "float64"))).toThrow(
      "gridSample: x is float32, the grid float64; convert one with cast()",
    );
    expect(() => gridSample(ones([1, 1, 2, 2], "int32"), ones([1, 1, 2]))).toThrow(DTypeError);
    expect(() => warp(x, ones([2, 3, 4, 4]))).toThrow(
      "warp: x [2, 1, 4, 4] needs a displacement [2, 2, 4, 4], got [2, 3, 4, 4]",
    );
    expect(() => affineGrid(ones([1, 2, 3]), [4])).toThrow(
      "affineGrid: expected sizes [H, W] or [D, H, W], got [4]",
    );
    expect(() => affineGrid(ones([1, 2, 3]), [4, 4, 4])).toThrow(ShapeError);
  });
});
