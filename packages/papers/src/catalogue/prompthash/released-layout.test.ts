import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodePng, type PairRow } from "@concord/data";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { contextInMemory } from "../../harness/memory-context.ts";
import { smokeConfig } from "./config.ts";
import { readMat } from "./mat-file.ts";
import { loadOwnTask, ownRun } from "./own-data.ts";
import { isReleasedLayout, releasedPairs } from "./released-layout.ts";
import { labelsOf } from "./task.ts";

// Written by SciPy's savemat and NumPy's save: FAll, 12 cells p0.png ..., compressed; caption, cells of one text, of two for
// item 3; category, uint8 [12, 3], item i having label i % 2 ? 1 : 2, and 3 where 3 divides i; an array of str.
const indexMat = Buffer.from(
  "TUFUTEFCIDUuMCBNQVQtZmlsZSBQbGF0Zm9ybTogcG9zaXgsIENyZWF0ZWQgb246IFN1biBOb3YgMjIgMDI6NDg6MTcgMjAyNgAA" +
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAABSU0PAAAAbwAAAHic42NgYNBgZmBgA9Ic" +
    "QMzIAAGsUD4PVIyRgYXBzTEnhw/ItmBAqGdBU88IlYOZIwDlFxjoFeSlMzCQrd+QQv1GFOo3plC/CYX6TSnUb0ahfnMK9VtQqN+S" +
    "eP3saPpB/AJDSAIkXz8kAQIA/yghYw==",
  "base64",
);
const captionMat = Buffer.from(
  "TUFUTEFCIDUuMCBNQVQtZmlsZSBQbGF0Zm9ybTogcG9zaXgsIENyZWF0ZWQgb246IFN1biBOb3YgMjIgMDI6NDg6MTcgMjAyNgAA" +
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAABSU0PAAAArgAAAHic42NgYNjBzMDABqQ5" +
    "gJiRAQJYoXweqBgIswNxcmJBSWZ+HgMfkG3BgNDHgqYPph5mngCUX5yRmJKqYEChfkMK9RuB9e9gwO1vEJ8JSRyk3oGAffxo9vHD" +
    "7TNWyE9TSMssSiXKHE40c0D8xLz8kozUIgVjJPeQ738TstzBC8TuRYf3HJ6fqmCq8KhpDcXuMKNQvzmF+i0o1G9JlH4ONP0ccP2G" +
    "BhTqNwQAelAyfQ==",
  "base64",
);
const labelMat = Buffer.from(
  "TUFUTEFCIDUuMCBNQVQtZmlsZSBQbGF0Zm9ybTogcG9zaXgsIENyZWF0ZWQgb246IFN1biBOb3YgMjIgMDI6NDg6MTcgMjAyNgAA" +
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAABSU0OAAAAYAAAAAYAAAAIAAAACQAAAAAA" +
    "AAAFAAAACAAAAAwAAAADAAAAAQAAAAgAAABjYXRlZ29yeQIAAAAkAAAAAAEAAQABAAEAAQABAQABAAEAAQABAAEAAQAAAQAAAQAA" +
    "AQAAAAAAAA==",
  "base64",
);
const indexNpy = Buffer.from(
  "k05VTVBZAQB2AHsnZGVzY3InOiAnPFU3JywgJ2ZvcnRyYW5fb3JkZXInOiBGYWxzZSwgJ3NoYXBlJzogKDEyLCksIH0gICAgICAg" +
    "ICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIApwAAAAMAAAAC4AAABwAAAAbgAAAGcA" +
    "AAAAAAAAcAAAADEAAAAuAAAAcAAAAG4AAABnAAAAAAAAAHAAAAAyAAAALgAAAHAAAABuAAAAZwAAAAAAAABwAAAAMwAAAC4AAABw" +
    "AAAAbgAAAGcAAAAAAAAAcAAAADQAAAAuAAAAcAAAAG4AAABnAAAAAAAAAHAAAAA1AAAALgAAAHAAAABuAAAAZwAAAAAAAABwAAAA" +
    "NgAAAC4AAABwAAAAbgAAAGcAAAAAAAAAcAAAADcAAAAuAAAAcAAAAG4AAABnAAAAAAAAAHAAAAA4AAAALgAAAHAAAABuAAAAZwAA" +
    "AAAAAABwAAAAOQAAAC4AAABwAAAAbgAAAGcAAAAAAAAAcAAAADEAAAAwAAAALgAAAHAAAABuAAAAZwAAAHAAAAAxAAAAMQAAAC4A" +
    "AABwAAAAbgAAAGcAAAA=",
  "base64",
);
const N = 12;
const options = { images: "/photos", column: "labels", separator: "|" };

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "prompthash-released-"));
  await put({ "index.mat": indexMat, "caption.mat": captionMat, "label.mat": labelMat });
  return () => rm(folder, { recursive: true, force: true });
});

async function put(files: Readonly<Record<string, Buffer | string>>): Promise<void> {
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
}

async function rows(given = options): Promise<PairRow[]> {
  const all: PairRow[] = [];
  for await (const row of releasedPairs(folder, given).rows(() => {})) all.push(row);
  return all;
}

describe("the layout of the released code", () => {
  it("is told from tables and other folders", async () => {
    expect(await isReleasedLayout(folder)).toBe(true);
    expect(await isReleasedLayout(tmpdir())).toBe(false);
    expect(await isReleasedLayout(join(folder, "index.mat"))).toBe(false);
    expect(await isReleasedLayout(join(folder, "nowhere"))).toBe(false);
  });

  it("gives every picture its captions and labels", async () => {
    const all = await rows();
    // Item 3 has two captions.
    expect(all).toHaveLength(N + 1);
    expect(all.map(({ image }) => image)).toEqual(
      [0, 1, 2, 3, 3, 4, 5, 6, 7, 8, 9, 10, 11].map((i) => `p${i}.png`),
    );
    expect(all[3]?.caption).toBe("shade 3 of fire");
    expect(all[4]?.caption).toBe("another 3");
    expect(all[6]?.caption).toBe("Grüße 5 €");
    expect([0, 1, 2, 3].map((i) => all[i]?.labels.get("labels"))).toEqual([
      "label2|label3",
      "label1",
      "label2",
      "label1|label3",
    ]);
  });

  it("reads paths from NumPy's file, and captions a line each", async () => {
    await rm(join(folder, "index.mat"));
    await rm(join(folder, "caption.mat"));
    const lines = Array.from({ length: N }, (_, i) => `line ${i} `).join("\r\n");
    await put({ "index.npy": indexNpy, "caption.txt": `${lines}\r\n` });
    const all = await rows();
    expect(all.map(({ image }) => image)).toEqual(Array.from({ length: N }, (_, i) => `p${i}.png`));
    expect(all.map(({ caption }) => caption)).toEqual(Array.from({ length: N }, (_, i) => `line ${i}`));
  });

  it("says what does not fit, and where", async () => {
    await put({ "caption.mat": indexMat });
    await expect(rows()).rejects.toThrow(
      /caption\.mat: expected a variable caption, tags, YAll; there is "FAll"/,
    );
    await put({ "caption.mat": labelMat });
    await expect(rows()).rejects.toThrow(/caption\.mat: expected a variable/);
    await rm(join(folder, "caption.mat"));
    await expect(rows()).rejects.toThrow(/has no caption\.mat or caption\.txt/);
    await put({ "caption.txt": "one\ntwo\n" });
    await expect(rows()).rejects.toThrow(
      /names 12 pictures, but .*caption\.txt has captions of 2 and .*label\.mat labels of 12/,
    );
    await put({ "caption.txt": "a\n".repeat(N), "label.mat": odd });
    await expect(rows()).rejects.toThrow(/label\.mat: category must hold 0 and 1, got 7 in row 1/);
    await rm(join(folder, "label.mat"));
    await expect(rows()).rejects.toThrow(/has no label\.mat/);
    await rm(join(folder, "index.mat"));
    await put({ "index.npy": indexNpy.subarray(0, 300) });
    await expect(rows()).rejects.toThrow(/index\.npy ends before the last of its 12 texts/);
    await put({ "index.npy": "nothing" });
    await expect(rows()).rejects.toThrow(/index\.npy must be an \.npy file with an array \[N\] of texts/);
  });
});

/** The labels with a 7 in place of the first number of the data, which end the file. */
const odd = Buffer.from(labelMat);
odd[labelMat.length - 40] = 7;

describe("readMat", () => {
  it("refuses what is no MAT file that it reads", async () => {
    const path = join(folder, "index.mat");
    for (const [content, message] of [
      ["", /index\.mat is no MAT file of version 5 to 7\.2/],
      ["MATLAB 7.3 MAT-file", /index\.mat is a MAT file of version 7\.3 \(HDF5\); save it with "-v7"/],
      [indexMat.subarray(0, 180), /index\.mat is a broken MAT file: it ends within a data element/],
    ] as const) {
      await put({ "index.mat": content });
      await expect(readMat(path)).rejects.toThrow(message);
    }
  });

  it("makes no texts of a claim of many empty rows", async () => {
    // A matrix of class char [2^31 - 1, 0] called c.
    const words = [14, 48, 6, 8, 4, 0, 5, 8, 2 ** 31 - 1, 0, (1 << 16) | 1, 0x63, 4, 0];
    const body = Buffer.alloc(words.length * 4);
    words.forEach((word, i) => {
      body.writeUInt32LE(word, i * 4);
    });
    await put({ "index.mat": Buffer.concat([labelMat.subarray(0, 128), body]) });
    expect(Object.fromEntries(await readMat(join(folder, "index.mat")))).toEqual({
      c: { kind: "text", rows: [] },
    });
  });

  it("reads damaged files or says so, and does nothing else", async () => {
    // Every byte after the header, once.
    for (let at = 128; at < labelMat.length; at++) {
      const damaged = Buffer.from(labelMat);
      damaged[at] = (damaged[at] as number) ^ 0xff;
      await put({ "label.mat": damaged });
      const outcome = await readMat(join(folder, "label.mat")).catch((error: Error) => error.message);
      if (typeof outcome === "string") expect(outcome).toMatch(/label\.mat is a broken MAT file: /);
    }
  });
});

describe("a run on a folder in this layout", () => {
  let images: string;
  beforeAll(async () => {
    images = await mkdtemp(join(tmpdir(), "prompthash-images-"));
    for (let i = 0; i < N - 1; i++) {
      const data = new Uint8Array(16 * 16 * 3).fill(20 * i);
      const picture = await encodePng({ width: 16, height: 16, channels: 3, data });
      await writeFile(join(images, `p${i}.png`), picture);
    }
  });
  afterAll(() => rm(images, { recursive: true, force: true }));

  it("takes pictures, captions and labels, and tells which pictures are missing", async () => {
    const context = contextInMemory(smokeConfig, 0, { pairs: folder, images, "min-count": "2" });
    const run = ownRun(smokeConfig, context.inputs);
    const task = await loadOwnTask(context, run as NonNullable<typeof run>);
    expect(task.items.classes.toSorted()).toEqual(["label1", "label2", "label3"]);
    expect(task.items.set.count).toBe(N - 1);
    const third = task.items.set.names.indexOf("p3.png");
    expect(labelsOf(task.items, third).toSorted()).toEqual(["label1", "label3"]);
    expect(task.items.set.captions[third]).toEqual(["shade 3 of fire", "another 3"]);
    expect(context.notes.join("\n")).toMatch(/1 rows were skipped.*image file not found/);
  });
});
