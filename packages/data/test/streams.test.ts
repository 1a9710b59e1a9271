import { createWriteStream } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { randomKey } from "@concord/tensor";
import { parquetWriteBuffer } from "hyparquet-writer";
import { pack } from "tar-stream";
import { describe, expect, test } from "vitest";
import { createBatchSource } from "../src/batches/captioned-files.ts";
import {
  captionedFiles,
  expandShards,
  loadCaptionedImages,
  openPairs,
  prefetch,
  type RowProblem,
  shuffleBuffer,
  trainWordTokenizer,
  type WebdatasetOptions,
  type WebdatasetSample,
  webdatasetSamples,
} from "../src/index.ts";
import { sampleImage, writeTar } from "./sample-images.ts";
import { temporaryFolder } from "./temporary.ts";

const folder = await temporaryFolder();
const red = { r: 250, g: 10, b: 10 };

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

async function samples(
  shards: string | readonly string[],
  options: WebdatasetOptions = {},
): Promise<{ samples: WebdatasetSample[]; problems: RowProblem[] }> {
  const problems: RowProblem[] = [];
  const found = await collect(
    webdatasetSamples(shards, { ...options, onProblem: (problem) => problems.push(problem) }),
  );
  return { samples: found, problems };
}

describe("patterns of shards", () => {
  test("numbers keep their width; choices and several braces multiply", () => {
    expect(expandShards("a.tar")).toEqual(["a.tar"]);
    expect(expandShards("t-{008..011}.tar")).toEqual(["t-008.tar", "t-009.tar", "t-010.tar", "t-011.tar"]);
    expect(expandShards("{a,b}-{0..1}.tar")).toEqual(["a-0.tar", "a-1.tar", "b-0.tar", "b-1.tar"]);
  });

  test.each([
    ["t-{3..1}.tar", "runs backwards"],
    ["t-{0..1", "a brace is not closed"],
    ["t-{0..999999999}.tar", "more than 100000 files"],
    ["{0..999}{0..999}.tar", "more than 100000 files"],
  ])("%s is refused", (pattern, message) => expect(() => expandShards(pattern)).toThrow(message));
});

describe("shuffling a stream", () => {
  const numbers = Array.from({ length: 1000 }, (_, i) => i);

  test("every item comes once; the key decides the order; a small buffer mixes neighbours", async () => {
    const run = (seed: number, size: number): Promise<number[]> =>
      collect(shuffleBuffer(numbers, { key: randomKey(seed), size }));
    const a = await run(1, 50);
    expect([...a].sort((x, y) => x - y)).toEqual(numbers);
    expect(await run(1, 50)).toEqual(a);
    expect(await run(2, 50)).not.toEqual(a);
    a.forEach((value, place) => expect(value).toBeLessThanOrEqual(place + 50));
    expect(await run(1, 1)).toEqual(numbers);
  });

  test("with a buffer as large as the stream every place is equally likely", async () => {
    // 6 orders of 3 items, 1200 draws: 200 each, deviation 12.9; 60 is 4.6 deviations, seeds are fixed.
    const counts = new Map<string, number>();
    for (let seed = 0; seed < 1200; seed++) {
      const order = (await collect(shuffleBuffer([0, 1, 2], { key: randomKey(seed), size: 3 }))).join("");
      counts.set(order, (counts.get(order) ?? 0) + 1);
    }
    expect(counts.size).toBe(6);
    for (const count of counts.values()) expect(Math.abs(count - 200)).toBeLessThan(60);
  });
});

describe("WebDataset shards", () => {
  test("members are grouped by key across shards, plain and compressed", async () => {
    const text = (value: string): Buffer => Buffer.from(value);
    await writeTar(join(folder, "s-0.tar"), {
      "a/1.txt": text("one"),
      "a/1.JSON": text('{"n": 1}'),
      "a/2.seg.png": text("mask"),
      "a/2.txt": text("two"),
    });
    await writeTar(join(folder, "s-1.tar.gz"), { "3.txt": text("three"), "3.cls": text("7") });
    const { samples: found, problems } = await samples([
      join(folder, "s-{0..0}.tar"),
      join(folder, "s-1.tar.gz"),
    ]);
    expect(found.map(({ key, number, parts }) => [key, number, [...parts.keys()]])).toEqual([
      ["a/1", 1, ["txt", "json"]],
      ["a/2", 2, ["seg.png", "txt"]],
      ["3", 1, ["txt", "cls"]],
    ]);
    expect(Buffer.from(found[1]?.parts.get("txt")?.bytes ?? []).toString()).toBe("two");
    const place = found[1]?.parts.get("txt");
    const shard = await readFile(found[1]?.shard ?? "");
    expect(shard.subarray(place?.offset ?? 0, (place?.offset ?? 0) + (place?.length ?? 0)).toString()).toBe(
      "two",
    );
    expect(problems).toEqual([]);
    const only = await samples(join(folder, "s-0.tar"), { endings: ["txt"] });
    expect(only.samples.map(({ parts }) => [...parts.keys()])).toEqual([["txt"], ["txt"]]);
  });

  test("members that lead outside, links, repetitions and giants are reported and passed over", async () => {
    const path = join(folder, "bad.tar");
    const archive = pack();
    const done = new Promise<void>((resolve) =>
      archive.pipe(createWriteStream(path)).on("finish", () => resolve()),
    );
    archive.entry({ name: "../outside.txt" }, "x");
    archive.entry({ name: "/etc/passwd.txt" }, "x");
    archive.entry({ name: "C:\\x.txt" }, "x");
    archive.entry({ name: "link.txt", type: "symlink", linkname: "/etc/passwd" });
    archive.entry({ name: "hard.txt", type: "link", linkname: "a.txt" });
    archive.entry({ name: "folder", type: "directory" });
    archive.entry({ name: "README" }, "no ending");
    archive.entry({ name: "._a.txt" }, "hidden");
    archive.entry({ name: "a.txt" }, "first");
    archive.entry({ name: "a.txt" }, "again");
    archive.entry({ name: "a.big" }, "x".repeat(2000));
    archive.entry({ name: "b.txt" }, "second");
    archive.entry({ name: "a.txt" }, "third");
    archive.finalize();
    await done;
    const { samples: found, problems } = await samples(path, { maxPartBytes: 1000 });
    expect(found.map(({ key, parts }) => [key, [...parts.keys()]])).toEqual([
      ["a", ["txt"]],
      ["b", ["txt"]],
      ["a", ["txt"]],
    ]);
    expect(problems.map(({ reason, value }) => [reason, value])).toEqual([
      ["member's path leads outside", "../outside.txt"],
      ["member's path leads outside", "/etc/passwd.txt"],
      ["member's path leads outside", "C:\\x.txt"],
      ["member is a symlink, not a file", "link.txt"],
      ["member is a link, not a file", "hard.txt"],
      ["member has no ending", "README"],
      ["member is there twice", "a.txt"],
      ["member of 2000 bytes is over the limit of 1000", "a.big"],
      ["sample has the name of an earlier one", "a.txt"],
    ]);
    await expect(collect(webdatasetSamples(path, { strict: true }))).rejects.toMatchObject({
      name: "RowError",
    });
  });

  test("a truncated or missing shard is an error that names it", async () => {
    await writeTar(join(folder, "whole.tar"), { "a.txt": Buffer.from("x".repeat(5000)) });
    const bytes = await readFile(join(folder, "whole.tar"));
    const cut = join(folder, "cut.tar");
    await writeFile(cut, bytes.subarray(0, 3000));
    await expect(samples(cut)).rejects.toThrow(`The shard ${cut} cannot be read`);
    await writeFile(cut, Buffer.from("this is no tar file, and long enough to hold a heading".repeat(20)));
    await expect(samples(cut)).rejects.toThrow(`The shard ${cut} cannot be read`);
    await expect(samples(join(folder, "none.tar"))).rejects.toThrow("none.tar cannot be read");
  });

  test("captioned images of shards, kept in memory and decoded at each visit", async () => {
    const jpeg = await sampleImage("jpeg", red);
    for (const [shard, name] of [
      [0, "r"],
      [1, "s"],
    ] as const)
      await writeTar(join(folder, `pairs-${shard}.tar`), {
        [`${name}.jpg`]: jpeg,
        [`${name}.txt`]: Buffer.from(`a red ${name}`),
        [`${name}.json`]: Buffer.from('{"year": 1999}'),
        [`${name}x.txt`]: Buffer.from("no image"),
        [`${name}y.jpg`]: Buffer.from("no image either"),
        [`${name}y.txt`]: Buffer.from("broken"),
      });
    for (const keep of ["memory", "source"] as const) {
      const opened = await openPairs(join(folder, "pairs-{0..1}.tar"));
      await using loaded = await loadCaptionedImages({ ...opened, size: 8, workers: 1, keep });
      expect(loaded.set.names).toEqual(["pairs-0.tar/r.jpg", "pairs-1.tar/s.jpg"]);
      expect(loaded.set.captions).toEqual([["a red r"], ["a red s"]]);
      expect(loaded.set.labels.year?.values).toEqual(["1999"]);
      expect(loaded.problems.countByReason).toEqual({
        "sample has no image": 2,
        "not a JPEG, PNG or WebP image": 2,
      });
      const { data, shape } = await loaded.set.pixels([1, 0, 1]);
      expect(shape).toEqual([3, 3, 8, 8]);
      expect(data[0]).toBeGreaterThan(240);
      expect(data[64]).toBeLessThan(20);
    }
  });
});

test("captioned files come from a thread as they would from this one", async () => {
  const jpeg = await sampleImage("jpeg", red);
  const members = Object.fromEntries(
    Array.from({ length: 6 }, (_, i) => [
      [`${i}.jpg`, jpeg],
      [`${i}.txt`, Buffer.from(`picture ${i}`)],
    ]).flat() as [string, Buffer][],
  );
  await writeTar(join(folder, "files.tar"), members);
  const tokenizer = join(folder, "tokenizer.json");
  await trainWordTokenizer(["picture 0 1 2 3 4 5"], { maxVocabulary: 20 }).save(tokenizer);
  const options = {
    pairs: join(folder, "files.tar"),
    tokenizer,
    length: 4,
    size: 8,
    key: randomKey(5),
    batchSize: 2,
    augment: { shift: 1, brightness: 0.1 },
  };
  await using source = prefetch(await captionedFiles(options));
  await using here = await createBatchSource(options);
  expect(source.stepsPerEpoch).toBe(3);
  for (const step of [0, 4, 1]) expect(await source.batch(step)).toEqual(await here.batch(step));
  await expect(captionedFiles({ ...options, pairs: join(folder, "none.tar") })).rejects.toThrow("none.tar");
});

describe("Parquet pairs", () => {
  test("images by path, with other columns as labels", async () => {
    await writeFile(join(folder, "red.png"), await sampleImage("png", red));
    const path = join(folder, "paths.parquet");
    const columnData = [
      { name: "image", data: ["red.png", "lost.png", "../x.png"] },
      { name: "caption", data: ["a red card", "gone", "outside"] },
      { name: "year", data: [1999, 2000, 2001], type: "INT32" as const },
    ];
    await writeFile(path, new Uint8Array(parquetWriteBuffer({ columnData })));
    await using loaded = await loadCaptionedImages({ ...(await openPairs(path)), size: 8, workers: 1 });
    expect([loaded.set.names, loaded.set.captions]).toEqual([["red.png"], [["a red card"]]]);
    expect(loaded.set.labels.year?.values).toEqual(["1999"]);
    expect(loaded.problems.records.map(({ line, reason }) => [line, reason])).toEqual([
      [3, "path leads outside the image folder"],
      [2, "image file not found"],
    ]);
    await expect(openPairs(path, { image: "imag" })).rejects.toThrow(
      'there is no column "imag"; did you mean "image"?',
    );
  });

  test("images inside, as bytes and in the Hugging Face layout, over several row groups", async () => {
    const png = new Uint8Array(await sampleImage("png", red));
    const images = [png, new Uint8Array([1, 2, 3]), png, png, png];
    const captions = ["one", "broken", "three", "four", "five"];
    const plain = join(folder, "bytes.parquet");
    await writeFile(
      plain,
      new Uint8Array(
        parquetWriteBuffer({
          columnData: [
            { name: "picture", data: images, type: "BYTE_ARRAY" },
            { name: "text", data: captions },
          ],
          rowGroupSize: 2,
        }),
      ),
    );
    const struct = join(folder, "struct.parquet");
    await writeFile(
      struct,
      new Uint8Array(
        parquetWriteBuffer({
          schema: [
            { name: "root", num_children: 2 },
            { name: "picture", repetition_type: "OPTIONAL", num_children: 2 },
            { name: "bytes", type: "BYTE_ARRAY", repetition_type: "OPTIONAL" },
            { name: "path", type: "BYTE_ARRAY", converted_type: "UTF8", repetition_type: "OPTIONAL" },
            { name: "text", type: "BYTE_ARRAY", converted_type: "UTF8", repetition_type: "OPTIONAL" },
          ],
          columnData: [
            { name: "picture", data: images.map((bytes, i) => ({ bytes, path: `${i}.png` })) },
            { name: "text", data: captions },
          ],
          rowGroupSize: 2,
        }),
      ),
    );
    for (const path of [plain, struct]) {
      const opened = await openPairs(path, { image: "picture", caption: "text" });
      await using loaded = await loadCaptionedImages({ ...opened, size: 8, workers: 1 });
      expect(loaded.set.captions).toEqual([["one"], ["three"], ["four"], ["five"]]);
      expect(loaded.problems.records.map(({ line, reason }) => [line, reason])).toEqual([
        [2, "not a JPEG, PNG or WebP image"],
      ]);
      expect((await loaded.set.pixels([3])).data[0]).toBe(250);
    }
  });
});
