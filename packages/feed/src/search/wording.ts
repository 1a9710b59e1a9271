import type { PaperCounts } from "../store/sqlite/text-query.ts";
import { foldText, stemOf } from "../store/stem.ts";

/** Weights beside BM25 over stems; chosen on queries other than those that the documentation reports. */
const FORM_WEIGHT = 0.3;
const PAIR_WEIGHT = 0.3;
/** A word of the title counts as in the index. */
const TITLE_WEIGHT = 4;
const K1 = 1.2;
const B = 0.75;
/** Words share a stem only if they begin alike; this spares most words the stemmer. */
const COMMON_START = 2;

export interface WordedText {
  readonly id: string;
  readonly title: string;
  readonly abstract: string;
}

/**
 * What papers have of a query beyond the stems of its words: the forms that were typed, and words side by side.
 *
 *   g(d) = α Σ_w r(w) f̃(w, d) + β Σ_ab r(ab) f̃(ab, d)
 *   f̃(x, d) = f (k₁ + 1) / (f + k₁ (1 - b + b |d| / mean |d|)),   f = f_abstract + 4 f_title
 *   r(x) = ln(1 + (N - n̂ + ½) / (n̂ + ½)),   n̂(x) = max(n_C(x), n(s) n_C(x) / n_C(s))
 *
 * w are the words of the query as typed, ab the stems of two that follow each other. The index knows how many papers have
 * a stem, n(s); that a form or a pair is rare shows in the candidates C: of those that have the stem (of a pair, the
 * rarer one), the share n_C(x) / n_C(s) has it.
 *
 * @param texts  the candidates
 * @returns g by id, on the scale of BM25; candidates with nothing of it are left out
 * @source Metzler, Croft 2005 (ordered pairs beside single words); Robertson, Zaragoza 2009 (f̃ and r)
 */
export function wordingScores(
  query: string,
  texts: readonly WordedText[],
  counts: PaperCounts,
): Map<string, number> {
  const asked = wordsIn(query);
  const stems = asked.map(stemOf);
  const forms = new Map(asked.map((word, i) => [word, stems[i] as string]));
  const pairs = new Map<string, readonly [string, string]>();
  for (let i = 1; i < stems.length; i++) {
    const pair = [stems[i - 1] as string, stems[i] as string] as const;
    pairs.set(pair.join(" "), pair);
  }
  const stemIn = stemsAmong(new Set(stems));
  const found = texts.map(({ title, abstract }) => {
    const counted = {
      forms: new Map<string, number>(),
      stems: new Set<string>(),
      pairs: new Map<string, number>(),
    };
    let length = 0;
    for (const [text, weight] of [
      [title, TITLE_WEIGHT],
      [abstract, 1],
    ] as const) {
      let before: string | null = null;
      for (const word of wordsIn(text)) {
        length++;
        const stem = stemIn(word);
        if (stem !== null) {
          counted.stems.add(stem);
          if (forms.has(word)) counted.forms.set(word, (counted.forms.get(word) ?? 0) + weight);
          const pair = `${before} ${stem}`;
          if (before !== null && pairs.has(pair))
            counted.pairs.set(pair, (counted.pairs.get(pair) ?? 0) + weight);
        }
        before = stem;
      }
    }
    return { ...counted, length };
  });
  const having = countAll(found.map((each) => each.stems));
  const rarity = (among: number, stem: string): number => {
    const all = counts.having.get(stem) ?? 0;
    const n = Math.min(counts.papers, Math.max(among, (all * among) / Math.max(1, having.get(stem) ?? 0)));
    return Math.log(1 + (counts.papers - n + 0.5) / (n + 0.5));
  };
  const formsHad = countAll(found.map((each) => each.forms.keys()));
  const pairsHad = countAll(found.map((each) => each.pairs.keys()));
  const rarer = ([a, b]: readonly [string, string]) =>
    (counts.having.get(a) ?? 0) <= (counts.having.get(b) ?? 0) ? a : b;
  const meanLength = found.reduce((sum, { length }) => sum + length, 0) / Math.max(1, found.length);
  const scores = new Map<string, number>();
  found.forEach(({ forms: had, pairs: close, length }, i) => {
    const norm = K1 * (1 - B + (B * length) / Math.max(1, meanLength));
    const filled = (count: number) => (count * (K1 + 1)) / (count + norm);
    let score = 0;
    for (const [word, count] of had)
      score += FORM_WEIGHT * filled(count) * rarity(formsHad.get(word) as number, forms.get(word) as string);
    for (const [pair, count] of close) {
      const stem = rarer(pairs.get(pair) as readonly [string, string]);
      score += PAIR_WEIGHT * filled(count) * rarity(pairsHad.get(pair) as number, stem);
    }
    if (score > 0) scores.set((texts[i] as WordedText).id, score);
  });
  return scores;
}

const wordsIn = (text: string): readonly string[] =>
  foldText(text)
    .toLowerCase()
    .match(/[\p{L}\p{N}\p{Co}]+/gu) ?? [];

/** The stem of a word where it is among these; null for others. */
function stemsAmong(wanted: ReadonlySet<string>): (word: string) => string | null {
  const starts = new Set([...wanted].map((stem) => stem.slice(0, COMMON_START)));
  const known = new Map<string, string | null>();
  return (word) => {
    if (!starts.has(word.slice(0, COMMON_START))) return null;
    let stem = known.get(word);
    if (stem === undefined) {
      stem = stemOf(word);
      if (!wanted.has(stem)) stem = null;
      known.set(word, stem);
    }
    return stem;
  };
}

function countAll(lists: readonly Iterable<string>[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const list of lists) for (const key of list) counts.set(key, (counts.get(key) ?? 0) + 1);
  return counts;
}
