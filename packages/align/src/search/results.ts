import type { NDArray } from "@concord/tensor";

/** The k best items of each query, best first; the lower index first among equals. */
export interface SearchResult {
  /** Results a query: the k that was asked for, or fewer when fewer items may be found. */
  readonly k: number;
  /** [Q, k] */
  readonly indices: Int32Array;
  /** [Q, k]: similarities, highest first, or distances, lowest first. */
  readonly scores: Float32Array;
}

export interface SearchOptions {
  /** How many items to find. Default 10. */
  readonly k?: number;
  /** [N]: only items whose value is not 0 can be found. */
  readonly mask?: Uint8Array;
}

/** @throws RangeError when k or the mask do not fit the index */
export function checkSearch(operation: string, size: number, { k = 10, mask }: SearchOptions): number {
  if (!Number.isInteger(k) || k < 1)
    throw new RangeError(`${operation}: k must be an integer >= 1, got ${k}`);
  if (mask !== undefined && mask.length !== size)
    throw new RangeError(`${operation}: mask has ${mask.length} values for ${size} items`);
  if (mask === undefined) return Math.min(k, size);
  let allowed = 0;
  for (const value of mask) if (value !== 0) allowed++;
  return Math.min(k, allowed);
}

/** Rows [N, D] of floats, or one of them as [D]. */
export type FloatRows = NDArray<"float32" | "float64">;

/**
 * How many rows there are.
 *
 * @throws RangeError when the shape is another or a value is not finite, naming it
 */
export function checkMatrix(operation: string, name: string, rows: FloatRows, width: number): number {
  const { shape, data } = rows;
  const [count, found] = shape.length === 1 ? [1, shape[0]] : shape;
  if (shape.length > 2 || count === undefined || found !== width || data.length !== count * width)
    throw new RangeError(
      `${operation}: ${name} must have shape [N, ${width}] or [${width}], got [${shape.join(", ")}]`,
    );
  for (let i = 0; i < data.length; i++) {
    if (!Number.isFinite(data[i]))
      throw new RangeError(
        `${operation}: ${name} has the value ${data[i]} in row ${Math.floor(i / width)}, column ${i % width}; only finite values can be compared`,
      );
  }
  return count;
}
