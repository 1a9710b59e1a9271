import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { loadTokenizer, type TextTokenizer } from "@concord/data";
import { type NDArray, type OnnxSession, openOnnx } from "@concord/tensor";
import { z } from "zod";
import { MAX_TOKENS } from "./folder.ts";

/** Texts to unit vectors. */
export interface TextEncoder extends AsyncDisposable {
  /** D */
  readonly width: number;
  /** [texts.length, D], each row of length 1 (a text without tokens: zeros). */
  encode(texts: readonly string[]): Promise<Float32Array>;
  close(): Promise<void>;
}

export class EncoderFolderError extends Error {
  override readonly name = "EncoderFolderError";
}

/** Longest text in characters that is looked at. */
const MAX_CHARACTERS = 8000;
/** Tokens of one run, padding included. */
const TOKENS_PER_RUN = 4096;
const OUTPUTS = ["sentence_embedding", "last_hidden_state", "token_embeddings"] as const;

const modelConfig = z.looseObject({
  max_position_embeddings: z.int().min(8).max(100_000).optional(),
});
const poolingConfig = z.looseObject({ pooling_mode_cls_token: z.boolean().optional() });

/**
 * Opens a sentence encoder: a folder with `tokenizer.json` and `onnx/model.onnx` (or `model.onnx`), as Concord writes
 * it and as published encoders have it. The model takes `input_ids` and `attention_mask`, and gives
 * `sentence_embedding`, or one vector a token, of which the mean is taken (or the first, where `1_Pooling/config.json`
 * says so).
 *
 * @throws EncoderFolderError naming the folder and what is wrong with it
 */
export async function openTextEncoder(
  folder: string,
  options: { readonly threads?: number } = {},
): Promise<TextEncoder> {
  const wrong = (problem: string, cause?: unknown) =>
    new EncoderFolderError(`${folder} is no sentence encoder: ${problem}`, { cause });
  let session: OnnxSession;
  let tokenizer: TextTokenizer;
  try {
    tokenizer = await loadTokenizer(join(folder, "tokenizer.json"));
    session = await openOnnx(await modelFile(folder), options);
  } catch (error) {
    throw wrong((error as Error).message, error);
  }
  try {
    const config = await readConfig(join(folder, "config.json"), modelConfig);
    const pooling = await readConfig(join(folder, "1_Pooling", "config.json"), poolingConfig);
    const model: Model = {
      session,
      tokenizer,
      output: outputOf(session),
      maxTokens: Math.min(MAX_TOKENS, config?.max_position_embeddings ?? MAX_TOKENS),
      first: pooling?.pooling_mode_cls_token === true,
    };
    const probe = await runRows(model, [tokenizer.encode("a", model.maxTokens)]);
    const width = probe.length;
    return {
      width,
      encode: (texts) => encodeTexts(model, texts, width),
      close: () => session.release(),
      [Symbol.asyncDispose]: () => session.release(),
    };
  } catch (error) {
    await session.release();
    throw error instanceof EncoderFolderError ? error : wrong((error as Error).message, error);
  }

  function outputOf({ inputs, outputs }: OnnxSession): string {
    const unknown = inputs.find(({ name }) => !(name in feedsOf));
    if (unknown !== undefined) throw wrong(`its model wants the input ${unknown.name}, which no text gives`);
    const output = OUTPUTS.find((name) => outputs.some((each) => each.name === name));
    if (output === undefined) {
      throw wrong(
        `its model gives ${outputs.map(({ name }) => name).join(", ")}; expected one of ${OUTPUTS.join(", ")}`,
      );
    }
    return output;
  }
}

interface Model {
  readonly session: OnnxSession;
  readonly tokenizer: TextTokenizer;
  readonly output: string;
  readonly maxTokens: number;
  readonly first: boolean;
}

const feedsOf: Readonly<Record<string, (token: number | undefined, pad: number) => number>> = {
  input_ids: (token, pad) => token ?? pad,
  attention_mask: (token) => Number(token !== undefined),
  token_type_ids: () => 0,
};

async function modelFile(folder: string): Promise<string> {
  for (const path of [join(folder, "onnx", "model.onnx"), join(folder, "model.onnx")]) {
    if ((await stat(path).catch(() => null))?.isFile()) return path;
  }
  throw new Error("there is neither onnx/model.onnx nor model.onnx");
}

async function readConfig<T>(path: string, schema: z.ZodType<T>): Promise<T | null> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch {
    return null;
  }
  return schema.parse(JSON.parse(text));
}

/** Vectors [rows, D] of token rows, which are padded to the longest. */
async function runRows(
  { session, tokenizer, output, first }: Model,
  rows: readonly (readonly number[])[],
): Promise<Float32Array> {
  const longest = Math.max(1, ...rows.map(({ length }) => length));
  const shape = [rows.length, longest];
  const feeds = Object.fromEntries(
    session.inputs.map(({ name }) => {
      const value = feedsOf[name] as (token: number | undefined, pad: number) => number;
      const data = new Int32Array(rows.length * longest);
      for (let i = 0; i < data.length; i++)
        data[i] = value(rows[Math.floor(i / longest)]?.[i % longest], tokenizer.padId);
      return [name, { dtype: "int32", shape, data } satisfies NDArray<"int32">];
    }),
  );
  const result = (await session.run(feeds, [output]))[output] as NDArray;
  const data = result.data as Float32Array;
  const width = result.shape.at(-1) as number;
  if (result.shape.length === 2) return normalised(Float32Array.from(data), width);
  const pooled = new Float32Array(rows.length * width);
  rows.forEach((row, r) => {
    const tokens = first ? 1 : row.length;
    for (let t = 0; t < tokens; t++) {
      for (let d = 0; d < width; d++) {
        const at = r * width + d;
        pooled[at] = (pooled[at] as number) + (data[(r * longest + t) * width + d] as number) / tokens;
      }
    }
  });
  return normalised(pooled, width);
}

/** Rows at length 1, in place. */
export function normalised(rows: Float32Array, width: number): Float32Array {
  for (let start = 0; start < rows.length; start += width) {
    const row = rows.subarray(start, start + width);
    let squares = 0;
    for (const value of row) squares += value * value;
    if (!Number.isFinite(squares)) throw new Error("its vectors are not finite");
    const scale = squares > 0 ? 1 / Math.sqrt(squares) : 0;
    for (let d = 0; d < width; d++) row[d] = (row[d] as number) * scale;
  }
  return rows;
}

/** Texts of like length go through the model together, so that little is computed for padding. */
async function encodeTexts(model: Model, texts: readonly string[], width: number): Promise<Float32Array> {
  const result = new Float32Array(texts.length * width);
  const rows = texts
    .map((text, index) => ({
      index,
      tokens: model.tokenizer.encode(text.slice(0, MAX_CHARACTERS), model.maxTokens),
    }))
    .filter(({ tokens }) => tokens.length > 0)
    .sort((a, b) => a.tokens.length - b.tokens.length);
  for (let start = 0; start < rows.length; ) {
    let end = start + 1;
    while (end < rows.length && (end + 1 - start) * (rows[end]?.tokens.length ?? 0) <= TOKENS_PER_RUN) end++;
    const part = rows.slice(start, end);
    const vectors = await runRows(
      model,
      part.map(({ tokens }) => tokens),
    );
    part.forEach(({ index }, i) => {
      result.set(vectors.subarray(i * width, (i + 1) * width), index * width);
    });
    start = end;
  }
  return result;
}
