// Small encoders in the layout of Hugging Face's hub and transformers.js, made with the engine.
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type TextTokenizer, trainWordTokenizer } from "@concord/data";
import {
  add,
  cast,
  concat,
  div,
  expandDims,
  exportOnnx,
  gather,
  l2Normalize,
  matmul,
  mean,
  mul,
  type NDArray,
  narrow,
  normalArray,
  randomKey,
  reshape,
  sum,
  type Tensor,
  tanh,
} from "@concord/tensor";
import { afterAll } from "vitest";

export const WIDTH = 6;
export const SENTENCES = [
  "a red bicycle leans on a wall",
  "two cats sleep",
  "the snow falls",
  "rain on the roof of a small house near the sea",
  "a",
];

/** A folder that is removed after the tests of the calling file. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "concord-toolkit-"));
  afterAll(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Writes files, JSON where the content is an object, and makes their folders. */
export async function writeFiles(
  folder: string,
  files: Readonly<Record<string, Uint8Array | string | object>>,
): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    const path = join(folder, name);
    await mkdir(dirname(path), { recursive: true });
    const plain = typeof content === "string" || content instanceof Uint8Array;
    await writeFile(path, plain ? content : JSON.stringify(content));
  }
}

export const tokenizer: TextTokenizer = trainWordTokenizer(SENTENCES, { boundaries: true });
const MOST_TOKENS = 64;

/** Weights of the text model. */
export const textParams = {
  table: normalArray(randomKey(1), [tokenizer.vocabularySize, WIDTH]),
  positions: normalArray(randomKey(2), [MOST_TOKENS, WIDTH]),
};

interface TextModelOptions {
  /** Which inputs besides input_ids. Default attention_mask. */
  readonly inputs?: readonly ("attention_mask" | "token_type_ids" | "position_ids")[];
  /** Outputs; `tokens` are vectors of tokens, `whole` one of the text. Default: last_hidden_state tokens. */
  readonly outputs?: Readonly<Record<string, "tokens" | "whole">>;
  readonly batch?: number | string;
  readonly tokens?: number | string;
}

/**
 * A text model whose tokens see each other: h_t = tanh(E[id_t] + P[t] + Σ_s m_s E[id_s] / Σ_s m_s), so that padding
 * that is not masked shows. The whole text is h_0.
 */
export function textModel(options: TextModelOptions = {}): Uint8Array {
  const { inputs = ["attention_mask"], outputs = { last_hidden_state: "tokens" } } = options;
  const { batch = "batch_size", tokens = "sequence_length" } = options;
  const input = { shape: [batch, tokens], dtype: "int64" } as const;
  return exportOnnx(
    (p, feeds) => {
      const ids = feeds.input_ids as Tensor;
      const length = ids.shape[1] as number;
      const words = gather(p.table, ids);
      const mask = feeds.attention_mask ? expandDims(cast(feeds.attention_mask, "float32"), 2) : undefined;
      const shared = mask
        ? div(sum(mul(words, mask), { axes: 1, keepDims: true }), sum(mask, { axes: 1, keepDims: true }))
        : mean(words, { axes: 1, keepDims: true });
      const places = feeds.position_ids
        ? gather(p.positions, feeds.position_ids)
        : narrow(p.positions, 0, 0, length);
      let hidden = tanh(add(add(words, places), shared));
      if (feeds.token_type_ids) hidden = add(hidden, expandDims(cast(feeds.token_type_ids, "float32"), 2));
      return Object.fromEntries(
        Object.entries(outputs).map(([name, kind]) => [
          name,
          kind === "tokens" ? hidden : reshape(narrow(hidden, 1, 0, 1), [ids.shape[0] as number, WIDTH]),
        ]),
      );
    },
    {
      inputs: Object.fromEntries([["input_ids", input], ...inputs.map((name) => [name, input] as const)]),
      params: textParams,
      ...(typeof tokens === "string" ? { axes: { [tokens]: { maximum: MOST_TOKENS } } } : {}),
    },
  );
}

/** The token vectors h_t of one text, by loops. */
export function tokenVectors(ids: readonly number[]): number[][] {
  const { table, positions } = textParams;
  const row = (array: NDArray, i: number) => Array.from(array.data.slice(i * WIDTH, (i + 1) * WIDTH), Number);
  const words = ids.map((id) => row(table, id));
  const shared = Array.from(
    { length: WIDTH },
    (_, d) => words.reduce((total, word) => total + (word[d] as number), 0) / ids.length,
  );
  return ids.map((id, t) => {
    const [word, place] = [row(table, id), row(positions, t)];
    return word.map((v, d) => Math.tanh(v + (place[d] as number) + (shared[d] as number)));
  });
}

/** Files of a text encoder; more of them, or others in their place, by the caller. */
export function textFiles(
  model: Uint8Array,
  more: Readonly<Record<string, Uint8Array | string | object>> = {},
): Record<string, Uint8Array | string | object> {
  return {
    "config.json": { model_type: "bert" },
    "tokenizer.json": tokenizer.json,
    "tokenizer_config.json": { model_max_length: 32, pad_token: "[PAD]" },
    "onnx/model.onnx": model,
    ...more,
  };
}

export const SIDE = 8;

/** A picture model: pixel values [B, 3, S, S] to a projection of the mean colour of each quarter. */
export function imageModel(
  options: {
    readonly output?: string;
    readonly batch?: number | string;
    readonly channels?: number;
    readonly sides?: readonly (number | string)[];
  } = {},
): Uint8Array {
  const { output = "image_embeds", batch = "batch_size", channels = 3, sides = [SIDE, SIDE] } = options;
  const half = SIDE / 2;
  return exportOnnx(
    (p, { pixel_values }: { pixel_values: Tensor }) => {
      const rows = pixel_values.shape[0] as number;
      const quarters = [0, half].flatMap((y) =>
        [0, half].map((x) => {
          const part = narrow(narrow(pixel_values, 2, y, half), 3, x, half);
          return div(sum(part, { axes: [2, 3] }), half * half);
        }),
      );
      const features = reshape(concat(quarters, 1), [rows, 4 * channels]);
      return { [output]: matmul(features, p.projection) };
    },
    {
      inputs: { pixel_values: { shape: [batch, channels, ...sides] } },
      params: { projection: normalArray(randomKey(3), [4 * channels, WIDTH]) },
    },
  );
}

export function imageFiles(
  model: Uint8Array,
  preprocessor: object = {},
): Record<string, Uint8Array | string | object> {
  return {
    "config.json": { model_type: "clip" },
    "preprocessor_config.json": {
      do_resize: true,
      size: { shortest_edge: SIDE },
      resample: 3,
      do_center_crop: true,
      crop_size: { height: SIDE, width: SIDE },
      do_rescale: true,
      rescale_factor: 1 / 255,
      do_normalize: true,
      image_mean: [0.48, 0.46, 0.41],
      image_std: [0.27, 0.26, 0.28],
      ...preprocessor,
    },
    "onnx/vision_model.onnx": model,
  };
}

export const SCAN_SIDE = 4;

/** A model of scans [B, 1, X, Y, Z]: the mean, and that of the first two voxels along each axis, projected. */
export function volumeModel(
  options: { readonly input?: string; readonly sides?: readonly (number | string)[] } = {},
): Uint8Array {
  const { input = "voxels", sides = [SCAN_SIDE, SCAN_SIDE, SCAN_SIDE] } = options;
  return exportOnnx(
    (p, feeds) => {
      const x = feeds[input] as Tensor;
      const parts = [x, ...[2, 3, 4].map((axis) => narrow(x, axis, 0, 2))];
      const means = parts.map((part) => mean(part, { axes: [2, 3, 4] }));
      return { features: matmul(concat(means, 1), p.projection) };
    },
    {
      inputs: { [input]: { shape: ["batch", 1, ...sides] } },
      params: { projection: normalArray(randomKey(6), [4, WIDTH]) },
    },
  );
}

/** A sound model: the mean and the mean square of the samples, projected. */
export function audioModel(masked = true): Uint8Array {
  return exportOnnx(
    (p, feeds) => {
      const samples = feeds.input_values as Tensor;
      const mask = feeds.attention_mask ? cast(feeds.attention_mask, "float32") : undefined;
      const average = (x: Tensor) =>
        mask
          ? div(sum(mul(x, mask), { axes: 1, keepDims: true }), sum(mask, { axes: 1, keepDims: true }))
          : mean(x, { axes: 1, keepDims: true });
      return {
        audio_embeds: matmul(concat([average(samples), average(mul(samples, samples))], 1), p.projection),
      };
    },
    {
      inputs: {
        input_values: { shape: ["batch", "samples"] },
        ...(masked ? { attention_mask: { shape: ["batch", "samples"], dtype: "int64" } as const } : {}),
      },
      params: { projection: normalArray(randomKey(4), [2, WIDTH]) },
    },
  );
}

/** A model of plain vectors [B, 5]. */
export function vectorModel(): Uint8Array {
  return exportOnnx(
    (p, { features }: { features: Tensor }) => ({ embedding: l2Normalize(matmul(features, p.w)) }),
    {
      inputs: { features: { shape: ["batch", 5] } },
      params: { w: normalArray(randomKey(5), [5, WIDTH]) },
    },
  );
}
