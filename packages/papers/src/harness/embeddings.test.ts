import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ndarray, normalArray, randomKey } from "@concord/tensor";
import { expect, it } from "vitest";
import { loadEmbeddings, mapEmbeddings, saveEmbeddings } from "./embeddings.ts";
import { decodeNpy, encodeNpy } from "./npy.ts";
import { projectToPlane } from "./principal-axes.ts";

it("writes .npy as NumPy does", () => {
  const bytes = Buffer.concat(encodeNpy(ndarray([[1, 2, 3]])));
  const header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3), }";
  expect(bytes.toString("latin1", 0, 8)).toBe("\x93NUMPY\x01\x00");
  expect(bytes.readUInt16LE(8)).toBe(118);
  expect(bytes.toString("latin1", 10, 128)).toBe(`${header.padEnd(117)}\n`);
  expect([0, 4, 8].map((offset) => bytes.readFloatLE(128 + offset))).toEqual([1, 2, 3]);
  expect(Buffer.concat(encodeNpy(ndarray([7]))).toString("latin1")).toContain("'shape': (1,), }");
});

it("reads back what it wrote, and nothing else", () => {
  for (const shape of [[], [4], [2, 3], [0, 5], [2, 1, 2]]) {
    const array = normalArray(randomKey(1), shape);
    expect(decodeNpy(Buffer.concat(encodeNpy(array)))).toEqual(array);
  }
  const bytes = Buffer.concat(encodeNpy(ndarray([[1, 2, 3]])));
  expect(() => decodeNpy(bytes.subarray(0, -1))).toThrow("takes 12 bytes, got 11");
  expect(() => decodeNpy(bytes.subarray(0, 5))).toThrow("format version 1.0");
  const double = Buffer.from(bytes.toString("latin1").replace("<f4", "<f8"), "latin1");
  expect(() => decodeNpy(double)).toThrow("little-endian float32");
});

it("finds the principal axes of a cloud with known ones", () => {
  // 3 u + 1 v + 0.1 w for orthonormal u, v, w and independent signs: variances 9, 1 and 0.01.
  const rows: Float32Array[] = [];
  for (const a of [-3, 3])
    for (const b of [-1, 1])
      for (const c of [-0.1, 0.1])
        rows.push(new Float32Array([(a + b) / Math.SQRT2 + 5, (a - b) / Math.SQRT2 - 2, c]));
  const { points, shares } = projectToPlane(rows);
  expect(shares[0]).toBeCloseTo(9 / 10.01, 5);
  expect(shares[1]).toBeCloseTo(1 / 10.01, 5);
  points.forEach(([x, y], i) => {
    expect(x).toBeCloseTo(i < 4 ? -3 : 3, 4);
    expect(Math.abs(y)).toBeCloseTo(1, 4);
  });
});

it("does not depend on chance, and gives uncorrelated scores", () => {
  const cloud = normalArray(randomKey(5), [40, 6]);
  const rows = Array.from({ length: 40 }, (_, i) => cloud.data.subarray(6 * i, 6 * (i + 1)));
  const once = projectToPlane(rows);
  expect(projectToPlane(rows)).toEqual(once);
  expect(once.shares[0]).toBeGreaterThan(once.shares[1]);
  // Scores on principal axes have mean zero and are uncorrelated.
  const total = (term: (x: number, y: number) => number): number =>
    once.points.reduce((sum, [x, y]) => sum + term(x, y), 0);
  expect(total((x) => x)).toBeCloseTo(0, 2);
  expect(total((_, y) => y)).toBeCloseTo(0, 2);
  expect(total((x, y) => x * y)).toBeCloseTo(0, 2);
});

it("copes with rows that are all equal and with one dimension", () => {
  const equal = projectToPlane([new Float32Array([1, 2]), new Float32Array([1, 2])]);
  expect(equal).toEqual({
    points: [
      [0, 0],
      [0, 0],
    ],
    shares: [0, 0],
  });
  const line = projectToPlane([new Float32Array([1]), new Float32Array([3])]);
  expect(line.points).toEqual([
    [-1, 0],
    [1, 0],
  ]);
  expect(line.shares).toEqual([1, 0]);
});

it("places the sets of all arms on common axes, from what was saved", async () => {
  const folder = await mkdtemp(join(tmpdir(), "concord-embeddings-"));
  try {
    const near = {
      image: ndarray([
        [0, 0],
        [0, 1],
      ]),
      text: ndarray([
        [0.5, 0],
        [0.5, 1],
      ]),
    };
    const far = {
      image: ndarray([
        [10, 0],
        [10, 1],
      ]),
    };
    await saveEmbeddings(join(folder, "near"), {
      metrics: {},
      embeddings: near,
      embeddingLabels: ["a", "b"],
    });
    await saveEmbeddings(join(folder, "far"), { metrics: {}, embeddings: far });
    expect(await loadEmbeddings(join(folder, "none"))).toBeNull();
    const arms = new Map();
    for (const arm of ["near", "far"]) arms.set(arm, await loadEmbeddings(join(folder, arm)));
    expect(arms.get("near")).toEqual({ sets: near, labels: ["a", "b"] });

    const map = mapEmbeddings(4, arms);
    expect(map).toMatchObject({ seed: 4, labels: ["a", "b"], explained: 1 });
    const [[nearX] = []] = map.arms.near?.image ?? [];
    const [[farX] = []] = map.arms.far?.image ?? [];
    expect((farX as number) - (nearX as number)).toBeCloseTo(10, 1);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
