import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createVectorWriter } from "@concord/data";
import { type NDArray, normalArray, randomKey } from "@concord/tensor";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type DiagnoseProgress, diagnose } from "../../src/index.ts";

const ROWS = 120;
const WIDTH = 12;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "concord-diagnose-"));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

const shared = normalArray(randomKey(1), [ROWS, WIDTH]);
const noise = normalArray(randomKey(2), [ROWS, WIDTH]);
const a: NDArray<"float32"> = shared;
const b: NDArray<"float32"> = {
  ...shared,
  data: shared.data.map((value, i) => value + 0.4 * noise.data[i]!),
};

function rowsOf({ data }: NDArray<"float32">, order: readonly number[]): NDArray<"float32"> {
  const rows = new Float32Array(order.length * WIDTH);
  order.forEach((from, to) => {
    rows.set(data.subarray(from * WIDTH, (from + 1) * WIDTH), to * WIDTH);
  });
  return { dtype: "float32", shape: [order.length, WIDTH], data: rows };
}

const backwards = Array.from({ length: ROWS }, (_, i) => ROWS - 1 - i);

async function write(name: string, vectors: NDArray<"float32">, ids?: readonly string[]): Promise<string> {
  const path = join(folder, name);
  const writer = await createVectorWriter(path, { width: WIDTH, ...(ids ? { fields: ["id"] } : {}) });
  await writer.write({
    rows: vectors.shape[0] as number,
    values: vectors.data,
    ...(ids ? { fields: { id: ids } } : {}),
  });
  await writer.finish();
  return path;
}

const ids = Array.from({ length: ROWS }, (_, i) => `item-${i}`);

describe("inputs", () => {
  it("of every kind give the same report", async () => {
    const lists = (set: NDArray<"float32">) =>
      Array.from({ length: ROWS }, (_, i) => Array.from(set.data.subarray(i * WIDTH, (i + 1) * WIDTH)));
    const names = { names: ["A", "B"] } as const;
    const arrays = await diagnose(a, b, names);
    expect(await diagnose(lists(a), lists(b), names)).toEqual(arrays);
    const files = [await write("a.npy", a), await write("b.parquet", b)] as const;
    expect(await diagnose(...files, names)).toEqual(arrays);
    expect(arrays.diagnosis.kind).toBe("pairs");
    expect(arrays.diagnosis.retrieval[0]?.recall[0]?.estimate.value).toBeGreaterThan(0.8);
  });

  it("of two widths, two counts or ragged rows are refused with both numbers", async () => {
    const narrow = normalArray(randomKey(3), [ROWS, 5]);
    await expect(diagnose(a, narrow)).rejects.toThrow(/A has vectors of width 12, B of width 5/);
    const fewer = rowsOf(b, backwards.slice(0, 90));
    await expect(diagnose(a, fewer)).rejects.toThrow(
      /A has 120 rows, B has 90.*Say which rows belong together/,
    );
    await expect(diagnose([[1, 2], [3]])).rejects.toThrow(/row 1 has 1 numbers, expected 2/);
    await expect(diagnose({ dtype: "float32", shape: [4], data: new Float32Array(4) })).rejects.toThrow(
      /matrix \[rows, width\], got shape \[4\]/,
    );
    await expect(diagnose(rowsOf(a, [0]))).rejects.toThrow(/at least 20 usable rows, got 1/);
    await expect(diagnose(a, null, { pairs: "rows" })).rejects.toThrow(/pairs need two sets/);
    await expect(diagnose(join(folder, "missing.npy"))).rejects.toThrow(/missing\.npy/);
    await expect(diagnose(a, b, { sample: 3 })).rejects.toThrow(/sample must be an integer of at least 20/);
  });

  it("with bad rows on one side still pair the right rows, and count what was left out", async () => {
    const broken = { ...b, data: b.data.slice() };
    broken.data[5 * WIDTH] = Number.NaN;
    broken.data.fill(0, 9 * WIDTH, 10 * WIDTH);
    const { diagnosis } = await diagnose(a, broken);
    expect(diagnosis.sets[1]?.skipped).toEqual({ broken: 1, zero: 1 });
    expect(diagnosis.pairs).toEqual({ total: ROWS - 2, sampled: ROWS - 2 });
    expect(diagnosis.retrieval[0]?.recall[0]?.estimate.value).toBeGreaterThan(0.8);
    const file = await diagnose(await write("broken-a.npy", a), await write("broken-b.npy", b));
    expect(file.diagnosis.pairs?.sampled).toBe(ROWS);
  });

  it("that are larger than the sample say so, and sample the same pairs of both", async () => {
    const { diagnosis } = await diagnose(a, b, { sample: 60 });
    expect(diagnosis.pairs).toEqual({ total: ROWS, sampled: 60 });
    expect(diagnosis.sets.map(({ rows, sampled }) => [rows, sampled])).toEqual([
      [ROWS, 60],
      [ROWS, 60],
    ]);
    expect(diagnosis.retrieval[0]?.recall[0]?.estimate.value).toBeGreaterThan(0.8);
    expect(diagnosis.findings.find(({ id }) => id === "misaligned-pairs")?.basis).toContain(
      "60 of 120 pairs, drawn at random",
    );
  });
});

describe("pairs", () => {
  it("by row numbers put rows of another order together", async () => {
    const turned = rowsOf(b, backwards);
    const wrong = await diagnose(a, turned);
    expect(wrong.diagnosis.retrieval[0]?.recall[0]?.estimate.value).toBeLessThan(0.1);
    const pairs = backwards.map((row, i) => [i, row] as const);
    const right = await diagnose(a, turned, { pairs });
    expect(right.diagnosis.retrieval[0]?.recall[0]?.estimate.value).toBeGreaterThan(0.8);
    const file = join(folder, "pairs.csv");
    await writeFile(file, `caption,picture\n${pairs.map((pair) => pair.join(",")).join("\n")}\n`);
    const table = await diagnose(a, turned, { pairs: { file, columns: ["caption", "picture"] } });
    expect(table).toEqual(right);
  });

  it("by ids, with several rows of one side for a row of the other", async () => {
    const twice = rowsOf(b, [...backwards, ...backwards]);
    const files = [
      await write("ids-a.jsonl", a, ids),
      await write("ids-b.jsonl", twice, [
        ...backwards.map((i) => `first-${i}`),
        ...backwards.map((i) => `second-${i}`),
      ]),
    ] as const;
    const file = join(folder, "ids.csv");
    const lines = ids.flatMap((id, i) => [`${id},first-${i}`, `${id},second-${i}`]);
    await writeFile(file, `a,b\n${lines.join("\n")}\n`);
    const { diagnosis } = await diagnose(...files, { pairs: { file, ids: ["id", "id"] } });
    expect(diagnosis.pairs).toEqual({ total: 2 * ROWS, sampled: 2 * ROWS });
    expect(diagnosis.retrieval.map(({ queries, gallery }) => [queries, gallery])).toEqual([
      [ROWS, 2 * ROWS],
      [2 * ROWS, ROWS],
    ]);
    expect(diagnosis.retrieval[0]?.recall[0]?.estimate.value).toBeGreaterThan(0.8);
  });

  it("that name no row are refused with pair and row", async () => {
    await expect(
      diagnose(a, b, {
        pairs: [
          [0, 0],
          [3, 500],
        ],
      }),
    ).rejects.toThrow(/pair 2 names row 500 of B, which has 120 rows/);
    await expect(diagnose(a, b, { pairs: [[0, 0.5]] })).rejects.toThrow(/expected a row number.*got 0\.5/);
    const file = join(folder, "wrong.csv");
    await writeFile(file, "a,b\nx,y\n");
    await expect(diagnose(a, b, { pairs: { file } })).rejects.toThrow(/wrong\.csv, pair 1.*got "x"/);
    await expect(diagnose(a, b, { pairs: { file, columns: ["c", "b"] } })).rejects.toThrow(/\bc\b/);
    const left = await write(
      "one-id.jsonl",
      a,
      ids.map(() => "same"),
    );
    await expect(diagnose(left, left, { pairs: { file, ids: ["id", "id"] } })).rejects.toThrow(
      /"same" stands in row 0 and in row 1/,
    );
  });
});

describe("labels", () => {
  const classes = Array.from({ length: ROWS }, (_, i) => (i % 2 === 0 ? "cat" : "dog"));
  const grouped: NDArray<"float32"> = {
    ...a,
    data: a.data.map((value, i) => (i % WIDTH === 0 ? (Math.floor(i / WIDTH) % 2 === 0 ? 9 : -9) : value)),
  };

  it("come from a list, a file or a column", async () => {
    const list = await diagnose(grouped, null, { labels: classes, names: ["x"] });
    const weak = list.diagnosis.findings.find(({ id }) => id === "weak-labels");
    expect(weak?.value).toBeGreaterThan(0.9);
    const text = join(folder, "labels.txt");
    await writeFile(text, `${classes.join("\n")}\n`);
    expect(await diagnose(grouped, null, { labels: text, names: ["x"] })).toEqual(list);
    const table = await write("labelled.jsonl", grouped, classes);
    expect(await diagnose(table, null, { labels: "id", names: ["x"] })).toEqual(list);
  });

  it("in another number than rows, or of an unknown column, are refused", async () => {
    await expect(diagnose(a, null, { labels: ["cat"] })).rejects.toThrow(
      /A has 120 rows, but there are 1 labels/,
    );
    const table = await write("unlabelled.jsonl", a, ids);
    await expect(diagnose(table, null, { labels: "class" })).rejects.toThrow(/class/);
  });
});

describe("work", () => {
  it("reports rows read and stages, and stops when asked", async () => {
    const seen: DiagnoseProgress[] = [];
    await diagnose(a, b, { onProgress: (progress) => seen.push(progress) });
    expect(seen).toContainEqual({ stage: "reading A", done: ROWS, total: ROWS });
    expect(seen.map(({ stage }) => stage)).toContain("retrieval");
    const stopping = new AbortController();
    const stopped = diagnose(a, b, {
      signal: stopping.signal,
      onProgress: ({ stage }) => {
        if (stage === "retrieval") stopping.abort();
      },
    });
    await expect(stopped).rejects.toThrow(/abort/i);
  });

  it("is the same for the same seed", async () => {
    const first = await diagnose(a, b, { sample: 60, seed: 4 });
    expect(await diagnose(a, b, { sample: 60, seed: 4 })).toEqual(first);
    const other = await diagnose(a, b, { sample: 60, seed: 5 });
    expect(other.diagnosis.findings).not.toEqual(first.diagnosis.findings);
  });
});

describe("labels that cannot tell anything are refused, not passed over", () => {
  const rows = normalArray(randomKey(5), [60, 4]);
  it.each([
    ["one for all", Array(60).fill("cat"), /all labelled rows have the label 'cat'; at least two/],
    ["one for each", Array.from({ length: 60 }, (_, i) => `row ${i}`), /60 different labels for 60 rows/],
    ["none", Array(60).fill(""), /no row has a label/],
  ])("%s", async (_, labels, message) => {
    await expect(diagnose(rows, null, { labels })).rejects.toThrow(message);
  });

  it("a file that is not there is not taken for a column", async () => {
    await expect(diagnose(rows, null, { labels: "classes.txt" })).rejects.toThrow(
      "labels: there is no file classes.txt",
    );
  });
});
