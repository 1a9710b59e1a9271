import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { readTable } from "@concord/data";
import sharp from "sharp";
import { afterAll, beforeAll, expect, it } from "vitest";
import {
  createSearch,
  EmbedError,
  type EmbedInput,
  EmbedInputError,
  type Encoder,
  embed,
  embedBlocks,
  embedInputs,
  lineInputs,
  linesOf,
  openEncoder,
  readVectors,
} from "../../src/index.ts";
import {
  imageFiles,
  imageModel,
  SENTENCES,
  temporaryFolder,
  textFiles,
  textModel,
  WIDTH,
  writeFiles,
} from "../support/tiny-encoders.ts";

const folder = await temporaryFolder();
const at = (name: string) => join(folder, name);
let texts: Encoder;
let pictures: Encoder;
let expected: Float32Array;
beforeAll(async () => {
  await writeFiles(at("text"), textFiles(textModel()));
  await writeFiles(at("image"), imageFiles(imageModel()));
  texts = await openEncoder(at("text"), { threads: 1 });
  pictures = await openEncoder(at("image"), { threads: 1, workers: 1 });
  expected = (await texts.encode(SENTENCES.map((text) => ({ text })))).values;
});
afterAll(async () => {
  await texts.close();
  await pictures.close();
});

const inputs: EmbedInput[] = SENTENCES.map((text, i) => ({
  item: { text },
  fields: { id: i, text },
  place: `line ${i + 1}`,
}));

it.each(["npy", "jsonl", "parquet", "csv"])(
  "writes .%s files that are read and searched with their columns",
  async (ending) => {
    const out = at(`all.${ending}`);
    const summary = await embed({ encoder: texts, inputs, out });
    expect(summary).toMatchObject({ rows: 5, width: WIDTH, problems: 0 });
    const read = await readVectors(out);
    expect(Array.from(read.values)).toEqual(Array.from(expected, (v) => expect.closeTo(v, 6)));
    expect(read.fields.text).toEqual(SENTENCES);
    expect(read.fields.id?.map(Number)).toEqual([0, 1, 2, 3, 4]);
    await using search = await createSearch(out, { fields: ["text"] });
    const hits = await search.search(
      { values: expected.slice(2 * WIDTH, 4 * WIDTH), width: WIDTH },
      { k: 2 },
    );
    expect(hits.map(([first]) => first)).toEqual([
      { index: 2, score: expect.closeTo(1, 5), fields: { text: SENTENCES[2] } },
      { index: 3, score: expect.closeTo(1, 5), fields: { text: SENTENCES[3] } },
    ]);
    await expect(embed({ encoder: texts, inputs, out })).rejects.toThrow("is there already");
    await embed({ encoder: texts, inputs: inputs.slice(0, 2), out, overwrite: true });
    expect((await readVectors(out)).rows).toBe(2);
  },
);

it("keeps signs, packed, and finds by them", async () => {
  const out = at("codes.npy");
  await embed({ encoder: texts, inputs, out, binary: true });
  const read = await readVectors(out);
  expect(read).toMatchObject({ packed: true, width: 1, rows: 5 });
  await using codes = await createSearch(out);
  expect(codes.kind).toBe("hamming");
  const queries = { values: expected, width: WIDTH };
  const found = await codes.search(queries, { k: 3 });
  await embed({ encoder: texts, inputs, out: at("floats.npy") });
  await using signs = await createSearch(at("floats.npy"), { hamming: true });
  expect(found).toEqual(await signs.search(queries, { k: 3 }));
  for (const [row, hits] of found.entries()) {
    expect(hits[0]).toMatchObject({ score: 0 });
    // Two sentences may share their signs.
    expect(hits.filter(({ score }) => score === 0).map(({ index }) => index)).toContain(row);
  }
  await expect(embed({ encoder: texts, inputs, out: at("codes.jsonl"), binary: true })).rejects.toThrow(
    ".npy",
  );
});

it("brings vectors to length 1 when asked", async () => {
  for await (const { values, rows } of embedBlocks({ encoder: texts, inputs, normalize: true }))
    for (let row = 0; row < rows; row++)
      expect(Math.hypot(...values.subarray(row * WIDTH, (row + 1) * WIDTH))).toBeCloseTo(1, 6);
});

it("names what has no vector and goes on, or stops when strict", async () => {
  const bad: EmbedInput[] = [
    inputs[0] as EmbedInput,
    { item: { text: " " }, fields: { id: 7 }, place: "line 7" },
    { item: { reason: "broken" }, fields: {}, place: "line 8" },
    inputs[1] as EmbedInput,
  ];
  const problems: object[] = [];
  const out = at("some.jsonl");
  const summary = await embed({
    encoder: texts,
    inputs: bad,
    out,
    onProblem: (problem) => problems.push(problem),
  });
  expect(summary).toMatchObject({ rows: 2, problems: 2 });
  expect(problems).toEqual([
    { place: "line 8", reason: "broken" },
    { place: "line 7", reason: "the text is empty" },
  ]);
  await expect(embed({ encoder: texts, inputs: bad, out: at("strict.npy"), strict: true })).rejects.toThrow(
    new EmbedError("line 8: broken"),
  );
  await expect(embed({ encoder: texts, inputs: bad.slice(1, 3), out: at("none.npy") })).rejects.toThrow(
    "none of 2 inputs could be embedded",
  );
});

it("leaves nothing behind when it is stopped", async () => {
  const stop = new AbortController();
  async function* endless() {
    for (let i = 0; ; i++) {
      if (i === 3000) stop.abort();
      yield inputs[i % 5] as EmbedInput;
    }
  }
  for (const ending of ["npy", "jsonl", "parquet"]) {
    const embedding = embed({
      encoder: texts,
      inputs: endless(),
      out: at(`stopped.${ending}`),
      signal: stop.signal,
    });
    await expect(embedding).rejects.toThrow(expect.objectContaining({ name: "AbortError" }));
  }
  expect((await readdir(folder)).filter((name) => /stopped|strict|none|tmp/.test(name))).toEqual([]);
});

async function collect(source: AsyncIterable<EmbedInput>): Promise<EmbedInput[]> {
  const all: EmbedInput[] = [];
  for await (const input of source) all.push(input);
  return all;
}

it("takes lines, tables of texts with their other columns, and says which columns there are", async () => {
  await writeFiles(folder, {
    "lines.txt": "one\r\ntwo\n\nthree",
    "table.csv": 'id,caption,year\n7,"a, b",1999\n8,c,2000\n9,d\n',
    "table.jsonl": '{"id": 1, "words": "x", "vector": [1, 2]}\nno json\n{"id": 2}\n',
  });
  const options = { modality: "text" } as const;
  const lines = await collect(embedInputs([at("lines.txt")], options));
  expect(lines.map(({ item }) => item)).toEqual([
    { text: "one" },
    { text: "two" },
    { reason: "the value is empty" },
    { text: "three" },
  ]);
  expect(lines[3]).toMatchObject({ fields: { text: "three" }, place: `${at("lines.txt")}:4` });
  const rows = await collect(embedInputs([at("table.csv")], options));
  expect(rows).toMatchObject([
    {
      item: { text: "a, b" },
      fields: { id: "7", caption: "a, b", year: "1999" },
      place: `${at("table.csv")}:2`,
    },
    { item: { text: "c" } },
    { item: { reason: expect.stringContaining("row has 2 columns, the heading 3") } },
  ]);
  const json = await collect(
    embedInputs([at("table.jsonl")], { ...options, column: "words", fields: ["id"] }),
  );
  expect(json).toMatchObject([
    { item: { text: "x" }, fields: { id: 1 } },
    { item: { reason: expect.stringContaining("no JSON object") } },
    { item: { reason: "there is no column 'words'; there are id" } },
  ]);
  expect(Object.keys(json[0]?.fields ?? {})).toEqual(["id"]);
  const wrong = (paths: string[], more: object = {}) =>
    expect(collect(embedInputs(paths, { ...options, ...more }))).rejects;
  await wrong([at("table.jsonl")]).toThrow("say which column is to be embedded; there are id, words");
  await wrong([at("table.csv")], { column: "x" }).toThrow("no column 'x'; there are id, caption, year");
  await wrong([at("nothing.txt")]).toThrow(EmbedInputError);
  await wrong([at("text/onnx")]).toThrow("there is no text file in this folder");
});

it("takes JSON lines of a stream by their column", async () => {
  async function* stream() {
    yield Buffer.from('{"title": "ein Stra');
    yield Buffer.from('ßenbahn"}\n[1]\n');
  }
  const rows = await collect(lineInputs(stream(), "stdin", { modality: "text", column: "title" }));
  expect(rows).toMatchObject([
    { item: { text: "ein Straßenbahn" }, place: "stdin:1" },
    { item: { reason: "line is no JSON object" }, place: "stdin:2" },
  ]);
});

it("embeds pictures of folders, patterns and tables", async () => {
  const colours = { "a.png": "red", "sub/b.jpg": "green", "sub/c.webp": "blue" };
  const files: Record<string, Uint8Array | string> = {
    "broken.png": "no picture",
    "notes.txt": "not a picture",
  };
  for (const [name, background] of Object.entries(colours)) {
    const image = sharp({ create: { width: 20, height: 12, channels: 3, background } });
    files[name] = await image
      .toFormat(name.endsWith("jpg") ? "jpeg" : name.endsWith("png") ? "png" : "webp")
      .toBuffer();
  }
  files["list.csv"] = "file,colour\na.png,red\nsub/c.webp,blue\n";
  await writeFiles(at("photos"), files);
  const problems: string[] = [];
  const out = at("photos.jsonl");
  await embed({
    encoder: pictures,
    inputs: embedInputs([at("photos")], { modality: "image" }),
    out,
    onProblem: ({ place, reason }) => problems.push(`${place}: ${reason}`),
  });
  expect(problems).toEqual([expect.stringMatching(/broken\.png: cannot be decoded/)]);
  const read = await readVectors(out);
  expect(read.fields.path).toEqual(["a.png", "sub/b.jpg", "sub/c.webp"].map((name) => at(`photos/${name}`)));
  const matched = await collect(embedInputs([at("photos/**/*.{jpg,webp}")], { modality: "image" }));
  expect(matched.map(({ fields }) => fields.path)).toEqual([at("photos/sub/b.jpg"), at("photos/sub/c.webp")]);
  await embed({
    encoder: pictures,
    inputs: embedInputs([at("photos/list.csv")], { modality: "image" }),
    out: at("list.npy"),
  });
  const rows = [];
  for await (const row of readTable(at("list.fields.jsonl"))) rows.push("values" in row ? row.values : row);
  expect(rows).toEqual([
    { file: "a.png", colour: "red" },
    { file: "sub/c.webp", colour: "blue" },
  ]);
  const list = await readVectors(at("list.npy"));
  expect(list.values.slice(0, WIDTH)).toEqual(read.values.slice(0, WIDTH));
  expect((await readFile(at("list.npy"))).subarray(1, 6).toString()).toBe("NUMPY");
});

it("splits bytes into lines, and says of each that is none why", async () => {
  async function* chunks(): AsyncGenerator<Uint8Array> {
    // A byte order mark, characters and line ends across chunks, Latin-1, a line of 2 MiB, no line end at the end.
    yield Buffer.from("\ufeffüber", "utf8").subarray(0, 4);
    yield Buffer.from("\ufeffüber", "utf8").subarray(4);
    yield Buffer.from("\r\n\ncaf\xe9\n", "latin1");
    for (let i = 0; i < 32; i++) yield Buffer.alloc(2 ** 16, "a");
    yield Buffer.from("\n\ufeffred\nend");
  }
  const lines = [];
  for await (const line of linesOf(chunks())) lines.push(line);
  expect(lines).toEqual([
    "über",
    "",
    { reason: expect.stringContaining("not UTF-8") },
    { reason: expect.stringContaining("more than 1048576 bytes") },
    "\ufeffred",
    "end",
  ]);
});
