import { stemOf } from "../store/stem.ts";
import type { MarkedText } from "./types.ts";

/** Lower case without accents, as the index has its words. */
const plain = (text: string) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();

/**
 * The text in stretches, of which those are hits that are a form of one of the words. Texts with formulas or commands
 * stay whole: a mark inside one would break it.
 *
 * @param words  lower case, without accents
 */
export function markWords(text: string, words: readonly string[]): MarkedText[] {
  if (words.length === 0 || /[$\\{]/.test(text)) return [{ text, hit: false }];
  const wanted = new Set(words.map(stemOf));
  const parts: MarkedText[] = [];
  let from = 0;
  for (const match of text.matchAll(/[\p{L}\p{N}]+/gu)) {
    if (!wanted.has(stemOf(plain(match[0])))) continue;
    if (match.index > from) parts.push({ text: text.slice(from, match.index), hit: false });
    parts.push({ text: match[0], hit: true });
    from = match.index + match[0].length;
  }
  if (from < text.length) parts.push({ text: text.slice(from), hit: false });
  return parts;
}

/** Words that every text has: marking them hides what was found. */
const UNMARKED = new Set(
  "a an and are as at be by for from how in is it of on or that the this to via what with".split(" "),
);

/** The words of a query to mark; where it has no others, those that every text has. */
export function markedWords(words: readonly string[]): readonly string[] {
  const telling = words.filter((word) => !UNMARKED.has(word));
  return telling.length === 0 ? words : telling;
}
