// What people have, as items to be encoded: files, folders, tables, archives and lines of text.
import { createReadStream } from "node:fs";
import { glob, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { type FieldValue, isTable, plainFields, readTable, webdatasetSamples } from "@concord/data";
import type { EncoderItem, Modality } from "../encoders/encoder.ts";

/** An item with what is known of it, or the reason why it is none. */
export interface EmbedInput {
  readonly item: EncoderItem | { readonly reason: string };
  /** Columns that are kept beside the vector: ids, texts, paths. */
  readonly fields: Readonly<Record<string, FieldValue>>;
  /** Where it came from, for messages, e.g. "captions.csv:12". */
  readonly place: string;
}

export interface EmbedInputOptions {
  readonly modality: Modality;
  /** The column of tables that holds the texts, or the paths of pictures, scans and sounds. */
  readonly column?: string | undefined;
  /** Columns of tables to keep. Default: all with plain values. */
  readonly fields?: readonly string[] | undefined;
}

/** Nothing can be embedded: a path that is not there, a folder without files of the kind. */
export class EmbedInputError extends Error {
  override readonly name = "EmbedInputError";
}

const endings = {
  image: /\.(jpe?g|png|webp|gif|tiff?|avif|heif)$/i,
  volume: /\.nii(\.gz)?$/i,
  audio: /\.(wav|flac)$/i,
  text: /\.(txt|md)$/i,
} as const;

/** Names under which tables usually keep what a model of this kind takes. */
const usualColumns: Readonly<Record<Modality, readonly string[]>> = {
  text: ["text", "sentence", "caption", "content", "body", "title", "name", "query", "label"],
  image: ["image", "path", "file", "filename", "image_path", "file_name"],
  volume: ["volume", "scan", "image", "path", "file", "filename", "volume_path", "image_path", "file_name"],
  audio: ["audio", "path", "file", "filename", "audio_path", "file_name"],
  vector: [],
};

const MAX_LINE_BYTES = 2 ** 20;

const LINE_FEED = 0x0a;

/** The lines of a stream of UTF-8 text, or why one of them is none: it is too long, or not UTF-8. */
export async function* linesOf(
  stream: AsyncIterable<Uint8Array | string>,
): AsyncGenerator<string | { readonly reason: string }> {
  let decoder = new TextDecoder("utf-8", { fatal: true });
  let held: Uint8Array[] = [];
  let length = 0;
  const finish = (): string | { readonly reason: string } => {
    const bytes = held.length === 1 ? (held[0] as Uint8Array) : Buffer.concat(held);
    const tooLong = length > MAX_LINE_BYTES;
    [held, length] = [[], 0];
    if (tooLong) return { reason: `line has more than ${MAX_LINE_BYTES} bytes` };
    try {
      return decoder.decode(bytes).replace(/\r$/, "");
    } catch {
      return { reason: "line is not UTF-8 text; convert it from its encoding, e.g. with iconv" };
    } finally {
      // A byte order mark is left out of the first line; later it is a character.
      if (!decoder.ignoreBOM) decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
    }
  };
  for await (const chunk of stream) {
    const bytes = typeof chunk === "string" ? Buffer.from(chunk) : chunk;
    for (let start = 0; start < bytes.length; ) {
      const end = bytes.indexOf(LINE_FEED, start);
      const part = bytes.subarray(start, end < 0 ? bytes.length : end);
      length += part.length;
      // Of a line that is too long only its length is known.
      if (length <= MAX_LINE_BYTES) held.push(part);
      else held = [];
      if (end >= 0) yield finish();
      start = end < 0 ? bytes.length : end + 1;
    }
  }
  if (length > 0) yield finish();
}

/**
 * Lines of text as items; with a column, lines are JSON objects that have it.
 *
 * @param name  of the stream, for messages
 */
export async function* lineInputs(
  stream: AsyncIterable<Uint8Array | string>,
  name: string,
  options: EmbedInputOptions,
): AsyncGenerator<EmbedInput> {
  let line = 0;
  for await (const text of linesOf(stream)) {
    const place = `${name}:${++line}`;
    if (typeof text !== "string") yield { item: text, fields: {}, place };
    else if (options.column === undefined) {
      const field = options.modality === "text" ? "text" : "path";
      yield { item: asItem(text, options.modality, "."), fields: { [field]: text }, place };
    } else if (text.trim() !== "") {
      yield tableInput(parsedRecord(text), options.column, ".", place, options);
    }
  }
}

function parsedRecord(text: string): Record<string, FieldValue> | string {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value))
      return plainFields(value as Record<string, unknown>);
  } catch {
    // Said below, like what is JSON but no object.
  }
  return "line is no JSON object";
}

function asItem(value: FieldValue | undefined, modality: Modality, folder: string): EmbedInput["item"] {
  if (value === null || value === undefined || value === "") return { reason: "the value is empty" };
  if (modality === "text") return { text: String(value) };
  return typeof value === "string" ? { path: resolve(folder, value) } : { reason: "expected a path" };
}

function tableInput(
  record: Readonly<Record<string, FieldValue>> | string,
  column: string,
  folder: string,
  place: string,
  { modality, fields }: EmbedInputOptions,
): EmbedInput {
  if (typeof record === "string") return { item: { reason: record }, fields: {}, place };
  const kept =
    fields === undefined ? record : Object.fromEntries(fields.map((name) => [name, record[name] ?? null]));
  if (!Object.hasOwn(record, column))
    return {
      item: { reason: `there is no column '${column}'; there are ${Object.keys(record).join(", ")}` },
      fields: kept,
      place,
    };
  return { item: asItem(record[column], modality, folder), fields: kept, place };
}

/** The column that holds the items. @throws EmbedInputError listing the columns when it cannot be told */
function columnOf(path: string, columns: readonly string[], { column, modality }: EmbedInputOptions): string {
  if (column !== undefined) {
    if (columns.includes(column)) return column;
    throw new EmbedInputError(`${path}: there is no column '${column}'; there are ${columns.join(", ")}`);
  }
  const usual = usualColumns[modality].find((name) => columns.includes(name));
  const [only] = columns;
  if (usual !== undefined) return usual;
  if (only !== undefined && columns.length === 1) return only;
  throw new EmbedInputError(`${path}: say which column is to be embedded; there are ${columns.join(", ")}`);
}

async function* tableInputs(path: string, options: EmbedInputOptions): AsyncGenerator<EmbedInput> {
  let column: string | undefined;
  for await (const row of readTable(path)) {
    const place = `${path}:${row.line}`;
    if ("reason" in row) {
      yield { item: { reason: `${row.reason}: ${row.value}` }, fields: {}, place };
      continue;
    }
    if (column === undefined) {
      const columns = Object.keys(row.values);
      column = columnOf(path, columns, options);
      const unknown = options.fields?.find((name) => !columns.includes(name));
      if (unknown !== undefined)
        throw new EmbedInputError(
          `${path}: there is no column '${unknown}'; there are ${columns.join(", ")}`,
        );
    }
    yield tableInput(row.values, column, dirname(path), place, options);
  }
}

async function* archiveInputs(path: string, { modality }: EmbedInputOptions): AsyncGenerator<EmbedInput> {
  const wanted = modality === "vector" ? endings.image : endings[modality];
  for await (const { key, parts } of webdatasetSamples(path)) {
    const find = (ending: RegExp) => [...parts].find(([name]) => ending.test(`.${name}`))?.[1];
    const [part, caption] = [find(wanted), find(endings.text)];
    const text = caption === undefined ? undefined : new TextDecoder().decode(caption.bytes).trim();
    const fields = { key, ...(text === undefined ? {} : { text }) };
    const place = `${path}/${key}`;
    if (part === undefined) yield { item: { reason: `the sample has no ${modality}` }, fields, place };
    else yield { item: modality === "text" ? { text: text ?? "" } : { bytes: part.bytes }, fields, place };
  }
}

async function* fileInputs(path: string, options: EmbedInputOptions): AsyncGenerator<EmbedInput> {
  const { modality } = options;
  if (isTable(path)) yield* tableInputs(path, options);
  else if (/\.tar(\.gz)?$|\.tgz$/i.test(path)) yield* archiveInputs(path, options);
  else if (modality === "text")
    yield* lineInputs(createReadStream(path), path, { ...options, column: undefined });
  else if (modality !== "vector") yield { item: { path }, fields: { path }, place: path };
  else {
    throw new EmbedInputError(
      `${path}: files of vectors are read by openVectors; models of vectors take those`,
    );
  }
}

async function* folderInputs(path: string, options: EmbedInputOptions): AsyncGenerator<EmbedInput> {
  const { modality } = options;
  const wanted = modality === "vector" ? undefined : endings[modality];
  const names: string[] = [];
  for await (const name of glob("**/*", { cwd: path })) if (wanted?.test(name)) names.push(name);
  if (names.length === 0) throw new EmbedInputError(`${path}: there is no ${modality} file in this folder`);
  for (const name of names.sort()) yield* fileInputs(join(path, name), options);
}

/**
 * Items of files, folders, tables, archives and patterns such as `photos/**` + `/*.jpg`, in their order.
 *
 *   pictures, scans, sounds
 *                         each file is an item; of folders, all files of the kind
 *   .txt, .md             each line is an item
 *   .csv, .tsv, .jsonl, .parquet
 *                         a column of texts, or of paths relative to the table
 *   .tar                  webdataset: a picture, a scan, a sound or a text of each sample
 *
 * @throws EmbedInputError for paths that are not there, and columns that cannot be told
 */
export async function* embedInputs(
  paths: readonly string[],
  options: EmbedInputOptions,
): AsyncGenerator<EmbedInput, void, undefined> {
  for (const path of paths) {
    const info = await stat(path).catch(() => null);
    if (info?.isDirectory()) yield* folderInputs(path, options);
    else if (info !== null) yield* fileInputs(path, options);
    else {
      const matches: string[] = [];
      if (/[*?[{]/.test(path)) for await (const match of glob(path)) matches.push(match);
      if (matches.length === 0) throw new EmbedInputError(`${path}: there is no such file or folder`);
      for (const match of matches.sort()) yield* fileInputs(match, options);
    }
  }
}
