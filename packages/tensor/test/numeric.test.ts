import { describe, expect, test } from "vitest";
import type { DType, Tensor } from "../src/index.ts";
import {
  acosh,
  asin,
  atan2,
  atanh,
  clampMax,
  clampMin,
  constant,
  DTypeError,
  elu,
  erf,
  evaluate,
  expm1,
  fmod,
  geluTanh,
  gradients,
  hardSigmoid,
  isFiniteValue,
  isInf,
  isNan,
  leakyRelu,
  log1p,
  logicalXor,
  logSigmoid,
  mish,
  nanToNum,
  notEqual,
  prelu,
  remainder,
  round,
  ShapeError,
  selu,
  silu,
  sinh,
  softplus,
  softsign,
  sum,
  tensor,
  toNumbers,
  trunc,
} from "../src/index.ts";
import { allValuesOf, expectClose, valuesOf } from "./support/arrays.ts";

const FLOATS = { float32: Float32Array, float64: Float64Array } as const;

/** A tensor of these very numbers, infinities and NaN among them. */
function exactly(values: readonly number[], dtype: "float32" | "float64" = "float64"): Tensor {
  return constant({ dtype, shape: [values.length], data: FLOATS[dtype].from(values) });
}

async function slopesOf(op: (x: Tensor) => Tensor, values: readonly number[]): Promise<number[]> {
  const x = exactly(values, "float32");
  return valuesOf(gradients(sum(op(x)), [x])[0]!);
}

describe("near the edges of their domains", () => {
  const small = [1e-300, -1e-300, 3e-17, -1e-12, 1e-9, -2e-5, 1e-3, 0.1, -0.3, 0.4999, 0.5001];
  test.each([
    ["expm1", expm1, Math.expm1],
    ["log1p", log1p, Math.log1p],
    ["sinh", sinh, Math.sinh],
  ] as const)("%s keeps all digits of small numbers", async (_name, op, reference) => {
    for (const [dtype, relative] of [
      ["float64", 4e-16],
      ["float32", 3e-7],
    ] as const) {
      const values = dtype === "float64" ? small : small.map((x) => Math.fround(x * 1e10) / 1e10);
      const x = exactly(values.slice(dtype === "float64" ? 0 : 2), dtype);
      const given = toNumbers(await x.data());
      const found = await valuesOf(op(x));
      given.forEach((v, i) => {
        expect(Math.abs(found[i]! - reference(v))).toBeLessThanOrEqual(relative * Math.abs(reference(v)));
      });
    }
  });

  test("expm1 and log1p reach their limits", async () => {
    for (const dtype of ["float32", "float64"] as const) {
      expect(await valuesOf(expm1(exactly([-Infinity, -1000, 0, Infinity], dtype)))).toEqual([
        -1,
        -1,
        0,
        Infinity,
      ]);
      expect(await valuesOf(log1p(exactly([-1, 0, Infinity], dtype)))).toEqual([-Infinity, 0, Infinity]);
      const [large] = await valuesOf(log1p(exactly([3e38], dtype)));
      expect(large).toBeCloseTo(Math.log(3e38), 4);
    }
  });

  test("asin, acosh and atanh end where they should", async () => {
    expectClose("asin", await valuesOf(asin(tensor([-1, 1]))), [-Math.PI / 2, Math.PI / 2], 1e-6);
    expect(await valuesOf(acosh(tensor([1])))).toEqual([0]);
    expect(await valuesOf(atanh(tensor([-1, 1])))).toEqual([-Infinity, Infinity]);
    expect(await valuesOf(asin(tensor([1.1])))).toEqual([Number.NaN]);
    expectClose("atanh", await valuesOf(atanh(tensor([0.9999, -0.9999]))), [4.951719, -4.951719], 1e-4);
  });

  test("atan2 knows the axes, the origin, and very small and large points", async () => {
    const y = [0, 0, 1, -1, 0, 1e-30, 3e30, -1e-30];
    const x = [1, -1, 0, 0, 0, -1e-30, 3e30, 0];
    const found = await valuesOf(atan2(tensor(y), tensor(x)));
    expectClose(
      "atan2",
      found,
      y.map((value, i) => Math.atan2(value, x[i]!)),
      1e-6,
    );
    const points = [tensor([0, 0, 2]), tensor([0, 3, 0])] as const;
    const [dy, dx] = await allValuesOf(gradients(sum(atan2(...points)), points));
    expectClose("gradient to y", dy!, [0, 1 / 3, 0], 1e-6);
    expectClose("gradient to x", dx!, [0, 0, -1 / 2], 1e-6);
  });

  test("activations saturate without NaN, in values and gradients", async () => {
    const far = [-1e4, -200, 200, 1e4];
    for (const op of [elu, selu, silu, mish, softsign, geluTanh, hardSigmoid, leakyRelu]) {
      const x = exactly(far, "float32");
      const [values, slopes] = await allValuesOf([op(x), ...gradients(sum(op(x)), [x])]);
      expect([...values!, ...slopes!].every(Number.isFinite)).toBe(true);
    }
    expect(await slopesOf(mish, far)).toEqual([0, 0, 1, 1]);
    expect(await slopesOf((x) => leakyRelu(x, 0.2), [-1e-30, 0, 1e-30])).toEqual(
      [0.2, 0.2, 1].map(Math.fround),
    );
  });
});

describe("rounding and comparisons", () => {
  test("round goes to the even neighbour, trunc towards zero", async () => {
    expect(await valuesOf(round(tensor([0.5, 1.5, 2.5, -0.5, -1.5])))).toEqual([0, 2, 2, -0, -2]);
    expect((await valuesOf(trunc(tensor([-1.7, 1.7, 0.2])))).map((x) => x + 0)).toEqual([-1, 1, 0]);
    expect(await valuesOf(trunc(exactly([Infinity, -Infinity, Number.NaN])))).toEqual([
      Infinity,
      -Infinity,
      Number.NaN,
    ]);
  });

  test("softplus keeps its digits where e^x is lost beside 1", async () => {
    const x = [-700, -40, -20, -3, 0, 2, 40, 800];
    for (const [dtype, tolerance] of [
      ["float32", 3e-7],
      ["float64", 4e-16],
    ] as const) {
      const found = await valuesOf(softplus(tensor(x, { dtype })));
      x.forEach((value, i) => {
        const expected = Math.max(value, 0) + Math.log1p(Math.exp(-Math.abs(value)));
        // e^-700 is no float32.
        if (dtype === "float64" || value > -80)
          expect(Math.abs(found[i]! - expected)).toBeLessThanOrEqual(tolerance * expected);
      });
      expect((await valuesOf(logSigmoid(tensor([40], { dtype }))))[0]! / -Math.exp(-40)).toBeCloseTo(1, 6);
    }
  });

  test("erf in float64 is right to the last digits", async () => {
    // As the C library has them.
    const table = [
      [1e-8, 1.1283791670955126e-8],
      [0.1, 0.1124629160182849],
      [0.5, 0.5204998778130465],
      [1, 0.8427007929497149],
      [2, 0.9953222650189527],
      [3.5, 0.9999992569016276],
      [5.5, 0.9999999999999927],
      [7, 1],
    ] as const;
    for (const [x, expected] of table) {
      const found = await valuesOf(erf(tensor([x, -x], { dtype: "float64" })));
      expect(Math.abs(found[0]! - expected)).toBeLessThan(1e-15 * expected);
      expect(found[1]).toBe(-found[0]!);
    }
  });

  test("fmod follows the sign of the dividend, remainder that of the divisor", async () => {
    for (const dtype of ["int32", "int64", "float32", "float64"] as DType[]) {
      const a = tensor([7, -7, 7, -7, 6, 0], { dtype });
      const b = tensor([3, 3, -3, -3, 3, -3], { dtype });
      const plain = (values: readonly number[]): number[] => values.map((x) => x + 0);
      expect(plain(await valuesOf(fmod(a, b)))).toEqual([1, -1, 1, -1, 0, 0]);
      expect(plain(await valuesOf(remainder(a, b)))).toEqual([1, 2, -2, -1, 0, 0]);
    }
  });

  test("NaN and infinities are found, replaced and kept from the gradient", async () => {
    for (const dtype of ["float32", "float64"] as const) {
      const largest = dtype === "float32" ? 3.4028234663852886e38 : Number.MAX_VALUE;
      const x = exactly([Number.NaN, Infinity, -Infinity, 2], dtype);
      const found = await evaluate([isNan(x), isInf(x), isFiniteValue(x), nanToNum(x)]);
      expect(found.map(toNumbers)).toEqual([
        [1, 0, 0, 0],
        [0, 1, 1, 0],
        [0, 0, 0, 1],
        [0, largest, -largest, 2],
      ]);
      expect(await valuesOf(nanToNum(x, { nan: 7, infinity: 9 }))).toEqual([7, 9, -9, 2]);
      expect(await valuesOf(gradients(sum(nanToNum(x)), [x])[0]!)).toEqual([0, 0, 0, 1]);
    }
  });

  test("clamps keep NaN and work for integers", async () => {
    for (const dtype of ["float32", "float64"] as const) {
      const x = exactly([Number.NaN, -3, 3, Infinity], dtype);
      expect(await valuesOf(clampMin(x, -1))).toEqual([Number.NaN, -1, 3, Infinity]);
      expect(await valuesOf(clampMax(x, 1))).toEqual([Number.NaN, -3, 1, 1]);
    }
    expect(await valuesOf(clampMin(tensor([-3, 5], { dtype: "int64" }), 0))).toEqual([0, 5]);
  });

  test("NaN differs from itself", async () => {
    const x = exactly([Number.NaN, 1]);
    expect(await valuesOf(notEqual(x, x))).toEqual([1, 0]);
  });
});

describe("errors", () => {
  test("wrong dtypes, shapes and parameters are named", () => {
    expect(() => asin(exactly([0.1]))).toThrow(DTypeError);
    expect(() => expm1(tensor([1], { dtype: "int32" }))).toThrow(
      "expm1: expected float32 or float64, got int32; convert with cast()",
    );
    expect(() => atan2(tensor([1, 2]), tensor([1, 2, 3]))).toThrow(ShapeError);
    expect(() => fmod(tensor([1, 2]), tensor([1, 2, 3]))).toThrow(
      "fmod: shapes [2] and [3] do not broadcast: axis -1 is 2 and 3",
    );
    expect(() => logicalXor(tensor([1]), tensor([1]))).toThrow(DTypeError);
    expect(() => prelu(tensor([[1, 2, 3]]), tensor([0.1, 0.2]))).toThrow(
      "prelu: expected one slope or one for each channel of x [1, 3], got [2]",
    );
    expect(() => elu(tensor([1]), 0)).toThrow("elu: alpha must be positive, got 0");
  });
});
