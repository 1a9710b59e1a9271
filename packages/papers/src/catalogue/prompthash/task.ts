import { type CaptionedImageSet, selectImages, type TextTokenizer, trainWordTokenizer } from "@concord/data";
import { foldIn, type Key, type NDArray } from "@concord/tensor";
import type { DataConfig } from "./config.ts";
import { type TaggedImages, taggedScenes } from "./scenes.ts";

/** Token ids and the place of each text's end token. */
export interface TokenTable {
  /** [N, T] */
  readonly ids: NDArray<"int32">;
  /** [N] */
  readonly ends: NDArray<"int32">;
}

/** Everything that training and evaluation need to know of the data. */
export interface Task {
  /** Pairs without labels, for stage A. */
  readonly pretraining: CaptionedImageSet;
  /** Queries first, then the database, which begins with the training items. */
  readonly items: TaggedImages;
  readonly queries: number;
  readonly training: number;
  readonly tokenizer: TextTokenizer;
  /** T, tokens of texts and prompts. */
  readonly context: number;
  /** The first caption of every item. */
  readonly texts: TokenTable;
  /** A text without a word: what stands for a missing text in the prompt transformer. */
  readonly empty: TokenTable;
  /** The label-free prompt, which names all classes: [1, T]. */
  readonly prompt: NDArray<"int32">;
  /** Prompts that name the labels of each item: [N, T]. */
  readonly labelPrompts: NDArray<"int32">;
}

const PROMPT_START = "this is an image containing";
const streams = { items: 0, pretraining: 1 } as const;

/**
 * The prompt sentence of some classes.
 *
 * @source released code (VLPromptLearner.ctx_init)
 */
export function promptSentence(classes: readonly string[]): string {
  return [PROMPT_START, ...classes].join(" ");
}

/** Labels of one row of a matrix [N, C] by name. */
export function labelsOf({ labels, classes }: TaggedImages, item: number): string[] {
  return classes.filter((_, c) => (labels.data[item * classes.length + c] as number) > 0);
}

/** Texts as ids of T tokens, the longer ones cut before their end token. */
export function tokenTable(tokenizer: TextTokenizer, texts: readonly string[], length: number): TokenTable {
  const { ids, mask } = tokenizer.encodeBatch(texts, { length });
  return { ids, ends: endsOf(mask) };
}

/** Place of the last token of each row of a mask [B, T]. */
export function endsOf(mask: NDArray): NDArray<"int32"> {
  const [B = 0, T = 0] = mask.shape;
  const ends = new Int32Array(B);
  for (let i = 0; i < B; i++) {
    let tokens = 0;
    for (let t = 0; t < T; t++) tokens += Number(mask.data[i * T + t]);
    ends[i] = Math.max(0, tokens - 1);
  }
  return { dtype: "int32", shape: [B], data: ends };
}

/** Rows of an [N, ...] array. */
export function takeRows<D extends "float32" | "int32">(
  array: NDArray<D>,
  rows: ArrayLike<number>,
): NDArray<D> {
  const [, ...rest] = array.shape;
  const size = rest.reduce((a, b) => a * b, 1);
  const length = rows.length * size;
  const data = array.dtype === "int32" ? new Int32Array(length) : new Float32Array(length);
  for (let i = 0; i < rows.length; i++) {
    const start = (rows[i] as number) * size;
    data.set((array.data as Float32Array | Int32Array).subarray(start, start + size), i * size);
  }
  return { dtype: array.dtype, shape: [rows.length, ...rest], data } as unknown as NDArray<D>;
}

/** From tagged pictures, in the order queries, training, rest, to a task. */
export function taskOf(parts: {
  readonly items: TaggedImages;
  readonly pretraining: CaptionedImageSet;
  readonly queries: number;
  readonly training: number;
  readonly tokenizer: TextTokenizer;
  readonly context: number;
}): Task {
  const { items, tokenizer, context } = parts;
  const captions = items.set.captions.map(([first]) => first as string);
  const prompts = captions.map((_, i) => promptSentence(labelsOf(items, i)));
  return {
    ...parts,
    texts: tokenTable(tokenizer, captions, context),
    empty: tokenTable(tokenizer, [""], context),
    prompt: tokenTable(tokenizer, [promptSentence(items.classes)], context).ids,
    labelPrompts: tokenTable(tokenizer, prompts, context).ids,
  };
}

/** What stands for a missing text: no word, and the label-free prompt. */
export function missingText({ empty, prompt }: Task) {
  return { emptyTokens: empty.ids, emptyEnds: empty.ends, emptyPrompt: prompt };
}

/** Most tokens of any caption or prompt. */
export function longestText(tokenizer: TextTokenizer, items: TaggedImages): number {
  const texts = [...items.set.captions.flat(), promptSentence(items.classes)];
  return texts.reduce((longest, text) => Math.max(longest, tokenizer.encode(text).length), 1);
}

/** The training part of a task's pictures. */
export function trainingSet({ items, queries, training }: Task): CaptionedImageSet {
  return selectImages(
    items.set,
    Array.from({ length: training }, (_, i) => queries + i),
  );
}

/** The generated world: stage A sees other scenes, without labels. */
export function generatedTask(key: Key, counts: NonNullable<DataConfig["generated"]>): Task {
  const { queries, training, database } = counts;
  const items = taggedScenes(foldIn(key, streams.items), queries + database);
  const { set: pretraining } = taggedScenes(foldIn(key, streams.pretraining), counts.pretraining);
  const tokenizer = trainWordTokenizer([...pretraining.captions.flat(), promptSentence(items.classes)], {
    boundaries: true,
  });
  const context = longestText(tokenizer, items);
  return taskOf({ items, pretraining, queries, training, tokenizer, context });
}
