import { csvDialect, csvRecords } from "../loaders/csv.ts";
import { shownValue } from "../loaders/rows.ts";
import { type ArrayLimits, checkLimits } from "./array-rows.ts";
import { listNames, unknownName } from "./names.ts";
import type { RawRows } from "./raw-rows.ts";
import { type FieldValue, type OpenVectorsOptions, VectorFileError } from "./source.ts";
import { isNumberList, parseNumber, type TextRow, textRows } from "./text-rows.ts";

/** Characters of one number with its delimiter, at most. */
const charactersPerNumber = 32;
const otherCharacters = 2 ** 20;

/** Where a row's numbers are: in columns of their own, or as a JSON list in one. */
interface VectorCells {
  readonly kind: "numbers" | "list";
  readonly positions: readonly number[];
}

interface CsvShape {
  /** Null when the file has no heading. */
  readonly header: readonly string[] | null;
  readonly cells: VectorCells;
  readonly width: number;
}

/** Vectors from a CSV or TSV file: numbered columns, a column of JSON lists, or a plain table of numbers. */
export async function csvRows(
  path: string,
  options: OpenVectorsOptions,
  limits: ArrayLimits,
): Promise<RawRows> {
  const dialect = {
    ...csvDialect(path),
    maxCharacters: charactersPerNumber * limits.maxWidth + otherCharacters,
  };
  const fields = options.fields ?? [];
  const { header, cells, width } = await findShape(path, dialect, options.column);
  for (const name of fields)
    if (!header?.includes(name)) throw new VectorFileError(path, unknownName("column", name, header ?? []));
  checkLimits(path, 0, width, limits);
  const columns = fields.map((name) => (header as readonly string[]).indexOf(name));
  return textRows(width, fields, async function* () {
    let count = header === null ? 0 : -1;
    for await (const { record, line } of csvRecords(path, dialect)) {
      if (count++ < 0) continue;
      checkLimits(path, count, width, limits);
      const values: Record<string, FieldValue> = Object.fromEntries(
        fields.map((name, i) => [name, record[columns[i] as number] ?? null]),
      );
      yield { line, vector: readCells(record, cells, header?.length ?? width), fields: values };
    }
  });
}

function readCells(record: readonly string[], cells: VectorCells, columns: number): TextRow["vector"] {
  if (record.length !== columns)
    return {
      reason: `row does not have the ${columns} columns of the first line`,
      value: `${record.length} columns`,
    };
  if (cells.kind === "list") {
    const cell = record[cells.positions[0] as number] as string;
    return parseList(cell) ?? { reason: "value is not a JSON list of numbers", value: shownValue(cell) };
  }
  const values = new Float32Array(cells.positions.length);
  for (let i = 0; i < values.length; i++) {
    const cell = record[cells.positions[i] as number] as string;
    const value = parseNumber(cell);
    if (value === undefined) return { reason: "value is not a number", value: shownValue(cell) };
    values[i] = value;
  }
  return values;
}

function parseList(cell: string): Float32Array | undefined {
  if (!cell.trimStart().startsWith("[")) return undefined;
  try {
    const value: unknown = JSON.parse(cell);
    return isNumberList(value) ? Float32Array.from(value, (item) => item ?? Number.NaN) : undefined;
  } catch {
    return undefined;
  }
}

async function findShape(
  path: string,
  dialect: Parameters<typeof csvRecords>[1],
  column: string | undefined,
): Promise<CsvShape> {
  let header: readonly string[] | undefined;
  let searched = 0;
  for await (const { record } of csvRecords(path, dialect)) {
    if (header === undefined) {
      if (column === undefined && record.every((cell) => parseNumber(cell) !== undefined)) {
        const positions = record.map((_, i) => i);
        return { header: null, cells: { kind: "numbers", positions }, width: positions.length };
      }
      header = record.map((name) => name.trim());
      const twice = header.find((name, i) => header?.indexOf(name) !== i);
      if (twice !== undefined) throw new VectorFileError(path, `has two columns ${JSON.stringify(twice)}`);
      const positions = numberedColumns(path, header, column);
      if (positions) return { header, cells: { kind: "numbers", positions }, width: positions.length };
      continue;
    }
    const lists = record.flatMap((cell, i) => {
      const list = column === undefined || header?.[i] === column ? parseList(cell) : undefined;
      return list ? [{ position: i, width: list.length }] : [];
    });
    const [list] = lists;
    if (list && lists.length === 1)
      return { header, cells: { kind: "list", positions: [list.position] }, width: list.width };
    if (lists.length > 1)
      throw new VectorFileError(
        path,
        `several columns hold lists of numbers: ${listNames(lists.map(({ position }) => header?.[position] ?? ""))}; ` +
          "name one with column",
      );
    if (++searched === 1000) break;
  }
  if (header === undefined) throw new VectorFileError(path, "is empty");
  const where = column === undefined ? "no column holds" : `column ${JSON.stringify(column)} does not hold`;
  throw new VectorFileError(
    path,
    `${where} vectors: numbered columns such as v0, v1, ... or a column of JSON lists such as "[0.1, 0.2]" are ` +
      `expected; the columns are ${listNames(header)}`,
  );
}

const numbered = /^(.*?)(\d{1,9})$/;

/**
 * Positions of the columns `prefix0`, `prefix1`, ... in the order of their numbers; null when the vectors are lists.
 *
 * @throws VectorFileError when there is no such column, several prefixes fit, or a number is missing
 */
function numberedColumns(
  path: string,
  header: readonly string[],
  wanted: string | undefined,
): readonly number[] | null {
  if (wanted !== undefined && header.includes(wanted)) return null;
  const groups = new Map<string, { readonly number: number; readonly position: number }[]>();
  header.forEach((name, position) => {
    const [, prefix = "", digits = ""] = numbered.exec(name) ?? [];
    if (digits === "" || (wanted !== undefined && prefix !== wanted)) return;
    const group = groups.get(prefix) ?? [];
    group.push({ number: Number(digits), position });
    groups.set(prefix, group);
  });
  const fitting = [...groups].filter(([, group]) => group.length > 1 || wanted !== undefined);
  const [found] = fitting;
  if (!found) {
    if (wanted === undefined) return null;
    throw new VectorFileError(path, unknownName("column", wanted, header));
  }
  if (fitting.length > 1)
    throw new VectorFileError(
      path,
      `several groups of columns are numbered: ${listNames(fitting.map(([prefix]) => prefix))}; name one with column`,
    );
  const [prefix, group] = found;
  group.sort((a, b) => a.number - b.number);
  group.forEach(({ number }, i) => {
    const expected = (group[0]?.number ?? 0) + i;
    if (number !== expected)
      throw new VectorFileError(
        path,
        `column ${JSON.stringify(`${prefix}${expected}`)} is missing between ${JSON.stringify(`${prefix}${group[0]?.number}`)} ` +
          `and ${JSON.stringify(`${prefix}${group.at(-1)?.number}`)}`,
      );
  });
  return group.map(({ position }) => position);
}
