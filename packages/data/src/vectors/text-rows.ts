import type { RawBlock, RawRows } from "./raw-rows.ts";
import type { FieldValue } from "./source.ts";

/** One record of a text file. */
export interface TextRow {
  /** From 1. */
  readonly line: number;
  /** The vector, or why there is none. */
  readonly vector: ArrayLike<number> | { readonly reason: string; readonly value: string };
  readonly fields: Readonly<Record<string, FieldValue>>;
}

/** Rows of a text file in blocks. Vectors of another width than the first one are unreadable. */
export function textRows(
  width: number,
  fieldNames: readonly string[],
  rows: (signal: AbortSignal | undefined) => AsyncIterable<TextRow>,
): RawRows {
  return {
    rows: null,
    width,
    dtype: "text",
    async *read({ rowsPerBlock, signal }) {
      let first = 0;
      let block = new TextBlock(width, fieldNames, rowsPerBlock);
      for await (const row of rows(signal)) {
        block.add(row);
        if (block.rows < rowsPerBlock) continue;
        yield block.finish(first);
        first += block.rows;
        block = new TextBlock(width, fieldNames, rowsPerBlock);
        signal?.throwIfAborted();
      }
      if (block.rows > 0) yield block.finish(first);
    },
    close: async () => {},
  };
}

class TextBlock {
  rows = 0;
  readonly #width: number;
  readonly #values: Float32Array;
  readonly #lines: number[] = [];
  readonly #fields: Readonly<Record<string, FieldValue[]>>;
  readonly #unreadable = new Map<number, { readonly reason: string; readonly value: string }>();

  constructor(width: number, fieldNames: readonly string[], rowsPerBlock: number) {
    this.#width = width;
    this.#values = new Float32Array(rowsPerBlock * width);
    this.#fields = Object.fromEntries(fieldNames.map((name) => [name, []]));
  }

  add({ line, vector, fields }: TextRow): void {
    const row = this.rows++;
    this.#lines.push(line);
    for (const [name, column] of Object.entries(this.#fields)) column.push(fields[name] ?? null);
    if ("reason" in vector) this.#unreadable.set(row, vector);
    else if (vector.length !== this.#width)
      this.#unreadable.set(row, {
        reason: `row does not have the ${this.#width} numbers of the first one`,
        value: `${vector.length} numbers`,
      });
    else this.#values.set(vector, row * this.#width);
  }

  finish(first: number): RawBlock {
    return {
      first,
      rows: this.rows,
      values: this.#values.subarray(0, this.rows * this.#width),
      fields: this.#fields,
      lines: this.#lines,
      unreadable: this.#unreadable,
    };
  }
}

/** A number as CSV files write it, `nan` and `inf` of any case included; undefined for anything else. */
export function parseNumber(text: string): number | undefined {
  const trimmed = text.trim();
  if (trimmed === "") return undefined;
  const value = Number(trimmed);
  if (!Number.isNaN(value)) return value;
  if (/^[+-]?nan$/i.test(trimmed)) return Number.NaN;
  if (/^[+-]?inf(inity)?$/i.test(trimmed))
    return trimmed.startsWith("-") ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  return undefined;
}

/** Whether a parsed JSON value is a list of numbers; null stands for NaN, which JSON lacks. */
export function isNumberList(value: unknown): value is readonly (number | null)[] {
  return (
    Array.isArray(value) &&
    value.length > 0 &&
    value.every((item) => typeof item === "number" || item === null) &&
    value.some((item) => item !== null)
  );
}

/** A JSON value as a field. Lists and objects become their JSON. */
export function fieldValue(value: unknown): FieldValue {
  if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") return value;
  return value === null || value === undefined ? null : JSON.stringify(value);
}
