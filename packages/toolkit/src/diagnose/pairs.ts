import type { CollectedSet, DiagnosisInput } from "@concord/align";
import { type FieldValue, openColumn } from "@concord/data";
import { type Key, permutation } from "@concord/tensor";
import type { OpenInput } from "./inputs.ts";

/** Pairs in a table: two columns that hold row numbers (from 0) or ids. */
export interface PairFile {
  readonly file: string;
  /** Columns of the rows of A and of B, default "a" and "b". */
  readonly columns?: readonly [string, string];
  /** Columns of the vector files that hold ids, when the pairs are of ids and not of row numbers. */
  readonly ids?: readonly [string, string];
}

/**
 * Which rows belong together: "rows" (row i and row i; the default when both sets have as many rows), "none" (two sets
 * without pairs), a table, or lists of row numbers.
 */
export type PairInput = "rows" | "none" | PairFile | readonly (readonly [number, number])[];

/** Row numbers of pairs in the two sets. */
export interface RowPairs {
  readonly a: Float64Array;
  readonly b: Float64Array;
}

function rowNumber(value: FieldValue, where: string): number {
  const number = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
  if (typeof number !== "number" || !Number.isSafeInteger(number) || number < 0) {
    throw new RangeError(
      `${where}: expected a row number, counted from 0, got ${JSON.stringify(value)}; for ids name their columns in the vector files`,
    );
  }
  return number;
}

/** The row of each id. */
async function rowsById(input: OpenInput, column: string): Promise<ReadonlyMap<string, number>> {
  if (input.path === null)
    throw new RangeError(`${input.name}: ids can be read from files only; give row numbers for arrays`);
  const rows = new Map<string, number>();
  for (const [row, id] of (await openColumn(input.path, { column })).entries()) {
    const name = String(id);
    const first = rows.get(name);
    if (first !== undefined) {
      throw new RangeError(
        `${input.name}: the id ${JSON.stringify(name)} stands in row ${first} and in row ${row}; ids must name one row`,
      );
    }
    rows.set(name, row);
  }
  return rows;
}

async function ofFile(
  { file, columns = ["a", "b"], ids }: PairFile,
  inputs: readonly [OpenInput, OpenInput],
): Promise<RowPairs> {
  const sides: Float64Array[] = [];
  for (const [side, input] of inputs.entries()) {
    const column = columns[side] as string;
    const values = await openColumn(file, { column });
    const where = (i: number) => `${file}, pair ${i + 1}, column ${column}`;
    const idColumn = ids?.[side];
    const rows = idColumn === undefined ? null : await rowsById(input, idColumn);
    sides.push(
      Float64Array.from(values, (value, i) => {
        if (rows === null) return rowNumber(value, where(i));
        const row = rows.get(String(value));
        if (row === undefined)
          throw new RangeError(`${where(i)}: no row of ${input.name} has the id ${JSON.stringify(value)}`);
        return row;
      }),
    );
  }
  return { a: sides[0] as Float64Array, b: sides[1] as Float64Array };
}

/**
 * The pairs that were named, or null for row i with row i.
 *
 * @throws RangeError when a row does not exist, VectorFileError when the table cannot be read
 */
export async function readPairs(
  pairs: Exclude<PairInput, "rows" | "none">,
  inputs: readonly [OpenInput, OpenInput],
): Promise<RowPairs> {
  const found =
    "file" in pairs
      ? await ofFile(pairs, inputs)
      : {
          a: Float64Array.from(pairs, ([row], i) => rowNumber(row, `pair ${i}`)),
          b: Float64Array.from(pairs, ([, row], i) => rowNumber(row, `pair ${i}`)),
        };
  for (const [side, input] of inputs.entries()) {
    const { rows, name } = input;
    const wrong = (side === 0 ? found.a : found.b).findIndex((row) => rows !== null && row >= rows);
    if (wrong >= 0) {
      const row = (side === 0 ? found.a : found.b)[wrong];
      throw new RangeError(
        `pair ${wrong + 1} names row ${row} of ${name}, which has ${rows} rows (0 to ${(rows ?? 0) - 1})`,
      );
    }
  }
  return found;
}

/** At most so many of the pairs, at random. */
export function samplePairs(pairs: RowPairs, limit: number, key: Key): RowPairs {
  if (pairs.a.length <= limit) return pairs;
  const chosen = permutation(key, pairs.a.length).subarray(0, limit).sort();
  return {
    a: Float64Array.from(chosen, (i) => pairs.a[i] as number),
    b: Float64Array.from(chosen, (i) => pairs.b[i] as number),
  };
}

type PlacedPairs = NonNullable<DiagnosisInput["pairs"]>;

/** Pairs by places in the samples; those with a row that was left out are left out. */
export function placePairs(a: CollectedSet, b: CollectedSet, pairs: RowPairs, total: number): PlacedPairs {
  const placeIn = ({ indices }: CollectedSet): ReadonlyMap<number, number> =>
    new Map(Array.from(indices, (row, place) => [row, place]));
  const [ofA, ofB] = [placeIn(a), placeIn(b)];
  const left: number[] = [];
  const right: number[] = [];
  pairs.a.forEach((row, i) => {
    const [x, y] = [ofA.get(row), ofB.get(pairs.b[i] as number)];
    if (x === undefined || y === undefined) return;
    left.push(x);
    right.push(y);
  });
  return { a: Uint32Array.from(left), b: Uint32Array.from(right), total, sameRows: false };
}

/** Row i with row i, of the rows that are in both samples. */
export function sameRowPairs(a: CollectedSet, b: CollectedSet): PlacedPairs {
  const left: number[] = [];
  const right: number[] = [];
  // Both lists ascend.
  for (let i = 0, j = 0; i < a.indices.length && j < b.indices.length; ) {
    const difference = (a.indices[i] as number) - (b.indices[j] as number);
    if (difference === 0) {
      left.push(i);
      right.push(j);
    }
    if (difference <= 0) i++;
    if (difference >= 0) j++;
  }
  return {
    a: Uint32Array.from(left),
    b: Uint32Array.from(right),
    total: Math.min(a.rows, b.rows),
    sameRows: true,
  };
}
