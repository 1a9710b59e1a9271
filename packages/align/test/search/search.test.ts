import { ndarray, normalArray, randomKey } from "@concord/tensor";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  createExactIndex,
  createHammingIndex,
  hammingNearest,
  packCodes,
  SEARCH_METRICS,
  type SearchMetric,
} from "../../src/index.ts";

type Matrix = readonly (readonly number[])[];

/** Scores by loops in float64, on rows as float32 holds them. */
function bruteForce(rows: Matrix, query: readonly number[], metric: SearchMetric, mask?: Uint8Array) {
  const dot = (a: readonly number[], b: readonly number[]) =>
    a.reduce((sum, v, d) => sum + v * (b[d] as number), 0);
  const score = (row: readonly number[]): number => {
    if (metric === "dot") return dot(row, query);
    if (metric === "euclidean")
      return Math.sqrt(row.reduce((sum, v, d) => sum + (v - (query[d] as number)) ** 2, 0));
    const lengths = Math.sqrt(dot(row, row) * dot(query, query));
    return lengths === 0 ? 0 : dot(row, query) / lengths;
  };
  const sign = metric === "euclidean" ? 1 : -1;
  return rows
    .map((row, index) => ({ index, score: score(row) }))
    .filter(({ index }) => mask === undefined || mask[index] !== 0)
    .sort((a, b) => sign * (a.score - b.score) || a.index - b.index);
}

async function searchAll(
  rows: Matrix,
  query: readonly number[],
  metric: SearchMetric,
  options: { k: number; mask?: Uint8Array },
) {
  const width = query.length;
  await using index = createExactIndex(ndarray(rows.flat(), { shape: [rows.length, width] }), {
    metric,
    threads: 1,
  });
  const { k, indices, scores } = await index.search(ndarray(query as number[]), options);
  return { k, indices: Array.from(indices), scores: Array.from(scores) };
}

// Numbers that float32 holds, from few enough values that rows and scores often tie.
const number = fc.integer({ min: -8, max: 8 }).map((v) => v / 4);
const problem = fc.integer({ min: 1, max: 6 }).chain((width) =>
  fc.record({
    rows: fc.array(fc.array(number, { minLength: width, maxLength: width }), { minLength: 1, maxLength: 40 }),
    query: fc.array(number, { minLength: width, maxLength: width }),
    k: fc.integer({ min: 1, max: 50 }),
    kept: fc.option(fc.infiniteStream(fc.boolean()), { nil: undefined }),
  }),
);

describe("the exact index", () => {
  it.each(SEARCH_METRICS)("finds what loops find, ties and masks included: %s", async (metric) => {
    await fc.assert(
      fc.asyncProperty(problem, async ({ rows, query, k, kept }) => {
        const mask = kept && Uint8Array.from(rows, () => Number(kept.next().value));
        const expected = bruteForce(rows, query, metric, mask).slice(0, k);
        const found = await searchAll(rows, query, metric, { k, ...(mask ? { mask } : {}) });
        expect(found.k).toBe(expected.length);
        expect(found.scores).toEqual(expected.map(({ score }) => expect.closeTo(score, 5)));
        // Rounding of lengths may split ties of cosines and of distances; products of these numbers are exact.
        if (metric === "dot") expect(found.indices).toEqual(expected.map(({ index }) => index));
        else expect(new Set(found.indices).size).toBe(expected.length);
      }),
      { seed: 1, numRuns: 60 },
    );
  });

  it.each(SEARCH_METRICS)("is exact over several blocks, for one query and for many: %s", async (metric) => {
    const [n, width] = [20_000, 24];
    const rows = normalArray(randomKey(1), [n, width]);
    const queries = normalArray(randomKey(2), [11, width]);
    const list = Array.from({ length: n }, (_, i) =>
      Array.from(rows.data.subarray(i * width, (i + 1) * width)),
    );
    await using index = createExactIndex(rows, { metric, threads: 1 });
    const all = await index.search(queries, { k: 7 });
    for (let q = 0; q < 11; q++) {
      const query = Array.from(queries.data.subarray(q * width, (q + 1) * width));
      const expected = bruteForce(list, query, metric).slice(0, 7);
      expect(Array.from(all.indices.subarray(q * 7, (q + 1) * 7))).toEqual(
        expected.map(({ index }) => index),
      );
      const one = await index.search(ndarray(query), { k: 7 });
      expect(one.indices).toEqual(all.indices.slice(q * 7, (q + 1) * 7));
      expect(one.scores).toEqual(all.scores.slice(q * 7, (q + 1) * 7));
    }
    // More than the engine sorts by itself.
    const many = await index.search(ndarray(list[5] as number[]), { k: 1500 });
    expect(Array.from(many.indices)).toEqual(
      bruteForce(list, list[5] as number[], metric)
        .slice(0, 1500)
        .map(({ index }) => index),
    );
  });

  it("gives the lowest indices where more rows tie than were asked for, across blocks", async () => {
    const row = [0.3, -0.7, 0.2];
    const rows = ndarray(Array.from({ length: 17_000 }, (_, i) => (i < 40 ? [-0.3, 0.7, -0.2] : row)));
    await using index = createExactIndex(rows, { threads: 1 });
    const { indices, scores } = await index.search(ndarray(row), { k: 5 });
    expect(Array.from(indices)).toEqual([40, 41, 42, 43, 44]);
    expect(Array.from(scores)).toEqual(Array(5).fill(expect.closeTo(1, 6)));
    const mask = new Uint8Array(17_000);
    mask.set([1, 1, 1], 16_990);
    expect(Array.from((await index.search(ndarray(row), { k: 2, mask })).indices)).toEqual([16_990, 16_991]);
  });

  it("tells rows apart that float32 products cannot, far from the origin", async () => {
    // Distances of 0.001 to 0.1 at a length of 10,000.
    const rows = Array.from({ length: 300 }, (_, i) => [9000 + ((i * 7) % 300) / 1024, 5000, -3000]);
    const found = await searchAll(rows, [9000, 5000, -3000], "euclidean", { k: 300 });
    const expected = bruteForce(rows, [9000, 5000, -3000], "euclidean");
    expect(found.indices).toEqual(expected.map(({ index }) => index));
    expect(found.scores[1]).toBeCloseTo(1 / 1024, 5);
  });

  it("grows and changes", async () => {
    await using index = createExactIndex(ndarray([], { shape: [0, 2] }), { metric: "dot", threads: 1 });
    expect(await index.search(ndarray([1, 0]), { k: 3 })).toMatchObject({ k: 0 });
    const rows: number[][] = [];
    for (let i = 0; i < 700; i += 100) {
      const more = Array.from({ length: 100 }, (_, j) => [(i + j) % 257, 1]);
      rows.push(...more);
      index.append(ndarray(more));
      const { indices } = await index.search(ndarray([1, 0]), { k: 4 });
      expect(Array.from(indices)).toEqual(
        bruteForce(rows, [1, 0], "dot")
          .slice(0, 4)
          .map(({ index }) => index),
      );
    }
    expect(index.size).toBe(700);
    index.update(
      333,
      ndarray([
        [999, 0],
        [1000, 0],
      ]),
    );
    expect(Array.from((await index.search(ndarray([1, 0]), { k: 2 })).indices)).toEqual([334, 333]);
    expect(() =>
      index.update(
        699,
        ndarray([
          [1, 1],
          [1, 1],
        ]),
      ),
    ).toThrow("not within the 700");
  });

  it("has similarity 0 with rows and queries of length 0", async () => {
    const found = await searchAll(
      [
        [0, 0],
        [1, 1],
        [-1, 0],
      ],
      [1, 0],
      "cosine",
      { k: 3 },
    );
    expect(found.indices).toEqual([1, 0, 2]);
    expect(found.scores[1]).toBe(0);
    expect(
      (
        await searchAll(
          [
            [1, 2],
            [3, 4],
          ],
          [0, 0],
          "cosine",
          { k: 2 },
        )
      ).indices,
    ).toEqual([0, 1]);
  });

  it("refuses what cannot be compared, saying where it is", async () => {
    const rows = ndarray([
      [1, 2],
      [3, 4],
    ]);
    await using index = createExactIndex(rows, { threads: 1 });
    await expect(
      index.search(
        ndarray([
          [1, 1],
          [1, Number.NaN],
        ]),
      ),
    ).rejects.toThrow("NaN in row 1, column 1");
    await expect(index.search(ndarray([1, 2, 3]))).rejects.toThrow("shape [N, 2] or [2], got [3]");
    await expect(index.search(ndarray([1, 2]), { k: 0 })).rejects.toThrow("k must be an integer >= 1");
    await expect(index.search(ndarray([1, 2]), { mask: new Uint8Array(3) })).rejects.toThrow(
      "3 values for 2 items",
    );
    expect(() => createExactIndex(ndarray([[1, Number.POSITIVE_INFINITY]]))).toThrow("Infinity in row 0");
    expect(() => createExactIndex(ndarray([1, 2]))).toThrow("shape [N, D]");
    expect(() => createExactIndex(ndarray([[1e30, 1]]), { metric: "dot" })).toThrow("scale the rows");
    expect(await index.search(ndarray([], { shape: [0, 2] }))).toMatchObject({
      k: 2,
      indices: new Int32Array(),
    });
    expect(await index.search(ndarray([1, 2]), { mask: new Uint8Array(2) })).toMatchObject({ k: 0 });
  });
});

describe("the Hamming index", () => {
  it.each([5, 32, 64, 100])("finds what hammingNearest finds, in the same order: %i bits", (bits) => {
    const items = packCodes(normalArray(randomKey(bits), [500, bits]));
    const queries = packCodes(normalArray(randomKey(bits + 1), [7, bits]));
    const index = createHammingIndex(items);
    const { indices, scores } = index.search(queries, { k: 40 });
    const expected = hammingNearest(queries, items, 40);
    expect(indices).toEqual(expected.indices.data);
    expect(Array.from(scores)).toEqual(Array.from(expected.distances.data));
    const mask = Uint8Array.from({ length: 500 }, (_, i) => Number(i % 3 === 0));
    const some = index.search(queries, { k: 5, mask });
    const everything = index.search(queries, { k: 500 });
    for (let q = 0; q < 7; q++) {
      const wanted = Array.from(everything.indices.subarray(q * 500, (q + 1) * 500)).filter(
        (i) => i % 3 === 0,
      );
      expect(Array.from(some.indices.subarray(q * 5, (q + 1) * 5))).toEqual(wanted.slice(0, 5));
    }
  });

  it("ignores bits beyond the last one, takes no codes, and refuses what does not fit", () => {
    const index = createHammingIndex({ count: 2, bits: 3, bytes: Uint8Array.of(0b11111_001, 0b010) });
    const { indices, scores } = index.search(
      { count: 1, bits: 3, bytes: Uint8Array.of(0b10101_001) },
      { k: 9 },
    );
    expect([Array.from(indices), Array.from(scores)]).toEqual([
      [0, 1],
      [0, 2],
    ]);
    expect(
      createHammingIndex({ count: 0, bits: 8, bytes: new Uint8Array() }).search({
        count: 1,
        bits: 8,
        bytes: Uint8Array.of(1),
      }),
    ).toMatchObject({ k: 0 });
    expect(() => index.search({ count: 1, bits: 4, bytes: Uint8Array.of(1) })).toThrow("queries have 4 bits");
    expect(() => createHammingIndex({ count: 2, bits: 9, bytes: new Uint8Array(3) })).toThrow("take 4");
  });
});
