import { isRecord } from "../json.ts";
import { ByteFile } from "../vectors/byte-file.ts";
import { jsonLines } from "../vectors/jsonl-vectors.ts";
import { onlyLeaf, openParquet, parquetField, parquetSlices } from "../vectors/parquet-file.ts";
import type { FieldValue } from "../vectors/source.ts";
import { csvDialect, csvRecords } from "./csv.ts";
import { shownValue } from "./rows.ts";

const maxLineCharacters = 2 ** 24;

/** A row of a table, or why it is none. */
export type TableRow =
  | { readonly line: number; readonly values: Readonly<Record<string, FieldValue>> }
  | { readonly line: number; readonly reason: string; readonly value: string };

/** Whether a name is that of a table that `readTable` reads. */
export function isTable(path: string): boolean {
  return /\.(csv|tsv|jsonl|ndjson)(\.gz)?$|\.(parquet|pq)$/i.test(path);
}

/**
 * The rows of a CSV, TSV, JSONL or Parquet file, one after another. Columns that hold lists or records are left out.
 * Lines are those of the file, the heading counted; of Parquet, rows from 1.
 *
 * @throws Error naming the file when it is missing or broken
 */
export async function* readTable(path: string): AsyncGenerator<TableRow, void, undefined> {
  if (/\.(parquet|pq)$/i.test(path)) yield* parquetTable(path);
  else if (/\.(csv|tsv)(\.gz)?$/i.test(path)) yield* csvTable(path);
  else yield* jsonlTable(path);
}

async function* csvTable(path: string): AsyncGenerator<TableRow> {
  let header: readonly string[] | undefined;
  const dialect = csvDialect(path);
  for await (const { record, line } of csvRecords(path, { ...dialect, maxCharacters: maxLineCharacters })) {
    if (header === undefined) header = record.map((name) => name.trim());
    else if (record.length !== header.length) {
      const reason = `row has ${record.length} columns, the heading ${header.length}`;
      yield { line, reason, value: shownValue(record.join(dialect.delimiter)) };
    } else {
      yield { line, values: Object.fromEntries(header.map((name, i) => [name, record[i] as string])) };
    }
  }
}

/** The plain values of an object. */
export function plainFields(record: Readonly<Record<string, unknown>>): Record<string, FieldValue> {
  return Object.fromEntries(
    Object.entries(record).filter(
      (entry): entry is [string, FieldValue] => entry[1] === null || typeof entry[1] !== "object",
    ),
  );
}

async function* jsonlTable(path: string): AsyncGenerator<TableRow> {
  for await (const { line, value, text } of jsonLines(path, maxLineCharacters)) {
    if (isRecord(value)) yield { line, values: plainFields(value) };
    else yield { line, reason: "line is no JSON object", value: shownValue(text) };
  }
}

async function* parquetTable(path: string): AsyncGenerator<TableRow> {
  const file = await ByteFile.open(path);
  try {
    const parquet = await openParquet(file);
    const leaves = parquet.columns.flatMap((column) => {
      const leaf = column.element.repetition_type === "REPEATED" ? null : onlyLeaf(parquet, column);
      return leaf && column.children.length === 0 ? [[column.element.name, leaf] as const] : [];
    });
    let line = 0;
    for await (const { rows, columns } of parquetSlices(parquet, new Map(leaves))) {
      for (let row = 0; row < rows; row++) {
        line++;
        yield {
          line,
          values: Object.fromEntries(leaves.map(([name]) => [name, parquetField(columns[name]?.[row])])),
        };
      }
    }
  } finally {
    await file.close();
  }
}
