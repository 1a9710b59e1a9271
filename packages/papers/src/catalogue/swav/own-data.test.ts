import { existsSync } from "node:fs";
import { cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32, deflateSync, gzipSync } from "node:zlib";
import { foldIn, randomKey } from "@concord/tensor";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Inputs } from "../../harness/inputs.ts";
import { contextInMemory } from "../../harness/memory-context.ts";
import { defaultConfig, type SwavConfig, smokeConfig } from "./config.ts";
import { experiment } from "./experiment.ts";
import { loadOwnSets, ownConfig, ownRun } from "./own-data.ts";

const tiny: SwavConfig = {
  ...smokeConfig,
  data: { ...smokeConfig.data, own: { imageSize: 12, probe: 30, test: 20 } },
  training: { ...smokeConfig.training, batchSize: 8 },
};

const contextOf = (inputs: Inputs) => contextInMemory(tiny, 1, inputs);

async function setsOf(inputs: Inputs) {
  const context = contextOf(inputs);
  const run = ownRun(tiny, inputs);
  if (!run) throw new Error("images were given");
  return { ...(await loadOwnSets(context, run, foldIn(randomKey(1), 3))), notes: context.notes };
}

/** A PNG of one grey. */
function png(side: number, shade: number): Buffer {
  const chunk = (type: string, content: Buffer): Buffer => {
    const body = Buffer.concat([Buffer.from(type, "latin1"), content]);
    const frame = Buffer.alloc(8);
    frame.writeUInt32BE(content.length, 0);
    frame.writeUInt32BE(crc32(body), 4);
    return Buffer.concat([frame.subarray(0, 4), body, frame.subarray(4)]);
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(side, 0);
  header.writeUInt32BE(side, 4);
  header.set([8, 0, 0, 0, 0], 8);
  const row = Buffer.concat([Buffer.from([0]), Buffer.alloc(side, shade)]);
  const rows = deflateSync(Buffer.concat(Array.from({ length: side }, () => row)));
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([
    signature,
    chunk("IHDR", header),
    chunk("IDAT", rows),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

function idx(shape: readonly number[], value: (i: number) => number): Buffer {
  const size = shape.reduce((product, extent) => product * extent, 1);
  const header = Buffer.alloc(4 + 4 * shape.length);
  header[2] = 8;
  header[3] = shape.length;
  shape.forEach((extent, i) => void header.writeUInt32BE(extent, 4 + 4 * i));
  return Buffer.concat([header, Buffer.from(Array.from({ length: size }, (_, i) => value(i)))]);
}

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "swav-own-"));
  for (const [name, shade] of [
    ["dark", 20],
    ["light", 230],
  ] as const) {
    await mkdir(join(folder, "classes", name), { recursive: true });
    for (let i = 0; i < 30; i++)
      await writeFile(join(folder, "classes", name, `${i}.png`), png(14, shade + i / 2));
  }
  await writeFile(join(folder, "classes", "dark", "broken.png"), "no picture");
  await mkdir(join(folder, "flat"));
  for (let i = 0; i < 25; i++) await writeFile(join(folder, "flat", `${i}.png`), png(14, 10 * i));
  // Shades of 0 to 9 times 20 tell the class.
  await writeFile(
    join(folder, "a.idx3"),
    idx([50, 6, 8], (i) => (Math.floor(i / 48) % 10) * 20),
  );
  await writeFile(join(folder, "a.idx1.gz"), gzipSync(idx([50], (i) => i % 10)));
  await writeFile(
    join(folder, "b.idx3"),
    idx([30, 6, 8], (i) => (Math.floor(i / 48) % 10) * 20),
  );
  await writeFile(
    join(folder, "b.idx1"),
    idx([30], (i) => i % 10),
  );
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe("own images", () => {
  it("reads class folders, holds a fifth out, and tells what it could not read", async () => {
    const { training, probe, test, notes } = await setsOf({ images: join(folder, "classes") });
    expect([training.count, probe.count, test.count]).toEqual([48, 30, 12]);
    expect(training.classes).toEqual(["dark", "light"]);
    for (const set of [training, probe, test])
      for (let i = 0; i < set.count; i++)
        expect((set.pixels[i * 3 * 144] as number) > 128 ? 1 : 0).toBe(set.labels?.[i]);
    expect(notes.join("\n")).toMatch(/1 files of .*classes were skipped/);
    expect(notes.join("\n")).toMatch(/broken\.png/);
    expect(notes.join("\n")).toMatch(/48 images to train, 30 of them for the probe; 12 to measure/);
  });

  it("reads MNIST's files with test files of their own, as squares of the wanted size", async () => {
    const { training, probe, test } = await setsOf({
      images: join(folder, "a.idx3"),
      labels: join(folder, "a.idx1.gz"),
      "test-images": join(folder, "b.idx3"),
      "test-labels": join(folder, "b.idx1"),
    });
    expect([training.count, probe.count, test.count, training.size]).toEqual([50, 30, 20, 12]);
    expect(training.pixels).toHaveLength(50 * 3 * 144);
    for (const set of [training, probe, test])
      for (let i = 0; i < set.count; i++)
        expect(set.pixels[i * 432 + 100]).toBe(20 * (set.labels?.[i] as number));
  });

  it("trains on pictures without labels, and measures what it can", async () => {
    const context = contextOf({ images: join(folder, "flat"), epochs: "2" });
    const prepared = await experiment.prepare(context);
    expect(prepared.config.training.epochs).toBe(2);
    const { metrics, figures, embeddings } = await experiment.runArm("swav", prepared, context);
    expect(Object.keys(metrics)).toEqual(["prototypes-used"]);
    expect(figures?.map(({ kind }) => kind)).toEqual(["gallery", "bars", "lines"]);
    expect(Object.keys(embeddings ?? {})).toEqual(["images"]);
    expect(context.notes.join()).toMatch(/without labels, so no accuracies/);
    await experiment.dispose?.(prepared);
  });

  it("says which files do not fit each other", async () => {
    const images = join(folder, "a.idx3");
    await expect(setsOf({ images, labels: join(folder, "b.idx1") })).rejects.toThrow(
      /30 labels for 50 images/,
    );
    await expect(setsOf({ images: join(folder, "classes"), labels: images })).rejects.toThrow(/its folders/);
    await expect(setsOf({ images: join(folder, "absent") })).rejects.toThrow(
      /no file or folder of images at .*absent/,
    );
    const text = join(folder, "notes.txt");
    await writeFile(text, "no pictures");
    await expect(setsOf({ images: text })).rejects.toThrow(
      /notes\.txt is no folder, and its name is that of no/,
    );
    await writeFile(
      join(folder, "few.idx3"),
      idx([3, 6, 8], () => 1),
    );
    await expect(setsOf({ images: join(folder, "few.idx3") })).rejects.toThrow(/holds 3 images; at least 5/);
  });

  it("says what a folder without pictures holds, and leaves out pictures beside folders of classes", async () => {
    const binaries = join(folder, "binaries");
    await mkdir(binaries);
    await expect(setsOf({ images: binaries })).rejects.toThrow(/binaries holds no pictures .*of classes\.$/);
    await writeFile(join(binaries, "train.bin"), "");
    await expect(setsOf({ images: binaries })).rejects.toThrow(/it holds train\.bin: give one of them/);
    const mixed = join(folder, "mixed");
    for (const name of ["dark", "light"])
      await cp(join(folder, "classes", name), join(mixed, name), { recursive: true });
    for (let i = 0; i < 7; i++) await writeFile(join(mixed, `${i}.png`), png(14, 9));
    const { training, test, notes } = await setsOf({ images: mixed });
    expect([training.count + test.count, training.classes.length]).toEqual([60, 2]);
    expect(notes.join("\n")).toMatch(/7 pictures beside the folders of classes were left out/);
  });

  it("measures with the classes that the probe knows, and not at all with one", async () => {
    const images = join(folder, "a.idx3");
    const labelled = async (name: string, label: (i: number) => number) => {
      await writeFile(join(folder, name), idx([50], label));
      return setsOf({
        images,
        labels: join(folder, name),
        "test-images": images,
        "test-labels": join(folder, "all.idx1"),
      });
    };
    await writeFile(
      join(folder, "all.idx1"),
      idx([50], (i) => [3, 7, 9][i % 3] as number),
    );
    // Classes 3 and 9 alone can be told apart; numbers between them that nothing has do not matter.
    const some = await labelled("some.idx1", (i) => (i % 2 === 0 ? 3 : 9));
    expect(some.probe.classes).toEqual(["3", "9"]);
    expect(new Set(some.probe.labels)).toEqual(new Set([0, 1]));
    expect(new Set(some.test.labels)).toEqual(new Set([0, 1]));
    expect(some.test.count).toBeLessThan(20);
    expect(some.notes.join("\n")).toMatch(
      /of 20 images to measure are of classes without an image for the probe/,
    );
    const one = await labelled("same.idx1", () => 9);
    expect([one.probe.labels, one.test.labels]).toEqual([null, null]);
    expect(one.notes.join("\n")).toMatch(
      /All images for the probe are of one class \(9\), so there are no acc/,
    );
  });

  it("takes as many steps as the preset does on the generated world", () => {
    const run = ownRun(defaultConfig, { images: "x" });
    const counted = ownRun(defaultConfig, { images: "x", epochs: "3" });
    if (!run || !counted) throw new Error("images were given");
    const { batchSize, epochs } = defaultConfig.training;
    const steps = epochs * Math.floor((defaultConfig.data.generated?.training ?? 0) / batchSize);
    const own = ownConfig(defaultConfig, run, 20_000).training.epochs * Math.floor(20_000 / batchSize);
    expect(own).toBeGreaterThanOrEqual(steps);
    expect(own - steps).toBeLessThan(20_000 / batchSize);
    expect(ownConfig(defaultConfig, counted, 300).training.epochs).toBe(3);
  });

  it("reads Fashion-MNIST", async (context) => {
    const root = new URL("../../../../../../shared/data/images/", import.meta.url).pathname;
    const images = join(root, "fashion-mnist-test-images.idx3.gz");
    if (!existsSync(images))
      return context.skip("no Fashion-MNIST in ../shared/data/images beside the repository");
    const { training, test } = await setsOf({
      images,
      labels: join(root, "fashion-mnist-test-labels.idx1.gz"),
    });
    expect([training.count, test.count, training.classes.length]).toEqual([4980, 20, 10]);
  });
});
