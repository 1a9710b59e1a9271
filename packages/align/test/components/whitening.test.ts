import { compile, matmul, mul, type NDArray, sum, type Tensor, tensor } from "@concord/tensor";
import { describe, expect, it } from "vitest";
import {
  applyMap,
  fitCoral,
  fitMeanShift,
  fitProcrustes,
  fitWhitening,
  type WhitenOptions,
  whiten,
} from "../../src/index.ts";
import { expectGradientOfDifferences, randomMatrix, toMatrix } from "../support.ts";
import { expectClose, fixtures, gradientOf, integers, run, wide } from "./support.ts";

/** Covariance over N of the columns of a matrix. */
function covariance(matrix: number[][]): number[][] {
  const n = matrix.length;
  const means = (matrix[0] as number[]).map(
    (_, j) => matrix.reduce((s, row) => s + (row[j] as number), 0) / n,
  );
  return means.map((a, i) =>
    means.map(
      (b, j) => matrix.reduce((s, row) => s + ((row[i] as number) - a) * ((row[j] as number) - b), 0) / n,
    ),
  );
}

const identity = (size: number): number[][] =>
  Array.from({ length: size }, (_, i) => Array.from({ length: size }, (_, j) => Number(i === j)));

/** Rows whose columns are correlated: normal rows times a fixed matrix, plus a shift. */
async function correlated(seed: number, n: number, d: number): Promise<NDArray<"float64">> {
  const mixed = await compile((x: Tensor, m: Tensor) => matmul(x, m))(
    randomMatrix(seed, n, d),
    randomMatrix(seed + 1, d, d),
  );
  return wide(toMatrix(mixed).map((row) => row.map((value, k) => value + k)));
}

const rowsOf = async (made: Promise<NDArray>): Promise<number[][]> => toMatrix(await made);

describe("whiten", () => {
  const { x, permutation, upstream, y, full, constant } = fixtures.whitening;
  const weighted = (stopMatrix: boolean) => (a: Tensor, p: Tensor, u: Tensor) =>
    sum(mul(whiten(a, { groups: 2, permutation: p, ridge: 0, stopMatrix, iterations: 40 }), u));
  const args = [wide(x), integers(permutation), wide(upstream)] as const;

  it("equals ZCA by eigendecomposition in PyTorch, in shuffled groups", async () => {
    const shuffled = (a: Tensor, p: Tensor) =>
      whiten(a, { groups: 2, permutation: p, ridge: 0, iterations: 40 });
    expectClose(await run(shuffled, args[0], args[1]), y, 1e-9);
  });

  it("has PyTorch's gradient, with and without the matrix in it", async () => {
    expectClose(await gradientOf(weighted(false), ...args), full, 1e-8);
    expectClose(await gradientOf(weighted(true), ...args), constant, 1e-9);
  });

  it("gives zeros with a finite gradient for channels that do not vary", async () => {
    // Group 0 is constant in all rows, group 1 is not.
    const rows = wide((await rowsOf(correlated(5, 12, 2))).map((row) => [3, -1, ...row]));
    for (const method of ["zca", "pca", "cholesky"] as const) {
      const y = toMatrix(await run((a: Tensor) => whiten(a, { groups: 2, method }), rows));
      expect(y.every(([a, b]) => a === 0 && b === 0)).toBe(true);
      const loss = (a: Tensor) =>
        sum(mul(whiten(a, { groups: 2, method }), whiten(a, { groups: 2, method })));
      // Equal eigenvalues have no directions of their own: "pca" has no gradient there.
      if (method === "pca") continue;
      const slopes = await gradientOf(loss, rows);
      expect(Array.from(slopes.data, Number).every(Number.isFinite)).toBe(true);
    }
  });

  it("leaves mean 0 and the identity as covariance of every group, whatever the method", async () => {
    const rows = await correlated(3, 40, 6);
    for (const method of ["zca", "pca", "cholesky"] as const) {
      const options: WhitenOptions = { method, groups: 2, ridge: 0, iterations: 40 };
      const white = toMatrix(await run((a) => whiten(a, options), rows));
      const own = covariance(white);
      for (const start of [0, 3]) {
        const block = own.slice(start, start + 3).map((row) => row.slice(start, start + 3));
        expectClose(block.flat(), identity(3), 1e-8);
      }
      expectClose((white[0] as number[]).map((_, j) => white.reduce((s, row) => s + (row[j] as number), 0)), Array(6).fill(0), 1e-8); // biome-ignore format: one line
    }
  });

  it("orders the directions of PCA by falling variance", async () => {
    const rows = wide(toMatrix(randomMatrix(5, 500, 3)).map(([a, b, c]) => [a as number, 10 * (b as number), 0.1 * (c as number)])); // biome-ignore format: one line
    const white = toMatrix(await run((a) => whiten(a, { method: "pca", ridge: 0 }), rows));
    const original = toMatrix(rows);
    const alike = (i: number, j: number): number => {
      const joint = covariance(white.map((row, n) => [row[i] as number, original[n]?.[j] as number]));
      return Math.abs(joint[0]?.[1] as number) / Math.sqrt(joint[1]?.[1] as number);
    };
    expect(alike(0, 1)).toBeGreaterThan(0.95);
    expect(alike(1, 0)).toBeGreaterThan(0.95);
    expect(alike(2, 2)).toBeGreaterThan(0.95);
  });

  it("holds in float32 at the size of a sentence encoder: 768 channels in 128 groups, 128 rows", async () => {
    const rows = await compile((a: Tensor, m: Tensor) => matmul(a, m))(
      randomMatrix(6, 128, 768),
      randomMatrix(7, 768, 768),
    );
    const white = (await run((a) => whiten(a, { groups: 128 }), rows)).data as Float32Array;
    let worst = 0;
    for (let group = 0; group < 128; group++) {
      const own = Array.from({ length: 128 }, (_, n) => Array.from(white.subarray(n * 768 + group * 6, n * 768 + group * 6 + 6))); // biome-ignore format: one line
      covariance(own).forEach((row, i) => {
        for (const [j, value] of row.entries()) worst = Math.max(worst, Math.abs(value - Number(i === j)));
      });
    }
    // The ridge of 1e-5 of the mean variance, times its ratio to the smallest, and rounding.
    expect(worst).toBeLessThan(1e-3);
  });

  it("has gradients by every method", async () => {
    const rows = await correlated(8, 7, 3);
    const weights = randomMatrix(9, 7, 3);
    for (const method of ["zca", "pca", "cholesky"] as const) {
      const loss = (a: Tensor, u: Tensor) => sum(mul(whiten(a, { method, ridge: 1e-3, iterations: 30 }), u));
      await expectGradientOfDifferences(loss, rows, weights);
    }
  });

  it("stays finite with fewer rows than channels, and names groups that do not divide", async () => {
    const few = await run((a) => whiten(a, { ridge: 1e-2 }), randomMatrix(10, 3, 8));
    expect(Array.from(few.data as Float32Array).every(Number.isFinite)).toBe(true);
    expect(() => whiten(tensor([[1, 2, 3]]), { groups: 2 })).toThrow(
      /3 channels do not divide into 2 groups/,
    );
    expect(() => whiten(tensor([[1, 2]]), { ridge: -1 })).toThrow(/ridge/);
  });
});

describe("fitWhitening", () => {
  const { x, ledoit_wolf, pca } = fixtures.fitted;

  it("gives the rows it was fitted to the identity as covariance", async () => {
    const rows = await correlated(12, 2500, 5);
    for (const method of ["zca", "pca", "cholesky"] as const) {
      const { map } = await fitWhitening(rows, { method, shrinkage: 0 });
      expectClose(covariance(toMatrix(await applyMap(rows, map))).flat(), identity(5), 1e-9);
    }
    const { map } = await fitWhitening(rows, { shrinkage: 0 });
    const matrix = toMatrix(map.matrix);
    expectClose(
      matrix.flat(),
      matrix.map((_, i) => matrix.map((row) => row[i] as number)),
      1e-9,
    );
  });

  it("chooses scikit-learn's Ledoit-Wolf shrinkage", async () => {
    expect((await fitWhitening(wide(x))).shrinkage).toBeCloseTo(ledoit_wolf, 10);
  });

  it("equals scikit-learn's PCA up to signs and its N - 1", async () => {
    const { map } = await fitWhitening(wide(x), { method: "pca", shrinkage: 0, components: 3 });
    const got = toMatrix(await applyMap(wide(x), map));
    const factor = Math.sqrt(x.length / (x.length - 1));
    for (const k of [0, 1, 2]) {
      const sign = Math.sign((got[0]?.[k] as number) * (pca[0]?.[k] as number));
      expectClose(got.map((row) => row[k] as number), pca.map((row) => (row[k] as number) * sign * factor), 1e-9); // biome-ignore format: one line
    }
  });

  it("refuses a singular covariance, rows without variance and other bad input", async () => {
    const flatRows = wide([[1, 2], [2, 4], [3, 6], [0, 0]]); // biome-ignore format: a matrix
    await expect(fitWhitening(flatRows, { shrinkage: 0 })).rejects.toThrow(/covariance is singular/);
    await expect(fitWhitening(flatRows, { shrinkage: 0, method: "cholesky" })).rejects.toThrow(/singular/);
    await fitWhitening(flatRows, { shrinkage: 0.1 });
    await expect(fitWhitening(wide([[1, 2], [1, 2]]))).rejects.toThrow(/no variance/); // biome-ignore format: a matrix
    await expect(fitWhitening(wide([[1, 2]]))).rejects.toThrow(/at least 2 rows/);
    await expect(fitWhitening(flatRows, { components: 1 })).rejects.toThrow(/unless the method is "pca"/);
    await expect(fitWhitening(flatRows, { shrinkage: 2 })).rejects.toThrow(/shrinkage/);
    await expect(fitWhitening(wide([[1, Number.NaN], [0, 1]]))).rejects.toThrow(/NaN in row 0/); // biome-ignore format: a matrix
    const { map } = await fitWhitening(flatRows);
    await expect(applyMap(wide([[1, 2, 3]]), map)).rejects.toThrow(/width 3.*width 2/);
  });
});

describe("maps between two sets", () => {
  const { x, y, procrustes } = fixtures.fitted;

  it("find SciPy's rotation", async () => {
    expectClose((await fitProcrustes(wide(x), wide(y))).matrix, procrustes, 1e-9);
  });

  it("recover a rotation, a factor and a shift that were applied", async () => {
    const source = await correlated(20, 60, 4);
    const { matrix } = await fitProcrustes(wide(toMatrix(randomMatrix(22, 30, 4))), wide(toMatrix(randomMatrix(23, 30, 4)))); // biome-ignore format: one line
    const moved = await compile((a: Tensor, r: Tensor, s: Tensor) => matmul(matmul(a, r), s))(
      source,
      matrix,
      wide(identity(4).map((row) => row.map((value) => value * 2.5))),
    );
    const target = wide(toMatrix(moved).map((row) => row.map((value, k) => value - 3 * k)));
    const map = await fitProcrustes(source, target, { scale: true });
    expectClose(await applyMap(source, map), toMatrix(target), 1e-9);
    expectClose(
      map.matrix,
      toMatrix(matrix).map((row) => row.map((value) => value * 2.5)),
      1e-9,
    );
  });

  it("keep handedness where reflections are not allowed", async () => {
    const source = wide(toMatrix(randomMatrix(25, 20, 3)));
    const mirrored = wide(toMatrix(source).map(([a, b, c]) => [-(a as number), b as number, c as number]));
    const free = toMatrix((await fitProcrustes(source, mirrored, { centre: false })).matrix);
    expectClose(free.flat(), [-1, 0, 0, 0, 1, 0, 0, 0, 1], 1e-9);
    const [u, v, w] = toMatrix((await fitProcrustes(source, mirrored, { reflection: false })).matrix) as [number[], number[], number[]]; // biome-ignore format: one line
    const cross = [1, 2, 0].map((i, k) => {
      const j = [2, 0, 1][k] as number;
      return (v[i] as number) * (w[j] as number) - (v[j] as number) * (w[i] as number);
    });
    expect(cross.reduce((s, value, k) => s + value * (u[k] as number), 0)).toBeCloseTo(1, 9);
  });

  it("move the mean, all or some of the way", async () => {
    const rows = wide([[0, 0], [2, 4]]); // biome-ignore format: a matrix
    const target = wide([[5, 5]]);
    expectClose(await applyMap(rows, fitMeanShift(rows, target)), [4, 3, 6, 7], 1e-12);
    expectClose(await applyMap(rows, fitMeanShift(rows, target, { share: 0.5 })), [2, 1.5, 4, 5.5], 1e-12);
    expectClose(await applyMap(rows, fitMeanShift(rows)), [-1, -2, 1, 2], 1e-12);
    expect(() => fitMeanShift(rows, wide([[1]]))).toThrow(/one width/);
    expect(() => fitMeanShift(rows, target, { share: 2 })).toThrow(/share/);
  });

  it("give one set the mean and covariance of another", async () => {
    const [source, target] = [await correlated(30, 200, 3), await correlated(40, 150, 3)];
    const mapped = toMatrix(await applyMap(source, await fitCoral(source, target, { shrinkage: 0 })));
    expectClose(covariance(mapped).flat(), covariance(toMatrix(target)), 1e-9);
    expect(mapped.reduce((s, row) => s + (row[1] as number), 0) / 200).toBeCloseTo(
      toMatrix(target).reduce((s, row) => s + (row[1] as number), 0) / 150,
      9,
    );
  });

  it("are orthogonal with fewer pairs than dimensions", async () => {
    const pair = (seed: number) => wide(toMatrix(randomMatrix(seed, 3, 6)));
    const map = await fitProcrustes(pair(50), pair(51));
    const products = await run((r) => matmul(r as Tensor, r as Tensor, { transposeA: true }), map.matrix);
    expectClose(products, identity(6), 1e-12);
  });

  it("refuse sets that are no pairs", async () => {
    await expect(fitProcrustes(wide([[1, 2]]), wide([[1, 2], [3, 4]]))).rejects.toThrow(/do not form pairs/); // biome-ignore format: one line
    await expect(fitProcrustes(wide([[1], [1]]), wide([[1], [2]]), { scale: true })).rejects.toThrow(/nothing to scale/); // biome-ignore format: one line
  });
});
