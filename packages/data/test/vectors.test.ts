import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import {
  createVectorWriter,
  type FieldValue,
  type OpenVectorsOptions,
  openColumn,
  openVectors,
  RowError,
  type RowProblem,
  type VectorSource,
} from "../src/index.ts";
import { temporaryFolder } from "./temporary.ts";
import { npy, numpyFiles, safetensors } from "./vector-files.ts";

const folder = await temporaryFolder();

async function write(name: string, content: string | Uint8Array): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}

interface ReadRows {
  readonly rows: number[][];
  readonly indices: number[];
  readonly fields: Record<string, FieldValue[]>;
}

async function readAll(source: VectorSource, rowsPerBlock?: number): Promise<ReadRows> {
  const rows: number[][] = [];
  const indices: number[] = [];
  const fields: Record<string, FieldValue[]> = {};
  for await (const block of source.blocks(rowsPerBlock === undefined ? {} : { rowsPerBlock })) {
    expect(block.start).toBe(rows.length);
    for (let row = 0; row < block.rows; row++)
      rows.push([...block.values.subarray(row * source.width, (row + 1) * source.width)]);
    indices.push(...block.indices);
    for (const [name, values] of Object.entries(block.fields)) {
      fields[name] ??= [];
      fields[name].push(...values);
    }
  }
  return { rows, indices, fields };
}

async function open(
  path: string,
  options: OpenVectorsOptions = {},
): Promise<ReadRows & { source: VectorSource }> {
  const source = await openVectors(path, options);
  try {
    return { ...(await readAll(source)), source };
  } finally {
    await source.close();
  }
}

describe("files made by NumPy", () => {
  for (const [name, { bytes, expected }] of numpyFiles()) {
    if (expected === null) continue;
    if (!Array.isArray(expected[0])) {
      test(`${name} gives its texts as a column`, async () => {
        expect(await openColumn(await write(name, bytes))).toEqual(expected);
      });
      continue;
    }
    test(`${name} gives its values in blocks of any size`, async () => {
      const path = await write(name, bytes);
      for (const rowsPerBlock of [1, 2, 100]) {
        const source = await openVectors(path, name.endsWith(".npz") ? { key: "emb" } : {});
        expect([source.rows, source.width]).toEqual([expected.length, 2]);
        expect((await readAll(source, rowsPerBlock)).rows).toEqual(expected);
        await source.close();
      }
    });
  }

  test("arrays beside the vectors are fields and columns; integers beyond 2^53 are texts", async () => {
    for (const name of ["stored.npz", "deflated.npz"]) {
      const path = await write(name, numpyFiles().get(name)?.bytes as Uint8Array);
      const { fields } = await open(path, { fields: ["ids", "names"] });
      expect(fields).toEqual({ ids: [10, "1152921504606846976", -1], names: ["a", "bé", "日本"] });
      expect(await openColumn(path, { key: "ids" })).toEqual(fields.ids);
      await expect(openColumn(path)).rejects.toThrow(
        'several arrays have one axis: "ids", "names"; name one with key',
      );
    }
  });

  test.each([
    ["objects.npy", "Python objects (ragged rows become such)"],
    ["complex.npy", "complex numbers"],
    ["records.npy", "records of several fields"],
    ["three-axes.npy", "has 3 axes (2, 1, 2); vectors need two"],
    ["texts.npy", "holds texts (<U2); vectors of numbers are expected"],
  ])("%s is refused with its reason", async (name, message) => {
    const path = await write(name, numpyFiles().get(name)?.bytes as Uint8Array);
    await expect(openVectors(path)).rejects.toThrow(message);
    await expect(openVectors(path)).rejects.toMatchObject({ name: "VectorFileError", file: path });
  });
});

describe("safetensors", () => {
  test("half precision of both kinds, the array by key, labels beside it", async () => {
    const path = await write(
      "half.safetensors",
      safetensors({
        a: {
          dtype: "F16",
          shape: [2, 2],
          bytes: new Uint8Array(new Uint16Array([0x3c00, 0xc000, 0x3555, 0x0001]).buffer),
        },
        b: {
          dtype: "BF16",
          shape: [2, 2],
          bytes: new Uint8Array(new Uint16Array([0x3f80, 0xc000, 0x3eab, 0x4049]).buffer),
        },
        label: { dtype: "U8", shape: [2], bytes: Uint8Array.of(7, 9) },
      }),
    );
    const half = await open(path, { key: "a", fields: ["label"] });
    expect(half.rows).toEqual([
      [1, -2],
      [Math.fround(0.333251953125), 2 ** -24],
    ]);
    expect([half.source.dtype, half.fields]).toEqual(["float16", { label: [7, 9] }]);
    expect((await open(path, { key: "b" })).rows).toEqual([
      [1, -2],
      [0.333984375, 3.140625],
    ]);
    await expect(openVectors(path)).rejects.toThrow(
      'several arrays have two axes: "a", "b"; name one with key',
    );
    await expect(openVectors(path, { key: "lable" })).rejects.toThrow(
      'there is no array "lable"; did you mean "label"? there are "a", "b", "label"',
    );
  });
});

describe("text files", () => {
  test("JSONL: the only list of numbers, other columns as fields, bad lines counted", async () => {
    const path = await write(
      "a.jsonl",
      [
        '{"id": 1, "text": "one", "emb": [1, 2]}',
        "",
        '{"id": 2, "text": "ragged", "emb": [1, 2, 3]}',
        "not json",
        '{"id": 3, "text": null, "emb": [3, 4.5]}',
        '{"id": 4, "emb": "none"}',
        '{"id": 5, "emb": [0, 0]}',
        '{"id": 6, "emb": [null, 1]}',
      ].join("\r\n"),
    );
    const problems: RowProblem[] = [];
    const { rows, indices, fields, source } = await open(path, {
      fields: ["id", "text"],
      onProblem: (problem) => problems.push(problem),
    });
    expect(rows).toEqual([
      [1, 2],
      [3, 4.5],
    ]);
    expect(indices).toEqual([0, 3]);
    expect(fields).toEqual({ id: [1, 3], text: ["one", null] });
    expect(problems.map(({ line, reason, value }) => [line, reason, value])).toEqual([
      [3, "row does not have the 2 numbers of the first one", "3 numbers"],
      [4, "line is not JSON, or too long", "not json"],
      [6, '"emb" is not a list of numbers', "none"],
      [7, "row is all zeros", "2 zeros"],
      [8, "row has a value that is not finite", "NaN at 0"],
    ]);
    expect(source.problems.count).toBe(5);
    await expect(open(path, { strict: true })).rejects.toThrow(RowError);
    await expect(openVectors(path, { column: "embb" })).rejects.toThrow('did you mean "emb"?');
    await expect(openVectors(path, { fields: ["ids"] })).rejects.toThrow(
      'no column "ids"; did you mean "id"?',
    );
  });

  test("JSONL of bare lists, compressed", async () => {
    const path = await write("bare.jsonl.gz", gzipSync("[1, 2]\n[3, 4]\n"));
    expect((await open(path)).rows).toEqual([
      [1, 2],
      [3, 4],
    ]);
  });

  test("CSV: numbered columns in the order of their numbers", async () => {
    const path = await write(
      "a.csv",
      'id,v10,v2,v9,name,v1\na,10,2,9,"x, y",1\nb,1,nan,3,z,4\nc,1,,3,z,4\nd,1,2\n',
    );
    await expect(openVectors(path)).rejects.toThrow('column "v3" is missing between "v1" and "v10"');
    const good = await write(
      "b.csv",
      'id,v2,v0,name,v1\na,3,1,"x, y",2\nb,nan,1,q,3\nc,,1,q,3\nd,1,2\ne,6,-4e-1,"q\nr",5\n',
    );
    const { rows, fields, indices, source } = await open(good, { fields: ["id", "name"] });
    expect(rows).toEqual([
      [1, 2, 3],
      [Math.fround(-0.4), 5, 6],
    ]);
    expect([indices, fields]).toEqual([[0, 4], { id: ["a", "e"], name: ["x, y", "q\nr"] }]);
    expect(source.problems.records.map(({ line, reason }) => [line, reason])).toEqual([
      [3, "row has a value that is not finite"],
      [4, "value is not a number"],
      [5, "row does not have the 5 columns of the first line"],
    ]);
    const both = await write("c.csv", "a0,a1,b0,b1\n1,2,3,4\n");
    await expect(openVectors(both)).rejects.toThrow('several groups of columns are numbered: "a", "b"');
    expect((await open(both, { column: "b" })).rows).toEqual([[3, 4]]);
    await expect(openVectors(both, { column: "c" })).rejects.toThrow('there is no column "c"');
  });

  test("CSV: a column of JSON lists, a table without heading, TSV", async () => {
    expect((await open(await write("l.csv", 'id,e\n1,"[1, 2]"\n2,"[3, null]"\n3,"[5, 6]"\n'))).rows).toEqual([
      [1, 2],
      [5, 6],
    ]);
    expect((await open(await write("t.csv", "1,2\n3,4\n"))).rows).toEqual([
      [1, 2],
      [3, 4],
    ]);
    expect((await open(await write("t.tsv", "k\tx0\tx1\na\t1\t2\n"), { fields: ["k"] })).fields).toEqual({
      k: ["a"],
    });
    await expect(openVectors(await write("n.csv", "a,b\nx,y\n"))).rejects.toThrow(
      'no column holds vectors: numbered columns such as v0, v1, ... or a column of JSON lists such as "[0.1, 0.2]" are expected; the columns are "a", "b"',
    );
  });

  test("a line longer than any vector is refused or skipped, not held", async () => {
    const long = await write("long.jsonl", `{"v": [1, 2]}\n{"v": [${"1,".repeat(2e6)}1]}\n{"v": [3, 4]}\n`);
    const { rows, source } = await open(long, { maxWidth: 16 });
    expect(rows).toEqual([
      [1, 2],
      [3, 4],
    ]);
    expect(source.problems.records[0]).toMatchObject({ line: 2, reason: "line is not JSON, or too long" });
    const csv = await write("long.csv", `v0,v1\n1,${"2".repeat(3e6)}\n`);
    await expect(open(csv, { maxWidth: 16 })).rejects.toThrow("long.csv: line 2: the row does not end");
  });
});

describe("labels and ids", () => {
  test("one column from text, CSV, JSONL and .npy", async () => {
    expect(await openColumn(await write("l.txt", "a\r\n\nb\n"))).toEqual(["a", "", "b"]);
    expect(await openColumn(await write("lab.csv", "id,label\n1,x\n2,y\n"), { column: "label" })).toEqual([
      "x",
      "y",
    ]);
    expect(await openColumn(await write("lab.jsonl", '{"label": 3}\n{"label": null}\n'))).toEqual([3, null]);
    expect(await openColumn(await write("bare.jsonl", '"a"\n"b"\n'))).toEqual(["a", "b"]);
    expect(
      await openColumn(
        await write("y.npy", npy("<i8", [3], new Uint8Array(BigInt64Array.of(1n, -2n, 3n).buffer))),
      ),
    ).toEqual([1, -2, 3]);
    await expect(openColumn(join(folder, "lab.csv"), { column: "lable" })).rejects.toThrow(
      'did you mean "label"?',
    );
    await expect(openColumn(join(folder, "lab.csv"))).rejects.toThrow(
      'has the columns "id", "label"; name one with column',
    );
  });
});

describe("writing", () => {
  const rows = 23;
  const width = 5;
  const values = Float32Array.from({ length: rows * width }, (_, i) =>
    Math.fround(Math.sin(i + 1) * 10 ** ((i % 9) - 4)),
  );
  const fields = {
    id: Array.from({ length: rows }, (_, i) => i),
    "a name": Array.from({ length: rows }, (_, i) => (i % 3 === 0 ? null : `"x", ${i}\n`)),
    even: Array.from({ length: rows }, (_, i) => i % 2 === 0),
  };
  const blocks = [
    [0, 10],
    [10, 20],
    [20, 23],
  ] as const;

  test.each(["npy", "jsonl", "parquet", "csv"] as const)(
    "%s gives back the same float32 values",
    async (format) => {
      const path = join(folder, `written.${format}`);
      const names = format === "npy" ? [] : Object.keys(fields);
      await using writer = await createVectorWriter(path, { width, fields: names });
      for (const [start, end] of blocks)
        await writer.write({
          rows: end - start,
          values: values.slice(start * width, end * width),
          fields: Object.fromEntries(
            Object.entries(fields).map(([name, column]) => [name, column.slice(start, end)]),
          ),
        });
      await expect(readFile(path)).rejects.toThrow("ENOENT");
      await writer.finish();
      expect(writer.rows).toBe(rows);
      const read = await open(path, { fields: names });
      expect(read.rows.flat()).toEqual([...values]);
      if (format === "jsonl" || format === "parquet") expect(read.fields).toEqual(fields);
      if (format === "csv") expect(read.fields["a name"]).toEqual(fields["a name"].map((text) => text ?? ""));
      await expect(createVectorWriter(path, { width })).rejects.toThrow("is there already");
    },
  );

  test("packed codes are uint8 .npy files; their zero rows are values when asked for", async () => {
    const path = join(folder, "codes.npy");
    const writer = await createVectorWriter(path, { width: 2, dtype: "uint8" });
    await writer.write({ rows: 2, values: Uint8Array.of(255, 1, 0, 0) });
    await writer.finish();
    const { rows: read, source } = await open(path, { zeros: "keep" });
    expect([read, source.dtype]).toEqual([
      [
        [255, 1],
        [0, 0],
      ],
      "uint8",
    ]);
    expect((await open(path)).source.problems.countByReason).toEqual({ "row is all zeros": 1 });
  });

  test("nothing is left behind by an abort, a bad block, or a file that appeared meanwhile", async () => {
    const place = await temporaryFolder();
    const aborted = await createVectorWriter(join(place, "a.npy"), { width: 2 });
    await aborted.write({ rows: 1, values: Float32Array.of(1, 2) });
    await aborted.abort();
    const mixed = await createVectorWriter(join(place, "b.parquet"), { width: 1, fields: ["f"] });
    await mixed.write({ rows: 1, values: Float32Array.of(1), fields: { f: [1] } });
    await expect(mixed.write({ rows: 2, values: Float32Array.of(1), fields: { f: [1] } })).rejects.toThrow(
      "1 values are not 2 rows of 1",
    );
    await mixed.abort();
    expect(await readdir(place)).toEqual([]);
    const late = await createVectorWriter(join(place, "c.npy"), { width: 1 });
    await writeFile(join(place, "c.npy"), "mine");
    await expect(late.finish()).rejects.toThrow("is there already");
    expect(await readdir(place)).toEqual(["c.npy"]);
    expect(await readFile(join(place, "c.npy"), "utf8")).toBe("mine");
    const over = await createVectorWriter(join(place, "c.npy"), { width: 1, overwrite: true });
    await over.finish();
    expect((await readFile(join(place, "c.npy"), "latin1")).slice(1, 6)).toBe("NUMPY");
    await expect(createVectorWriter(join(place, "no", "d.npy"), { width: 1 })).rejects.toThrow(
      "cannot be written",
    );
  });
});
