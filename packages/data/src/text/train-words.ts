import { countWords, libraryTokenizer } from "./library-tokenizer.ts";
import { type TextTokenizer, textTokenizer } from "./tokenizer.ts";
import { numbered, specialTokens, type TokenizerJson, tokenizerJson } from "./tokenizer-json.ts";

export interface WordTokenizerOptions {
  /** Largest vocabulary, special tokens included. Default 8192. */
  readonly maxVocabulary?: number;
  /** Words seen less often are unknown. Default 1. */
  readonly minCount?: number;
  /** Put [CLS] before and [SEP] after each text. Default false. */
  readonly boundaries?: boolean;
}

/** Longer words are unknown. */
const maxWordCharacters = 100;

/**
 * A tokenizer whose tokens are the words of the given texts: lower case, Unicode form C, cut at spaces and
 * punctuation, each punctuation mark a token. The most frequent words get in, equals in alphabetical order.
 * Ids: [PAD] 0, [UNK] 1, with boundaries [CLS] 2 and [SEP] 3, then the words from the most frequent on.
 *
 * In `tokenizer.json` the model is a WordPiece model without any continuation pieces, which is the same thing
 * as a word-level model and is read by more libraries.
 *
 * @throws RangeError when the vocabulary has no room for a word
 */
export function trainWordTokenizer(
  texts: Iterable<string>,
  options: WordTokenizerOptions = {},
): TextTokenizer {
  const { maxVocabulary = 8192, minCount = 1, boundaries = false } = options;
  const { pad, unknown, start, end } = specialTokens;
  const specials = boundaries ? [pad, unknown, start, end] : [pad, unknown];
  if (!Number.isInteger(maxVocabulary) || maxVocabulary <= specials.length)
    throw new RangeError(
      `trainWordTokenizer: maxVocabulary must be an integer > ${specials.length}, got ${maxVocabulary}`,
    );
  const withWords = (words: readonly string[]): TokenizerJson =>
    tokenizerJson({
      specials,
      boundaries,
      preTokenizer: { type: "BertPreTokenizer" },
      decoder: { type: "WordPiece", prefix: "##", cleanup: false },
      model: {
        type: "WordPiece",
        unk_token: unknown,
        continuing_subword_prefix: "##",
        max_input_chars_per_word: maxWordCharacters,
        vocab: numbered([...specials, ...words]),
      },
    });
  const counts = countWords(libraryTokenizer(withWords([])), texts);
  const words = [...counts]
    .filter(([word, count]) => count >= minCount && [...word].length <= maxWordCharacters)
    .sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1))
    .slice(0, maxVocabulary - specials.length)
    .map(([word]) => word);
  return textTokenizer(withWords(words));
}
