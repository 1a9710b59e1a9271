import { isRecord } from "../json.ts";
import { shownValue } from "../loaders/rows.ts";
import { readLines } from "../loaders/text-file.ts";
import { type ArrayLimits, checkLimits } from "./array-rows.ts";
import { listNames, unknownName } from "./names.ts";
import type { RawRows } from "./raw-rows.ts";
import { type FieldValue, type OpenVectorsOptions, VectorFileError } from "./source.ts";
import { fieldValue, isNumberList, type TextRow, textRows } from "./text-rows.ts";

/** Characters of one number with its comma, at most. */
const charactersPerNumber = 32;
/** Room for the other fields of a line. */
const otherCharacters = 2 ** 20;
/** Lines that are looked at for the vector column before giving up. */
const searchedLines = 1000;

/** A record of a JSONL file: an object, or a bare list. */
export interface JsonLine {
  readonly line: number;
  /** Undefined when the line is no JSON or too long. */
  readonly value: unknown;
  readonly text: string;
}

/** The lines of a file that are not blank, parsed. */
export async function* jsonLines(path: string, maxLineCharacters: number): AsyncGenerator<JsonLine> {
  for await (const { text, line } of readLines(path, maxLineCharacters)) {
    if (text === null) yield { line, value: undefined, text: `more than ${maxLineCharacters} characters` };
    else if (text.trim() !== "") yield { line, value: parsed(text), text };
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Vectors from one JSON object a line, or one list of numbers a line. */
export async function jsonlRows(
  path: string,
  options: OpenVectorsOptions,
  limits: ArrayLimits,
): Promise<RawRows> {
  const fields = options.fields ?? [];
  const maxCharacters = charactersPerNumber * limits.maxWidth + otherCharacters;
  const { column, width } = await findVectors(path, options.column, fields, maxCharacters);
  checkLimits(path, 0, width, limits);
  return textRows(width, fields, async function* () {
    let count = 0;
    for await (const { line, value, text } of jsonLines(path, maxCharacters)) {
      checkLimits(path, ++count, width, limits);
      yield { line, ...readRecord(value, text, column, fields) };
    }
  });
}

function readRecord(
  value: unknown,
  text: string,
  column: string | null,
  fields: readonly string[],
): Omit<TextRow, "line"> {
  const record = isRecord(value) ? value : {};
  const values: Record<string, FieldValue> = Object.fromEntries(
    fields.map((name) => [name, fieldValue(Object.hasOwn(record, name) ? record[name] : null)]),
  );
  if (value === undefined)
    return { vector: { reason: "line is not JSON, or too long", value: shownValue(text) }, fields: values };
  const list = column === null ? value : Object.hasOwn(record, column) ? record[column] : undefined;
  if (!isNumberList(list)) {
    const reason = column === null ? "line is not a list of numbers" : `"${column}" is not a list of numbers`;
    return { vector: { reason, value: shownValue(list ?? null) }, fields: values };
  }
  return { vector: Float32Array.from(list, (item) => item ?? Number.NaN), fields: values };
}

/** The column (null: lines are bare lists) and the width of the first vector. */
async function findVectors(
  path: string,
  wanted: string | undefined,
  fields: readonly string[],
  maxCharacters: number,
): Promise<{ readonly column: string | null; readonly width: number }> {
  const names = new Set<string>();
  let searched = 0;
  for await (const { value } of jsonLines(path, maxCharacters)) {
    if (++searched > searchedLines) break;
    if (wanted === undefined && fields.length === 0 && isNumberList(value))
      return { column: null, width: value.length };
    if (!isRecord(value)) continue;
    for (const name of Object.keys(value)) names.add(name);
    const lists = Object.entries(value).filter(
      ([name, item]) => isNumberList(item) && (wanted === undefined || name === wanted),
    ) as [string, readonly number[]][];
    if (lists.length > 1)
      throw new VectorFileError(
        path,
        `several columns hold lists of numbers: ${listNames(lists.map(([name]) => name))}; name one with column`,
      );
    const [found] = lists;
    if (!found) continue;
    for (const name of fields)
      if (!names.has(name)) throw new VectorFileError(path, unknownName("column", name, [...names]));
    return { column: found[0], width: found[1].length };
  }
  if (searched === 0) throw new VectorFileError(path, "is empty");
  if (wanted !== undefined && !names.has(wanted))
    throw new VectorFileError(path, unknownName("column", wanted, [...names]));
  const where = wanted === undefined ? "no column holds" : `column ${JSON.stringify(wanted)} does not hold`;
  throw new VectorFileError(
    path,
    `${where} a list of numbers in the first ${Math.min(searched, searchedLines)} lines` +
      (names.size > 0
        ? `; the columns are ${listNames([...names])}`
        : "; JSON objects or lists are expected"),
  );
}
