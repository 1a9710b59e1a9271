import type { SchemaTree } from "hyparquet";
import { shownValue } from "../loaders/rows.ts";
import { type ArrayLimits, checkLimits } from "./array-rows.ts";
import type { ByteFile } from "./byte-file.ts";
import { listNames, unknownName } from "./names.ts";
import {
  openParquet,
  type ParquetFile,
  type ParquetRecord,
  parquetField,
  parquetRecords,
} from "./parquet-file.ts";
import type { RawBlock, RawRows } from "./raw-rows.ts";
import { type FieldValue, type OpenVectorsOptions, VectorFileError } from "./source.ts";

/** Physical types whose lists are vectors. */
const elementNames: ReadonlyMap<string, string> = new Map([
  ["FLOAT", "float32"],
  ["DOUBLE", "float64"],
  ["INT32", "int32"],
  ["INT64", "int64"],
]);

/** The only leaf below a column, and how many lists lie around it. */
function leafOf(column: SchemaTree): { readonly leaf: SchemaTree; readonly lists: number } | null {
  let lists = 0;
  for (let node = column; ; node = node.children[0] as SchemaTree) {
    if (node.element.repetition_type === "REPEATED") lists++;
    if (node.children.length === 0) return { leaf: node, lists };
    if (node.children.length > 1) return null;
  }
}

function elementType(column: SchemaTree): string | null {
  const found = leafOf(column);
  if (found?.lists !== 1) return null;
  const { type = "", logical_type: logical } = found.leaf.element;
  if (logical?.type === "FLOAT16") return "float16";
  return elementNames.get(type) ?? null;
}

function vectorColumn(file: ParquetFile, wanted: string | undefined): SchemaTree {
  const names = file.columns.map(({ element }) => element.name);
  if (wanted !== undefined) {
    const column = file.columns.find(({ element }) => element.name === wanted);
    if (!column) throw new VectorFileError(file.path, unknownName("column", wanted, names));
    if (elementType(column) === null)
      throw new VectorFileError(
        file.path,
        `column ${JSON.stringify(wanted)} holds ${describe(column)}; lists of numbers are expected`,
      );
    return column;
  }
  const fitting = file.columns.filter((column) => elementType(column) !== null);
  const [found] = fitting;
  if (found && fitting.length === 1) return found;
  throw new VectorFileError(
    file.path,
    fitting.length > 1
      ? `several columns hold lists of numbers: ${listNames(fitting.map(({ element }) => element.name))}; name one with column`
      : `no column holds lists of numbers; the columns are ${listNames(file.columns.map((column) => `${column.element.name}: ${describe(column)}`))}`,
  );
}

function describe(column: SchemaTree): string {
  const found = leafOf(column);
  if (!found) return "records";
  const { type = "", logical_type: logical, converted_type: converted } = found.leaf.element;
  const named = logical?.type ?? converted ?? type;
  return `${"lists of ".repeat(found.lists)}${named.toLowerCase()}`;
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
  for (const field of fields)
    if (!file.columns.some(({ element }) => element.name === field))
      throw new VectorFileError(
        file.path,
        unknownName(
          "column",
          field,
          file.columns.map(({ element }) => element.name),
        ),
      );
  const width = await firstWidth(file, name);
  checkLimits(file.path, file.rows, width, limits);
  return {
    rows: file.rows,
    width,
    dtype: elementType(column) as string,
    async *read({ rowsPerBlock, signal }) {
      let first = 0;
      for await (const records of parquetRecords(file, [...new Set([name, ...fields])])) {
        for (let start = 0; start < records.length; start += rowsPerBlock) {
          const part = records.slice(start, start + rowsPerBlock);
          yield toBlock(part, first, name, width, fields);
          first += part.length;
          signal?.throwIfAborted();
        }
      }
    },
    close: () => source.close(),
  };
}

function toBlock(
  records: readonly ParquetRecord[],
  first: number,
  name: string,
  width: number,
  fields: readonly string[],
): RawBlock {
  const values = new Float32Array(records.length * width);
  const unreadable = new Map<number, { readonly reason: string; readonly value: string }>();
  records.forEach((record, row) => {
    const list = numbersOf(record[name]);
    if (list === null)
      unreadable.set(row, {
        reason: `"${name}" is not a list of numbers`,
        value: shownValue(record[name] ?? null),
      });
    else if (list.length !== width)
      unreadable.set(row, {
        reason: `row does not have the ${width} numbers of the first one`,
        value: `${list.length} numbers`,
      });
    else for (let i = 0; i < width; i++) values[row * width + i] = Number(list[i] ?? Number.NaN);
  });
  const columns: [string, FieldValue[]][] = fields.map((field) => [
    field,
    records.map((record) => parquetField(record[field])),
  ]);
  return { first, rows: records.length, values, fields: Object.fromEntries(columns), unreadable };
}

function numbersOf(value: unknown): ArrayLike<number | bigint | null> | null {
  if (Array.isArray(value)) return value as readonly (number | bigint | null)[];
  return ArrayBuffer.isView(value) ? (value as Float32Array) : null;
}

/** Numbers in the first vector that is not empty. */
async function firstWidth(file: ParquetFile, name: string): Promise<number> {
  for await (const records of parquetRecords(file, [name]))
    for (const record of records) {
      const list = numbersOf(record[name]);
      if (list && list.length > 0) return list.length;
    }
  throw new VectorFileError(file.path, `column ${JSON.stringify(name)} holds no vector`);
}
