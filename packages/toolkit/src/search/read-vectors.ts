import { stat } from "node:fs/promises";
import { type FieldValue, isTable, openVectors, readTable, type VectorSource } from "@concord/data";
import { fieldsPath, VECTOR_COLUMN } from "../embed/writer.ts";

/** Vectors in memory, with the columns that came with them. */
export interface ReadVectors {
  /** [N, D], row-major. */
  readonly values: Float32Array;
  readonly rows: number;
  readonly width: number;
  /** Whether the file holds bytes: packed binary codes. */
  readonly packed: boolean;
  /** [N]: each row's number in the file, from 0; rows that could not be read leave gaps. */
  readonly numbers: Float64Array;
  /** By column. */
  readonly fields: Readonly<Record<string, readonly FieldValue[]>>;
  /** Rows of the file that could not be read. */
  readonly problems: number;
}

export interface ReadVectorsOptions {
  /** The column, array or prefix that holds the vectors, where a file has several. */
  readonly column?: string | undefined;
  /** Columns to keep. Default: all with plain values. */
  readonly fields?: readonly string[] | undefined;
  /** A table with a row for each vector, for files of vectors alone. Default: `NAME.fields.jsonl`, if it is there. */
  readonly ids?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Plain columns of a table of vectors: not those that hold the numbers of vectors. */
async function plainColumns(path: string, column: string | undefined): Promise<string[]> {
  for await (const row of readTable(path)) {
    if ("reason" in row) continue;
    const prefix = column ?? "v";
    return Object.keys(row.values).filter(
      (name) =>
        name !== VECTOR_COLUMN &&
        name !== column &&
        !(name.startsWith(prefix) && /^\d+$/.test(name.slice(prefix.length))),
    );
  }
  return [];
}

/** @throws Error naming a column that the table lacks */
async function readColumns(
  path: string,
  wanted: readonly string[] | undefined,
): Promise<Record<string, FieldValue[]>> {
  const columns: Record<string, FieldValue[]> = {};
  let rows = 0;
  for await (const row of readTable(path)) {
    const values = "values" in row ? row.values : {};
    if (rows === 0) {
      for (const name of wanted ?? Object.keys(values)) {
        if (!Object.hasOwn(values, name))
          throw new Error(
            `${path}: there is no column '${name}'; there are ${Object.keys(values).join(", ")}`,
          );
        columns[name] = [];
      }
    }
    for (const [name, column] of Object.entries(columns)) column.push(values[name] ?? null);
    rows++;
  }
  return columns;
}

/**
 * Reads a file of vectors with the columns beside them; for `.npy` and other arrays, from a table of their own.
 *
 * @throws VectorFileError and Error saying what is wrong with which file
 */
export async function readVectors(path: string, options: ReadVectorsOptions = {}): Promise<ReadVectors> {
  const { column, signal } = options;
  const table = isTable(path);
  const beside =
    options.ids ??
    (await stat(fieldsPath(path)).then(
      () => fieldsPath(path),
      () => undefined,
    ));
  const own =
    table && options.ids === undefined ? (options.fields ?? (await plainColumns(path, column))) : [];
  const source: VectorSource = await openVectors(path, {
    fields: own,
    // A code of zeros is a code.
    zeros: "keep",
    ...(column === undefined ? {} : table ? { column } : { key: column }),
    ...(signal === undefined ? {} : { signal }),
  });
  try {
    const { width } = source;
    const blocks: Float32Array[] = [];
    const numbers: number[] = [];
    const fields: Record<string, FieldValue[]> = Object.fromEntries(own.map((name) => [name, []]));
    for await (const block of source.blocks(signal === undefined ? {} : { signal })) {
      blocks.push(block.values.slice());
      for (const number of block.indices) numbers.push(number);
      for (const name of own) for (const value of block.fields[name] ?? []) fields[name]?.push(value);
    }
    const rows = numbers.length;
    const values = new Float32Array(rows * width);
    let at = 0;
    for (const block of blocks) {
      values.set(block, at);
      at += block.length;
    }
    if (!table || options.ids !== undefined) {
      if (beside !== undefined) {
        for (const [name, all] of Object.entries(await readColumns(beside, options.fields))) {
          if (source.rows !== null && all.length !== source.rows)
            throw new Error(`${beside} has ${all.length} rows; ${path} has ${source.rows} vectors`);
          fields[name] = numbers.map((number) => all[number] ?? null);
        }
      } else if (options.fields !== undefined) {
        throw new Error(`${path} holds vectors alone; give a table with their columns as ids`);
      }
    }
    const packed = source.dtype === "uint8";
    return {
      values,
      rows,
      width,
      packed,
      numbers: Float64Array.from(numbers),
      fields,
      problems: source.problems.count,
    };
  } finally {
    await source.close();
  }
}
