import { randomUUID } from "node:crypto";
import { readFile, rename, stat, writeFile } from "node:fs/promises";
import type { NDArray } from "@concord/tensor";
import { isRecord } from "../json.ts";
import { libraryTokenizer } from "./library-tokenizer.ts";

/** Token ids of B texts, padded to one length. */
export interface TokenBatch {
  /** [B, T] */
  readonly ids: NDArray<"int32">;
  /** [B, T]: 1 for tokens, 0 for padding */
  readonly mask: NDArray<"float32">;
}

/** Texts to token ids and back. */
export interface TextTokenizer {
  /** Number of token ids; every id is below it. */
  readonly vocabularySize: number;
  readonly padId: number;
  /** The content of its `tokenizer.json`. */
  readonly json: object;
  /**
   * The token ids of one text, special tokens included.
   *
   * @param maxLength longer texts lose words at the end, never special tokens
   */
  encode(text: string, maxLength?: number): number[];
  /**
   * Token ids of many texts.
   *
   * @param options.length T; default: the longest of these texts
   * @throws RangeError when T leaves no room for the special tokens
   */
  encodeBatch(texts: readonly string[], options?: { readonly length?: number }): TokenBatch;
  /** The text of token ids, without special tokens. */
  decode(ids: ArrayLike<number>): string;
  /** Id of a token, e.g. a word, or undefined when the vocabulary lacks it. */
  tokenId(token: string): number | undefined;
  /** Writes `tokenizer.json`. */
  save(path: string): Promise<void>;
}

/** Names that published tokenizers give their padding token. */
const usualPadTokens = ["[PAD]", "<pad>", "<|endoftext|>", "</s>"];

/**
 * A tokenizer from the content of a `tokenizer.json`, ours or a published one.
 *
 * @param options.padToken default: what the file says, else a usual name such as "[PAD]" or "<pad>"
 * @throws Error when the content is no tokenizer or the padding token cannot be told
 */
export function textTokenizer(json: unknown, options: { readonly padToken?: string } = {}): TextTokenizer {
  if (!isRecord(json) || !isRecord(json.model))
    throw new Error('textTokenizer: not a tokenizer.json: an object with a "model" is needed');
  const inner = libraryTokenizer(json);
  let vocabularySize = 0;
  for (const id of inner.get_vocab().values()) vocabularySize = Math.max(vocabularySize, id + 1);
  const padding = isRecord(json.padding) ? json.padding.pad_token : undefined;
  const candidates =
    options.padToken !== undefined
      ? [options.padToken]
      : typeof padding === "string"
        ? [padding]
        : usualPadTokens;
  const padId = candidates.map((token) => inner.token_to_id(token)).find((id) => id !== undefined);
  if (padId === undefined)
    throw new Error(`textTokenizer: there is no padding token ${candidates.join(" or ")} in the vocabulary`);

  const encode = (text: string, maxLength = Number.POSITIVE_INFINITY): number[] => {
    const whole = inner.encode(text).ids;
    if (whole.length <= maxLength) return whole;
    const bare = inner.encode(text, { add_special_tokens: false }).ids;
    const specials = whole.length - bare.length;
    if (specials > maxLength)
      throw new RangeError(`encode: ${maxLength} tokens leave no room for ${specials} special tokens`);
    let before = 0;
    while (before < specials && !startsAt(whole, before, bare)) before++;
    return [
      ...whole.slice(0, before),
      ...bare.slice(0, maxLength - specials),
      ...whole.slice(before + bare.length),
    ];
  };

  return {
    vocabularySize,
    padId,
    json,
    encode,
    encodeBatch(texts, batchOptions = {}) {
      const rows = texts.map((text) => encode(text, batchOptions.length));
      const length = batchOptions.length ?? rows.reduce((longest, row) => Math.max(longest, row.length), 1);
      if (!Number.isInteger(length) || length < 1)
        throw new RangeError(`encodeBatch: length must be an integer >= 1, got ${length}`);
      const ids = new Int32Array(texts.length * length).fill(padId);
      const mask = new Float32Array(texts.length * length);
      rows.forEach((row, i) => {
        ids.set(row, i * length);
        mask.fill(1, i * length, i * length + row.length);
      });
      const shape = [texts.length, length];
      return { ids: { dtype: "int32", shape, data: ids }, mask: { dtype: "float32", shape, data: mask } };
    },
    decode(ids) {
      const list = Array.from(ids);
      return list.length === 0 ? "" : inner.decode(list, { skip_special_tokens: true });
    },
    tokenId: (token) => inner.token_to_id(token),
    async save(path) {
      const temporary = `${path}.${randomUUID()}.tmp`;
      await writeFile(temporary, `${JSON.stringify(json, null, 1)}\n`);
      await rename(temporary, path);
    },
  };
}

function startsAt(whole: readonly number[], start: number, part: readonly number[]): boolean {
  return part.every((id, i) => whole[start + i] === id);
}

/** Largest tokenizer.json that is read. */
const maxTokenizerBytes = 256 * 2 ** 20;

/**
 * Reads a `tokenizer.json`.
 *
 * @throws Error naming the file when it cannot be read or is no tokenizer
 */
export async function loadTokenizer(
  path: string,
  options: { readonly padToken?: string } = {},
): Promise<TextTokenizer> {
  try {
    const { size } = await stat(path);
    if (size > maxTokenizerBytes) throw new Error(`${size} bytes are over the limit of ${maxTokenizerBytes}`);
    return textTokenizer(JSON.parse(await readFile(path, "utf8")), options);
  } catch (error) {
    throw new Error(`The tokenizer ${path} cannot be loaded: ${(error as Error).message}`, { cause: error });
  }
}
