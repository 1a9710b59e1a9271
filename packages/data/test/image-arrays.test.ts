import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { readImageArrays, readImageLabels } from "../src/index.ts";
import { temporaryFolder } from "./temporary.ts";

const folder = await temporaryFolder();
const real = new URL("../../../../shared/data/images/", import.meta.url);

async function file(name: string, bytes: Uint8Array): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, bytes);
  return path;
}

function idx(shape: readonly number[], values: readonly number[], type = 8): Uint8Array {
  const header = new Uint8Array(4 + 4 * shape.length);
  const view = new DataView(header.buffer);
  header[2] = type;
  header[3] = shape.length;
  shape.forEach((extent, i) => void view.setUint32(4 + 4 * i, extent));
  return Buffer.concat([header, Uint8Array.from(values)]);
}

function npy(header: string, values: Uint8Array): Uint8Array {
  const text = `${header.padEnd(117)}\n`;
  const start = Buffer.from("\x93NUMPY\x01\x00\x00\x00", "latin1");
  start.writeUInt16LE(text.length, 8);
  return Buffer.concat([start, Buffer.from(text, "latin1"), values]);
}

describe("images in one file", () => {
  it("reads IDX, plain and under gzip, and its labels", async () => {
    const bytes = idx([2, 2, 3], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    for (const path of [await file("a.idx3", bytes), await file("b-idx3-ubyte.gz", gzipSync(bytes))]) {
      const images = await readImageArrays(path);
      expect(images).toMatchObject({ count: 2, height: 2, width: 3, channels: 1, labels: null });
      expect([...(images?.pixels ?? [])]).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    }
    expect([...(await readImageLabels(await file("a.idx1", idx([3], [7, 0, 9]))))]).toEqual([7, 0, 9]);
  });

  it("reads CIFAR-10, CIFAR-100 and the folder of batches", async () => {
    const record = (labels: readonly number[], shade: number): Uint8Array =>
      Uint8Array.from([...labels, ...Array.from({ length: 3072 }, (_, i) => (i < 1024 ? shade : 1))]);
    const ten = await readImageArrays(
      await file("data.bin", Buffer.concat([record([3], 5), record([9], 6)])),
    );
    expect(ten).toMatchObject({ count: 2, height: 32, width: 32, channels: 3 });
    expect([...(ten?.labels ?? [])]).toEqual([3, 9]);
    expect([ten?.pixels[0], ten?.pixels[1024], ten?.pixels[3072]]).toEqual([5, 1, 6]);
    const hundred = await readImageArrays(await file("train.bin", record([4, 77], 5)));
    expect([...(hundred?.labels ?? [])]).toEqual([77]);
    const batches = join(folder, "batches");
    await mkdir(batches);
    await writeFile(join(batches, "data_batch_2.bin"), record([2], 8));
    await writeFile(join(batches, "data_batch_1.bin"), record([1], 7));
    const all = await readImageArrays(batches);
    expect([[...(all?.labels ?? [])], all?.pixels[0], all?.pixels[3072]]).toEqual([[1, 2], 7, 8]);
  });

  it("turns STL-10's columns into rows, and its labels into 0 to 9", async () => {
    const plane = 96 * 96;
    const values = new Uint8Array(3 * plane);
    // Second value of the file: one down in the first column.
    values[1] = 200;
    values[96] = 100;
    const images = await readImageArrays(await file("unlabeled_X.bin", values));
    expect(images).toMatchObject({ count: 1, height: 96, width: 96, channels: 3 });
    expect([images?.pixels[96], images?.pixels[1]]).toEqual([200, 100]);
    expect([...(await readImageLabels(await file("train_y.bin", Uint8Array.of(1, 10))))]).toEqual([0, 9]);
  });

  it("reads .npy of bytes with channels last, or without", async () => {
    const header = (shape: string): string => `{'descr': '|u1', 'fortran_order': False, 'shape': ${shape}, }`;
    const colour = await readImageArrays(
      await file("colour.npy", npy(header("(1, 1, 2, 3)"), Uint8Array.of(1, 2, 3, 4, 5, 6))),
    );
    expect([colour?.channels, ...(colour?.pixels ?? [])]).toEqual([3, 1, 4, 2, 5, 3, 6]);
    const grey = await readImageArrays(await file("grey.npy", npy(header("(1, 2, 1)"), Uint8Array.of(8, 9))));
    expect([grey?.channels, grey?.height, ...(grey?.pixels ?? [])]).toEqual([1, 2, 8, 9]);
  });

  it("leaves folders and names of other kinds to others", async () => {
    expect(await readImageArrays(folder)).toBeNull();
    expect(await readImageArrays(join(folder, "photo.png"))).toBeNull();
  });

  it.each([
    ["short.idx3", idx([2, 2, 2], [1, 2, 3]), /announces 2 × 2 × 2 bytes, but 3 follow/],
    ["huge.idx3", idx([2 ** 32 - 1, 2 ** 32 - 1, 2 ** 32 - 1], []), /announces 4294967295/],
    ["floats.idx3", idx([1, 1, 1], [0, 0, 0, 0], 13), /IDX type 13; bytes \(type 8\) are expected/],
    ["labels.idx3", idx([3], [1, 2, 3]), /has 1 axes; 3 are expected/],
    ["text.idx3", Buffer.from("hello"), /does not begin with two zero bytes/],
    ["none.idx3", idx([0, 28, 28], []), /holds no images/],
    ["odd.bin", new Uint8Array(3000), /3000 bytes, which are no records of CIFAR-10 \(3073\)/],
    ["empty.bin", new Uint8Array(0), /0 bytes/],
    ["odd_X.bin", new Uint8Array(3000), /no images of STL-10 \(27648\)/],
    ["bad.idx3.gz", Buffer.concat([gzipSync(Buffer.alloc(100)).subarray(0, 20)]), /cannot be decompressed/],
    [
      "float.npy",
      npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 1, 3), }", new Uint8Array(12)),
      /holds float32 of shape \(1, 1, 1, 3\); images are uint8/,
    ],
    [
      "cut.npy",
      npy("{'descr': '|u1', 'fortran_order': False, 'shape': (9, 1, 1, 3), }", new Uint8Array(12)),
      /announces 27 bytes of values, but 12 follow/,
    ],
  ])("refuses %s", async (name, bytes, message) => {
    const path = await file(name, bytes);
    await expect(readImageArrays(path)).rejects.toThrow(message);
    await expect(readImageArrays(path)).rejects.toThrow(name);
  });

  it("refuses labels that STL-10 does not have, and files that are not there", async () => {
    await expect(readImageLabels(await file("bad_y.bin", Uint8Array.of(1, 0)))).rejects.toThrow(
      /label 2 is 0/,
    );
    await expect(readImageArrays(join(folder, "absent.npy"))).rejects.toThrow(/there is no such file/);
  });

  it("reads Fashion-MNIST", async (context) => {
    const path = new URL("fashion-mnist-test-images.idx3.gz", real);
    if (!existsSync(path))
      return context.skip("no Fashion-MNIST in ../shared/data/images beside the repository");
    const images = await readImageArrays(path.pathname);
    expect(images).toMatchObject({ count: 5000, height: 28, width: 28, channels: 1 });
    const labels = await readImageLabels(new URL("fashion-mnist-test-labels.idx1.gz", real).pathname);
    const counts = Array.from({ length: 10 }, (_, c) => labels.filter((label) => label === c).length);
    expect(counts).toEqual(Array.from({ length: 10 }, () => 500));
  });
});
