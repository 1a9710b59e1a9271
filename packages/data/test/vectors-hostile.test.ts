import { spawnSync } from "node:child_process";
import { readdir, readFile, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { deflateRawSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { createVectorWriter, openColumn, openVectors, pairedBlocks } from "../src/index.ts";
import { temporaryFolder } from "./temporary.ts";
import { npy, numpyFiles, safetensors } from "./vector-files.ts";

const folder = await temporaryFolder();

async function write(name: string, content: string | Uint8Array): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}

/** Rows that a file gives, or the name of its error. */
async function attempt(path: string): Promise<string> {
  try {
    const source = await openVectors(path, { maxWidth: 4096, maxRows: 1e6 });
    try {
      let rows = 0;
      for await (const block of source.blocks()) rows += block.rows;
      return `${rows} rows`;
    } finally {
      await source.close();
    }
  } catch (error) {
    return (error as Error).name;
  }
}

/** A zip archive of one deflated member, with sizes as claimed. */
function zip(name: string, content: Uint8Array, claimed = content.length): Uint8Array {
  const body = deflateRawSync(content);
  const fileName = Buffer.from(name);
  const common = Buffer.alloc(26);
  common.writeUInt16LE(20, 0);
  common.writeUInt16LE(8, 4);
  common.writeUInt32LE(body.length, 14);
  common.writeUInt32LE(claimed, 18);
  common.writeUInt16LE(fileName.length, 22);
  const local = Buffer.concat([Buffer.from("PK\x03\x04", "latin1"), common, fileName, body]);
  const central = Buffer.concat([
    Buffer.from("PK\x01\x02\x14\x00", "latin1"),
    common,
    Buffer.alloc(14),
    fileName,
  ]);
  const end = Buffer.alloc(22);
  end.write("PK\x05\x06", "latin1");
  end.writeUInt16LE(1, 8);
  end.writeUInt16LE(1, 10);
  end.writeUInt32LE(central.length, 12);
  end.writeUInt32LE(local.length, 16);
  return new Uint8Array(Buffer.concat([local, central, end]));
}

const floats = (count: number): Uint8Array =>
  new Uint8Array(Float32Array.from({ length: count }, (_, i) => i + 1).buffer);

async function parquetFile(name: string): Promise<Uint8Array> {
  const path = join(folder, name);
  const writer = await createVectorWriter(path, { width: 4, fields: ["label", "n"], overwrite: true });
  for (let i = 0; i < 3; i++)
    await writer.write({
      rows: 8,
      values: Float32Array.from({ length: 32 }, (_, j) => i + j + 1),
      fields: {
        label: Array.from({ length: 8 }, (_, j) => `class ${j % 2}`),
        n: Array.from({ length: 8 }, (_, j) => j),
      },
    });
  await writer.finish();
  return new Uint8Array(await readFile(path));
}

const wholeParquet = await parquetFile("whole.parquet");

describe("files that claim more than they hold", () => {
  test.each([
    [
      "an .npy with too few bytes",
      "short.npy",
      npy("<f4", [3, 2], floats(5)),
      "is truncated: shape (3, 2) of float32 takes 24 bytes, 20 are there",
    ],
    [
      "an .npy with bytes after its array",
      "more.npy",
      npy("<f4", [1, 2], floats(3)),
      "has bytes after its array",
    ],
    ["an .npy of absurd shape", "huge.npy", npy("<f4", [2 ** 40, 2 ** 40], floats(1)), "is beyond any file"],
    [
      "an .npy of rows without numbers",
      "thin.npy",
      npy("<f4", [10, 0], new Uint8Array(0)),
      "has rows of no numbers",
    ],
    [
      "an .npy with a header of 4 GiB",
      "head.npy",
      Uint8Array.of(0x93, 78, 85, 77, 80, 89, 2, 0, 255, 255, 255, 255, 123),
      "announces a header of 4294967295 bytes",
    ],
    [
      "an unknown element type",
      "v.npy",
      npy("|V8", [1, 2], floats(4)),
      'element type "|V8": an unknown element type',
    ],
    [
      "text named .npy",
      "text.npy",
      Buffer.from("hello there"),
      'is not a npy file: it begins with "hello th"',
    ],
    ["an empty file", "empty.npy", new Uint8Array(0), "is empty"],
    ["noise of no ending", "noise", Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9, 10), "is of no known format"],
    [
      "a safetensors header of 16 exabytes",
      "a.safetensors",
      new Uint8Array(40).fill(0xff),
      "is not a safetensors file",
    ],
    [
      "a safetensors array outside its file",
      "b.safetensors",
      safetensors({ a: { dtype: "F32", shape: [2, 2], bytes: floats(4) } }).subarray(0, -4),
      "is truncated",
    ],
    [
      "a zip bomb that lies about its size",
      "bomb.npz",
      zip("a.npy", npy("<f4", [2 ** 20, 16], new Uint8Array(2 ** 26)), 400),
      "too many bytes in the stream. expected 400",
    ],
    [
      "a deflated member shorter than claimed",
      "short.npz",
      zip("a.npy", npy("<f4", [4, 2], floats(6)), 65 + 32 + 10),
      "inflated",
    ],
    [
      "a Parquet file cut in half",
      "half.parquet",
      wholeParquet.subarray(0, 300),
      "is truncated or not a Parquet file",
    ],
  ])("%s is refused", async (_, name, bytes, message) => {
    const path = await write(name, bytes);
    const reading = async (): Promise<void> => {
      const source = await openVectors(path);
      for await (const _ of source.blocks());
    };
    await expect(reading()).rejects.toThrow(message);
    await expect(reading()).rejects.toMatchObject({ name: "VectorFileError" });
  });

  test("limits on rows and width", async () => {
    const path = await write("limits.npy", npy("<f4", [3, 2], floats(6)));
    await expect(openVectors(path, { maxRows: 2 })).rejects.toThrow("has 3 rows, over the limit of 2");
    await expect(openVectors(path, { maxWidth: 1 })).rejects.toThrow(
      "has rows of 2 numbers, over the limit of 1",
    );
    await expect(openVectors(join(folder, "absent.npy"))).rejects.toThrow("there is no such file");
    await expect(openVectors(folder)).rejects.toThrow("is a folder, not a file");
    await expect(openVectors(path, { key: "a" })).rejects.toThrow(
      "key names an array of .npz and safetensors files",
    );
  });
});

test.skipIf(process.platform === "win32")(
  "a pipe and a device are refused, and nobody waits for them",
  async () => {
    const pipe = join(folder, "pipe.npy");
    expect(spawnSync("mkfifo", [pipe]).status).toBe(0);
    for (const path of [pipe, "/dev/zero"])
      await expect(openVectors(path)).rejects.toThrow("is not a regular file");
  },
);

describe("any truncation and any changed byte gives rows or an error of a known class", () => {
  const known = /^(\d+ rows|VectorFileError)$/;
  const originals = new Map<string, Uint8Array>([
    ["f4.npy", numpyFiles().get("f4.npy")?.bytes as Uint8Array],
    ["stored.npz", numpyFiles().get("stored.npz")?.bytes as Uint8Array],
    ["deflated.npz", numpyFiles().get("deflated.npz")?.bytes as Uint8Array],
    ["a.safetensors", safetensors({ a: { dtype: "F32", shape: [2, 2], bytes: floats(4) } })],
    ["a.parquet", wholeParquet],
    ["a.jsonl", Buffer.from('{"id":1,"v":[1,2]}\n{"id":2,"v":[3,4]}\n')],
    ["a.csv", Buffer.from('id,v0,v1\n"a",1,2\nb,3,4\n')],
  ]);

  test.each([...originals])(
    "%s",
    async (name, bytes) => {
      const outcomes = new Map<string, number>();
      const note = async (changed: Uint8Array): Promise<void> => {
        const outcome = await attempt(await write(`fuzzed-${name}`, changed));
        expect(outcome).toMatch(known);
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      };
      const step = Math.max(1, Math.floor(bytes.length / 80));
      for (let length = 0; length < bytes.length; length += step) await note(bytes.subarray(0, length));
      for (let at = 0; at < bytes.length; at += step)
        for (const flip of [0x01, 0x80, 0xff]) {
          const changed = Uint8Array.from(bytes);
          changed[at] = (changed[at] as number) ^ flip;
          await note(changed);
        }
      // Both kinds occur, so the loop does test something.
      expect([...outcomes.keys()].some((outcome) => outcome.endsWith("rows"))).toBe(true);
      expect([...outcomes.keys()].some((outcome) => outcome.endsWith("Error"))).toBe(true);
    },
    30_000,
  );
});

describe("two files of rows that belong together", () => {
  test("rows missing from one of them are left out of both", async () => {
    const a = await write(
      "pa.npy",
      npy("<f4", [5, 2], new Uint8Array(Float32Array.of(1, 1, Number.NaN, 2, 3, 3, 4, 4, 5, 5).buffer)),
    );
    const b = await write("pb.jsonl", "[1]\n[2]\n[0]\nx\n[5]\n");
    const [left, right] = [await openVectors(a), await openVectors(b)];
    const seen: number[][] = [];
    for await (const { indices, a: x, b: y } of pairedBlocks(left, right, { rowsPerBlock: 2 }))
      for (let i = 0; i < indices.length; i++)
        seen.push([indices[i] as number, x[2 * i] as number, y[i] as number]);
    expect(seen).toEqual([
      [0, 1, 1],
      [4, 5, 5],
    ]);
    await left.close();
  });

  test("different numbers of rows are an error that names both", async () => {
    const a = await openVectors(await write("three.npy", npy("<f4", [3, 1], floats(3))));
    const b = await openVectors(await write("two.npy", npy("<f4", [2, 1], floats(2))));
    const c = await openVectors(await write("four.jsonl", "[1]\n[2]\n[3]\n[4]\n"));
    const read = async (x: typeof a, y: typeof b): Promise<void> => {
      for await (const _ of pairedBlocks(x, y));
    };
    await expect(read(a, b)).rejects.toThrow(/three\.npy has 3 rows.*two\.npy has 2/);
    await expect(read(a, c)).rejects.toThrow(/three\.npy has 3 rows.*four\.jsonl has 4/);
    for (const source of [a, b, c]) await source.close();
  });
});

test("a file of 10 GB is read in bounded memory", { timeout: 60_000 }, async () => {
  const width = 512;
  const rows = 5_000_000;
  const path = join(folder, "big.npy");
  const head = npy("<f4", [rows, width], new Uint8Array(0));
  // Sparse: the file system keeps no zeros.
  await writeFile(path, head);
  await truncate(path, head.length + rows * width * 4);
  // A tenth of it is read: ten times the memory that is allowed.
  const script = `
    import { openVectors } from "@concord/data";
    const source = await openVectors(${JSON.stringify(path)}, { zeros: "keep" });
    let read = 0;
    for await (const block of source.blocks()) {
      read += block.rows;
      if (read >= source.rows / 10) break;
    }
    await source.close();
    console.log(JSON.stringify({ rows: source.rows, read, peak: process.resourceUsage().maxRSS * 1024 }));
  `;
  const { stdout, stderr } = spawnSync(
    process.execPath,
    ["--conditions=source", "--disable-warning=ExperimentalWarning", "--input-type=module", "--eval", script],
    { encoding: "utf8", cwd: new URL("..", import.meta.url) },
  );
  expect(stderr).toBe("");
  const result = JSON.parse(stdout) as { rows: number; read: number; peak: number };
  expect(result.rows).toBe(rows);
  expect(result.read).toBeGreaterThanOrEqual(rows / 10);
  // Node with the engine loaded takes about 150 MiB; blocks of 4 MiB come on top until they are collected.
  expect(result.peak).toBeLessThan(400 * 2 ** 20);
});

test("column readers refuse what vectors refuse", async () => {
  const path = await write("col.npy", npy("<f4", [3], floats(2)));
  await expect(openColumn(path)).rejects.toThrow("is truncated");
  expect((await readdir(folder)).filter((name) => name.endsWith(".tmp"))).toEqual([]);
});
