import {
  type ColumnMetaData,
  type FileMetaData,
  parquetMetadata,
  parquetSchema,
  type SchemaTree,
} from "hyparquet";
import type { ByteFile } from "./byte-file.ts";
import { type Leaf, leafRows } from "./parquet-pages.ts";
import { type FieldValue, VectorFileError } from "./source.ts";

/** Longest footer that is read. A file of 10 000 row groups and 100 columns has one of about 100 MB. */
const maxFooterBytes = 2 ** 27;

/** A Parquet file whose footer has been read. */
export interface ParquetFile {
  readonly path: string;
  readonly rows: number;
  readonly columns: readonly SchemaTree[];
  readonly metadata: FileMetaData;
  readonly source: ByteFile;
}

/** Some consecutive rows of the wanted columns. */
export interface ParquetSlice {
  readonly rows: number;
  /** By the path of the column: names joined by dots. */
  readonly columns: Readonly<Record<string, readonly unknown[]>>;
}

/** @throws VectorFileError when the footer is broken */
export async function openParquet(source: ByteFile): Promise<ParquetFile> {
  const { path, size } = source;
  const footer = size >= 12 ? await source.read(size - 8, 8) : new Uint8Array(8);
  const length = new DataView(footer.buffer).getUint32(0, true);
  if (Buffer.from(footer.subarray(4)).toString("latin1") !== "PAR1")
    throw new VectorFileError(path, "is truncated or not a Parquet file: it does not end with PAR1");
  if (length > maxFooterBytes || length > size - 12)
    throw new VectorFileError(path, `announces a footer of ${length} bytes in a file of ${size}`);
  const bytes = await source.read(size - 8 - length, length + 8);
  return explained(path, async () => {
    const metadata = parquetMetadata(bytes.buffer);
    const rows = Number(metadata.num_rows);
    const counted = metadata.row_groups.reduce((sum, group) => sum + Number(group.num_rows), 0);
    if (!(Number.isSafeInteger(rows) && rows >= 0 && counted === rows))
      throw new Error(`announces ${rows} rows, its row groups hold ${counted}`);
    return { path, rows, columns: parquetSchema(metadata).children, metadata, source };
  });
}

/** Errors of the library as errors of the file. */
async function explained<T>(path: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof VectorFileError) throw error;
    throw new VectorFileError(path, `cannot be read as Parquet: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

/** The only leaf below a column; null when there are several. */
export function onlyLeaf(file: ParquetFile, column: SchemaTree): Leaf | null {
  const path = [parquetSchema(file.metadata), column];
  for (let node = column; node.children.length > 0; path.push(node)) {
    if (node.children.length > 1) return null;
    node = node.children[0] as SchemaTree;
  }
  return { path };
}

/** The leaf at a path of names, e.g. `["image", "bytes"]`. */
export function leafAt(file: ParquetFile, names: readonly string[]): Leaf | null {
  const path = [parquetSchema(file.metadata)];
  for (const name of names) {
    const child: SchemaTree | undefined = path.at(-1)?.children.find(({ element }) => element.name === name);
    if (!child) return null;
    path.push(child);
  }
  return path.at(-1)?.children.length === 0 ? { path } : null;
}

/**
 * Rows of some columns in slices, as the pages of the file cut them. Memory holds a page of each column.
 *
 * @param leaves  by the name under which a column's values are wanted
 * @param options.firstGroup  row group to begin with. Default 0
 * @param options.binary  columns whose byte arrays stay bytes; others become texts
 */
export async function* parquetSlices(
  file: ParquetFile,
  leaves: ReadonlyMap<string, Leaf>,
  options: { readonly binary?: ReadonlySet<string>; readonly firstGroup?: number } = {},
): AsyncGenerator<ParquetSlice> {
  for (const [index, group] of file.metadata.row_groups.entries()) {
    if (index < (options.firstGroup ?? 0)) continue;
    const rows = Number(group.num_rows);
    const cursors = [...leaves].map(([name, leaf]) => {
      const wanted = leaf.path
        .slice(1)
        .map(({ element }) => element.name)
        .join("\0");
      const chunk: ColumnMetaData | undefined = group.columns.find(
        ({ meta_data }) => meta_data?.path_in_schema.join("\0") === wanted,
      )?.meta_data;
      if (!chunk)
        throw new VectorFileError(file.path, `row group ${index} lacks the column ${JSON.stringify(name)}`);
      const pages = leafRows(file.source, leaf, chunk, !options.binary?.has(name));
      return { name, pages, held: [] as readonly unknown[], at: 0 };
    });
    let done = 0;
    try {
      while (done < rows) {
        for (const cursor of cursors)
          while (cursor.at === cursor.held.length) {
            const next = await explained(file.path, () => cursor.pages.next());
            if (next.done)
              throw new VectorFileError(
                file.path,
                `column ${JSON.stringify(cursor.name)} ends after ${done} of ${rows} rows of row group ${index}`,
              );
            cursor.held = next.value;
            cursor.at = 0;
          }
        const count = Math.min(rows - done, ...cursors.map(({ held, at }) => held.length - at));
        const columns = cursors.map(({ name, held, at }) => [name, held.slice(at, at + count)] as const);
        for (const cursor of cursors) cursor.at += count;
        done += count;
        yield { rows: count, columns: Object.fromEntries(columns) };
      }
    } finally {
      for (const { pages } of cursors) await pages.return(undefined);
    }
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
