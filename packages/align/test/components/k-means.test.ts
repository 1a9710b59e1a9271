import { type NDArray, randomKey } from "@concord/tensor";
import { describe, expect, it } from "vitest";
import { assignToCentres, type KMeansProgress, kMeans } from "../../src/index.ts";
import { randomMatrix, squaredDistance, takeRows, toMatrix, unit } from "../support.ts";
import { expectClose, fixtures, wide } from "./support.ts";

const f = fixtures.k_means;

/** `count` rows around each of some far centres. */
function blobs(seed: number, centres: number[][], count: number): NDArray<"float32"> {
  const noise = toMatrix(randomMatrix(seed, centres.length * count, (centres[0] as number[]).length));
  const values = noise.flatMap((row, i) =>
    row.map((value, k) => 0.1 * value + (centres[i % centres.length]?.[k] as number)),
  );
  return {
    dtype: "float32",
    shape: [noise.length, noise[0]?.length as number],
    data: Float32Array.from(values),
  };
}

describe("kMeans", () => {
  it("equals scikit-learn from the same start", async () => {
    const { init, centres, labels, inertia, iterations } = f.plain;
    const result = await kMeans(wide(f.x), { clusters: 6, init: wide(init) });
    expect(Array.from(result.labels)).toEqual(labels);
    expectClose(result.centres, centres, 1e-5);
    expect(Math.abs(result.inertia - inertia)).toBeLessThan(1e-5 * inertia);
    expect(result.iterations).toBe(iterations);
    expect(result.converged).toBe(true);
  });

  it("gives a centre without rows the farthest row, as scikit-learn does", async () => {
    const { init, centres, labels, inertia } = f.lonely;
    const result = await kMeans(wide(f.x), { clusters: 6, init: wide(init) });
    expect(Array.from(result.labels)).toEqual(labels);
    expectClose(result.centres, centres, 1e-5);
    expect(Math.abs(result.inertia - inertia)).toBeLessThan(1e-5 * inertia);
    expect(Math.min(...result.sizes)).toBeGreaterThan(0);
  });

  it("finds far clusters from any key, however far from the origin", async () => {
    const centres = [[5, 5], [5, -5], [-5, 5], [-5, -5]].map((c) => c.map((v) => v + 1000)); // biome-ignore format: a matrix
    const rows = blobs(1, centres, 25);
    for (const seed of [0, 1, 2]) {
      const { labels, sizes, centres: found } = await kMeans(rows, { clusters: 4, key: randomKey(seed) });
      expect(Array.from(sizes)).toEqual([25, 25, 25, 25]);
      labels.forEach((label, i) => {
        expect(label).toBe(labels[i % 4]);
      });
      const nearest = centres.map((c) => Math.min(...toMatrix(found).map((row) => squaredDistance(row, c))));
      expect(Math.max(...nearest)).toBeLessThan(0.02);
    }
  });

  it("compares directions when spherical", async () => {
    const directions = [[1, 0.2, 0], [0, 1, 0.2], [0.2, 0, 1]]; // biome-ignore format: a matrix
    const source = blobs(2, directions, 20);
    const lengths = Float32Array.from(source.data, (value, i) => value * (1 + (Math.floor(i / 3) % 7) * 10));
    const rows: NDArray<"float32"> = { ...source, data: lengths };
    const result = await kMeans(rows, { clusters: 3, spherical: true });
    result.labels.forEach((label, i) => {
      expect(label).toBe(result.labels[i % 3]);
    });
    const centres = toMatrix(result.centres);
    for (const row of centres) expect(row.reduce((s, v) => s + v * v, 0)).toBeCloseTo(1, 6);
    const inertia = toMatrix(rows).reduce(
      (s, row, i) => s + squaredDistance(unit(row), centres[result.labels[i] as number] as number[]),
      0,
    );
    expect(result.inertia).toBeCloseTo(inertia, 4);
    const again = await assignToCentres(rows, result.centres, { spherical: true });
    expect(again).toEqual(result.labels);
  });

  it("labels every row with its nearest centre, chunk after chunk", async () => {
    const rows = randomMatrix(3, 5000, 3);
    const result = await kMeans(rows, { clusters: 7, iterations: 3 });
    expect(result.converged).toBe(false);
    expect(result.iterations).toBe(3);
    const centres = toMatrix(result.centres);
    let inertia = 0;
    toMatrix(rows).forEach((row, i) => {
      const distances = centres.map((c) => squaredDistance(row, c));
      const own = distances[result.labels[i] as number] as number;
      expect(own - Math.min(...distances)).toBeLessThan(1e-5);
      inertia += own;
    });
    expect(Math.abs(result.inertia / inertia - 1)).toBeLessThan(1e-5);
    expect(result.sizes.reduce((a, b) => a + b, 0)).toBe(5000);
    expect(await assignToCentres(rows, result.centres)).toEqual(result.labels);
  });

  it("keeps the best of several starts, the same for the same key", async () => {
    const rows = randomMatrix(4, 300, 2);
    const options = { clusters: 12, key: randomKey(9), restarts: 4 };
    const seen: KMeansProgress[] = [];
    const best = await kMeans(rows, { ...options, onProgress: (progress) => seen.push(progress) });
    const ends = [0, 1, 2, 3].map(
      (r) => seen.filter(({ restart }) => restart === r).at(-1)?.inertia as number,
    );
    expect(seen.filter(({ iteration }) => iteration === 0).map(({ seeded }) => seeded).slice(0, 12)).toEqual([...Array(12).keys()]); // biome-ignore format: one line
    expect(best.inertia).toBeLessThanOrEqual(Math.min(...ends) + 1e-6);
    expect(new Set(ends.map((value) => value.toFixed(3))).size).toBeGreaterThan(1);
    expect((await kMeans(rows, options)).labels).toEqual(best.labels);
  });

  it("leaves clusters empty only when there are too few different rows", async () => {
    const rows = takeRows(randomMatrix(5, 2, 3), [0, 1, 0, 1, 0]);
    const result = await kMeans(rows, { clusters: 4 });
    expect(Array.from(result.sizes).sort()).toEqual([0, 0, 2, 3]);
    expect(result.inertia).toBeLessThan(1e-10);
  });

  it("stops when aborted and names bad input", async () => {
    const rows = randomMatrix(6, 4, 2);
    await expect(kMeans(rows, { clusters: 5 })).rejects.toThrow(
      /clusters must be an integer in \[1, 4\], got 5/,
    );
    await expect(kMeans(rows, { clusters: 2, restarts: 0 })).rejects.toThrow(/restarts/);
    await expect(kMeans(rows, { clusters: 2, init: randomMatrix(1, 2, 3) })).rejects.toThrow(
      /shape \[2, 2\]/,
    );
    await expect(kMeans(rows, { clusters: 2, init: rows, restarts: 2 })).rejects.toThrow(
      /restarts must be 1/,
    );
    await expect(kMeans(wide([[1, 1], [0, 0]]), { clusters: 1, spherical: true })).rejects.toThrow(/row 1 of rows is zero/); // biome-ignore format: one line
    await expect(kMeans(wide([[Number.NaN]]), { clusters: 1 })).rejects.toThrow(/NaN in row 0/);
    await expect(kMeans(wide([[1e30, 0], [0, 1]]), { clusters: 1 })).rejects.toThrow(/too far apart/); // biome-ignore format: one line
    const stopped = AbortSignal.abort(new Error("enough"));
    await expect(kMeans(rows, { clusters: 2, signal: stopped })).rejects.toThrow("enough");
    await expect(assignToCentres(rows, randomMatrix(1, 2, 3))).rejects.toThrow(/width 2.*width 3/);
  });
});
