import { ndarray, sum, type Tensor, tanh, tensor } from "@concord/tensor";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  bitBalanceLoss,
  bitIndependenceLoss,
  hammingDistances,
  hammingNearest,
  type PackedCodes,
  packCodes,
  quantizationLoss,
  relaxedCodes,
  signCodes,
  straightThroughCodes,
  unpackCodes,
} from "../../src/index.ts";
import { dotProduct, expectGradientOfDifferences, randomMatrix, toMatrix, unit } from "../support.ts";
import { expectClose, fixtures, gradientOf, run, wide } from "./support.ts";

const h = wide(toMatrix(randomMatrix(1, 5, 4)).map((row) => row.map(Math.tanh)));
const rows = toMatrix(h);
const signs = rows.map((row) => row.map((value) => (value > 0 ? 1 : -1)));

describe("relaxed codes", () => {
  it("sharpen with β, and are signs with a straight-through gradient", async () => {
    expectClose(await run((x) => relaxedCodes(x, 3), h), rows.map((row) => row.map((v) => Math.tanh(3 * v))), 1e-12); // biome-ignore format: one line
    expectClose(await run(straightThroughCodes, h), signs, 0);
    expectClose(await run(signCodes, wide([[0, -0, 1e-30]])), [-1, -1, 1], 0);
    expectClose(await gradientOf((x) => sum(straightThroughCodes(tanh(x))), h), rows.map((row) => row.map((v) => 1 - Math.tanh(v) ** 2)), 1e-12); // biome-ignore format: one line
    expectClose(await gradientOf((x) => sum(signCodes(x)), h), Array(20).fill(0), 0);
    expect(() => relaxedCodes(tensor([1]), 0)).toThrow(/beta must be > 0/);
  });
});

describe("hashing losses", () => {
  it("equal loops", async () => {
    const differences = rows.flatMap((row, i) => row.map((value, k) => value - (signs[i]?.[k] as number)));
    const average = (values: number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
    expectClose(await run((x) => quantizationLoss(x), h), [average(differences.map((d) => d * d))], 1e-12);
    expectClose(await run((x) => quantizationLoss(x, { distance: "l1" }), h), [average(differences.map(Math.abs))], 1e-12); // biome-ignore format: one line
    const cosine = average(rows.map((row, i) => 1 - dotProduct(unit(row), unit(signs[i] as number[]))));
    expectClose(await run((x) => quantizationLoss(x, { distance: "cosine" }), h), [cosine], 1e-12);
    const columns = [0, 1, 2, 3].map((k) => rows.map((row) => row[k] as number));
    expectClose(await run(bitBalanceLoss, h), [average(columns.map((c) => average(c) ** 2))], 1e-12);
    const products = columns.flatMap((a, i) =>
      columns.map((b, j) => (dotProduct(a, b) / 5 - Number(i === j)) ** 2),
    );
    expectClose(await run(bitIndependenceLoss, h), [average(products)], 1e-12);
  });

  it("vanish for balanced, independent binary codes", async () => {
    const perfect = wide([[1, 1], [1, -1], [-1, 1], [-1, -1]]); // biome-ignore format: a matrix
    for (const loss of [(x: Tensor) => quantizationLoss(x), bitBalanceLoss, bitIndependenceLoss])
      expectClose(await run(loss, perfect), [0], 1e-15);
    const given = (x: Tensor, b: Tensor) => quantizationLoss(x, { targets: b });
    expectClose(await run(given, perfect, wide(Array(4).fill([1, 1]))), [2], 1e-12);
  });

  it("have gradients", async () => {
    for (const distance of ["l2", "l1", "cosine"] as const)
      await expectGradientOfDifferences((x) => quantizationLoss(x, { distance }), h);
    await expectGradientOfDifferences(bitBalanceLoss, h);
    await expectGradientOfDifferences(bitIndependenceLoss, h);
  });
});

describe("packed codes", () => {
  it("are NumPy's bytes", () => {
    const packed = packCodes(wide(fixtures.bits.codes));
    expect(Array.from(packed.bytes)).toEqual(fixtures.bits.bytes.flat());
  });

  it("come back as they were, and know their distances", () => {
    const size = fc.integer({ min: 1, max: 70 });
    fc.assert(
      fc.property(size, fc.integer({ min: 1, max: 9 }), fc.integer(), (bits, count, seed) => {
        const codes = randomMatrix(Math.abs(seed), count, bits);
        const packed = packCodes(codes);
        const back = toMatrix(unpackCodes(packed));
        expect(back).toEqual(toMatrix(codes).map((row) => row.map((value) => (value > 0 ? 1 : -1))));
        const distances = toMatrix(hammingDistances(packed, packed));
        const want = back.map((a) => back.map((b) => a.filter((value, k) => value !== b[k]).length));
        expect(distances).toEqual(want);
        const k = Math.min(3, count);
        const nearest = hammingNearest(packed, packed, k);
        const order = want.map((row) =>
          [...row.keys()].sort((a, b) => (row[a] as number) - (row[b] as number) || a - b).slice(0, k),
        );
        expect(toMatrix(nearest.indices)).toEqual(order);
        expect(toMatrix(nearest.distances)).toEqual(order.map((row, i) => row.map((j) => want[i]?.[j])));
      }),
      { seed: 5, numRuns: 60 },
    );
  });

  it("ignore stray bits beyond the last, and refuse what does not fit", () => {
    const clean: PackedCodes = { count: 1, bits: 3, bytes: Uint8Array.of(0b101) };
    const stray: PackedCodes = { count: 1, bits: 3, bytes: Uint8Array.of(0b11111101) };
    expect(Number(hammingDistances(clean, stray).data[0])).toBe(0);
    expect(() => unpackCodes({ ...clean, bits: 9 })).toThrow(/1 bytes, but 1 codes of 9 bits take 2/);
    expect(() => hammingDistances(clean, packCodes(ndarray([[1, 0]])))).toThrow(/3 and 2/);
    expect(() => hammingNearest(clean, clean, 2)).toThrow(/\[1, 1\], got 2/);
    expect(() => packCodes(ndarray([[1, Number.NaN]]))).toThrow(/NaN in row 0, bit 1/);
    expect(() => packCodes(ndarray([1, 2]))).toThrow(/matrix \[N, B\]/);
  });
});
