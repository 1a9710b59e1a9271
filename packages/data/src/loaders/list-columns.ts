import { stat } from "node:fs/promises";
import { isRecord } from "../json.ts";
import { ByteFile } from "../vectors/byte-file.ts";
import { jsonLines } from "../vectors/jsonl-vectors.ts";
import { openParquet } from "../vectors/parquet-file.ts";
import { csvDialect, csvRecords } from "./csv.ts";

const maxLineCharacters = 2 ** 22;
/** Objects of a JSONL file whose fields are listed. */
const lookedAt = 20;

/**
 * The columns of a table of pairs: the heading of a CSV or TSV file, the columns of a Parquet file, the fields of the
 * first objects of a JSONL file. Null for what has no columns of its own (folders, archives, COCO and other `.json`).
 *
 * @throws Error naming the file when it is missing or broken
 */
export async function listColumns(path: string): Promise<readonly string[] | null> {
  const info = await stat(path).catch((cause: unknown) => {
    throw new Error(`There is no file or folder at ${path}.`, { cause });
  });
  const name = path.toLowerCase();
  if (info.isDirectory()) return null;
  if (/\.(csv|tsv)(\.gz)?$/.test(name)) {
    for await (const { record } of csvRecords(path, {
      ...csvDialect(path),
      maxCharacters: maxLineCharacters,
    }))
      return record.map((column) => column.trim());
    throw new Error(`${path} is empty: a heading line with column names is needed`);
  }
  if (/\.(jsonl|ndjson)(\.gz)?$/.test(name)) {
    const fields = new Set<string>();
    let seen = 0;
    for await (const { value } of jsonLines(path, maxLineCharacters)) {
      if (isRecord(value)) for (const field of Object.keys(value)) fields.add(field);
      if (++seen >= lookedAt) break;
    }
    return [...fields];
  }
  if (/\.(parquet|pq)$/.test(name)) {
    const file = await ByteFile.open(path);
    try {
      return (await openParquet(file)).columns.map(({ element }) => element.name);
    } finally {
      await file.close();
    }
  }
  return null;
}
