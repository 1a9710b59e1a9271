import type { PaperRecord } from "../record.ts";

const MOST_WORDS = 20;
/** The keyword index takes queries of this length. */
const MOST_CHARACTERS = 190;
const LEAST_LETTERS = 3;
/** A word of a title says more than one of an abstract. */
const TITLE_WEIGHT = 3;

/** Words that every abstract may have. The index leaves out those that many papers have; this saves room for others. */
const COMMON = new Set(
  `about above across after all also among and any approach are based been between both but can data demonstrate
  different does each effective existing experiments experimental extensive find first for framework from further
  given has have here high however improve improved into introduce its large learn learning less many may method
  methods model models more most much network networks new not novel number off one only other our out over paper
  performance present problem problems propose proposed provide results several show shows significant significantly
  some state such task tasks than that the their them then there these they this three through thus time two under
  use used using various very was well were when where which while who will with within without work works`.split(
    /\s+/,
  ),
);

/**
 * The words that tell liked papers from unliked ones, best first: those that many liked papers have, titles first, and
 * few unliked ones.
 */
export function tasteWords(
  liked: readonly Pick<PaperRecord, "title" | "abstract">[],
  unliked: readonly Pick<PaperRecord, "title" | "abstract">[],
): string[] {
  const scores = new Map<string, number>();
  const count = (papers: typeof liked, weight: number) => {
    for (const { title, abstract } of papers) {
      for (const word of wordsOf(title)) scores.set(word, (scores.get(word) ?? 0) + weight * TITLE_WEIGHT);
      for (const word of wordsOf(abstract)) scores.set(word, (scores.get(word) ?? 0) + weight);
    }
  };
  count(liked, 1 / Math.max(1, liked.length));
  count(unliked, -1 / Math.max(1, unliked.length));
  const chosen: string[] = [];
  let length = 0;
  for (const [word, score] of [...scores].sort(
    ([a, x], [b, y]) => y - x || b.length - a.length || (a < b ? -1 : 1),
  )) {
    if (chosen.length === MOST_WORDS || score <= 0) break;
    if (length + word.length + 1 > MOST_CHARACTERS) continue;
    chosen.push(word);
    length += word.length + 1;
  }
  return chosen;
}

function wordsOf(text: string): Set<string> {
  const words = text
    .normalize("NFKD")
    .replace(/\p{M}/gu, "")
    .toLowerCase()
    .match(/[\p{L}\p{N}]+/gu);
  return new Set((words ?? []).filter((word) => word.length >= LEAST_LETTERS && !COMMON.has(word)));
}
