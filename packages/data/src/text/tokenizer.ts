import { randomUUID } from "node:crypto";
import { readFile, rename, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { NDArray } from "@concord/tensor";
import { isRecord } from "../json.ts";
import { type LibraryTokenizer, libraryTokenizer } from "./library-tokenizer.ts";

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
  /** Most tokens of a text, where its folder tells. */
  readonly maxLength?: number;
  /** The content of its `tokenizer.json`. */
  readonly json: object;
  /**
   * The token ids of one text, special tokens included.
   *
   * @param maxLength longer texts lose words at the end, never special tokens
   */
  encode(text: string, maxLength?: number): number[];
  /**
   * Two texts as one input, the way the tokenizer joins them.
   *
   * @param maxLength  while the input is longer, the longer text loses a token at its end (the second one of equals)
   * @returns the ids, and for each the text that it belongs to as the tokenizer numbers them
   */
  encodePair(
    first: string,
    second: string,
    maxLength?: number,
  ): { readonly ids: number[]; readonly types: number[] };
  /**
   * Token ids of many texts.
   *
   * @param options.length T; default: the longest of these texts, at most `maxLength`
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

export interface TokenizerOptions {
  /** Default: what the file says, else a usual name such as "[PAD]" or "<pad>". */
  readonly padToken?: string;
  /** Where padding goes. Default `right`. */
  readonly paddingSide?: "left" | "right";
  /** Where long texts lose words. Default `right`. */
  readonly truncationSide?: "left" | "right";
  readonly maxLength?: number;
}

/**
 * A tokenizer from the content of a `tokenizer.json`, ours or a published one.
 *
 * @throws Error when the content is no tokenizer or the padding token cannot be told
 */
export function textTokenizer(json: unknown, options: TokenizerOptions = {}): TextTokenizer {
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
      ...(options.truncationSide === "left"
        ? bare.slice(bare.length - (maxLength - specials))
        : bare.slice(0, maxLength - specials)),
      ...whole.slice(before + bare.length),
    ];
  };

  return {
    vocabularySize,
    padId,
    json,
    encode,
    encodePair: (first, second, maxLength) => encodePair(inner, first, second, maxLength),
    ...(options.maxLength === undefined ? {} : { maxLength: options.maxLength }),
    encodeBatch(texts, batchOptions = {}) {
      const rows = texts.map((text) => encode(text, batchOptions.length ?? options.maxLength));
      const length = batchOptions.length ?? rows.reduce((longest, row) => Math.max(longest, row.length), 1);
      if (!Number.isInteger(length) || length < 1)
        throw new RangeError(`encodeBatch: length must be an integer >= 1, got ${length}`);
      const ids = new Int32Array(texts.length * length).fill(padId);
      const mask = new Float32Array(texts.length * length);
      rows.forEach((row, i) => {
        const start = i * length + (options.paddingSide === "left" ? length - row.length : 0);
        ids.set(row, start);
        mask.fill(1, start, start + row.length);
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

/** What the tokenizer puts before, between and behind the texts stays; the texts give way. */
function encodePair(
  inner: LibraryTokenizer,
  first: string,
  second: string,
  maxLength = Number.POSITIVE_INFINITY,
): { readonly ids: number[]; readonly types: number[] } {
  const whole = inner.encode(first, { text_pair: second, return_token_type_ids: true });
  const types = whole.token_type_ids ?? whole.ids.map(() => 0);
  const excess = whole.ids.length - maxLength;
  if (excess <= 0) return { ids: whole.ids, types };
  const [a, b] = [first, second].map((text) => inner.encode(text, { add_special_tokens: false }).ids) as [
    number[],
    number[],
  ];
  const specials = whole.ids.length - a.length - b.length;
  if (specials > maxLength)
    throw new RangeError(`encodePair: ${maxLength} tokens leave no room for ${specials} special tokens`);
  let before = 0;
  while (before < specials && !startsAt(whole.ids, before, a)) before++;
  let between = 0;
  while (before + between < specials && !startsAt(whole.ids, before + a.length + between, b)) between++;
  let [keptOfA, keptOfB] = [a.length, b.length];
  for (let left = excess; left > 0; left--) {
    if (keptOfA > keptOfB) keptOfA--;
    else keptOfB--;
  }
  const startOfB = before + a.length + between;
  const stays = (_: number, i: number): boolean =>
    (i < before + keptOfA || i >= before + a.length) && (i < startOfB + keptOfB || i >= startOfB + b.length);
  return { ids: whole.ids.filter(stays), types: types.filter(stays) };
}

function startsAt(whole: readonly number[], start: number, part: readonly number[]): boolean {
  return part.every((id, i) => whole[start + i] === id);
}

/** Largest tokenizer.json that is read. */
const maxTokenizerBytes = 256 * 2 ** 20;

/**
 * Reads a `tokenizer.json`, or a model folder in the Hugging Face layout: what its `tokenizer_config.json` says about
 * the padding token, the sides of padding and truncation and the longest input is followed unless the options differ.
 *
 * @throws Error naming the file when it cannot be read or is no tokenizer
 */
export async function loadTokenizer(path: string, options: TokenizerOptions = {}): Promise<TextTokenizer> {
  try {
    if (!(await stat(path)).isDirectory()) return textTokenizer(await readJsonFile(path), options);
    const config = await readJsonFile(join(path, "tokenizer_config.json")).catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return {};
      throw error;
    });
    return textTokenizer(await readJsonFile(join(path, "tokenizer.json")), {
      ...folderOptions(config),
      ...options,
    });
  } catch (error) {
    throw new Error(`The tokenizer ${path} cannot be loaded: ${(error as Error).message}`, { cause: error });
  }
}

async function readJsonFile(path: string): Promise<unknown> {
  const info = await stat(path);
  if (!info.isFile()) throw new Error("it is no regular file");
  const { size } = info;
  if (size > maxTokenizerBytes) throw new Error(`${size} bytes are over the limit of ${maxTokenizerBytes}`);
  return JSON.parse(await readFile(path, "utf8"));
}

/** Tokenizers without a limit state an absurdly large one. */
const noLimit = 1e9;

function folderOptions(config: unknown): TokenizerOptions {
  if (!isRecord(config)) return {};
  const token = isRecord(config.pad_token) ? config.pad_token.content : config.pad_token;
  const { padding_side: padding, truncation_side: truncation, model_max_length: longest } = config;
  return {
    ...(typeof token === "string" ? { padToken: token } : {}),
    ...(padding === "left" || padding === "right" ? { paddingSide: padding } : {}),
    ...(truncation === "left" || truncation === "right" ? { truncationSide: truncation } : {}),
    ...(Number.isInteger(longest) && (longest as number) >= 1 && (longest as number) < noLimit
      ? { maxLength: longest as number }
      : {}),
  };
}
