import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type NDArray, normalArray, randomKey } from "@concord/tensor";
import { describe, expect, it } from "vitest";
import { rowPlan } from "../../src/adapt/batches.ts";
import { chooseColumns, labelTable, parseLabels } from "../../src/adapt/dataset.ts";
import { at, describeRows, openRows } from "../../src/adapt/dataset-rows.ts";
import { compareMeasured, measure, possibleMetrics } from "../../src/adapt/evaluate.ts";
import { openFeatureCache } from "../../src/adapt/feature-cache.ts";
import { decide } from "../../src/adapt/record.ts";
import { groupRows, splitRows } from "../../src/adapt/split.ts";
import { temporaryFolder } from "../support/tiny-encoders.ts";

describe("rows of a folder", () => {
  const image = [{ modality: "image" }] as const;
  const skipped = { add: () => {} };

  it("are the pictures in it where there are no classes, for one encoder of pictures", async () => {
    const folder = await temporaryFolder();
    for (const name of ["b.png", "a.jpg", "notes.txt"]) await writeFile(join(folder, name), "");
    expect(await describeRows(folder, image)).toEqual({ kind: "pictures", columns: ["image"] });
    const { rows, files } = await openRows(folder, "pictures", false, ["image"], skipped as never);
    const found: (readonly [string | undefined, string])[] = [];
    for await (const row of rows) found.push([row.image, row[at]]);
    expect(files).toBe(folder);
    expect(found).toEqual([
      ["a.jpg", join(folder, "a.jpg")],
      ["b.png", join(folder, "b.png")],
    ]);
    await mkdir(join(folder, "class"));
    await writeFile(join(folder, "class", "c.png"), "");
    expect((await describeRows(folder, image)).kind).toBe("pairs");
  });

  it("are asked for in words where it holds no pictures", async () => {
    const folder = await temporaryFolder();
    await expect(describeRows(folder, image)).rejects.toThrow(/holds no pictures \(\.jpg, \.png, \.webp\)/);
  });
});

describe("the split", () => {
  it("keeps rows together that share an item, in a chain too", async () => {
    const image = ["a", "a", "b", "c", "d", "e"];
    const text = ["1", "2", "2", "3", "4", "5"];
    const { of, count } = await groupRows(6, [
      { name: "image", equal: image },
      { name: "text", equal: text },
    ]);
    expect([...of]).toEqual([0, 0, 0, 1, 2, 3]);
    expect(count).toBe(4);
  });

  it("finds near-duplicates, also in a narrow cone, and no others", async () => {
    const vectors = normalArray(randomKey(1), [600, 24]);
    for (let k = 0; k < 24; k++) {
      // Row 599 is row 3 with a trace of noise; all rows share a large offset.
      vectors.data[599 * 24 + k] = (vectors.data[3 * 24 + k] as number) * 1.01 + 0.002 * Math.sin(k);
      for (let row = 0; row < 600; row++)
        vectors.data[row * 24 + k] = (vectors.data[row * 24 + k] as number) + 50;
    }
    const { of, count } = await groupRows(600, [{ name: "image", vectors }]);
    expect(of[599]).toBe(of[3]);
    expect(count).toBe(599);
  });

  it("leaves out a tie that would make one group of much of the data, and says so, unless it is asked for", async () => {
    const captions = Array.from({ length: 200 }, (_, i) => `class ${i % 2}`);
    const left = await groupRows(200, [{ name: "text", equal: captions }]);
    expect(left.count).toBe(200);
    expect(left.notes).toEqual([
      "Rows that share text are not kept together in the split: 100 of 200 rows would be one group.",
    ]);
    expect((await groupRows(200, [{ name: "text", equal: captions, forced: true }])).count).toBe(2);
  });

  it("never parts a group, takes about the shares, and depends on the key alone", () => {
    const of = Uint32Array.from({ length: 1000 }, (_, i) => Math.floor(i / 4));
    const split = splitRows(randomKey(1), { of, count: 250 }, { validation: 0.1, heldOut: 0.2 });
    const groups = (rows: Uint32Array) => new Set([...rows].map((row) => of[row]));
    const [a, b, c] = [groups(split.train), groups(split.validation), groups(split.heldOut)];
    expect(a.size + b.size + c.size).toBe(250);
    expect(new Set([...a, ...b, ...c]).size).toBe(250);
    expect([split.validation.length, split.heldOut.length]).toEqual([100, 200]);
    expect(splitRows(randomKey(1), { of, count: 250 }, { validation: 0.1, heldOut: 0.2 })).toEqual(split);
    expect(splitRows(randomKey(2), { of, count: 250 }, { validation: 0.1, heldOut: 0.2 })).not.toEqual(split);
  });

  it("says when there are too few groups", () => {
    const of = Uint32Array.from({ length: 30 }, (_, i) => Math.floor(i / 10));
    expect(() => splitRows(randomKey(1), { of, count: 3 }, { validation: 0.1, heldOut: 0.1 })).toThrow(
      "30 rows in 3 groups are too few",
    );
  });
});

it("a batch never holds two rows of one group; in an epoch each group comes once", () => {
  const groups = Array.from({ length: 90 }, (_, i) => i % 30);
  const plan = rowPlan(randomKey(1), groups, 10);
  expect(plan.stepsPerEpoch).toBe(3);
  const epoch = [0, 1, 2].flatMap((step) => [...plan.at(step).items]);
  expect(new Set(epoch.map((item) => groups[item])).size).toBe(30);
  const next = [3, 4, 5].flatMap((step) => [...plan.at(step).items]);
  expect(new Set([...epoch, ...next]).size).toBeGreaterThan(30);
  expect(plan.at(4)).toEqual(rowPlan(randomKey(1), groups, 10).at(4));
  expect(rowPlan(randomKey(1), [1, 2, 3], 10).batchSize).toBe(3);
});

describe("the cache of features", () => {
  it("serves several at once, and takes no vector of another width for its own", async () => {
    const folder = await temporaryFolder();
    const digest = "ab".repeat(32);
    const [one, two] = [await openFeatureCache(folder, digest, 3), await openFeatureCache(folder, digest, 3)];
    const key = (i: number) => Uint8Array.of(i, 7);
    one.put([[key(1), Float32Array.of(1, 2, 3)]]);
    two.put([
      [key(1), Float32Array.of(9, 9, 9)],
      [key(2), Float32Array.of(4, 5, 6)],
    ]);
    expect(one.get(key(2))).toEqual(Float32Array.of(4, 5, 6));
    // What is there stays: equal items have equal vectors.
    expect(two.get(key(1))).toEqual(Float32Array.of(1, 2, 3));
    expect(one.get(key(3))).toBeNull();
    one.close();
    two.close();
    const other = await openFeatureCache(folder, digest, 4);
    expect(other.get(key(1))).toBeNull();
    other.close();
    await expect(openFeatureCache(folder, join("..", "escape"), 3)).rejects.toThrow(RangeError);
  });

  const digest = "cd".repeat(32);
  const item = Uint8Array.of(1, 2, 3);
  const vector = Float32Array.of(1.5, -2, 3);
  const fill = async (folder: string): Promise<string> => {
    const cache = await openFeatureCache(folder, digest, 3);
    cache.put([[item, vector]]);
    cache.close();
    const [name] = await readdir(join(folder, "features"));
    return join(folder, "features", name as string);
  };

  it("takes an entry in which a bit has flipped for absent, and mends it", async () => {
    const folder = await temporaryFolder();
    const file = await fill(folder);
    const bytes = await readFile(file);
    const at = bytes.indexOf(Buffer.from(vector.buffer));
    expect(at).toBeGreaterThan(0);
    bytes[at + 5] = (bytes[at + 5] as number) ^ 4;
    await writeFile(file, bytes);
    const cache = await openFeatureCache(folder, digest, 3);
    expect(cache.get(item)).toBeNull();
    cache.put([[item, vector]]);
    expect(cache.get(item)).toEqual(vector);
    cache.close();
  });

  it.each([
    ["no database", () => Buffer.from("not a database, but long enough to be looked at as one".repeat(40))],
    ["cut short", (whole: Buffer) => whole.subarray(0, whole.length >> 1)],
    [
      "noise behind its head",
      (whole: Buffer) => Buffer.concat([whole.subarray(0, 100), Buffer.alloc(4000, 7)]),
    ],
    ["empty", () => Buffer.alloc(0)],
  ])("a file that is damaged costs its vectors and nothing else: %s", async (_, damage) => {
    const folder = await temporaryFolder();
    const file = await fill(folder);
    await writeFile(file, damage(await readFile(file)));
    const problems: string[] = [];
    const cache = await openFeatureCache(folder, digest, 3, (sentence) => problems.push(sentence));
    expect(cache.get(item)).toBeNull();
    cache.put([[item, vector]]);
    // Kept again, or it was said that nothing is.
    expect(problems.length > 0 || cache.get(item)?.[0] === 1.5).toBe(true);
    cache.close();
  });

  it("works without being kept where nothing can be written", async () => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, "features"), "a file in the way");
    const problems: string[] = [];
    const cache = await openFeatureCache(folder, digest, 3, (sentence) => problems.push(sentence));
    cache.put([[item, vector]]);
    expect(cache.get(item)).toBeNull();
    cache.close();
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(/^Features are not kept in .*features: /);
  });
});

describe("columns and labels", () => {
  it("are told by names of encoders, then by usual names, each once", () => {
    const choose = (columns: readonly string[]) =>
      chooseColumns("pairs.csv", columns, [
        { name: "image", modality: "image" },
        { name: "de", modality: "text" },
        { name: "en", modality: "text" },
      ]);
    expect(choose(["id", "path", "de", "Caption"])).toEqual({ image: "path", de: "de", en: "Caption" });
    expect(() => choose(["id", "path", "de"])).toThrow(
      /no column looks like text for 'en'; the columns are "id", "path", "de"/,
    );
  });

  it("labels are parted and listed in their order", () => {
    expect(parseLabels("b | a;c;b")).toEqual(["b", "a", "c"]);
    expect(parseLabels('["x, y", "z"]')).toEqual(["x, y", "z"]);
    expect(parseLabels(" ")).toEqual([]);
    expect(labelTable([["b"], [], ["a", "b"]])).toEqual({
      names: ["a", "b"],
      values: { dtype: "float32", shape: [3, 2], data: Float32Array.of(0, 1, 0, 0, 1, 1) },
    });
    expect(() => labelTable([[], []])).toThrow("empty in all rows");
    expect(() => labelTable(Array.from({ length: 5000 }, (_, i) => [`id-${i}`]))).toThrow(
      "5000 different labels",
    );
  });
});

describe("metrics", () => {
  const a = normalArray(randomKey(1), [40, 5]);
  const b: NDArray<"float32"> = { ...a, data: a.data.map((value, i) => value + Math.sin(7 * i)) };
  const groups = Uint32Array.from({ length: 40 }, (_, i) => Math.floor(i / 2));

  /** Rank of the first item of the query's group by cosine, by sorting. */
  function ranks(from: NDArray<"float32">, to: NDArray<"float32">): number[] {
    const row = (set: NDArray<"float32">, i: number) => [...set.data.slice(5 * i, 5 * i + 5)];
    const cosine = (x: number[], y: number[]) =>
      x.reduce((sum, value, k) => sum + value * (y[k] as number), 0) / (Math.hypot(...x) * Math.hypot(...y));
    return Array.from({ length: 40 }, (_, q) => {
      const scores = Array.from(
        { length: 40 },
        (_, i) => [cosine(row(from, q), row(to, i)), groups[i]] as const,
      );
      return 1 + scores.sort((x, y) => y[0] - x[0]).findIndex(([, group]) => group === groups[q]);
    });
  }

  it("equal a sort, averaged over both directions", async () => {
    const found = await measure(
      { a, b },
      { groups, labels: null, scores: null },
      [
        ["a", "b"],
        ["b", "a"],
      ],
      ["mrr", "recall@1", "recall@5"],
    );
    const all = [...ranks(a, b), ...ranks(b, a)];
    const mean = (of: (rank: number) => number) => all.reduce((sum, rank) => sum + of(rank), 0) / all.length;
    expect(found.map(({ metric }) => metric.id)).toEqual(["mrr", "recall@1", "recall@5"]);
    expect(found[0]?.value).toBeCloseTo(
      mean((rank) => 1 / rank),
      9,
    );
    expect(found[1]?.value).toBeCloseTo(
      mean((rank) => Number(rank === 1)),
      9,
    );
    expect(found[2]?.value).toBeCloseTo(
      mean((rank) => Number(rank <= 5)),
      9,
    );
    expect(found[0]?.perGroup).toHaveLength(20);
  });

  it("an outcome is what its interval says, and names what became worse", async () => {
    const rows = { groups, labels: null, scores: null };
    const both = [
      ["a", "b"],
      ["b", "a"],
    ] as const;
    const ids = ["mrr", "recall@1"] as const;
    const [good, bad] = [
      await measure({ a, b: a }, rows, both, ids),
      await measure({ a, b }, rows, both, ids),
    ];
    const compare = (before: typeof good, after: typeof good) =>
      after.map((one, i) => compareMeasured(before[i] ?? null, one, randomKey(1)));
    expect(decide(compare(bad, good), "mrr", true, 20)).toMatchObject({ kind: "improved", kept: "adapted" });
    expect(decide(compare(good, bad), "mrr", true, 20)).toMatchObject({ kind: "not improved", kept: "base" });
    expect(decide(compare(bad, good), "mrr", false, 20).kept).toBe("base");
    const mixed = [compare(bad, good)[0], compare(good, bad)[1]] as ReturnType<typeof compare>;
    expect(decide(mixed, "mrr", true, 20).text).toMatch(/What became worse: Recall@1 from 1\.000 to/);
    const alone = compareMeasured(null, bad[0] as (typeof bad)[0], randomKey(1));
    // (1 + 1/2 + ... + 1/20) / 20 = 0.180
    expect(decide([alone], "mrr", true, 20).text).toContain("by chance it would be about 0.180");
  });

  it("are those that the data allow, the one that chooses first", () => {
    const data = { towers: 2, compare: false, scores: false, labels: false, binary: false };
    expect(possibleMetrics(data)[0]).toBe("mrr");
    expect(possibleMetrics({ ...data, labels: true, binary: true })[0]).toBe("map");
    expect(possibleMetrics({ ...data, towers: 1 })).toEqual(["uniformity"]);
    expect(possibleMetrics({ ...data, towers: 1, compare: true, scores: true })[0]).toBe("spearman");
  });
});
