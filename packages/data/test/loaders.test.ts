import { mkdir, readdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import {
  cocoPairs,
  csvPairs,
  imageFolderClasses,
  imageFolderPairs,
  jsonlPairs,
  karpathyPairs,
  type LoadCaptionedImagesOptions,
  loadCaptionedImages,
  looseImages,
  openPairs,
  type PairRow,
  type PairSource,
  RowError,
  type RowProblem,
} from "../src/index.ts";
import { sampleImage, writeTar } from "./sample-images.ts";
import { temporaryFolder } from "./temporary.ts";

const folder = await temporaryFolder();
const images = join(folder, "images");
const red = { r: 250, g: 10, b: 10 };
const blue = { r: 10, g: 10, b: 250 };

beforeAll(async () => {
  await mkdir(join(images, "sub"), { recursive: true });
  const redJpeg = await sampleImage("jpeg", red);
  await writeFile(join(images, "red.jpg"), redJpeg);
  await writeFile(join(images, "sub", "blue.png"), await sampleImage("png", blue));
  await writeFile(join(images, "broken.jpg"), redJpeg.subarray(0, redJpeg.length / 2));
  await writeFile(join(images, "text.jpg"), "this is no image");
  await writeFile(join(images, "drawing.svg"), '<svg xmlns="http://www.w3.org/2000/svg"/>');
  await writeFile(join(images, "empty.png"), "");
  await writeFile(join(folder, "secret.png"), await sampleImage("png", red));
  await symlink(join(folder, "secret.png"), join(images, "link-outside.png"));
  await symlink(join(images, "red.jpg"), join(images, "link-inside.jpg"));
});

async function write(name: string, content: string | Buffer): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}

async function read(source: PairSource): Promise<{ rows: PairRow[]; problems: RowProblem[] }> {
  const problems: RowProblem[] = [];
  const rows: PairRow[] = [];
  for await (const row of source.rows((problem) => problems.push(problem))) rows.push(row);
  return { rows, problems };
}

function load(pairs: PairSource, options: Partial<LoadCaptionedImagesOptions> = {}) {
  return loadCaptionedImages({ pairs, images, size: 8, workers: 1, ...options });
}

describe("CSV and TSV", () => {
  test("quotes, line breaks, byte order mark, CR LF and further columns", async () => {
    const file = await write(
      "messy.csv",
      '\ufeffimage, caption ,artist\r\na.png,"one, ""two""\r\nthree",Ann\r\n\r\nb.png,second,Bo\r\n',
    );
    const { rows, problems } = await read(csvPairs(file));
    expect(problems).toEqual([]);
    expect(rows.map(({ image, caption, line }) => [image, caption, line])).toEqual([
      ["a.png", 'one, "two"\nthree', 2],
      ["b.png", "second", 5],
    ]);
    expect([...(rows[0]?.labels ?? [])]).toEqual([["artist", "Ann"]]);
  });

  test("any text survives writing and reading", async () => {
    const cell = fc.string({ unit: "grapheme", maxLength: 20 }).map((text) => text.replace(/\r\n?/g, "\n"));
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(cell, cell), { minLength: 1, maxLength: 8 }), async (table) => {
        const quoted = (text: string): string => `"${text.replaceAll('"', '""')}"`;
        const lines = table.map((row) => row.map(quoted).join(","));
        const file = await write("any.csv", `image,caption\n${lines.join("\n")}\n`);
        const { rows } = await read(csvPairs(file));
        expect(rows.map((row) => [row.image, row.caption])).toEqual(table);
      }),
      { numRuns: 40 },
    );
  });

  test("a wrong column names the file and the columns that exist", async () => {
    const file = await write("wrong.csv", "picture,text\na.png,b\n");
    await expect(read(csvPairs(file))).rejects.toThrow(
      `${file}:1: there is no column "image"; the columns are "picture", "text"`,
    );
    const { rows } = await read(csvPairs(file, { image: "picture", caption: "text" }));
    expect(rows[0]).toMatchObject({ image: "a.png", caption: "b", line: 2 });
  });

  test("rows with too few or too many columns are reported with their line", async () => {
    const file = await write("ragged.csv", "image,caption\na.png\nb.png,fine\nc.png,one,two\n");
    const { rows, problems } = await read(csvPairs(file));
    expect(rows.map((row) => row.image)).toEqual(["b.png"]);
    expect(problems).toEqual([
      { file, line: 2, reason: "row has 1 columns, the heading 2", value: "a.png" },
      { file, line: 4, reason: "row has 3 columns, the heading 2", value: "c.png,one,two" },
    ]);
  });

  test("a quote left open is an error at the row where it opens", async () => {
    const file = await write("open.csv", 'image,caption\na.png,fine\nb.png,"never closed\nc.png,x\n');
    await expect(read(csvPairs(file))).rejects.toThrow(
      `${file}:3: the row does not end; is a quote left open?`,
    );
  });

  test("tab-separated files have no quoting, gzip goes by the name, lists of captions are JSON", async () => {
    const tsv = await write("pairs.tsv.gz", gzipSync('image\tcaption\na.png\t"Hello", he said\n'));
    expect((await read(csvPairs(tsv))).rows[0]?.caption).toBe('"Hello", he said');
    const bars = await write("flickr.csv", 'image| captions\na.png|["one", "two"]\nb.png|three\n');
    const options = { delimiter: "|", quote: null, caption: "captions", captionFormat: "json" } as const;
    const { rows, problems } = await read(csvPairs(bars, options));
    expect(rows.map((row) => row.caption)).toEqual(["one", "two"]);
    expect(problems[0]).toMatchObject({ line: 3, reason: "caption is not a JSON list of texts" });
  });

  test("empty, missing and UTF-16 files are named", async () => {
    const empty = await write("empty.csv", "");
    await expect(read(csvPairs(empty))).rejects.toThrow(`${empty} is empty`);
    await expect(read(csvPairs(join(folder, "none.csv")))).rejects.toThrow("none.csv cannot be read: ENOENT");
    const utf16 = await write("utf16.csv", Buffer.from("\ufeffimage,caption\n", "utf16le"));
    await expect(read(csvPairs(utf16))).rejects.toThrow(`${utf16} cannot be read: it is not UTF-8 text`);
  });
});

describe("JSON lines", () => {
  test("one caption or several, labels, and lines that are no objects", async () => {
    const file = await write(
      "pairs.jsonl",
      '{"image":"a.png","caption":["one","two"],"year":1999}\r\n\r\nnot json\n{"image":"b.png"}\n' +
        '{"image":"c.png","caption":"three"}',
    );
    const { rows, problems } = await read(jsonlPairs(file));
    expect(rows.map(({ image, caption, line }) => [image, caption, line])).toEqual([
      ["a.png", "one", 1],
      ["a.png", "two", 1],
      ["c.png", "three", 5],
    ]);
    expect(rows[0]?.labels.get("year")).toBe("1999");
    expect(problems).toEqual([
      { file, line: 3, reason: "line is not a JSON object", value: "not json" },
      { file, line: 4, reason: 'field "caption" is missing or not a text', value: "null" },
    ]);
  });

  test("a field that no line has is an error that lists the fields", async () => {
    const file = await write("fields.jsonl", '{"path":"a.png","caption":"x"}\n');
    await expect(read(jsonlPairs(file))).rejects.toThrow(
      `${file}:1: there is no column "image"; the columns are "path", "caption"`,
    );
  });
});

describe("COCO, Karpathy and class folders", () => {
  test("COCO captions", async () => {
    const file = await write(
      "captions_val2017.json",
      JSON.stringify({
        images: [{ id: 7, file_name: "red.jpg" }],
        annotations: [
          { id: 1, image_id: 7, caption: "A red square." },
          { id: 2, image_id: 8, caption: "Nothing." },
          { id: 3, image_id: 7 },
        ],
      }),
    );
    const { rows, problems } = await read(cocoPairs(file));
    expect(rows.map(({ image, caption }) => [image, caption])).toEqual([["red.jpg", "A red square."]]);
    expect(problems.map(({ line, reason, value }) => [line, reason, value])).toEqual([
      [2, "annotation of an image that is not listed", "8"],
      [3, "annotation has no caption", '{"id":3,"image_id":7}'],
    ]);
    expect((await openPairs(file)).images).toBe(folder);
  });

  test("Karpathy's splits", async () => {
    const sentences = [{ raw: "One." }, { raw: "Two." }];
    const file = await write(
      "dataset.json",
      JSON.stringify({
        images: [
          { filename: "blue.png", filepath: "sub", split: "train", sentences },
          { filename: "red.jpg", split: "test", sentences: [{ tokens: [] }] },
          { split: "test" },
        ],
      }),
    );
    const { rows, problems } = await read(karpathyPairs(file));
    expect(rows.map(({ image, caption }) => [image, caption])).toEqual([
      ["sub/blue.png", "One."],
      ["sub/blue.png", "Two."],
    ]);
    expect(rows[0]?.labels.get("split")).toBe("train");
    expect(problems.map((problem) => problem.line)).toEqual([2, 3]);
    const { pairs } = await openPairs(file, { splits: ["test"] });
    expect((await read(pairs)).rows).toEqual([]);
    await expect(read(cocoPairs(file))).rejects.toThrow("not in COCO's caption format");
  });

  test("class folders with a class list", async () => {
    const root = join(folder, "classes");
    for (const [id, colour] of [
      ["n01", red],
      ["n02", blue],
      ["stray", red],
    ] as const) {
      await mkdir(join(root, "train", id), { recursive: true });
      await writeFile(join(root, "train", id, "1.jpg"), await sampleImage("jpeg", colour));
    }
    await writeFile(join(root, "train", "n01", "notes.txt"), "no image");
    const classList = await write("classes.txt", "n01\tred things\r\nn02\tblue things\r\n");
    const { set, problems } = await load(imageFolderPairs(root, { split: "train", classList }), {
      images: root,
    });
    expect(set.names).toEqual(["train/n01/1.jpg", "train/n02/1.jpg"]);
    expect(set.captions).toEqual([["a photo of red things"], ["a photo of blue things"]]);
    expect(set.labels.class?.values).toEqual(["red things", "blue things"]);
    expect(problems.records[0]).toMatchObject({
      reason: "class folder is not in the class list",
      value: "stray",
    });
    expect(await imageFolderClasses(root, { classList })).toEqual([
      { id: "n01", name: "red things" },
      { id: "n02", name: "blue things" },
    ]);
    const bad = await write("bad-classes.txt", "n01 red things\n");
    await expect(imageFolderClasses(root, { classList: bad })).rejects.toThrow(
      `${bad}:1: a line must be id<TAB>name`,
    );
  });

  test("pictures of a folder itself are told from those of folders of classes", async () => {
    const root = join(folder, "loose");
    await mkdir(join(root, "empty"), { recursive: true });
    for (const name of ["b.png", "a.JPEG", "notes.txt"]) await writeFile(join(root, name), "");
    expect(await looseImages(root)).toEqual({ names: ["a.JPEG", "b.png"], inFolders: false });
    await writeFile(join(root, "empty", "c.webp"), "");
    expect(await looseImages(root)).toEqual({ names: ["a.JPEG", "b.png"], inFolders: true });
    await expect(looseImages(join(root, "absent"))).rejects.toThrow("There is no image folder at");
  });

  test("unknown formats are refused", async () => {
    await expect(openPairs(join(folder, "nothing.csv"))).rejects.toThrow("There is no file or folder at");
    await expect(openPairs(await write("x.xlsx", "x"))).rejects.toThrow("pairs come as .csv, .tsv, .jsonl");
    await expect(openPairs(await write("x.json", "[]"))).rejects.toThrow("neither in COCO's caption format");
    await expect(openPairs(await write("y.json", "{"))).rejects.toThrow("is not valid JSON");
  });
});

describe("loading images", () => {
  const good = "image,caption,set\nred.jpg,a red square,x\nsub/blue.png,a blue square,y\nred.jpg,crimson,z\n";
  const bad: readonly (readonly [string, string, string])[] = [
    ["red.jpg", "  ", "empty caption"],
    ["missing.png", "gone", "image file not found"],
    ["broken.jpg", "half", "JPEG image cannot be decoded"],
    ["text.jpg", "text", "not a JPEG, PNG or WebP image"],
    ["drawing.svg", "vector", "not a JPEG, PNG or WebP image"],
    ["empty.png", "nothing", "empty file"],
    ["../secret.png", "outside", "path leads outside the image folder"],
    ["../../../../etc/passwd", "outside", "path leads outside the image folder"],
    ["sub/../../secret.png", "outside", "path leads outside the image folder"],
    ["/etc/passwd", "outside", "path leads outside the image folder"],
    ["C:\\secret.png", "outside", "path leads outside the image folder"],
    ["link-outside.png", "outside", "path leads outside the image folder"],
    ["sub", "a folder", "not a file"],
  ];

  test("groups captions by image and reports every bad row", async () => {
    const lines = bad.map(([image, caption]) => `${image},${caption},w`);
    const file = await write("mixed.csv", `${good}${lines.join("\n")}\nlink-inside.jpg,linked,v\n`);
    const { set, problems } = await load(csvPairs(file));
    expect(set.names).toEqual(["red.jpg", "sub/blue.png", "link-inside.jpg"]);
    expect(set.captions).toEqual([["a red square", "crimson"], ["a blue square"], ["linked"]]);
    expect(set.labels.set?.values).toEqual(["x", "y", "v"]);
    const pixels = await set.pixels([1, 0]);
    expect(pixels.shape).toEqual([2, 3, 8, 8]);
    const corner = [0, 64, 128, 192, 256, 320].map((i) => pixels.data[i] as number);
    [10, 10, 250, 250, 10, 10].forEach((value, i) => {
      expect(Math.abs((corner[i] as number) - value)).toBeLessThan(6);
    });
    expect(problems.count).toBe(bad.length);
    const byLine = [...problems.records].sort((a, b) => a.line - b.line);
    bad.forEach(([image, caption, reason], i) => {
      expect(byLine[i]).toMatchObject({ file, line: 5 + i });
      expect(byLine[i]?.reason).toContain(reason);
      expect(byLine[i]?.value).toBe(caption.trim() === "" ? caption : image);
    });
    expect(problems.countByReason["path leads outside the image folder"]).toBe(6);
  });

  test.each(bad)("strict mode throws at %s (%s)", async (image, caption, reason) => {
    const file = await write("strict.csv", `${good}${image},${caption},w\n`);
    const error = await load(csvPairs(file), { strict: true }).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(RowError);
    expect((error as RowError).message).toContain(`${file}:5: `);
    expect((error as RowError).message).toContain(reason);
  });

  test.each(["images.tar", "images.tar.gz"])("takes images from %s", async (name) => {
    const archive = join(folder, name);
    await writeTar(archive, {
      "./red.jpg": await sampleImage("jpeg", red),
      [`${"long/".repeat(40)}blue.png`]: await sampleImage("png", blue),
      "../escape.png": await sampleImage("png", red),
      "large.png": Buffer.alloc(5000),
    });
    const rows = ["red.jpg", `${"long/".repeat(40)}blue.png`, "../escape.png", "large.png", "none.png"];
    const file = await write("tar.csv", `image,caption\n${rows.map((row) => `${row},x`).join("\n")}\n`);
    const { set, problems } = await load(csvPairs(file), { images: archive, limits: { maxFileBytes: 4000 } });
    expect(set.names).toEqual(rows.slice(0, 2));
    const pixels = await set.pixels([0, 1]);
    expect(pixels.data[0]).toBeGreaterThan(240);
    expect(pixels.data[192]).toBeLessThan(20);
    expect(problems.records.map((problem) => problem.reason).sort()).toEqual([
      "image file not found",
      "image file of 5000 bytes is over the limit of 4000",
      "path leads outside the image folder",
    ]);
  });

  test("limits of archives, memory and captions", async () => {
    const file = await write("good.csv", good);
    const archive = join(folder, "big.tar.gz");
    await writeTar(archive, { "a.png": Buffer.alloc(3000), "b.png": Buffer.alloc(3000) });
    await expect(
      load(csvPairs(file), { images: archive, limits: { maxArchiveBytes: 5000 } }),
    ).rejects.toThrow("more than 5000 bytes inside");
    await expect(load(csvPairs(file), { images: archive, limits: { maxMembers: 1 } })).rejects.toThrow(
      "more than 1 members",
    );
    const torn = await write("torn.tar", Buffer.alloc(700, 1));
    await expect(load(csvPairs(file), { images: torn })).rejects.toThrow(
      `The archive ${torn} cannot be read`,
    );
    await expect(load(csvPairs(file), { images: file })).rejects.toThrow("Images come from a folder");
    await expect(load(csvPairs(file), { images: join(folder, "none") })).rejects.toThrow(
      "There is no folder",
    );
    await expect(load(csvPairs(file), { maxMemoryBytes: 100 })).rejects.toThrow("over the limit of 100");
    await expect(load(csvPairs(file), { maxRows: 2 })).rejects.toThrow("more than 2 rows");
    const { problems } = await load(csvPairs(file), { maxCaptionCharacters: 12 });
    expect(problems.records[0]?.reason).toBe("caption is longer than 12 characters");
    const small = await load(csvPairs(file), { maxPixels: 399 }).catch((error: unknown) => error);
    expect(String(small)).toContain("has no usable row; 3 were rejected");
    expect(String(small)).toContain("exceeds pixel limit");
  });

  test("decoded images are cached by content and can stay on disk", async () => {
    const file = await write("cache.csv", good);
    const cacheDirectory = join(folder, "cache");
    const first = await load(csvPairs(file), { cacheDirectory });
    const cached = (await readdir(cacheDirectory, { recursive: true })).filter((name) =>
      name.endsWith(".rgb"),
    );
    expect(cached).toHaveLength(2);
    // What is in the cache is what is used: a changed cache file shows.
    const paths = cached.map((name) => join(cacheDirectory, name));
    for (const path of paths) await writeFile(path, new Uint8Array(192).fill(77));
    const onDisk = await load(csvPairs(file), { cacheDirectory, keep: "disk" });
    expect(new Set((await onDisk.set.pixels([1, 0, 1])).data)).toEqual(new Set([77]));
    expect(new Set((await first.set.pixels([0])).data)).not.toEqual(new Set([77]));
    // A cache file of the wrong length is made again.
    for (const path of paths) await writeFile(path, "short");
    const again = await load(csvPairs(file), { cacheDirectory });
    expect(await again.set.pixels([0, 1])).toEqual(await first.set.pixels([0, 1]));
    await expect(load(csvPairs(file), { keep: "disk" })).rejects.toThrow("keep: disk needs a cacheDirectory");
  });

  test("progress is reported and loading can be stopped", async () => {
    const file = await write("progress.csv", `${good}missing.png,x,y\n`);
    const seen: unknown[] = [];
    await load(csvPairs(file), { onProgress: (progress) => seen.push(progress) });
    expect(seen.at(-1)).toEqual({ done: 3, total: 3, failed: 1 });
    const stop = new AbortController();
    stop.abort(new Error("stopped by the user"));
    await expect(load(csvPairs(file), { signal: stop.signal })).rejects.toThrow("stopped by the user");
  });
});
