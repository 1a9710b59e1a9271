import { type Bm25, wordsOf } from "../src/encoder/bm25.ts";
import { stemOf } from "../src/store/stem.ts";

export interface Item {
  readonly title: string;
  readonly abstract: string;
  readonly authors: readonly string[];
}

/** Queries over one collection of texts. */
export interface QuerySet {
  readonly name: string;
  readonly queries: readonly string[];
  /** Right texts of each query: the first of them that is found counts. */
  readonly wanted: readonly (readonly number[])[];
  /** The text that a query was taken from where it is no answer to it; it is left out of every ranking. */
  readonly without?: readonly number[];
}

export interface Collection {
  readonly texts: readonly string[];
  readonly sets: readonly QuerySet[];
}

/** As many authors in common make two papers ones of the same people: a name alone may be of several. */
const SHARED_AUTHORS = 2;
const LEAST_WORDS = 3;
const QUERY_CHARACTERS = 200;

/** A sentence from the middle, and the abstract without it; null for abstracts of fewer than four sentences. */
function excerptOf(abstract: string): { readonly excerpt: string; readonly rest: string } | null {
  const sentences = abstract.split(/(?<=[.!?])\s+(?=[A-Z])/);
  if (sentences.length < 4) return null;
  const middle = Math.floor(sentences.length / 2);
  return {
    excerpt: (sentences[middle] as string).slice(0, QUERY_CHARACTERS),
    rest: sentences.filter((_, i) => i !== middle).join(" "),
  };
}

/** The title without its two rarest words, of which three are left at least. */
function withoutRarest(title: string, words: Bm25): string {
  const own = [...new Set(wordsOf(title))].sort((a, b) => words.frequency(a) - words.frequency(b));
  const dropped = new Set(own.slice(0, Math.min(2, Math.max(0, own.length - LEAST_WORDS))));
  return wordsOf(title)
    .filter((word) => !dropped.has(word))
    .join(" ");
}

/** Papers that share authors with each of some papers. */
function relatedTo(asked: readonly number[], items: readonly Item[]): number[][] {
  const nameOf = (name: string) => name.toLowerCase();
  const papersOf = new Map<string, number[]>();
  items.forEach(({ authors }, i) => {
    for (const name of new Set(authors.map(nameOf))) {
      const list = papersOf.get(name) ?? [];
      list.push(i);
      papersOf.set(name, list);
    }
  });
  return asked.map((i) => {
    const shared = new Map<number, number>();
    for (const name of new Set(items[i]?.authors.map(nameOf)))
      for (const other of papersOf.get(name) ?? [])
        if (other !== i) shared.set(other, (shared.get(other) ?? 0) + 1);
    return [...shared].flatMap(([other, count]) => (count >= SHARED_AUTHORS ? [other] : []));
  });
}

/**
 * Abstracts alone, asked for by titles, whole and without their rarest words; and titles with abstracts, of which those
 * asked for lack a sentence, asked for by the title of another paper of the same authors, by that sentence, and by what
 * of it is no form of a word of the title.
 */
export function collections(items: readonly Item[], asked: readonly number[], words: Bm25): Collection[] {
  const titles = asked.map((i) => items[i]?.title as string);
  const excerpts = asked.flatMap((i) => {
    const cut = excerptOf(items[i]?.abstract as string);
    return cut ? [{ i, ...cut }] : [];
  });
  const papers = items.map(({ title, abstract }) => `${title}. ${abstract}`);
  for (const { i, rest } of excerpts) papers[i] = `${items[i]?.title}. ${rest}`;
  const otherWords = excerpts.flatMap(({ i, excerpt }) => {
    const known = new Set(wordsOf(items[i]?.title as string).map(stemOf));
    const left = wordsOf(excerpt).filter((word) => !known.has(stemOf(word)));
    return left.length < LEAST_WORDS ? [] : [{ i, query: left.join(" ") }];
  });
  const related = relatedTo(asked, items)
    .map((wanted, q) => ({ i: asked[q] as number, wanted }))
    .filter(({ wanted }) => wanted.length > 0);
  const own = (list: readonly number[]) => list.map((i) => [i]);
  return [
    {
      texts: items.map(({ abstract }) => abstract),
      sets: [
        { name: "title", queries: titles, wanted: own(asked) },
        {
          name: "title without its two rarest words",
          queries: titles.map((title) => withoutRarest(title, words)),
          wanted: own(asked),
        },
      ],
    },
    {
      texts: papers,
      sets: [
        {
          name: "title of another paper of the same authors",
          queries: related.map(({ i }) => items[i]?.title as string),
          wanted: related.map(({ wanted }) => wanted),
          without: related.map(({ i }) => i),
        },
        {
          name: "sentence",
          queries: excerpts.map(({ excerpt }) => excerpt),
          wanted: own(excerpts.map(({ i }) => i)),
        },
        {
          name: "sentence without the words of the title",
          queries: otherWords.map(({ query }) => query),
          wanted: own(otherWords.map(({ i }) => i)),
        },
      ],
    },
  ];
}
