import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from "node:zlib";
import {
  type AsyncBuffer,
  type Compressors,
  type FileMetaData,
  parquetMetadataAsync,
  parquetReadObjects,
  parquetSchema,
  type SchemaTree,
} from "hyparquet";
import { compressors as portable } from "hyparquet-compressors";
import type { ByteFile } from "./byte-file.ts";
import { type FieldValue, VectorFileError } from "./source.ts";

/** Most bytes that one page may announce to hold after decompression. */
const maxPageBytes = 2 ** 28;
/** Most bytes of the wanted columns of one row group, which are decoded at once. */
const maxGroupBytes = 2 ** 30;

type Decompressor = (input: Uint8Array, outputLength: number) => Uint8Array;

/** Refuses pages that announce too much, and those that hold another length than they announce. */
function bounded(decompress: Decompressor): Decompressor {
  return (input, outputLength) => {
    if (outputLength > maxPageBytes)
      throw new Error(`a page announces ${outputLength} bytes; at most ${maxPageBytes} are read`);
    const output = decompress(input, outputLength);
    if (output.length !== outputLength)
      throw new Error(`a page holds ${output.length} bytes and announces ${outputLength}`);
    return output;
  };
}

const limit = (maxOutputLength: number) => ({ maxOutputLength: Math.max(1, maxOutputLength) });

/** Native where the runtime has it. */
export const decompressors: Compressors = {
  SNAPPY: bounded(portable.SNAPPY as Decompressor),
  GZIP: bounded((input, length) => gunzipSync(input, limit(length))),
  BROTLI: bounded((input, length) => brotliDecompressSync(input, limit(length))),
  ZSTD: bounded((input, length) => zstdDecompressSync(input, limit(length))),
  LZ4: bounded(portable.LZ4 as Decompressor),
  LZ4_RAW: bounded(portable.LZ4_RAW as Decompressor),
};

/** A Parquet file whose footer has been read. */
export interface ParquetFile {
  readonly path: string;
  readonly rows: number;
  readonly columns: readonly SchemaTree[];
  readonly metadata: FileMetaData;
  readonly buffer: AsyncBuffer;
}

/** A row of some columns. */
export type ParquetRecord = Readonly<Record<string, unknown>>;

/** @throws VectorFileError when the footer is broken */
export async function openParquet(file: ByteFile): Promise<ParquetFile> {
  const buffer: AsyncBuffer = {
    byteLength: file.size,
    slice: async (start, end = file.size) => (await file.read(start, end - start)).buffer,
  };
  return explained(file.path, async () => {
    const metadata = await parquetMetadataAsync(buffer);
    const rows = Number(metadata.num_rows);
    const counted = metadata.row_groups.reduce((sum, group) => sum + Number(group.num_rows), 0);
    if (!(Number.isSafeInteger(rows) && rows >= 0 && counted === rows))
      throw new Error(`announces ${rows} rows, its row groups hold ${counted}`);
    return { path: file.path, rows, columns: parquetSchema(metadata).children, metadata, buffer };
  });
}

/** Errors of the library as errors of the file. */
export async function explained<T>(path: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof VectorFileError) throw error;
    throw new VectorFileError(path, `cannot be read as Parquet: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

/** The rows of some columns, one row group after another. */
export async function* parquetRecords(
  file: ParquetFile,
  columns: readonly string[],
): AsyncGenerator<readonly ParquetRecord[]> {
  let start = 0;
  for (const [index, group] of file.metadata.row_groups.entries()) {
    const rows = Number(group.num_rows);
    let bytes = 0;
    for (const { meta_data: chunk } of group.columns)
      if (chunk && columns.includes(chunk.path_in_schema[0] ?? ""))
        bytes += Number(chunk.total_uncompressed_size);
    if (bytes > maxGroupBytes)
      throw new VectorFileError(
        file.path,
        `row group ${index} holds ${bytes} bytes, over the limit of ${maxGroupBytes}; write smaller row groups ` +
          "(row_group_size in pyarrow)",
      );
    const rowStart = start;
    start += rows;
    if (rows === 0) continue;
    yield await explained(file.path, async () => {
      const records: ParquetRecord[] = await parquetReadObjects({
        file: file.buffer,
        metadata: file.metadata,
        columns: [...columns],
        rowStart,
        rowEnd: rowStart + rows,
        compressors: decompressors,
      });
      if (records.length !== rows)
        throw new Error(`row group ${index} has ${records.length} rows and announces ${rows}`);
      return records;
    });
  }
}

/** A Parquet value as a field: integers beyond 2^53, dates, lists and bytes become texts. */
export function parquetField(value: unknown): FieldValue {
  if (value === null || value === undefined) return null;
  if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") return value;
  if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  if (value instanceof Date) return value.toISOString();
  return (
    JSON.stringify(value, (_, item: unknown) => (typeof item === "bigint" ? String(item) : item)) ?? null
  );
}
