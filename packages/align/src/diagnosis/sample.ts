import { type Key, type NDArray, permutation } from "@concord/tensor";

/** Unit rows: [n, D]. */
export type UnitRows = NDArray<"float32">;

/** These rows, in this order. */
export function takeRows(rows: UnitRows, positions: ArrayLike<number>): UnitRows {
  const width = rows.shape[1] as number;
  const data = new Float32Array(positions.length * width);
  for (let i = 0; i < positions.length; i++) {
    const from = (positions[i] as number) * width;
    data.set(rows.data.subarray(from, from + width), i * width);
  }
  return { dtype: "float32", shape: [positions.length, width], data };
}

/** At most `limit` of the numbers 0 .. count - 1, at random, ascending. */
export function choose(count: number, limit: number, key: Key): Uint32Array {
  if (count <= limit) return Uint32Array.from({ length: count }, (_, i) => i);
  return permutation(key, count).subarray(0, limit).sort();
}

/** Rows below each other. */
export function stack(a: UnitRows, b: UnitRows): UnitRows {
  const data = new Float32Array(a.data.length + b.data.length);
  data.set(a.data);
  data.set(b.data, a.data.length);
  return {
    dtype: "float32",
    shape: [(a.shape[0] as number) + (b.shape[0] as number), a.shape[1] as number],
    data,
  };
}

/** Mean over rows. */
export function centroidOf(rows: UnitRows): Float64Array {
  const [n, width] = rows.shape as [number, number];
  const sums = new Float64Array(width);
  for (let i = 0; i < n; i++)
    for (let k = 0; k < width; k++) sums[k] = (sums[k] as number) + (rows.data[i * width + k] as number);
  return sums.map((sum) => sum / n);
}

/** Rows minus a vector, scaled to length 1 again; a row that becomes 0 stays 0. */
export function shifted(rows: UnitRows, shift: Float64Array): UnitRows {
  const [n, width] = rows.shape as [number, number];
  const data = new Float32Array(n * width);
  for (let i = 0; i < n; i++)
    for (let k = 0; k < width; k++)
      data[i * width + k] = (rows.data[i * width + k] as number) - (shift[k] as number);
  return scaledToUnit({ dtype: "float32", shape: [n, width], data });
}

/** Scales rows to length 1 in place; what rounding leaves of an equal row counts as 0. */
export function scaledToUnit(rows: UnitRows): UnitRows {
  const [n, width] = rows.shape as [number, number];
  const { data } = rows;
  for (let i = 0; i < n; i++) {
    let squares = 0;
    for (let k = 0; k < width; k++) squares += (data[i * width + k] as number) ** 2;
    const factor = squares > 1e-12 ? 1 / Math.sqrt(squares) : 0;
    for (let k = 0; k < width; k++) data[i * width + k] = (data[i * width + k] as number) * factor;
  }
  return rows;
}

/** Pairs of sampled rows by their places in the two samples; a row may be in several. */
export interface PairedPlaces {
  readonly a: Uint32Array;
  readonly b: Uint32Array;
}

/** For each row of one side, the rows of the other side that belong to it. */
export function partnersOf(pairs: PairedPlaces, side: "a" | "b"): ReadonlyMap<number, readonly number[]> {
  const own = pairs[side];
  const other = pairs[side === "a" ? "b" : "a"];
  const partners = new Map<number, number[]>();
  own.forEach((row, i) => {
    const list = partners.get(row);
    if (list) list.push(other[i] as number);
    else partners.set(row, [other[i] as number]);
  });
  return partners;
}

/** Part of the pairs, and the rows that they use, numbered anew. */
export function restrictPairs(
  a: UnitRows,
  b: UnitRows,
  pairs: PairedPlaces,
  chosen: ArrayLike<number>,
): { a: UnitRows; b: UnitRows; pairs: PairedPlaces } {
  const side = (rows: UnitRows, places: Uint32Array): readonly [UnitRows, Uint32Array] => {
    const numbers = new Map<number, number>();
    const own = Uint32Array.from({ length: chosen.length }, (_, i) => {
      const row = places[chosen[i] as number] as number;
      const known = numbers.get(row);
      if (known !== undefined) return known;
      numbers.set(row, numbers.size);
      return numbers.size - 1;
    });
    return [takeRows(rows, [...numbers.keys()]), own];
  };
  const [left, ofA] = side(a, pairs.a);
  const [right, ofB] = side(b, pairs.b);
  return { a: left, b: right, pairs: { a: ofA, b: ofB } };
}
