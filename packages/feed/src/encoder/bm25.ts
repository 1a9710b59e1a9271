/**
 * BM25 as in textbooks, over every text: the yardstick that keyword search and the encoder are measured by.
 *
 *   score(q, d) = Σ_{t ∈ q} ln(1 + (N - n_t + ½) / (n_t + ½)) · f (k₁ + 1) / (f + k₁ (1 - b + b |d| / mean |d|))
 *
 * @source Robertson, Zaragoza 2009; k₁ = 1.2, b = 0.75 as in FTS5 and Lucene
 */
export class Bm25 {
  readonly #postings = new Map<string, { readonly docs: number[]; readonly counts: number[] }>();
  readonly #lengths: Float64Array;
  readonly #meanLength: number;

  constructor(texts: readonly string[]) {
    this.#lengths = new Float64Array(texts.length);
    let total = 0;
    texts.forEach((text, doc) => {
      const words = wordsOf(text);
      this.#lengths[doc] = words.length;
      total += words.length;
      const counts = new Map<string, number>();
      for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
      for (const [word, count] of counts) {
        let list = this.#postings.get(word);
        if (list === undefined) {
          list = { docs: [], counts: [] };
          this.#postings.set(word, list);
        }
        list.docs.push(doc);
        list.counts.push(count);
      }
    });
    this.#meanLength = total / Math.max(1, texts.length);
  }

  /** Number of texts that have a word. */
  frequency(word: string): number {
    return this.#postings.get(word)?.docs.length ?? 0;
  }

  /** The best texts, best first; of equals the earlier one. */
  search(query: string, limit: number): { readonly doc: number; readonly score: number }[] {
    const scores = new Float64Array(this.#lengths.length);
    for (const word of new Set(wordsOf(query))) {
      const list = this.#postings.get(word);
      if (list === undefined) continue;
      const n = list.docs.length;
      const rarity = Math.log(1 + (scores.length - n + 0.5) / (n + 0.5));
      list.docs.forEach((doc, i) => {
        const count = list.counts[i] as number;
        const norm = 1.2 * (0.25 + (0.75 * (this.#lengths[doc] as number)) / this.#meanLength);
        scores[doc] = (scores[doc] as number) + (rarity * count * 2.2) / (count + norm);
      });
    }
    // Those below the last that is asked for are not worth sorting.
    const least = scores.slice().sort()[scores.length - limit] ?? 0;
    const found: { doc: number; score: number }[] = [];
    scores.forEach((score, doc) => {
      if (score > 0 && score >= least) found.push({ doc, score });
    });
    return found.sort((a, b) => b.score - a.score || a.doc - b.doc).slice(0, limit);
  }
}

export const wordsOf = (text: string): string[] =>
  text
    .normalize("NFKD")
    .replace(/\p{M}/gu, "")
    .toLowerCase()
    .match(/[\p{L}\p{N}]+/gu) ?? [];
