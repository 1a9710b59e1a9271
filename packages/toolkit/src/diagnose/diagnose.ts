import {
  type CollectedSet,
  collectSet,
  type Diagnosis,
  type DiagnosisInput,
  diagnoseSets,
} from "@concord/align";
import { type Advice, advise } from "@concord/papers";
import { foldIn, type Key, randomKey } from "@concord/tensor";
import { type InputBlock, type OpenInput, openInput, type VectorInput, type VectorPlace } from "./inputs.ts";
import { checkLabels, LabelCodes, type LabelInput, type LabelPlan, planLabels, RowLabels } from "./labels.ts";
import { type PairInput, placePairs, type RowPairs, readPairs, sameRowPairs, samplePairs } from "./pairs.ts";

export interface DiagnoseOptions {
  /** Which rows belong together; default "rows" when both sets have as many rows. */
  readonly pairs?: PairInput;
  readonly labels?: LabelInput;
  /** The column of a labels file with several. */
  readonly labelColumn?: string;
  /** What the sets are called in sentences, default the names of their files. */
  readonly names?: readonly [string, string?];
  /** Where the vectors stand in their files: column, key. Of A and B. */
  readonly places?: readonly [VectorPlace, VectorPlace?];
  /** What the sets are, e.g. ["image", "text"], for advice. */
  readonly modalities?: readonly string[];
  /** Rows of each set (or pairs) that are kept for what compares rows with rows, default 100 000. */
  readonly sample?: number;
  /** Queries of each retrieval, default 2000. */
  readonly queries?: number;
  /** Of samples and resamples, default 0: the same seed gives the same report. */
  readonly seed?: number;
  readonly onProgress?: (progress: DiagnoseProgress) => void;
  readonly signal?: AbortSignal;
}

export interface DiagnoseProgress {
  /** What is being done, in plain words. */
  readonly stage: string;
  /** Rows read of a file; null in stages without a count. */
  readonly done: number | null;
  readonly total: number | null;
}

export interface DiagnoseResult {
  readonly diagnosis: Diagnosis;
  /** Papers of the catalogue that address what was found, the most exact one first. */
  readonly advice: readonly Advice[];
}

interface Collecting {
  readonly key: Key;
  readonly sample: number;
  readonly options: DiagnoseOptions;
  readonly plan: LabelPlan | null;
  readonly codes: LabelCodes;
}

const DEFAULT_SAMPLE = 100_000;

/** One pass over a set: sums, sample, labels. */
async function collect(
  input: OpenInput,
  side: "a" | "b",
  wanted: ReadonlySet<number> | null,
  { key, sample, options, plan, codes }: Collecting,
): Promise<{ readonly set: CollectedSet; readonly labels: Int32Array | null; readonly total: number }> {
  const labels = new RowLabels(codes);
  const column = plan?.kind === "column" ? plan.column : null;
  const stage = `reading ${input.name}`;
  async function* passing(blocks: AsyncIterable<InputBlock>): AsyncGenerator<InputBlock> {
    for await (const block of blocks) {
      if (column !== null) labels.addBlock(block, column);
      yield block;
    }
  }
  options.onProgress?.({ stage, done: 0, total: input.rows });
  const set = await collectSet(input.width, passing(input.blocks(options.signal)), {
    name: input.name,
    key,
    sample,
    ...(wanted ? { wanted } : {}),
    ...(options.signal ? { signal: options.signal } : {}),
    onRows: (done) => options.onProgress?.({ stage, done, total: input.rows }),
  });
  const unreadable = input.unreadable();
  const skipped = { broken: set.skipped.broken + unreadable, zero: set.skipped.zero };
  const total = set.rows + skipped.broken + skipped.zero;
  const list = plan?.kind === "lists" ? plan[side] : null;
  if (list) {
    if (list.length !== total)
      throw new RangeError(
        `${input.name} has ${total} rows, but there are ${list.length} labels: one a row is needed`,
      );
    labels.addList(list);
  }
  return {
    set: { ...set, skipped },
    labels: list || column !== null ? labels.at(set.indices) : null,
    total,
  };
}

function checkOptions({ sample, queries, seed }: DiagnoseOptions, hasB: boolean, pairs?: PairInput): void {
  for (const [name, value] of Object.entries({ sample, queries })) {
    if (value !== undefined && !(Number.isSafeInteger(value) && value >= 20))
      throw new RangeError(`${name} must be an integer of at least 20, got ${value}`);
  }
  if (seed !== undefined && !(Number.isSafeInteger(seed) && seed >= 0))
    throw new RangeError(`seed must be an integer >= 0, got ${seed}`);
  if (pairs !== undefined && !hasB) throw new RangeError("pairs need two sets, got one");
}

function checkWidths(a: OpenInput, b: OpenInput): void {
  if (a.width === b.width) return;
  throw new RangeError(
    `${a.name} has vectors of width ${a.width}, ${b.name} of width ${b.width}: only vectors of one width have similarities. Diagnose each set alone, or project them to one width first`,
  );
}

function checkCounts(a: OpenInput, b: OpenInput, rowsA: number, rowsB: number): void {
  if (rowsA === rowsB) return;
  throw new RangeError(
    `${a.name} has ${rowsA} rows, ${b.name} has ${rowsB}: row i of one cannot belong to row i of the other. Say which rows belong together (pairs), or that none do`,
  );
}

async function diagnoseOpened(
  a: OpenInput,
  b: OpenInput | null,
  plan: LabelPlan | null,
  options: DiagnoseOptions,
): Promise<Diagnosis> {
  const key = randomKey(options.seed ?? 0);
  const { sample = DEFAULT_SAMPLE } = options;
  const codes = new LabelCodes();
  const collecting: Collecting = { key: foldIn(key, 0), sample, options, plan, codes };
  let named: { readonly pairs: RowPairs; readonly total: number } | null = null;
  if (b) {
    checkWidths(a, b);
    const { pairs = "rows" } = options;
    if (typeof pairs !== "string") {
      options.onProgress?.({ stage: "reading pairs", done: null, total: null });
      const all = await readPairs(pairs, [a, b]);
      // No more rows are wanted than a sample has room for.
      const room = Math.min(sample, Math.floor(2 ** 28 / a.width));
      named = { pairs: samplePairs(all, room, foldIn(key, 1)), total: all.a.length };
    } else if (pairs === "rows" && a.rows !== null && b.rows !== null) checkCounts(a, b, a.rows, b.rows);
  }
  const left = await collect(a, "a", named && new Set(named.pairs.a), collecting);
  const right = b && (await collect(b, "b", named && new Set(named.pairs.b), collecting));
  let pairs: DiagnosisInput["pairs"];
  if (b && right) {
    if (named) pairs = placePairs(left.set, right.set, named.pairs, named.total);
    else if ((options.pairs ?? "rows") === "rows") {
      checkCounts(a, b, left.total, right.total);
      pairs = sameRowPairs(left.set, right.set);
    }
  }
  // What two sets share may be judged by labels of which each set alone has too few.
  if (left.labels && !right) checkLabels(left.labels, codes.names, left.set.name);
  const input: DiagnosisInput = {
    a: left.set,
    ...(right ? { b: right.set } : {}),
    ...(pairs ? { pairs } : {}),
    ...(left.labels
      ? { labels: { a: left.labels, ...(right?.labels ? { b: right.labels } : {}), names: codes.names } }
      : {}),
  };
  return diagnoseSets(input, {
    key,
    ...(options.queries === undefined ? {} : { queries: options.queries }),
    ...(options.signal ? { signal: options.signal } : {}),
    onStage: (stage) => options.onProgress?.({ stage, done: null, total: null }),
  });
}

/**
 * Says what is wrong with embeddings: of two sets that should agree (row i and row i, or named pairs), of two sets
 * without pairs, or of one set, with or without labels. Finds gaps, collapse, hubs, wrong pairs, turned spaces, domain
 * shift and broken rows, each with its number, a 95 % interval, plain words and, where it can be tried, its cost; and
 * names the papers of the catalogue that address what was found.
 *
 * Files are read once, in blocks: sums over all rows are exact, and what compares rows with rows is measured on a random
 * sample that every finding states. Memory: about 4 · width bytes for each sampled row, several times, whatever the size
 * of the files.
 *
 * @param a  the first set (what asks, when there are two)
 * @param b  the second set, or nothing
 * @throws RangeError when widths or numbers of rows do not fit, rows or pairs do not exist, or fewer than 20 are usable;
 *   VectorFileError when a file cannot be read
 */
export async function diagnose(
  a: VectorInput,
  b?: VectorInput | null,
  options: DiagnoseOptions = {},
): Promise<DiagnoseResult> {
  const hasB = b !== undefined && b !== null;
  checkOptions(options, hasB, options.pairs);
  const plan = await planLabels(options.labels, options.labelColumn);
  const fields = plan?.kind === "column" ? { fields: [plan.column] } : {};
  const { names, places, modalities } = options;
  const opened: OpenInput[] = [];
  try {
    const left = await openInput(a, "A", names?.[0], { ...places?.[0], ...fields });
    opened.push(left);
    let right: OpenInput | null = null;
    if (hasB) {
      right = await openInput(b, "B", names?.[1], { ...(places?.[1] ?? places?.[0]), ...fields });
      opened.push(right);
      // Two files of one name in two folders still need two names in a sentence.
      if (right.name === left.name) right = { ...right, name: `${right.name} (B)` };
    }
    const diagnosis = await diagnoseOpened(left, right, plan, options);
    return { diagnosis, advice: await advise(diagnosis.findings, modalities ? { modalities } : {}) };
  } finally {
    for (const input of opened) await input.close();
  }
}
