import type { SchemaTree } from "hyparquet";
import { shownValue } from "../loaders/rows.ts";
import { type ArrayLimits, checkLimits } from "./array-rows.ts";
import type { ByteFile } from "./byte-file.ts";
import { listNames, unknownName } from "./names.ts";
import {
  onlyLeaf,
  openParquet,
  type ParquetFile,
  type ParquetSlice,
  parquetField,
  parquetSlices,
} from "./parquet-file.ts";
import type { Leaf } from "./parquet-pages.ts";
import type { RawBlock, RawRows } from "./raw-rows.ts";
import { type FieldValue, type OpenVectorsOptions, VectorFileError } from "./source.ts";

/** Physical types whose lists are vectors. */
const elementNames: ReadonlyMap<string, string> = new Map([
  ["FLOAT", "float32"],
  ["DOUBLE", "float64"],
  ["INT32", "int32"],
  ["INT64", "int64"],
]);

/** Null unless the column holds lists of numbers. */
function elementType(file: ParquetFile, column: SchemaTree): string | null {
  const leaf = onlyLeaf(file, column);
  if (!leaf || lists(leaf) !== 1) return null;
  const { type = "", logical_type: logical } = (leaf.path.at(-1) as SchemaTree).element;
  if (logical?.type === "FLOAT16") return "float16";
  return elementNames.get(type) ?? null;
}

function lists({ path }: Leaf): number {
  return path.filter(({ element }) => element.repetition_type === "REPEATED").length;
}

function vectorColumn(file: ParquetFile, wanted: string | undefined): SchemaTree {
  const names = file.columns.map(({ element }) => element.name);
  if (wanted !== undefined) {
    const column = file.columns.find(({ element }) => element.name === wanted);
    if (!column) throw new VectorFileError(file.path, unknownName("column", wanted, names));
    if (elementType(file, column) === null)
      throw new VectorFileError(
        file.path,
        `column ${JSON.stringify(wanted)} holds ${describe(file, column)}; lists of numbers are expected`,
      );
    return column;
  }
  const fitting = file.columns.filter((column) => elementType(file, column) !== null);
  const [found] = fitting;
  if (found && fitting.length === 1) return found;
  throw new VectorFileError(
    file.path,
    fitting.length > 1
      ? `several columns hold lists of numbers: ${listNames(fitting.map(({ element }) => element.name))}; name one with column`
      : `no column holds lists of numbers; the columns are ${listNames(file.columns.map((column) => `${column.element.name}: ${describe(file, column)}`))}`,
  );
}

function describe(file: ParquetFile, column: SchemaTree): string {
  const leaf = onlyLeaf(file, column);
  if (!leaf) return "records";
  const {
    type = "",
    logical_type: logical,
    converted_type: converted,
  } = (leaf.path.at(-1) as SchemaTree).element;
  return `${"lists of ".repeat(lists(leaf))}${(logical?.type ?? converted ?? type).toLowerCase()}`;
}

/** Vectors from a column of lists. */
export async function parquetRows(
  source: ByteFile,
  options: OpenVectorsOptions,
  limits: ArrayLimits,
): Promise<RawRows> {
  const file = await openParquet(source);
  const column = vectorColumn(file, options.column);
  const name = column.element.name;
  const fields = options.fields ?? [];
  const vectors = onlyLeaf(file, column) as Leaf;
  const leaves = new Map([[vectorKey, vectors]]);
  for (const field of fields) leaves.set(field, fieldLeaf(file, field));
  const width = await firstWidth(file, name, vectors);
  checkLimits(file.path, file.rows, width, limits);
  return {
    rows: file.rows,
    width,
    dtype: elementType(file, column) as string,
    async *read({ rowsPerBlock, signal }) {
      let first = 0;
      for await (const slice of parquetSlices(file, leaves)) {
        for (let start = 0; start < slice.rows; start += rowsPerBlock) {
          const end = Math.min(slice.rows, start + rowsPerBlock);
          yield toBlock(slice, start, end, first, name, width, fields);
          first += end - start;
          signal?.throwIfAborted();
        }
      }
    },
    close: () => source.close(),
  };
}

/** Where slices keep the vectors; no column has a name like this one. */
const vectorKey = "\0vectors";

function fieldLeaf(file: ParquetFile, field: string): Leaf {
  const column = file.columns.find(({ element }) => element.name === field);
  if (!column) {
    const names = file.columns.map(({ element }) => element.name);
    throw new VectorFileError(file.path, unknownName("column", field, names));
  }
  const leaf = onlyLeaf(file, column);
  if (!leaf)
    throw new VectorFileError(
      file.path,
      `column ${JSON.stringify(field)} holds records; plain values are expected`,
    );
  return leaf;
}

function toBlock(
  slice: ParquetSlice,
  start: number,
  end: number,
  first: number,
  name: string,
  width: number,
  fields: readonly string[],
): RawBlock {
  const rows = end - start;
  const values = new Float32Array(rows * width);
  const unreadable = new Map<number, { readonly reason: string; readonly value: string }>();
  const vectors = slice.columns[vectorKey] as readonly unknown[];
  for (let row = 0; row < rows; row++) {
    const list = vectors[start + row];
    if (!Array.isArray(list))
      unreadable.set(row, { reason: `"${name}" is not a list of numbers`, value: shownValue(list ?? null) });
    else if (list.length !== width)
      unreadable.set(row, {
        reason: `row does not have the ${width} numbers of the first one`,
        value: `${list.length} numbers`,
      });
    else for (let i = 0; i < width; i++) values[row * width + i] = Number(list[i] ?? Number.NaN);
  }
  const columns: [string, FieldValue[]][] = fields.map((field) => [
    field,
    (slice.columns[field] as readonly unknown[]).slice(start, end).map(parquetField),
  ]);
  return { first, rows, values, fields: Object.fromEntries(columns), unreadable };
}

/** Numbers in the first vector that is not empty. */
async function firstWidth(file: ParquetFile, name: string, leaf: Leaf): Promise<number> {
  for await (const { columns } of parquetSlices(file, new Map([[vectorKey, leaf]])))
    for (const list of columns[vectorKey] ?? [])
      if (Array.isArray(list) && list.length > 0) return list.length;
  throw new VectorFileError(file.path, `column ${JSON.stringify(name)} holds no vector`);
}
