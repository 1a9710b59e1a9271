import {
  createSearch,
  type Encoded,
  type EncoderItem,
  type FieldValue,
  linesOf,
  type Modality,
  readVectors,
  type Search,
  type SearchHit,
} from "@concord/toolkit";
import { type Context, coloursFor, columnsOf } from "../context.ts";
import { ExitCode, UsageError } from "../errors.ts";
import { writeOut } from "../output.ts";
import { renderHits } from "../render/hits.ts";
import { countText, printable } from "../render/text.ts";
import { StageDisplay } from "../stage-display.ts";
import { listenForStop } from "../stop-request.ts";
import { asUsage, openWithFlags, standardInput } from "./embed.ts";
import type { SearchFlags } from "./search-options.ts";

/** Queries that are searched for at a time. */
const BATCH = 64;

interface Queries {
  readonly values: Float32Array;
  readonly width: number;
  /** How each query is called: its text or path, else its number. */
  readonly names: readonly (string | number)[];
}

/** Vectors of a file, or of JSON lines as `embed` writes them, some at a time. */
async function* vectorQueries(path: string): AsyncGenerator<Queries> {
  const { values, width, rows, fields, packed } = await readVectors(path);
  if (packed) throw new UsageError(`${path} holds packed codes; queries are vectors of numbers.`);
  for (let first = 0; first < rows; first += BATCH) {
    const end = Math.min(rows, first + BATCH);
    const names = Array.from({ length: end - first }, (_, i) => nameOf(fields, first + i));
    yield { values: values.subarray(first * width, end * width), width, names };
  }
}

function nameOf(fields: Readonly<Record<string, readonly FieldValue[]>>, row: number): string | number {
  const value = (fields.text ?? fields.path ?? fields.id)?.[row];
  return typeof value === "string" || typeof value === "number" ? value : row;
}

async function* lineQueries(input: AsyncIterable<Uint8Array>): AsyncGenerator<Queries> {
  let line = 0;
  let width: number | undefined;
  for await (const text of linesOf(input)) {
    line++;
    if (typeof text !== "string") throw unreadable(line, text.reason);
    if (text.trim() === "") continue;
    const { vector, name } = queryOf(text, line);
    width ??= vector.length;
    if (vector.length !== width)
      throw new UsageError(
        `Line ${line} of standard input has ${vector.length} numbers, the first one ${width}.`,
      );
    yield { values: Float32Array.from(vector), width, names: [name] };
  }
}

function unreadable(line: number, reason: string): UsageError {
  return new UsageError(`Line ${line} of standard input: ${reason}.`);
}

function queryOf(
  text: string,
  line: number,
): { readonly vector: readonly number[]; readonly name: string | number } {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  const record =
    typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
  const vector = Array.isArray(value) ? value : record.vector;
  if (!Array.isArray(vector) || vector.length === 0 || !vector.every((v) => typeof v === "number"))
    throw new UsageError(
      `Line ${line} of standard input is no vector: expected a list of numbers, or an object with a list 'vector', as \`embed\` writes them. Lines of text need --encoder.`,
    );
  const name = record.text ?? record.path ?? record.id;
  return { vector, name: typeof name === "string" || typeof name === "number" ? name : line - 1 };
}

/** Texts and files, encoded. @throws UsageError naming one that cannot be encoded */
async function* encodedQueries(
  context: Context,
  flags: SearchFlags,
  signal: AbortSignal,
): AsyncGenerator<Queries> {
  const { queryText = [], queryFile = [], encoder: path } = flags;
  if (path === undefined)
    throw new UsageError("Texts and files become vectors by an encoder: give --encoder DIR.");
  const guess: Modality | undefined = queryFile.length > 0 ? undefined : "text";
  await using encoder = await openWithFlags(context, path, flags, guess);
  const encode = async (items: readonly EncoderItem[], names: readonly string[]): Promise<Queries> => {
    const { values, width, problems }: Encoded = await encoder.encode(items, { signal });
    const [problem] = problems;
    if (problem)
      throw new UsageError(`The query '${names[problem.index]}' cannot be encoded: ${problem.reason}.`);
    return { values, width, names };
  };
  if (queryText.length > 0)
    yield await encode(
      queryText.map((text) => ({ text })),
      queryText,
    );
  if (queryFile.length > 0)
    yield await encode(
      queryFile.map((file) => ({ path: file })),
      queryFile,
    );
  if (queryText.length + queryFile.length > 0) return;
  const input = standardInput(
    context,
    signal,
    "Say what to search for: --query-text, --query-file, or lines on standard input.",
  );
  let line = 0;
  for await (const text of linesOf(input)) {
    line++;
    if (typeof text !== "string") throw unreadable(line, text.reason);
    if (text.trim() !== "") yield await encode([{ text }], [text]);
  }
}

function queriesFor(context: Context, flags: SearchFlags, signal: AbortSignal): AsyncGenerator<Queries> {
  if (flags.encoder !== undefined || flags.queryText || flags.queryFile) {
    if (flags.queryVectors !== undefined)
      throw new UsageError(
        "--query-vectors holds vectors already; leave --encoder, --query-text and --query-file out.",
      );
    return encodedQueries(context, flags, signal);
  }
  if (flags.queryVectors !== undefined) return vectorQueries(flags.queryVectors);
  const advice =
    "Say what to search for: --query-text with --encoder, --query-vectors, or vectors on standard input.";
  return lineQueries(standardInput(context, signal, advice));
}

/** Searches a file of vectors. */
export async function runSearch(context: Context, path: string, flags: SearchFlags): Promise<ExitCode> {
  const stopping = new AbortController();
  const { signal } = stopping;
  const endWatch = listenForStop(context, () => stopping.abort());
  const display = new StageDisplay(context);
  const json = flags.json === true || context.stdout.isTTY !== true;
  try {
    const queries = queriesFor(context, flags, signal);
    display.show({ stage: "Reading vectors", done: null, total: null });
    await using search = await createSearch(path, {
      metric: flags.metric,
      hamming: flags.hamming,
      exact: flags.exact,
      ids: flags.ids,
      fields: flags.fields,
      column: flags.column,
      signal,
      onProgress: (done, total) => display.show({ stage: "Building the index, once", done, total }),
    });
    display.end();
    if (search.problems > 0)
      context.stderr.write(`${countText(search.problems, "row")} of ${printable(path)} could not be read.\n`);
    for await (const { names, ...vectors } of queries) {
      signal.throwIfAborted();
      const found = await search.search(vectors, { k: flags.k });
      for (const [i, hits] of found.entries()) {
        const name = names[i] as string | number;
        await writeOut(
          context.stdout,
          json ? jsonLines(name, hits) : tableOf(context, search, flags, name, hits),
        );
      }
    }
    return ExitCode.done;
  } catch (error) {
    if (signal.aborted) return ExitCode.cancelled;
    throw asUsage(error);
  } finally {
    display.end();
    endWatch();
  }
}

function jsonLines(query: string | number, hits: readonly SearchHit[]): string {
  return hits
    .map(({ index, score, fields }, place) => {
      const rounded = Number(score.toPrecision(7));
      return `${JSON.stringify({ query, rank: place + 1, index, score: rounded, ...fields })}\n`;
    })
    .join("");
}

function tableOf(
  { stdout, env }: Context,
  search: Search,
  { metric }: SearchFlags,
  query: string | number,
  hits: readonly SearchHit[],
): string {
  const colours = coloursFor(stdout, env);
  const title = typeof query === "number" ? `Query ${query}` : printable(query);
  const distances = search.kind === "hamming" || metric === "euclidean";
  return `${colours.bold(title)}\n${renderHits(hits, { columns: columnsOf(stdout), colours, distances })}\n\n`;
}
