import { batchPlan, type TextTokenizer } from "@concord/data";
import { foldIn, type Key, keyArray, type NDArray, RandomStream } from "@concord/tensor";
import type { StemTable } from "./stems.ts";

export interface TrainingText {
  readonly title: string;
  readonly abstract: string;
}

/** Stems of papers, and how rare every stem is. */
export interface TokenCorpus {
  readonly papers: readonly { readonly title: Int32Array; readonly abstract: Int32Array }[];
  /** [S] ln(N / n_s); stems that no paper has count as if half a paper had them. */
  readonly rarity: Float32Array;
}

export function tokenCorpus(
  texts: readonly TrainingText[],
  tokenizer: TextTokenizer,
  stems: StemTable,
): TokenCorpus {
  const having = new Float64Array(stems.count);
  const stemsOf = (text: string) =>
    Int32Array.from(tokenizer.encode(text), (token) => stems.of[token] as number);
  const papers = texts.map(({ title, abstract }) => {
    const paper = { title: stemsOf(title), abstract: stemsOf(abstract) };
    for (const stem of new Set([...paper.title, ...paper.abstract]))
      having[stem] = (having[stem] as number) + 1;
    return paper;
  });
  const rarity = Float32Array.from(having, (n) => Math.log((papers.length + 1) / (n + 0.5)));
  rarity[stems.of[tokenizer.padId] as number] = 0;
  return { papers, rarity };
}

/** Tokens of B texts, padded. */
export interface TokenView {
  /** [B, T] */
  readonly ids: NDArray<"int32">;
  /** [B, T] */
  readonly mask: NDArray<"float32">;
}

/** Three views of the same papers. */
export interface ViewBatch {
  /** A piece of the abstract, up to `lengths.anchor` tokens. */
  readonly anchor: TokenView;
  readonly title: TokenView;
  /** A shorter piece, mostly taken out of the anchor. */
  readonly excerpt: TokenView;
  readonly key: NDArray;
}

export interface ViewOptions {
  readonly key: Key;
  readonly batchSize: number;
  readonly padId: number;
  readonly lengths: { readonly anchor: number; readonly title: number; readonly excerpt: number };
}

/** How often the anchor keeps the excerpt: then words in common teach, else meaning has to. */
const KEEP_EXCERPT = 0.25;
/** Share of the words that title and excerpt lose, from little to most: queries are short of words, too. */
const WORDS_LOST = [0.1, 0.8] as const;
const LEAST_EXCERPT = 8;

/** Batches of views, each a function of its step alone. */
export function viewBatches(corpus: TokenCorpus, options: ViewOptions) {
  const { key, batchSize, padId, lengths } = options;
  const plan = batchPlan({ key, count: corpus.papers.length, batchSize });
  return {
    stepsPerEpoch: plan.stepsPerEpoch,
    at(step: number): ViewBatch {
      const { indices, stepKey } = plan.at(step);
      const random = new RandomStream(foldIn(stepKey, 0));
      const [anchor, title, excerpt] = [[], [], []] as [number[][], number[][], number[][]];
      for (const index of indices) {
        const paper = corpus.papers[index] as TokenCorpus["papers"][number];
        const views = viewsOf(paper, lengths, random);
        anchor.push(views.anchor);
        title.push(views.title);
        excerpt.push(views.excerpt);
      }
      return {
        anchor: padded(anchor, lengths.anchor, padId),
        title: padded(title, lengths.title, padId),
        excerpt: padded(excerpt, lengths.excerpt, padId),
        key: keyArray(foldIn(stepKey, 1)),
      };
    },
  };
}

function viewsOf(
  { title, abstract }: TokenCorpus["papers"][number],
  lengths: ViewOptions["lengths"],
  random: RandomStream,
) {
  const thinned = (tokens: Int32Array, most: number): number[] => {
    const [least, mostLost] = WORDS_LOST;
    const lost = least + (mostLost - least) * random.uniform();
    const kept = [...tokens].filter(() => !random.chance(lost));
    return (kept.length === 0 ? [...tokens] : kept).slice(0, most);
  };
  // A piece of the abstract, of a quarter at most so that something is left.
  const longest = Math.max(1, Math.min(lengths.excerpt, Math.floor(abstract.length / 4)));
  const length = Math.max(Math.min(LEAST_EXCERPT, longest), 1 + random.integer(longest));
  const start = random.integer(Math.max(1, abstract.length - length + 1));
  const end = start + length;
  const rest = random.chance(KEEP_EXCERPT)
    ? [...abstract]
    : [...abstract.subarray(0, start), ...abstract.subarray(end)];
  const from = random.integer(Math.max(1, rest.length - lengths.anchor + 1));
  return {
    title: thinned(title, lengths.title),
    excerpt: thinned(abstract.subarray(start, end), lengths.excerpt),
    anchor: rest.slice(from, from + lengths.anchor),
  };
}

/** Rows of tokens at one length, so that every step is the same graph. */
export function padded(rows: readonly (readonly number[])[], length: number, padId: number): TokenView {
  const shape = [rows.length, length];
  const ids = new Int32Array(rows.length * length).fill(padId);
  const mask = new Float32Array(rows.length * length);
  rows.forEach((row, i) => {
    ids.set(row.slice(0, length), i * length);
    mask.fill(1, i * length, i * length + Math.min(row.length, length));
  });
  return { ids: { dtype: "int32", shape, data: ids }, mask: { dtype: "float32", shape, data: mask } };
}
