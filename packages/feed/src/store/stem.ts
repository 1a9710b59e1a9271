const ASCII = /^[\0-\x7f]*$/;

/** Text without accents and compatibility forms (ligatures, full width): what index and queries have in common. */
export function foldText(text: string): string {
  if (ASCII.test(text)) return text;
  return text.normalize("NFKD").replace(/\p{M}/gu, "").normalize("NFC");
}

const VOWEL = /[aeiou]/;

/** One letter a letter: "v" where the word has a vowel (y after a consonant is one), else "c". */
function shapeOf(word: string): string {
  let shape = "";
  for (const letter of word)
    shape += VOWEL.test(letter) || (letter === "y" && shape.endsWith("c")) ? "v" : "c";
  return shape;
}

/** m of [C](VC)^m[V]: how many times vowels are followed by consonants. */
const measure = (word: string): number => shapeOf(word).match(/v+c+/g)?.length ?? 0;
const hasVowel = (word: string): boolean => shapeOf(word).includes("v");
/** Ends like "hop" or "fil", not like "snow" or "box". */
const endsShort = (word: string): boolean => shapeOf(word).endsWith("cvc") && !/[wxy]$/.test(word);
const endsDouble = (word: string): boolean => /(.)\1$/.test(word) && shapeOf(word).endsWith("c");

type Endings = readonly (readonly [ending: string, instead: string])[];

const STEP_2: Endings = [
  ["ational", "ate"],
  ["tional", "tion"],
  ["enci", "ence"],
  ["anci", "ance"],
  ["izer", "ize"],
  ["logi", "log"],
  ["bli", "ble"],
  ["alli", "al"],
  ["entli", "ent"],
  ["eli", "e"],
  ["ousli", "ous"],
  ["ization", "ize"],
  ["ation", "ate"],
  ["ator", "ate"],
  ["alism", "al"],
  ["iveness", "ive"],
  ["fulness", "ful"],
  ["ousness", "ous"],
  ["aliti", "al"],
  ["iviti", "ive"],
  ["biliti", "ble"],
];
const STEP_3: Endings = [
  ["icate", "ic"],
  ["ative", ""],
  ["alize", "al"],
  ["iciti", "ic"],
  ["ical", "ic"],
  ["ful", ""],
  ["ness", ""],
];
const STEP_4 =
  /^(.*?)(?:ement|ance|ence|able|ible|ment|ant|ent|ism|ate|iti|ous|ive|ize|al|er|ic|ou|(?<=[st])ion)$/;

/** The ending that a word has is changed where m > 0 before it; only the first that fits is looked at. */
function changed(word: string, endings: Endings): string {
  const found = endings.find(([ending]) => word.endsWith(ending));
  if (found === undefined) return word;
  const before = word.slice(0, -found[0].length);
  return measure(before) > 0 ? before + found[1] : word;
}

/** Past and -ing forms: "hopping" to "hop", "filing" to "file", "agreed" to "agree". */
function withoutTense(word: string): string {
  if (/.eed$/.test(word)) return measure(word.slice(0, -3)) > 0 ? word.slice(0, -1) : word;
  const before = /^(.*)(?:ed|ing)$/.exec(word)?.[1];
  if (before === undefined || !hasVowel(before)) return word;
  if (/(?:at|bl|iz)$/.test(before)) return `${before}e`;
  if (endsDouble(before) && !/[lsz]$/.test(before)) return before.slice(0, -1);
  return measure(before) === 1 && endsShort(before) ? `${before}e` : before;
}

/**
 * The stem of a word: what its plural, its tenses and the words derived from it have in common ("clustering",
 * "clusters", "clustered": "cluster"). The same as FTS5's `porter` makes of what the index holds.
 *
 * @param word  lower case; those of less than three or more than 64 bytes are their own stems
 * @source Porter 1980, with the two later changes of his own program ("bli", "logi")
 */
export function stemOf(word: string): string {
  const bytes = Buffer.byteLength(word);
  if (bytes < 3 || bytes > 64) return word;
  let stem = word.replace(/(?:(.ss|.i)es|([^s])s)$/, "$1$2");
  stem = withoutTense(stem);
  if (stem.endsWith("y") && hasVowel(stem.slice(0, -1))) stem = `${stem.slice(0, -1)}i`;
  stem = changed(changed(stem, STEP_2), STEP_3);
  const derived = STEP_4.exec(stem)?.[1];
  if (derived !== undefined && measure(derived) > 1) stem = derived;
  if (stem.endsWith("e")) {
    const before = stem.slice(0, -1);
    const m = measure(before);
    if (m > 1 || (m === 1 && !endsShort(before))) stem = before;
  }
  return stem.endsWith("ll") && measure(stem) > 1 ? stem.slice(0, -1) : stem;
}
