import {
  compile,
  concat,
  eye,
  full,
  l2Normalize,
  type NDArray,
  normalArray,
  randomKey,
  type Tensor,
  tensor,
  valueAndGrad,
} from "@concord/tensor";
import { describe, expect, test } from "vitest";
import { type InfoNceOptions, infoNCE, sigmoidLoss, tripletLoss, uniformityLoss } from "../src/index.ts";
import { arrayOf } from "./losses-support.ts";
import { randomMatrix, scalarOf } from "./support.ts";

function double(x: NDArray): NDArray {
  return { dtype: "float64", shape: x.shape, data: Float64Array.from(x.data as Float32Array) };
}

const B = 23;
const vectors = { a: normalArray(randomKey(1), [B, 6]), b: normalArray(randomKey(2), [B, 6]) };
const scale: NDArray = { dtype: "float32", shape: [], data: Float32Array.of(9) };
/** Several positives in some rows, soft ones, and a row and a column without any. */
const weights: NDArray = {
  dtype: "float32",
  shape: [B, B],
  data: Float32Array.from({ length: B * B }, (_, k) => {
    const [i, j] = [Math.floor(k / B), k % B];
    return i === 4 || j === 7 ? 0 : i === j ? 2 : (i * 5 + j) % 11 === 0 ? 0.25 : 0;
  }),
};

type Parameters = Readonly<Record<"a" | "b" | "scale" | "positives", Tensor>>;

/** Value and gradients by a loss, all in one dtype, as numbers. */
async function slopes(
  loss: (p: Parameters) => Tensor,
  convert: (x: NDArray) => NDArray = (x) => x,
): Promise<Record<string, number[]>> {
  const compiled = compile((p: Parameters) => valueAndGrad(loss)(p));
  const fed = { ...vectors, scale, positives: weights };
  const { value, gradients } = await compiled({
    a: convert(fed.a),
    b: convert(fed.b),
    scale: convert(fed.scale),
    positives: convert(fed.positives),
  });
  await compiled.close();
  return Object.fromEntries(
    Object.entries({ value, ...gradients }).map(([name, { data }]) => [name, Array.from(data, Number)]),
  );
}

/** Largest difference over the largest entry. */
function relativeDifference(found: readonly number[], expected: readonly number[]): number {
  const largest = Math.max(...expected.map(Math.abs));
  return Math.max(...found.map((x, i) => Math.abs(x - (expected[i] as number)))) / Math.max(largest, 1e-30);
}

const forms: Record<string, (p: Parameters) => InfoNceOptions> = {
  "both directions": () => ({}),
  "one direction": () => ({ symmetric: false }),
  "several positives": ({ positives }) => ({ positives }),
  "several positives, one direction": ({ positives }) => ({ positives, symmetric: false }),
};

describe("infoNCE by blocks of rows", () => {
  const lossOf =
    (form: (p: Parameters) => InfoNceOptions, blockRows: number) =>
    (p: Parameters): Tensor =>
      infoNCE(l2Normalize(p.a), l2Normalize(p.b), { logitScale: p.scale, ...form(p), blockRows });

  for (const [name, form] of Object.entries(forms)) {
    test(`${name}: value and all gradients are those of the whole matrix`, async () => {
      const whole = await slopes(lossOf(form, Number.POSITIVE_INFINITY), double);
      expect(whole.value?.[0]).toBeGreaterThan(0.1);
      expect(Math.abs(whole.scale?.[0] as number)).toBeGreaterThan(1e-3);
      // One row at a time, a last block that is smaller, all rows but one.
      for (const blockRows of [1, 8, B - 1]) {
        const exact = await slopes(lossOf(form, blockRows), double);
        const rounded = await slopes(lossOf(form, blockRows));
        for (const [part, expected] of Object.entries(whole)) {
          expect(relativeDifference(exact[part] ?? [], expected), `${part}, float64`).toBeLessThan(1e-11);
          // float32 has 24 bits; logits reach 9, whose exponentials lose three of them.
          expect(relativeDifference(rounded[part] ?? [], expected), `${part}, float32`).toBeLessThan(1e-5);
        }
      }
    });
  }

  test("keeps the digits of a loss near zero", async () => {
    // Products of 10 on the diagonal and 9 elsewhere, both exact: logits of 100 and 90.
    const apart = await concat([eye(B), full([B, 1], 3)], 1).data();
    const loss = compile((x: Tensor) => infoNCE(x, x, { logitScale: 10, blockRows: 5 }));
    const expected = Math.log1p((B - 1) * Math.exp(-10));
    const found = Number((await loss(apart)).data[0]);
    // The difference of two numbers near 100 would be off by 4e-6, a two-hundred-fiftieth of this loss of 0.001.
    expect(Math.abs(found / expected - 1)).toBeLessThan(1e-4);
    await loss.close();
  });

  test("refuses blocks without rows", () => {
    const x = tensor([[1, 2]]);
    for (const blockRows of [0, -1, Number.NaN])
      expect(() => infoNCE(x, x, { blockRows })).toThrow(`infoNCE: blockRows must be >= 1, got ${blockRows}`);
    const rows = tensor([
      [1, 2],
      [2, 1],
      [0, 1],
    ]);
    expect(() => infoNCE(rows, rows, { blockRows: 1.5 })).toThrow(
      "blockRows must be an integer >= 1, got 1.5",
    );
  });
});

describe("uniformityLoss by blocks of rows", () => {
  test("has value and gradient of the whole matrix", async () => {
    const lossOf =
      (blockRows: number) =>
      (p: Parameters): Tensor =>
        uniformityLoss(l2Normalize(p.a), { t: 1.5, blockRows });
    const whole = await slopes(lossOf(Number.POSITIVE_INFINITY), double);
    for (const blockRows of [1, 8, B - 1]) {
      const exact = await slopes(lossOf(blockRows), double);
      const rounded = await slopes(lossOf(blockRows));
      for (const part of ["value", "a"]) {
        expect(relativeDifference(exact[part] ?? [], whole[part] ?? []), part).toBeLessThan(1e-11);
        expect(relativeDifference(rounded[part] ?? [], whole[part] ?? []), part).toBeLessThan(1e-5);
      }
    }
  });

  test("stays finite where every potential is below the smallest number", async () => {
    // Distances² 4, 2 and 2 at t = 60: e^-240 and e^-120, of which float32 holds neither.
    const wanted = Math.log((2 * Math.exp(-120) + Math.exp(-240)) / 3);
    for (const blockRows of [1, 2, Number.POSITIVE_INFINITY]) {
      const step = compile((x: Tensor) =>
        valueAndGrad((y: Tensor) => uniformityLoss(y, { t: 60, blockRows }))(x),
      );
      const { value, gradients } = await step({
        dtype: "float32",
        shape: [3, 2],
        data: Float32Array.of(1, 0, -1, 0, 0, 1),
      });
      await step.close();
      expect(Number(value.data[0])).toBeCloseTo(wanted, 4);
      expect(Array.from(gradients.data, Number).every(Number.isFinite)).toBe(true);
    }
  });
});

test("by default, blocks are taken above 2²⁰ pairs, with the value of the whole", async () => {
  const [x, y] = [randomMatrix(23, 1100, 3), randomMatrix(24, 1100, 3)];
  const ids = arrayOf(
    Array.from({ length: 1100 }, (_, i) => i % 40),
    "int32",
  );
  const both = (loss: (blockRows: object, p: Tensor, q: Tensor, l: Tensor) => Tensor) => async () => {
    const whole = await scalarOf(
      (p, q, l) => loss({ blockRows: Number.POSITIVE_INFINITY }, p as Tensor, q as Tensor, l as Tensor),
      x,
      y,
      ids,
    );
    const parts = await scalarOf((p, q, l) => loss({}, p as Tensor, q as Tensor, l as Tensor), x, y, ids);
    expect(Math.abs(parts / whole - 1)).toBeLessThan(1e-5);
  };
  await both((o, p, q, l) => infoNCE(l2Normalize(p), l2Normalize(q), { labels: l, ...o }))();
  await both((o, p, _q, l) => tripletLoss(l2Normalize(p), { labels: l, ...o }))();
  await both((o, p, q) => sigmoidLoss(l2Normalize(p), l2Normalize(q), o))();
});
