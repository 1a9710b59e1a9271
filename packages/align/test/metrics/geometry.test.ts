import type { NDArray } from "@concord/tensor";
import { describe, expect, it } from "vitest";
import {
  anisotropy,
  frechetDistance,
  hubness,
  kernelDiscrepancy,
  linearCKA,
  neighbourhoodMixing,
  neighbourOverlap,
  silhouette,
} from "../../src/index.ts";
import { toMatrix } from "../support.ts";
import reference from "./fixtures/scikit-learn.json" with { type: "json" };
import { average, integers, numbers, randomRows, rows, shuffled } from "./support.ts";

const expected = reference.geometry;
const { k, labels } = expected;
const a = rows(expected.a);
const b = rows(expected.b);
/** Products are float32: about six digits. */
const DIGITS = 5;

/** The same point set, turned and stretched by one factor. */
function rotated(set: NDArray, factor: number): NDArray<"float64"> {
  const [n, width] = set.shape as [number, number];
  const source = toMatrix(set);
  const stream = numbers(17);
  const pairs = Array.from(
    { length: 12 },
    () => [stream.integer(width), stream.integer(width), stream.normal()] as const,
  );
  return rows(
    Array.from({ length: n }, (_, i) => {
      const row = (source[i] as number[]).map((value) => value * factor);
      for (const [p, q, angle] of pairs) {
        if (p === q) continue;
        const [x, y] = [row[p] as number, row[q] as number];
        row[p] = Math.cos(angle) * x - Math.sin(angle) * y;
        row[q] = Math.sin(angle) * x + Math.cos(angle) * y;
      }
      return row;
    }),
  );
}

const order = shuffled(
  8,
  expected.a.map((_, i) => i),
);
const moved = (set: readonly number[][]): NDArray<"float64"> => rows(order.map((i) => set[i] as number[]));

describe("hubness", () => {
  it("equals counts of scikit-learn's neighbours and scipy's skewness", async () => {
    const own = await hubness(a, a, { k, excludeSelf: true });
    expect(Array.from(own.occurrences)).toEqual(expected.occurrences);
    expect(own.skewness).toBeCloseTo(expected.skewness, 10);
    const crossed = await hubness(a, b, { k });
    expect(Array.from(crossed.occurrences)).toEqual(expected.crossedOccurrences);
    expect(crossed.skewness).toBeCloseTo(expected.crossedSkewness, 10);
    const largest = Math.max(...expected.crossedOccurrences);
    expect(crossed.largestHubShare).toBeCloseTo(largest / 24, 12);
    expect(expected.crossedOccurrences[crossed.largestHub]).toBe(largest);
    expect(crossed.antiHubShare).toBe(expected.crossedOccurrences.filter((count) => count === 0).length / 24);
  });

  it("finds one item that is everybody's neighbour, beyond one block", async () => {
    const queries = rows(Array.from({ length: 300 }, (_, i) => [1, i / 1e3]));
    const items = rows([[1, 0.15], ...Array.from({ length: 9 }, (_, i) => [-1, i / 10])]);
    const found = await hubness(queries, items, { k: 1 });
    expect(found).toMatchObject({ largestHub: 0, largestHubShare: 1, antiHubShare: 0.9 });
    expect(found.skewness).toBeCloseTo(8 / 3, 10);
  });

  it("sees no hub in duplicates", async () => {
    const point = rows(Array.from({ length: 12 }, () => [0.6, 0.8]));
    const found = await hubness(point, point, { k: 5, excludeSelf: true });
    expect(found).toMatchObject({ skewness: 0, antiHubShare: 0 });
    for (const count of found.occurrences) expect(count).toBeCloseTo(5, 10);
  });

  it("lets cosines that differ by rounding share a place", async () => {
    // Cosines 1, 1 - 2e-7 and 1 - 5e-7 tie; 1 - 2e-4 does not.
    const items = rows([0, 2e-7, 5e-7, 2e-4].map((lack) => [1 - lack, Math.sqrt(1 - (1 - lack) ** 2)]));
    const found = await hubness(rows([[1, 0]]), items, { k: 2 });
    for (let i = 0; i < 3; i++) expect(found.occurrences[i]).toBeCloseTo(2 / 3, 12);
    expect(found.occurrences[3]).toBe(0);
  });

  it("refuses more neighbours than there are", async () => {
    await expect(hubness(a, a, { k: 24, excludeSelf: true })).rejects.toThrow(
      "must be an integer in [1, 23], got 24",
    );
    await expect(hubness(a, randomRows(1, 5, 5), { k: 2, excludeSelf: true })).rejects.toThrow("one length");
  });
});

describe("anisotropy", () => {
  it("is the mean cosine of different rows", () => {
    expect(anisotropy(a)).toBeCloseTo(expected.anisotropy, 10);
    expect(anisotropy(rotated(a, 3))).toBeCloseTo(expected.anisotropy, 10);
  });

  it("is 1 at a point, -1 / (N - 1) when rows cancel, and leaves rows of zeros out", () => {
    expect(
      anisotropy(
        rows([
          [2, 0],
          [1, 0],
          [5, 0],
        ]),
      ),
    ).toBeCloseTo(1, 12);
    expect(
      anisotropy(
        rows([
          [1, 0],
          [-2, 0],
        ]),
      ),
    ).toBeCloseTo(-1, 12);
    expect(
      anisotropy(
        rows([
          [1, 0],
          [1, 0],
          [0, 0],
        ]),
      ),
    ).toBeCloseTo(1 / 3, 12);
    expect(() => anisotropy(rows([[1, 2]]))).toThrow("at least two rows");
    expect(() =>
      anisotropy(
        rows([
          [1, 2],
          [Number.NaN, 1],
        ]),
      ),
    ).toThrow("row 1, column 0");
  });
});

describe("neighbourhoodMixing", () => {
  it("equals counts of scikit-learn's neighbours", async () => {
    const found = await neighbourhoodMixing(a, b, { k });
    expect(found.fromA).toBeCloseTo(expected.mixing[0] as number, 10);
    expect(found.fromB).toBeCloseTo(expected.mixing[1] as number, 10);
    expect(found.otherShare).toBeCloseTo(average(expected.mixing), 10);
  });

  it("is 0 for sets apart, and 1 for one cloud and for a collapsed one", async () => {
    const left = rows(Array.from({ length: 20 }, (_, i) => [1, i / 100]));
    const right = rows(Array.from({ length: 15 }, (_, i) => [-1, i / 100]));
    expect(await neighbourhoodMixing(left, right, { k: 5 })).toMatchObject({ otherShare: 0, ratio: 0 });
    const point = (n: number): NDArray => rows(Array.from({ length: n }, () => [1, 2]));
    const collapsed = await neighbourhoodMixing(point(20), point(15), { k: 5 });
    expect(collapsed.ratio).toBeCloseTo(1, 10);
    expect(collapsed.fromA).toBeCloseTo(15 / 34, 10);
    const cloud = await neighbourhoodMixing(randomRows(1, 200, 3), randomRows(2, 150, 3), { k: 5 });
    expect(Math.abs(cloud.ratio - 1)).toBeLessThan(0.1);
  });
});

describe("neighbourOverlap", () => {
  it("equals the overlap of scikit-learn's neighbours", async () => {
    expect(await neighbourOverlap(a, b, { k })).toBeCloseTo(expected.overlap, 10);
    expect(await neighbourOverlap(moved(expected.a), moved(expected.b), { k })).toBeCloseTo(
      expected.overlap,
      10,
    );
  });

  it("is 1 for a rotated set, beyond one block, and chance for a collapsed one", async () => {
    const set = randomRows(3, 280, 4);
    expect(await neighbourOverlap(set, rotated(set, 2), { k })).toBeGreaterThan(0.999);
    const point = rows(Array.from({ length: 24 }, () => [1, 1]));
    expect(await neighbourOverlap(a, point, { k })).toBeCloseTo(k / 23, 10);
    await expect(neighbourOverlap(a, randomRows(1, 23, 2))).rejects.toThrow(
      "a and b must have one length, got 24 and 23",
    );
  });
});

describe("linearCKA", () => {
  it("equals the kernel form", async () => {
    expect(await linearCKA(a, b)).toBeCloseTo(expected.cka, 10);
    expect(await linearCKA(a, b, { debiased: true })).toBeCloseTo(expected.debiasedCka, 10);
    expect(await linearCKA(moved(expected.a), moved(expected.b))).toBeCloseTo(expected.cka, 10);
  });

  it("is 1 for a rotated, scaled and shifted set, beyond one chunk", async () => {
    const set = randomRows(4, 1100, 4);
    const other = rows(toMatrix(rotated(set, 7)).map((row) => row.map((value) => value + 100)));
    expect(await linearCKA(set, other)).toBeCloseTo(1, 8);
    expect(await linearCKA(set, other, { debiased: true })).toBeCloseTo(1, 8);
  });

  it("counts every row beyond one chunk", async () => {
    const [left, right] = [randomRows(5, 1500, 3), randomRows(6, 1500, 2)];
    const centre = (set: NDArray): number[][] => {
      const values = toMatrix(set);
      const middle = (values[0] as number[]).map((_, k) => average(values.map((row) => row[k] as number)));
      return values.map((row) => row.map((value, k) => value - (middle[k] as number)));
    };
    const [A, B] = [centre(left), centre(right)];
    const norm = (x: number[][], y: number[][]): number => {
      let squares = 0;
      for (const p of x[0]?.keys() ?? []) {
        for (const q of y[0]?.keys() ?? [])
          squares += x.reduce((sum, row, i) => sum + (row[p] as number) * (y[i]?.[q] as number), 0) ** 2;
      }
      return squares;
    };
    const slow = norm(A, B) / Math.sqrt(norm(A, A) * norm(B, B));
    expect((await linearCKA(left, right)) / slow).toBeCloseTo(1, 10);
  });

  it("without bias is small for unrelated sets of few rows", async () => {
    const values: number[] = [];
    for (let seed = 0; seed < 20; seed++) {
      const options = { debiased: true };
      values.push(
        await linearCKA(randomRows(2 * seed + 1, 12, 30), randomRows(2 * seed + 2, 12, 30), options),
      );
    }
    expect(Math.abs(average(values))).toBeLessThan(0.1);
    expect(await linearCKA(randomRows(1, 12, 30), randomRows(2, 12, 30))).toBeGreaterThan(0.5);
  });

  it("is not defined for a constant side", async () => {
    expect(await linearCKA(a, rows(Array.from({ length: 24 }, () => [1, 2])))).toBeNaN();
    await expect(linearCKA(randomRows(1, 3, 2), randomRows(2, 3, 2), { debiased: true })).rejects.toThrow(
      "at least 4 rows, got 3",
    );
  });
});

describe("kernelDiscrepancy", () => {
  it("equals scikit-learn's kernels", async () => {
    const found = await kernelDiscrepancy(a, b);
    expect(found.bandwidth).toBeCloseTo(expected.bandwidth, DIGITS);
    expect(found.squared).toBeCloseTo(expected.discrepancy, DIGITS);
  });

  it("does not change when both sets move, turn or are scaled", async () => {
    const found = await kernelDiscrepancy(a, b);
    const change = (set: NDArray): NDArray =>
      rows(toMatrix(rotated(set, 5)).map((row) => row.map((value) => value + 50)));
    expect((await kernelDiscrepancy(change(a), change(b))).squared).toBeCloseTo(found.squared, DIGITS);
  });

  it("is near 0 for halves of one set, and 0 at a point", async () => {
    const same = await kernelDiscrepancy(randomRows(1, 700, 3), randomRows(2, 600, 3));
    expect(Math.abs(same.squared)).toBeLessThan(0.005);
    const far = rows(toMatrix(randomRows(2, 600, 3)).map((row) => row.map((value) => value + 1)));
    expect((await kernelDiscrepancy(randomRows(1, 700, 3), far)).squared).toBeGreaterThan(0.1);
    const point = rows([
      [1, 2],
      [1, 2],
    ]);
    expect(await kernelDiscrepancy(point, point)).toEqual({ squared: 0, bandwidth: 0 });
    await expect(kernelDiscrepancy(a, b, { bandwidth: 0 })).rejects.toThrow("bandwidth must be > 0, got 0");
    await expect(kernelDiscrepancy(rows([[1, 2]]), point)).rejects.toThrow(
      "at least two rows on each side, got 1 and 2",
    );
  });
});

describe("frechetDistance", () => {
  it("equals scipy's matrix root", async () => {
    expect(await frechetDistance(a, b)).toBeCloseTo(expected.frechet, 8);
    expect(await frechetDistance(moved(expected.a), b)).toBeCloseTo(expected.frechet, 8);
  });

  it("is the squared shift for moved sets, symmetric, and grows with the square of the scale", async () => {
    const shifted = rows(expected.a.map((row) => row.map((value, j) => value + (j === 2 ? 3 : 0))));
    expect(await frechetDistance(a, shifted)).toBeCloseTo(9, 8);
    expect(await frechetDistance(b, a)).toBeCloseTo(expected.frechet, 8);
    expect(await frechetDistance(rotated(a, 3), rotated(b, 3))).toBeCloseTo(9 * expected.frechet, 6);
    // Fewer rows than dimensions: covariances without full rank.
    expect(await frechetDistance(randomRows(1, 3, 6), randomRows(1, 3, 6))).toBeCloseTo(0, 6);
  });

  it("refuses single rows", async () => {
    await expect(frechetDistance(rows([[1, 2]]), rows([[1, 2]]))).rejects.toThrow("at least two rows");
  });
});

describe("silhouette", () => {
  it("equals scikit-learn's, cosine and Euclidean", async () => {
    for (const distance of ["cosine", "euclidean"] as const) {
      const values = distance === "cosine" ? expected.cosineSilhouette : expected.euclideanSilhouette;
      const found = await silhouette(a, labels, { distance });
      values.forEach((value, i) => {
        expect(found.perRow[i]).toBeCloseTo(value, DIGITS);
      });
      expect(found.mean).toBeCloseTo(average(values), DIGITS);
      const names = ["x", "z", "y"];
      const other = await silhouette(
        moved(expected.a),
        order.map((i) => names[labels[i] as number] as string),
        {
          distance,
        },
      );
      expect(other.mean).toBeCloseTo(found.mean, DIGITS);
    }
  });

  it("is 0 for a cluster of one row, and counts rows of zeros as at cosine 0", async () => {
    const set = rows([
      [1, 0],
      [1, 0],
      [0, 1],
      [0, 0],
    ]);
    const found = await silhouette(set, [0, 0, 1, 0]);
    // Row 0: distances 0 and 1 within, 1 to the other cluster.
    expect(found.perRow[0]).toBeCloseTo(0.5, 10);
    expect(found.perRow[2]).toBe(0);
    expect(found.perRow[3]).toBeCloseTo(0, 10);
  });

  it("refuses one cluster, and a cluster for each row", async () => {
    await expect(
      silhouette(
        a,
        labels.map(() => 0),
      ),
    ).rejects.toThrow("between 2 and N - 1 = 23 clusters, got 1");
    await expect(
      silhouette(
        a,
        labels.map((_, i) => i),
      ),
    ).rejects.toThrow("got 24");
    await expect(silhouette(a, integers(1, 5, 2))).rejects.toThrow(
      "rows and labels must have one length, got 24 and 5",
    );
  });
});
