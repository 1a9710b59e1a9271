import { readFile, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createVectorWriter } from "@concord/data";
import { normalArray, randomKey } from "@concord/tensor";
import { expect, it } from "vitest";
import { createSearch, readVectors, search } from "../../src/index.ts";
import { openApproximateIndex } from "../../src/search/approximate-index.ts";
import { temporaryFolder, writeFiles } from "../support/tiny-encoders.ts";

const folder = await temporaryFolder();
const at = (name: string) => join(folder, name);

async function writeNpy(name: string, values: Float32Array, width: number): Promise<string> {
  await using writer = await createVectorWriter(at(name), { width, overwrite: true });
  await writer.write({ rows: values.length / width, values });
  await writer.finish();
  return at(name);
}

const WIDTH = 8;
const values = normalArray(randomKey(1), [300, WIDTH]).data;

it.each(["cosine", "dot", "euclidean"] as const)("finds what loops find: %s", async (metric) => {
  const vectors = await writeNpy(`${metric}.npy`, values, WIDTH);
  const queries = normalArray(randomKey(2), [3, WIDTH]).data;
  const found = await search({ vectors, queries: { values: queries, width: WIDTH }, metric, k: 4 });
  for (const [q, hits] of found.entries()) {
    const scores = Array.from({ length: 300 }, (_, i) => {
      let [dot, square, own, other] = [0, 0, 0, 0];
      for (let d = 0; d < WIDTH; d++) {
        const [a, b] = [queries[q * WIDTH + d] as number, values[i * WIDTH + d] as number];
        [dot, square, own, other] = [dot + a * b, square + (a - b) ** 2, own + a * a, other + b * b];
      }
      return metric === "dot" ? dot : metric === "cosine" ? dot / Math.sqrt(own * other) : -Math.sqrt(square);
    });
    const best = scores.map((_, i) => i).sort((i, j) => (scores[j] as number) - (scores[i] as number));
    expect(hits.map(({ index }) => index)).toEqual(best.slice(0, 4));
    const sign = metric === "euclidean" ? -1 : 1;
    expect(hits.map(({ score }) => sign * score)).toEqual(
      best.slice(0, 4).map((i) => expect.closeTo(scores[i] as number, 5)),
    );
  }
});

it("shows the columns of tables, of a table beside, and of one that is named", async () => {
  await writeFiles(folder, {
    "v.csv": "id,v0,v1\na,1,0\nb,0,1\n",
    "w.jsonl": '{"name":"x","vector":[1,0]}\n{"name":"y","vector":[0,1]}\n',
    "ids.csv": "id,note\n1,first\n2,second\n",
  });
  const npy = await writeNpy("two.npy", Float32Array.of(1, 0, 0, 1), 2);
  const queries = { values: Float32Array.of(0, 2), width: 2 };
  const first = async (vectors: string, options: object = {}) =>
    (await search({ vectors, queries, k: 1, ...options }))[0];
  expect(await first(at("v.csv"))).toEqual([{ index: 1, score: 1, fields: { id: "b" } }]);
  expect(await first(at("w.jsonl"))).toEqual([{ index: 1, score: 1, fields: { name: "y" } }]);
  expect(await first(npy)).toEqual([{ index: 1, score: 1, fields: {} }]);
  expect(await first(npy, { ids: at("ids.csv"), fields: ["note"] })).toEqual([
    { index: 1, score: 1, fields: { note: "second" } },
  ]);
  await expect(first(npy, { fields: ["note"] })).rejects.toThrow("vectors alone");
  await expect(first(npy, { ids: at("ids.csv"), fields: ["x"] })).rejects.toThrow(
    "no column 'x'; there are id, note",
  );
  const three = await writeNpy("three.npy", Float32Array.of(1, 0, 0, 1, 1, 1), 2);
  await expect(first(three, { ids: at("ids.csv") })).rejects.toThrow("has 2 rows; ");
});

it("keeps the numbers of rows when some cannot be read", async () => {
  const npy = await writeNpy("gaps.npy", Float32Array.of(1, 0, Number.NaN, 1, 0, 1), 2);
  await writeFile(at("gaps.fields.jsonl"), '{"t":"a"}\n{"t":"b"}\n{"t":"c"}\n');
  await using opened = await createSearch(npy);
  expect(opened).toMatchObject({ size: 2, problems: 1 });
  expect(await opened.search({ values: Float32Array.of(0, 1), width: 2 }, { k: 9 })).toMatchObject([
    [
      { index: 2, fields: { t: "c" } },
      { index: 0, fields: { t: "a" } },
    ],
  ]);
});

it("refuses queries that do not fit, and files without vectors", async () => {
  const npy = await writeNpy("few.npy", values.slice(0, 4 * WIDTH), WIDTH);
  await using opened = await createSearch(npy);
  const wrong = (numbers: Float32Array, width: number) =>
    expect(opened.search({ values: numbers, width })).rejects;
  await wrong(new Float32Array(9), 9).toThrow("queries must have 8 numbers each");
  await wrong(new Float32Array(9), WIDTH).toThrow("got 9 numbers in rows of 8");
  await wrong(new Float32Array(WIDTH).fill(Number.NaN), WIDTH).toThrow("query 0 has the value NaN");
  expect(await opened.search({ values: new Float32Array(), width: WIDTH })).toEqual([]);
  expect((await opened.search({ values: new Float32Array(WIDTH), width: WIDTH }, { k: 99 }))[0]).toHaveLength(
    4,
  );
  await using codes = await createSearch(npy, { hamming: true });
  await expect(codes.search({ values: new Float32Array(7), width: 7 })).rejects.toThrow(
    "queries must have 8 numbers",
  );
  await writeFiles(folder, { "empty.csv": "v0,v1\n" });
  await expect(createSearch(at("empty.csv"))).rejects.toThrow();
  await expect(createSearch(at("nowhere.npy"))).rejects.toThrow("nowhere.npy");
});

it("finds nearly all neighbours by its graph, saves it, and trusts only what it saved for these vectors", async () => {
  const width = 24;
  const rows = normalArray(randomKey(3), [3000, width]).data;
  const file = await writeNpy("many.npy", rows, width);
  const options = { metric: "cosine", saveAs: file, digest: "of the vectors" } as const;
  const built = await openApproximateIndex(rows, width, options);
  expect(built.loaded).toBe(false);
  const exact = await createSearch(file);
  const queries = normalArray(randomKey(4), [40, width]).data;
  const truth = await exact.search({ values: queries, width });
  const { indices, scores } = built.search(queries, 10);
  let found = 0;
  for (const [q, hits] of truth.entries()) {
    const own = indices.subarray(q * 10, (q + 1) * 10);
    found += hits.filter(({ index }) => own.includes(index)).length;
    expect(scores[q * 10]).toBeCloseTo(hits[0]?.score as number, 4);
  }
  expect(found / 400).toBeGreaterThan(0.97);

  const saved = `${file}.cosine.usearch`;
  const again = await openApproximateIndex(rows, width, options);
  expect(again.loaded).toBe(true);
  expect(again.search(queries, 10)).toEqual({ k: 10, indices, scores });
  // Other vectors, another metric, a damaged file and a damaged description: made anew.
  expect((await openApproximateIndex(rows, width, { ...options, digest: "of others" })).loaded).toBe(false);
  expect((await openApproximateIndex(rows, width, { ...options, digest: "of others" })).loaded).toBe(true);
  expect((await openApproximateIndex(rows, width, { ...options, metric: "dot" })).loaded).toBe(false);
  await truncate(saved, (await stat(saved)).size - 100);
  expect((await openApproximateIndex(rows, width, { ...options, digest: "of others" })).loaded).toBe(false);
  await writeFile(`${saved}.json`, (await readFile(`${saved}.json`, "utf8")).slice(0, 20));
  expect((await openApproximateIndex(rows, width, { ...options, digest: "of others" })).loaded).toBe(false);
  await exact.close();
});

it("reads what it searches once for several searches", async () => {
  const read = await readVectors(await writeNpy("once.npy", values, WIDTH));
  const queries = { values: values.slice(0, WIDTH), width: WIDTH };
  for (const metric of ["cosine", "euclidean"] as const) {
    const [hits] = await search({ vectors: read, queries, metric, k: 1 });
    expect(hits?.[0]?.index).toBe(0);
  }
});
