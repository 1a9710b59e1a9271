import type { SchemaTree } from "hyparquet";
import { isRecord } from "../json.ts";
import { csvDialect, csvRecords } from "../loaders/csv.ts";
import { readLines } from "../loaders/text-file.ts";
import { ByteFile } from "./byte-file.ts";
import { formatOf } from "./formats.ts";
import { jsonLines } from "./jsonl-vectors.ts";
import { namedColumn } from "./named-arrays.ts";
import { listNames, unknownName } from "./names.ts";
import { npyLayout, plainBytes } from "./npy-file.ts";
import { openNpz } from "./npz-file.ts";
import { onlyLeaf, openParquet, parquetField, parquetSlices } from "./parquet-file.ts";
import { openSafetensors } from "./safetensors-file.ts";
import { type FieldValue, fileError, VectorFileError } from "./source.ts";
import { fieldValue } from "./text-rows.ts";
import { readWholeColumn } from "./whole-array.ts";

export interface OpenColumnOptions {
  /** The column of a table (CSV, TSV, JSONL, Parquet); default the only one. */
  readonly column?: string;
  /** The array of a `.npz` or safetensors file; default the only one with one axis. */
  readonly key?: string;
  /** Most values. Default 100 million. */
  readonly maxRows?: number;
  readonly signal?: AbortSignal;
}

const maxLineCharacters = 2 ** 22;

/**
 * One column of values, e.g. labels or ids, as an array: from `.npy` (one axis), `.npz`, safetensors, CSV, TSV, JSONL
 * (a column, or one plain value a line), Parquet, or a text file with one value a line.
 *
 * CSV and text files give texts; the others what they hold, integers beyond 2^53 as texts.
 *
 * @throws VectorFileError when the file is broken or there is no such column (the message lists those there are)
 */
export async function openColumn(path: string, options: OpenColumnOptions = {}): Promise<FieldValue[]> {
  const { maxRows = 1e8 } = options;
  const values: FieldValue[] = [];
  try {
    for await (const value of columnValues(path, options)) {
      if (values.length >= maxRows) throw new VectorFileError(path, `has more than ${maxRows} values`);
      values.push(value);
      if (values.length % 4096 === 0) options.signal?.throwIfAborted();
    }
  } catch (error) {
    throw fileError(path, error);
  }
  return values;
}

async function* columnValues(
  path: string,
  { column, key }: OpenColumnOptions,
): AsyncGenerator<FieldValue, void, undefined> {
  const file = await ByteFile.open(path);
  try {
    switch (await formatOf(file)) {
      case "npy": {
        const layout = await npyLayout(file);
        yield* await readWholeColumn(path, layout, plainBytes(file, layout.dataOffset));
        return;
      }
      case "npz": {
        const arrays = await openNpz(path);
        try {
          yield* await namedColumn(arrays, key);
        } finally {
          await arrays.close();
        }
        return;
      }
      case "safetensors":
        yield* await namedColumn(await openSafetensors(file), key);
        return;
      case "parquet":
        yield* parquetColumn(file, column);
        return;
      case "jsonl":
        yield* jsonlColumn(path, column);
        return;
      case "csv":
        yield* csvColumn(path, column);
        return;
      case "txt":
        for await (const { text, line } of readLines(path, maxLineCharacters)) {
          if (text === null)
            throw new VectorFileError(path, `line ${line} has more than ${maxLineCharacters} characters`);
          yield text;
        }
    }
  } finally {
    await file.close();
  }
}

function chosenColumn(path: string, names: readonly string[], wanted: string | undefined): string {
  if (wanted !== undefined) {
    if (!names.includes(wanted)) throw new VectorFileError(path, unknownName("column", wanted, names));
    return wanted;
  }
  const [only] = names;
  if (only !== undefined && names.length === 1) return only;
  throw new VectorFileError(path, `has the columns ${listNames(names)}; name one with column`);
}

async function* parquetColumn(file: ByteFile, wanted: string | undefined): AsyncGenerator<FieldValue> {
  const parquet = await openParquet(file);
  const name = chosenColumn(
    file.path,
    parquet.columns.map(({ element }) => element.name),
    wanted,
  );
  const leaf = onlyLeaf(parquet, parquet.columns.find(({ element }) => element.name === name) as SchemaTree);
  if (!leaf) throw new VectorFileError(file.path, `column ${JSON.stringify(name)} holds records`);
  for await (const { columns } of parquetSlices(parquet, new Map([[name, leaf]])))
    for (const value of columns[name] ?? []) yield parquetField(value);
}

async function* csvColumn(path: string, wanted: string | undefined): AsyncGenerator<FieldValue> {
  let header: readonly string[] | undefined;
  let position = 0;
  for await (const { record, line } of csvRecords(path, {
    ...csvDialect(path),
    maxCharacters: maxLineCharacters,
  })) {
    if (header === undefined) {
      header = record.map((name) => name.trim());
      position = header.indexOf(chosenColumn(path, header, wanted));
      continue;
    }
    if (record.length !== header.length)
      throw new VectorFileError(
        path,
        `line ${line} has ${record.length} columns, the heading ${header.length}`,
      );
    yield record[position] as string;
  }
  if (header === undefined)
    throw new VectorFileError(path, "is empty: a heading line with column names is needed");
}

async function* jsonlColumn(path: string, wanted: string | undefined): AsyncGenerator<FieldValue> {
  let name = wanted;
  let first = true;
  for await (const { value, line, text } of jsonLines(path, maxLineCharacters)) {
    if (value === undefined)
      throw new VectorFileError(path, `line ${line} is not JSON: ${JSON.stringify(text.slice(0, 80))}`);
    if (!isRecord(value)) {
      if (wanted !== undefined)
        throw new VectorFileError(
          path,
          `line ${line} is not an object with a column ${JSON.stringify(wanted)}`,
        );
      yield fieldValue(value);
      continue;
    }
    if (first) name = chosenColumn(path, Object.keys(value), wanted);
    first = false;
    const present = name !== undefined && Object.hasOwn(value, name);
    if (!present)
      throw new VectorFileError(
        path,
        `line ${line}: ${unknownName("column", name ?? "", Object.keys(value))}`,
      );
    yield fieldValue(value[name as string]);
  }
}
