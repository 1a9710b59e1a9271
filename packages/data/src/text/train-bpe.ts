import { countWords, libraryTokenizer } from "./library-tokenizer.ts";
import { type TextTokenizer, textTokenizer } from "./tokenizer.ts";
import { numbered, specialTokens, type TokenizerJson, tokenizerJson } from "./tokenizer-json.ts";

export interface BpeTokenizerOptions {
  /** Largest vocabulary: special tokens, 256 bytes, and merged pairs. Default 8192. */
  readonly maxVocabulary?: number;
  /** Pairs seen less often are not merged. Default 2. */
  readonly minCount?: number;
  /** Put [CLS] before and [SEP] after each text. Default true. */
  readonly boundaries?: boolean;
}

/** A word as its current pieces, with how often it occurs. */
interface Word {
  pieces: string[];
  readonly count: number;
}

/**
 * A byte-pair encoding over UTF-8 bytes (as in GPT-2, lower-cased): no text is ever unknown. Starting from
 * single bytes, the most frequent neighbouring pair is merged until the vocabulary is full; equals in alphabetical
 * order. Ids: [PAD] 0, with boundaries [CLS] 1 and [SEP] 2, then 256 bytes, then merges in their order.
 *
 * @throws RangeError when the vocabulary has no room for the bytes
 */
export function trainBpeTokenizer(texts: Iterable<string>, options: BpeTokenizerOptions = {}): TextTokenizer {
  const { maxVocabulary = 8192, minCount = 2, boundaries = true } = options;
  const { pad, start, end } = specialTokens;
  const specials = boundaries ? [pad, start, end] : [pad];
  const alphabet = byteAlphabet();
  const fixed = specials.length + alphabet.length;
  if (!Number.isInteger(maxVocabulary) || maxVocabulary < fixed)
    throw new RangeError(
      `trainBpeTokenizer: maxVocabulary must be an integer >= ${fixed}, got ${maxVocabulary}`,
    );
  const withMerges = (merges: readonly (readonly [string, string])[]): TokenizerJson => {
    // Two different merges can give the same piece; it is one token.
    const pieces = new Set([...alphabet, ...merges.map(([left, right]) => left + right)]);
    return tokenizerJson({
      specials,
      boundaries,
      preTokenizer: byteLevel,
      decoder: byteLevel,
      model: {
        type: "BPE",
        dropout: null,
        unk_token: null,
        continuing_subword_prefix: null,
        end_of_word_suffix: null,
        fuse_unk: false,
        byte_fallback: false,
        ignore_merges: false,
        vocab: numbered([...specials, ...pieces]),
        merges: merges.map(([left, right]) => `${left} ${right}`),
      },
    });
  };
  const counts = countWords(libraryTokenizer(withMerges([])), texts);
  const words = Array.from(counts, ([word, count]): Word => ({ pieces: [...word], count }));
  return textTokenizer(withMerges(learnMerges(words, maxVocabulary - fixed, minCount)));
}

const byteLevel = { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true } as const;

/** The characters that stand for the bytes 0 to 255 in byte-level tokenizers: printable ones for themselves. */
function byteAlphabet(): string[] {
  let moved = 0;
  return Array.from({ length: 256 }, (_, byte) => {
    const printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    return String.fromCharCode(printable ? byte : 256 + moved++);
  });
}

/** Pieces never contain a space, so a space separates the two pieces of a pair. */
const pairOf = (left: string, right: string): string => `${left} ${right}`;

function learnMerges(words: readonly Word[], most: number, minCount: number): [string, string][] {
  const counts = new Map<string, number>();
  const wordsWith = new Map<string, Set<Word>>();
  const add = (word: Word, sign: 1 | -1): void => {
    for (let i = 0; i + 1 < word.pieces.length; i++) {
      const pair = pairOf(word.pieces[i] as string, word.pieces[i + 1] as string);
      counts.set(pair, (counts.get(pair) ?? 0) + sign * word.count);
      if (sign < 0) continue;
      const holders = wordsWith.get(pair) ?? new Set();
      wordsWith.set(pair, holders.add(word));
    }
  };
  for (const word of words) add(word, 1);
  const merges: [string, string][] = [];
  while (merges.length < most) {
    let best: string | undefined;
    let bestCount = Math.max(1, minCount) - 1;
    for (const [pair, count] of counts) {
      if (count > bestCount || (count === bestCount && best !== undefined && pair < best)) {
        best = pair;
        bestCount = count;
      }
    }
    if (best === undefined) break;
    const [left, right] = best.split(" ") as [string, string];
    merges.push([left, right]);
    for (const word of wordsWith.get(best) ?? []) {
      add(word, -1);
      word.pieces = merged(word.pieces, left, right);
      add(word, 1);
    }
    counts.delete(best);
    wordsWith.delete(best);
  }
  return merges;
}

function merged(pieces: readonly string[], left: string, right: string): string[] {
  const result: string[] = [];
  for (let i = 0; i < pieces.length; i++) {
    const piece = pieces[i] as string;
    if (piece === left && pieces[i + 1] === right) {
      result.push(left + right);
      i++;
    } else result.push(piece);
  }
  return result;
}
