import { symlink } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import {
  type Encoder,
  EncoderError,
  type OpenEncoderOptions,
  openEncoder,
  type Pooling,
} from "../../src/index.ts";
import {
  SENTENCES,
  temporaryFolder,
  textFiles,
  textModel,
  tokenizer,
  tokenVectors,
  WIDTH,
  writeFiles,
} from "../support/tiny-encoders.ts";

const root = await temporaryFolder();
let count = 0;

async function folderWith(files: Readonly<Record<string, Uint8Array | string | object>>): Promise<string> {
  const folder = join(root, String(count++));
  await writeFiles(folder, files);
  return folder;
}

async function open(
  files: Readonly<Record<string, Uint8Array | string | object>>,
  options: OpenEncoderOptions = {},
): Promise<Encoder> {
  return openEncoder(await folderWith(files), { threads: 1, ...options });
}

const items = SENTENCES.map((text) => ({ text }));

function loopPooling(vectors: readonly (readonly number[])[], pooling: Pooling): number[] {
  return Array.from({ length: WIDTH }, (_, d) => {
    const column = vectors.map((vector) => vector[d] as number);
    const total = (weight: (t: number) => number) => column.reduce((sum, v, t) => sum + weight(t) * v, 0);
    const n = column.length;
    if (pooling === "cls") return column[0] as number;
    if (pooling === "last") return column[n - 1] as number;
    if (pooling === "max") return Math.max(...column);
    if (pooling === "mean") return total(() => 1) / n;
    if (pooling === "mean-sqrt") return total(() => 1) / Math.sqrt(n);
    return total((t) => t + 1) / ((n * (n + 1)) / 2);
  });
}

const poolingModes: readonly (readonly [Pooling, string])[] = [
  ["mean", "pooling_mode_mean_tokens"],
  ["cls", "pooling_mode_cls_token"],
  ["max", "pooling_mode_max_tokens"],
  ["mean-sqrt", "pooling_mode_mean_sqrt_len_tokens"],
  ["weighted-mean", "pooling_mode_weightedmean_tokens"],
  ["last", "pooling_mode_lasttoken"],
];

const close = (values: Iterable<number>) => Array.from(values, (value) => expect.closeTo(value, 5));

it.each(poolingModes)("pools as 1_Pooling says: %s, as loops over the tokens do", async (pooling, flag) => {
  const flags = Object.fromEntries(poolingModes.map(([, name]) => [name, name === flag]));
  await using encoder = await open(textFiles(textModel(), { "1_Pooling/config.json": flags }));
  expect(encoder).toMatchObject({ modality: "text", width: WIDTH, notes: [] });
  expect(encoder.graph).toMatchObject({ output: "last_hidden_state", pooling, mask: "attention_mask" });
  // Batches of two mix texts of different lengths.
  for (const batch of [2, 64]) {
    const { values, rows, problems } = await encoder.encode(items, { batch });
    expect(problems).toEqual([]);
    expect(rows).toEqual([0, 1, 2, 3, 4]);
    for (const [row, text] of SENTENCES.entries()) {
      const expected = loopPooling(tokenVectors(tokenizer.encode(text)), pooling);
      expect(Array.from(values.subarray(row * WIDTH, (row + 1) * WIDTH)), text).toEqual(close(expected));
    }
  }
});

it("takes the mean of tokens when nothing says otherwise, and says so", async () => {
  await using encoder = await open(textFiles(textModel({ inputs: ["attention_mask", "token_type_ids"] })));
  expect(encoder.graph.pooling).toBe("mean");
  expect(encoder.notes.join()).toContain("their mean is taken");
});

it("pads on the left where the tokenizer's file says so", async () => {
  const files = textFiles(textModel({ inputs: ["attention_mask", "position_ids"] }), {
    "tokenizer_config.json": { padding_side: "left", pad_token: { content: "[PAD]" } },
  });
  await using encoder = await open(files, { pooling: "last" });
  const { feeds } = await encoder.preprocess(items.slice(1, 3));
  const lengths = SENTENCES.slice(1, 3).map((text) => tokenizer.encode(text).length);
  expect(lengths).toEqual([5, 5]);
  expect(Object.keys(feeds).sort()).toEqual(["attention_mask", "input_ids", "position_ids"]);
  const { values } = await encoder.encode(items, { batch: 8 });
  for (const [row, text] of SENTENCES.entries()) {
    const expected = tokenVectors(tokenizer.encode(text)).at(-1) as number[];
    expect(Array.from(values.subarray(row * WIDTH, (row + 1) * WIDTH))).toEqual(close(expected));
  }
});

it("normalises as modules.json says, unless told otherwise", async () => {
  const files = textFiles(textModel(), {
    "modules.json": [
      { idx: 0, type: "sentence_transformers.models.Transformer", path: "" },
      { idx: 1, type: "sentence_transformers.models.Pooling", path: "1_Pooling" },
      { idx: 2, type: "sentence_transformers.models.Normalize", path: "2_Normalize" },
    ],
  });
  await using unit = await open(files);
  const { values } = await unit.encode(items);
  for (let row = 0; row < items.length; row++)
    expect(Math.hypot(...values.subarray(row * WIDTH, (row + 1) * WIDTH))).toBeCloseTo(1, 6);
  await using raw = await open(files, { normalize: false });
  expect(raw.graph.normalize).toBe(false);
  expect(raw.digest).not.toBe(unit.digest);
});

it("puts prompts before texts: named, literal, and the folder's default", async () => {
  const config = { prompts: { query: "the snow ", none: "" }, default_prompt_name: "query" };
  const files = textFiles(textModel(), { "config_sentence_transformers.json": config });
  await using plain = await open(textFiles(textModel()));
  const expected = (await plain.encode([{ text: "the snow falls" }])).values;
  for (const [options, text] of [
    [{}, "falls"],
    [{ prompt: "query" }, "falls"],
    [{ prompt: "the " }, "snow falls"],
    [{ prompt: "none" }, "the snow falls"],
  ] as const) {
    await using encoder = await open(files, options);
    expect(Array.from((await encoder.encode([{ text }])).values)).toEqual(close(expected));
  }
  await expect(
    open(textFiles(textModel(), { "config_sentence_transformers.json": { default_prompt_name: "q" } })),
  ).rejects.toThrow("default prompt");
});

it.each([
  ["sentence_embedding", { last_hidden_state: "tokens", sentence_embedding: "whole" }, "none"],
  ["text_embeds", { text_embeds: "whole", last_hidden_state: "tokens", logits: "whole" }, "none"],
  ["pooler_output", { pooler_output: "whole" }, "none"],
  ["last_hidden_state", { pooler_output: "whole", last_hidden_state: "tokens" }, "mean"],
  ["token_embeddings", { token_embeddings: "tokens" }, "mean"],
  ["vectors", { vectors: "whole" }, "none"],
] as const)("reads the output %s of %j", async (output, outputs, pooling) => {
  await using encoder = await open(textFiles(textModel({ outputs })));
  expect(encoder.graph).toMatchObject({ output, pooling });
  const { values } = await encoder.encode([{ text: "two cats sleep" }]);
  const tokens = tokenVectors(tokenizer.encode("two cats sleep"));
  expect(Array.from(values)).toEqual(close(loopPooling(tokens, pooling === "none" ? "cls" : "mean")));
});

it("reads pooler_output of models that were trained by it", async () => {
  const outputs = { pooler_output: "whole", last_hidden_state: "tokens" } as const;
  await using encoder = await open(
    textFiles(textModel({ outputs }), { "config.json": { model_type: "clip_text_model" } }),
  );
  expect(encoder.graph.output).toBe("pooler_output");
});

it("does not let padding show where the model knows no mask", async () => {
  await using encoder = await open(textFiles(textModel({ inputs: [] })));
  const { values } = await encoder.encode(items);
  for (const [row, text] of SENTENCES.entries()) {
    const expected = loopPooling(tokenVectors(tokenizer.encode(text)), "mean");
    expect(Array.from(values.subarray(row * WIDTH, (row + 1) * WIDTH))).toEqual(close(expected));
  }
});

it("keeps to fixed batch and sequence axes, and cuts texts at what the files allow", async () => {
  await using fixed = await open(textFiles(textModel({ batch: 3, tokens: 8 })));
  const { values, rows } = await fixed.encode(items);
  expect(rows).toHaveLength(5);
  for (const [row, text] of SENTENCES.entries()) {
    const expected = loopPooling(tokenVectors(tokenizer.encode(text, 8)), "mean");
    expect(Array.from(values.subarray(row * WIDTH, (row + 1) * WIDTH))).toEqual(close(expected));
  }
  const limits = { "sentence_bert_config.json": { max_seq_length: 6 } };
  await using short = await open(textFiles(textModel(), limits));
  const { feeds } = await short.preprocess(items);
  expect(feeds.input_ids?.shape).toEqual([5, 6]);
});

it("finds the model among its variants, by path, and as a file", async () => {
  const model = textModel();
  const other = textModel({ outputs: { sentence_embedding: "whole" } });
  const folder = await folderWith(textFiles(model, { "onnx/model_quantized.onnx": other }));
  const fileOf = async (path: string, options: OpenEncoderOptions = {}) => {
    await using encoder = await openEncoder(path, options);
    return encoder.graph.file.slice(folder.length + 1);
  };
  expect(await fileOf(folder)).toBe("onnx/model.onnx");
  for (const modelFile of ["quantized", "model_quantized", "onnx/model_quantized.onnx"])
    expect(await fileOf(folder, { modelFile })).toBe("onnx/model_quantized.onnx");
  expect(await fileOf(join(folder, "onnx/model_quantized.onnx"))).toBe("onnx/model_quantized.onnx");
  await expect(openEncoder(folder, { modelFile: "q4" })).rejects.toThrow(
    "no model file 'q4'; it has onnx/model.onnx, onnx/model_quantized.onnx",
  );
});

it("counts items that cannot be encoded, and keeps the order of the rest", async () => {
  await using encoder = await open(textFiles(textModel()));
  const bad = [{ text: "  " }, { text: "two cats sleep" }, { path: "x.png" }, { text: "a" }];
  const { values, rows, problems } = await encoder.encode(bad);
  expect(rows).toEqual([1, 3]);
  expect(values).toHaveLength(2 * WIDTH);
  expect(problems).toEqual([
    { index: 0, reason: "the text is empty" },
    { index: 2, reason: "expected a text" },
  ]);
  expect(await encoder.encode([])).toMatchObject({ rows: [], problems: [] });
});

it("stops when it is told to", async () => {
  await using encoder = await open(textFiles(textModel()));
  const many = Array.from({ length: 5000 }, () => ({ text: "two cats sleep" }));
  const stop = new AbortController();
  const encoding = encoder.encode(many, { batch: 1, signal: stop.signal });
  setTimeout(() => stop.abort(), 5);
  await expect(encoding).rejects.toThrow(expect.objectContaining({ name: "AbortError" }));
});

it("has one digest for equal vectors, others for other models and settings", async () => {
  const digest = async (files: Parameters<typeof open>[0], options: OpenEncoderOptions = {}) => {
    await using encoder = await open(files, options);
    return encoder.digest;
  };
  const files = textFiles(textModel());
  const first = await digest(files);
  expect(first).toMatch(/^[0-9a-f]{64}$/);
  expect(await digest(files)).toBe(first);
  expect(await digest({ ...files, "README.md": "nothing" })).toBe(first);
  const others = await Promise.all([
    digest(textFiles(textModel({ inputs: [] }))),
    digest(files, { pooling: "max" }),
    digest(files, { prompt: "the " }),
    digest({ ...files, "tokenizer_config.json": { model_max_length: 16 } }),
  ]);
  expect(new Set([first, ...others]).size).toBe(5);
});

it.each([
  ["no folder", null, "There is no encoder at"],
  ["an empty folder", { "README.md": "x" }, "it has no .onnx file. Convert the model"],
  ["no tokenizer", { "onnx/model.onnx": textModel() }, "there is no tokenizer.json"],
  [
    "a tokenizer that is no JSON",
    textFiles(textModel(), { "tokenizer.json": "{" }),
    "tokenizer.json is no JSON",
  ],
  [
    "a list for an object",
    textFiles(textModel(), { "config.json": [1] }),
    "config.json: expected a JSON object",
  ],
  ["no model", textFiles(new TextEncoder().encode("no model")), "no ONNX model"],
  [
    "several models",
    { "a.onnx": textModel(), "b.onnx": textModel() },
    "no model file that can be told apart; it has a.onnx, b.onnx. Name one",
  ],
  [
    "models of two kinds",
    { "onnx/text_model.onnx": textModel(), "onnx/vision_model.onnx": textModel() },
    "Say which kind of input is meant",
  ],
  [
    "two poolings",
    textFiles(textModel(), {
      "1_Pooling/config.json": { pooling_mode_cls_token: true, pooling_mode_max_tokens: true },
    }),
    "expected exactly one way of pooling, got 2 (cls, max)",
  ],
  [
    "layers that the model lacks",
    textFiles(textModel(), { "modules.json": [{ type: "sentence_transformers.models.Dense" }] }),
    "Dense layers",
  ],
  [
    "several outputs of no known name",
    textFiles(textModel({ outputs: { a: "whole", b: "whole" } })),
    "The model gives a float32",
  ],
  [
    "a limit that is none",
    textFiles(textModel(), { "sentence_bert_config.json": { max_seq_length: -1 } }),
    "'max_seq_length' must be a whole number",
  ],
] as const)("says what is wrong with %s", async (_, files, message) => {
  const opening = files === null ? openEncoder(join(root, "none")) : open(files);
  await expect(opening).rejects.toThrow(EncoderError);
  await expect(opening).rejects.toThrow(message);
});

it("says what the model has when an output or a kind of input is wanted that it lacks", async () => {
  const files = textFiles(textModel());
  await expect(open(files, { output: "pooled" })).rejects.toThrow(
    "there is no output 'pooled'. The model gives last_hidden_state float32 [batch_size, sequence_length, 6]",
  );
  await expect(open(files, { modality: "image" })).rejects.toThrow(
    /takes no image. The model takes input_ids int64/,
  );
  await expect(open(files, { maxModelBytes: 10 })).rejects.toThrow("more than 10");
});

it("does not follow a link out of the folder", async () => {
  const outside = await folderWith({ "model.onnx": textModel() });
  const { "onnx/model.onnx": _, ...files } = textFiles(textModel());
  const folder = await folderWith(files);
  await symlink(join(outside, "model.onnx"), join(folder, "model.onnx"));
  await expect(openEncoder(folder)).rejects.toThrow("link that leads out");
});
