import type { TextTokenizer } from "@concord/data";
import { foldText, stemOf } from "../store/stem.ts";

/** Which tokens are forms of one word. */
export interface StemTable {
  /** [V] stem of each token. */
  readonly of: Int32Array;
  /** S */
  readonly count: number;
}

/**
 * Gives forms of one word ("clusters", "clustering") one number, so that what is learned of one is known of all. Padding
 * and unknown words keep theirs.
 */
export function stemTable(tokenizer: TextTokenizer): StemTable {
  const numbers = new Map<string, number>();
  const of = Int32Array.from({ length: tokenizer.vocabularySize }, (_, token) => {
    const word = tokenizer.decode([token]);
    // Special tokens have no text.
    const stem = word === "" ? `[${token}]` : stemOf(foldText(word));
    const number = numbers.get(stem) ?? numbers.size;
    numbers.set(stem, number);
    return number;
  });
  return { of, count: numbers.size };
}
