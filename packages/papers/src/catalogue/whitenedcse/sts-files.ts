import { open, readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import {
  describeProblem,
  isTable,
  openColumn,
  RowError,
  type RowProblem,
  type RowProblems,
  readTable,
  type TableRow,
} from "@concord/data";
import { type StsSet, stsSet } from "./task.ts";
import type { ScoredPair } from "./world.ts";

/** Largest text file of pairs that is read: the published ones have 1 MB. */
const MAX_TEXT_BYTES = 64 * 2 ** 20;
const MAX_PAIRS = 200_000;
const MAX_SENTENCES = 10_000_000;
/** Longest sentence that is kept whole; tokenizers cut them long before. */
const MAX_CHARACTERS = 10_000;
const SHOWN = 200;
/** Rows that cannot be used and are kept to be shown; all are counted. */
const MAX_RECORDS = 100;
const LEAST_PAIRS = 3;

/** Names that published files give their columns. */
const columnNames = {
  a: ["a", "sentence1", "sentence_a", "sent0", "text1"],
  b: ["b", "sentence2", "sentence_b", "sent1", "text2"],
  gold: ["score", "relatedness_score", "similarity", "gold", "label"],
  subset: ["task", "subset", "genre", "dataset"],
  sentence: ["sentence", "text", "sent0"],
} as const;

export interface ReadOptions {
  /** Called for every row that cannot be used; throws to stop. */
  readonly onProblem: (problem: RowProblem) => void;
  readonly signal?: AbortSignal;
}

/** Stops at the first problem, or counts them. */
export function problemCounter(strict: boolean): {
  readonly onProblem: (problem: RowProblem) => void;
  readonly problems: RowProblems;
} {
  const problems = { count: 0, countByReason: {} as Record<string, number>, records: [] as RowProblem[] };
  return {
    problems,
    onProblem(problem) {
      if (strict) throw new RowError(problem);
      problems.count++;
      problems.countByReason[problem.reason] = (problems.countByReason[problem.reason] ?? 0) + 1;
      if (problems.records.length < MAX_RECORDS) problems.records.push(problem);
    },
  };
}

/** Passes problems on; what was wrong first explains why a file is left with too little. */
function watched(options: ReadOptions): ReadOptions & { readonly explanation: () => string } {
  let first: RowProblem | undefined;
  return {
    ...options,
    onProblem(problem) {
      first ??= problem;
      options.onProblem(problem);
    },
    explanation: () => (first ? ` Skipped: ${describeProblem(first)}.` : ""),
  };
}

function shownText(value: unknown): string {
  return String(value ?? "").slice(0, SHOWN);
}

function columnOf(columns: readonly string[], wanted: readonly string[]): string | undefined {
  return wanted.flatMap((name) => columns.filter((column) => column.toLowerCase() === name))[0];
}

/**
 * Sentences: one a line of a `.txt` file, or a column of a CSV, TSV, JSONL or Parquet file (with a heading line;
 * by default `sentence`, `text` or `sent0`, else the first one; further columns, such as copies, are not read).
 * Blank sentences are problems.
 *
 * @param options.most     stops after so many
 * @param options.onGuess  called with the column that is read because none has a usual name: a heading may be missing
 * @throws Error naming the file when it cannot be read, has another ending or no such column, or holds no sentence
 */
export async function readSentences(
  path: string,
  options: ReadOptions & {
    readonly column?: string;
    readonly most?: number;
    readonly onGuess?: (column: string) => void;
  },
): Promise<string[]> {
  const { signal, most = MAX_SENTENCES } = options;
  const { onProblem, explanation } = watched(options);
  const sentences: string[] = [];
  const add = (value: unknown, line: number): void => {
    const text = typeof value === "string" ? value.trim().slice(0, MAX_CHARACTERS) : "";
    if (text === "") onProblem({ file: path, line, reason: "there is no sentence", value: shownText(value) });
    else sentences.push(text);
  };
  if (isTable(path)) {
    let column: string | undefined;
    for await (const row of readTable(path)) {
      if (sentences.length >= most) break;
      if (row.line % 4096 === 0) signal?.throwIfAborted();
      if ("reason" in row) {
        onProblem({ file: path, ...row });
        continue;
      }
      column ??= sentenceColumn(path, Object.keys(row.values), options);
      add(row.values[column], row.line);
    }
  } else if (/\.txt(\.gz)?$/i.test(path)) {
    if (options.column !== undefined)
      throw new Error(`${path} has one sentence a line and no column ${JSON.stringify(options.column)}.`);
    const lines = await openColumn(path, { maxRows: MAX_SENTENCES, ...(signal && { signal }) });
    for (const [i, line] of lines.entries()) {
      if (sentences.length >= most) break;
      add(line, i + 1);
    }
  } else {
    throw new Error(
      `${path}: sentences come from .txt (one a line), .csv, .tsv, .jsonl or .parquet, the first four also with .gz.`,
    );
  }
  if (sentences.length === 0) throw new Error(`${path} holds no sentence.${explanation()}`);
  return sentences;
}

function sentenceColumn(
  path: string,
  columns: readonly string[],
  { column: wanted, onGuess }: { readonly column?: string; readonly onGuess?: (column: string) => void },
): string {
  if (wanted !== undefined && !columns.includes(wanted))
    throw new Error(`${path} has no column ${JSON.stringify(wanted)}; it has ${columns.join(", ")}.`);
  const usual = wanted ?? columnOf(columns, columnNames.sentence);
  if (usual !== undefined) return usual;
  const [first] = columns;
  if (first === undefined) throw new Error(`${path} has no column.`);
  onGuess?.(first);
  return first;
}

/** A pair with the part of the set that it belongs to. */
type PartedPair = ScoredPair & { readonly part: string };

/** A pair of a row, or null after telling why it is none. */
function pairOf(
  values: { readonly a: unknown; readonly b: unknown; readonly gold: unknown; readonly part: string },
  place: { readonly file: string; readonly line: number },
  { onProblem }: ReadOptions,
): PartedPair | null {
  const text = (value: unknown): string =>
    typeof value === "string" ? value.trim().slice(0, MAX_CHARACTERS) : "";
  const [a, b] = [text(values.a), text(values.b)];
  if (a === "" || b === "") {
    onProblem({
      ...place,
      reason: "one of the two sentences is missing",
      value: shownText(values.a || values.b),
    });
    return null;
  }
  const written = typeof values.gold === "string" ? values.gold.trim() : values.gold;
  const gold = written === "" || written === null ? Number.NaN : Number(written);
  if (!Number.isFinite(gold)) {
    onProblem({ ...place, reason: "the score is no number", value: shownText(values.gold) });
    return null;
  }
  return { a, b, gold, part: values.part };
}

/** Columns of a row of the STS benchmark: genre, file, year, id, score, sentence 1, sentence 2, sources. */
const STSB = { columns: 7, genre: 0, score: 4, a: 5, b: 6 } as const;

/** Whether a file that calls itself CSV is one of the STS benchmark: tab-separated, without heading. */
async function isStsBenchmark(path: string): Promise<boolean> {
  if (!/\.(csv|tsv)$/i.test(path)) return false;
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(2 ** 16), position: 0 });
    const [first = ""] = buffer.toString("utf8", 0, bytesRead).split("\n");
    const cells = first.split("\t");
    return cells.length >= STSB.columns && /^\d+(\.\d+)?$/.test((cells[STSB.score] as string).trim());
  } finally {
    await file.close();
  }
}

function isBlank(cells: readonly string[]): boolean {
  return cells.every((cell) => cell.trim() === "");
}

/** Cells of the lines of a file that is parted by tabs and has no quotes. */
async function tabbedLines(path: string): Promise<readonly string[][]> {
  const { size } = await stat(path);
  if (size > MAX_TEXT_BYTES)
    throw new Error(
      `${path} has ${size} bytes, over the limit of ${MAX_TEXT_BYTES} for files parted by tabs.`,
    );
  const text = (await readFile(path, "utf8")).replace(/^\ufeff/, "");
  return text.split(/\r\n|\r|\n/).map((line) => line.split("\t"));
}

async function stsBenchmark(path: string, options: ReadOptions): Promise<PartedPair[]> {
  return (await tabbedLines(path)).flatMap((cells, i): PartedPair[] => {
    if (isBlank(cells)) return [];
    const place = { file: path, line: i + 1 };
    if (cells.length < STSB.columns) {
      const reason = `row has ${cells.length} columns, expected at least ${STSB.columns}`;
      options.onProblem({ ...place, reason, value: shownText(cells.join("\t")) });
      return [];
    }
    const [a, b, gold, genre] = [STSB.a, STSB.b, STSB.score, STSB.genre].map((at) => cells[at]);
    const found = pairOf({ a, b, gold, part: genre as string }, place, options);
    return found ? [found] : [];
  });
}

/** Rows of a `.txt` with a heading, as the original files of SICK are. */
async function* tabbedTable(path: string): AsyncGenerator<TableRow> {
  const [heading = [], ...lines] = await tabbedLines(path);
  if (heading.length < 3)
    throw new Error(
      `${path}: a .txt of scored pairs is parted by tabs and begins with a heading, such as SICK's; the first line is ${JSON.stringify(shownText(heading.join("\t")))}.`,
    );
  for (const [i, cells] of lines.entries()) {
    if (isBlank(cells)) continue;
    const line = i + 2;
    if (cells.length === heading.length)
      yield {
        line,
        values: Object.fromEntries(heading.map((name, at) => [name.trim(), cells[at] as string])),
      };
    else {
      const reason = `row has ${cells.length} columns, the heading ${heading.length}`;
      yield { line, reason, value: shownText(cells.join("\t")) };
    }
  }
}

async function tablePairs(
  path: string,
  rows: AsyncIterable<TableRow>,
  options: ReadOptions,
): Promise<PartedPair[]> {
  const pairs: PartedPair[] = [];
  let names:
    | { readonly a: string; readonly b: string; readonly gold: string; readonly part?: string }
    | undefined;
  for await (const row of rows) {
    if (pairs.length > MAX_PAIRS) break;
    if (row.line % 4096 === 0) options.signal?.throwIfAborted();
    if ("reason" in row) {
      options.onProblem({ file: path, ...row });
      continue;
    }
    names ??= pairColumns(path, Object.keys(row.values));
    const { a, b, gold, part } = names;
    const found = pairOf(
      {
        a: row.values[a],
        b: row.values[b],
        gold: row.values[gold],
        part: part === undefined ? "" : String(row.values[part] ?? ""),
      },
      { file: path, line: row.line },
      options,
    );
    if (found) pairs.push(found);
  }
  return pairs;
}

function pairColumns(path: string, columns: readonly string[]) {
  const [a, b, gold] = (["a", "b", "gold"] as const).map((role) => {
    const column = columnOf(columns, columnNames[role]);
    if (column !== undefined) return column;
    throw new Error(
      `${path} has no column ${columnNames[role].join(", ")}, which a set of scored pairs needs; it has ${columns.join(", ")}.`,
    );
  }) as [string, string, string];
  const part = columnOf(columns, columnNames.subset);
  return { a, b, gold, ...(part !== undefined && { part }) };
}

/** `STS.input.NAME.txt` beside `STS.gs.NAME.txt`, as SentEval lays them out; pairs without a score are left out. */
async function sentEvalFolder(folder: string, options: ReadOptions): Promise<PartedPair[]> {
  const names = (await readdir(folder)).flatMap((file) => /^STS\.input\.(.+)\.txt$/.exec(file)?.[1] ?? []);
  if (names.length === 0)
    throw new Error(
      `${folder} holds no files STS.input.NAME.txt with STS.gs.NAME.txt (the layout of SentEval).`,
    );
  const pairs: PartedPair[] = [];
  for (const name of names.sort()) {
    const file = join(folder, `STS.input.${name}.txt`);
    const texts = await openColumn(file, { maxRows: MAX_PAIRS });
    const scores = await openColumn(join(folder, `STS.gs.${name}.txt`), { maxRows: MAX_PAIRS });
    if (texts.length !== scores.length)
      throw new Error(`${file} has ${texts.length} lines, but its file of scores has ${scores.length}.`);
    texts.forEach((text, i) => {
      if (String(scores[i]).trim() === "") return;
      const [a, b] = String(text).split("\t");
      const found = pairOf({ a, b, gold: scores[i], part: name }, { file, line: i + 1 }, options);
      if (found) pairs.push(found);
    });
  }
  return pairs;
}

/**
 * Pairs of sentences with scores:
 *
 *   sts-{train,dev,test}.csv   the STS benchmark: tab-separated, without heading
 *   .csv .tsv .jsonl .parquet  two columns of sentences and one of scores, under their usual names (also SICK's)
 *   .txt                       the same, parted by tabs and with a heading, as SICK was published
 *   a folder                   of SentEval: STS.input.NAME.txt and STS.gs.NAME.txt
 *
 * Parts are the files of a folder, the genres of the benchmark, or a column `task`, `subset`, `genre` or `dataset`.
 *
 * @throws Error naming the file when it cannot be read, lacks a column, or has fewer than three pairs or one score only
 */
export async function readStsSet(path: string, options: ReadOptions): Promise<StsSet> {
  const info = await stat(path).catch((error: unknown) => {
    throw new Error(`${path} cannot be read: ${(error as Error).message}`, { cause: error });
  });
  const { explanation, ...watching } = watched(options);
  let pairs: readonly PartedPair[];
  if (info.isDirectory()) pairs = await sentEvalFolder(path, watching);
  else if (await isStsBenchmark(path)) pairs = await stsBenchmark(path, watching);
  else if (isTable(path)) pairs = await tablePairs(path, readTable(path), watching);
  else if (/\.txt$/i.test(path)) pairs = await tablePairs(path, tabbedTable(path), watching);
  else
    throw new Error(
      `${path}: scored pairs come from .csv, .tsv, .txt (parted by tabs), .jsonl, .parquet or a folder in SentEval's layout.`,
    );
  if (pairs.length > MAX_PAIRS) throw new Error(`${path} holds more than ${MAX_PAIRS} pairs.`);
  if (pairs.length < LEAST_PAIRS)
    throw new Error(
      `${path} has ${pairs.length} pairs that can be used; at least ${LEAST_PAIRS} are needed.${explanation()}`,
    );
  const [first] = pairs as [PartedPair];
  if (pairs.every(({ gold }) => gold === first.gold))
    throw new Error(
      `${path}: all ${pairs.length} pairs have the score ${first.gold}; a correlation needs different ones.`,
    );
  return stsSet(
    pairs.map(({ a, b, gold }) => ({ a, b, gold })),
    partsOf(pairs),
  );
}

/** Parts with enough pairs for a correlation, where there are several. */
function partsOf(pairs: readonly PartedPair[]): StsSet["subsets"] {
  const rowsOf = Map.groupBy(pairs.keys(), (row) => pairs[row]?.part as string);
  const parts = [...rowsOf].filter(([, rows]) => rows.length >= LEAST_PAIRS);
  return parts.length > 1 ? parts.map(([name, rows]) => ({ name, rows })) : [];
}
