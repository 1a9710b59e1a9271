import { type TextTokenizer, trainWordTokenizer } from "@concord/data";
import { foldIn, type Key } from "@concord/tensor";
import type { TokenRows } from "./word-vectors.ts";
import { type ScoredPair, sentenceWorld, type WorldConfig } from "./world.ts";

/** Pairs that people, or the generated world, have scored. */
export interface StsSet {
  readonly pairs: readonly ScoredPair[];
  /** Parts that are also measured on their own; empty where there is one only. */
  readonly subsets: readonly { readonly name: string; readonly rows: readonly number[] }[];
  /** Pairs scored above this count as positives where alignment is measured. */
  readonly close: number;
}

/** Everything that training and evaluation need to know of the data. */
export interface Task {
  readonly sentences: readonly string[];
  /** The same as token ids. */
  readonly tokens: TokenRows;
  readonly tokenizer: TextTokenizer;
  /** Tokens per sentence. */
  readonly context: number;
  /** Pairs by which the best checkpoint is chosen; without them the last one is kept. */
  readonly development: StsSet | null;
  readonly test: StsSet;
}

const WORLD_STREAM = 0;

/** Share of the highest score above which a pair is a positive: 4 of 5 in STS-B. */
export const CLOSE_SHARE = 0.8;

/** A set of scored pairs without parts. */
export function stsSet(pairs: readonly ScoredPair[], subsets: StsSet["subsets"] = []): StsSet {
  const highest = pairs.reduce((most, { gold }) => Math.max(most, gold), -Infinity);
  return { pairs, subsets, close: CLOSE_SHARE * highest };
}

/** The generated sentences, cut at blanks. */
export function generatedTask(key: Key, config: WorldConfig): Task {
  const world = sentenceWorld(foldIn(key, WORLD_STREAM), config);
  const tokenizer = trainWordTokenizer(world.sentences);
  return {
    sentences: world.sentences,
    tokens: tokenizer.encodeBatch(world.sentences, { length: config.length }),
    tokenizer,
    context: config.length,
    development: stsSet(world.development),
    test: stsSet(world.test),
  };
}
