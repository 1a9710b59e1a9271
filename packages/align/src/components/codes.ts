import type { NDArray } from "@concord/tensor";
import { checkPacked, codeWords, distancesTo, nearestByCounting } from "./code-words.ts";

/** Binary codes of N things, packed. */
export interface PackedCodes {
  /** N */
  readonly count: number;
  /** B, bits of a code. */
  readonly bits: number;
  /**
   * [N · ⌈B / 8⌉]: bit b of a code is bit b mod 8, counted from the lowest, of its byte ⌊b / 8⌋, and bits beyond B are
   * 0. NumPy's packbits with bitorder "little", and what Faiss reads.
   */
  readonly bytes: Uint8Array;
}

/**
 * Codes as bits, eight to a byte. A bit is set where the value is above 0, so ±1, 0/1 and relaxed codes all work.
 *
 * @param codes  [N, B] of any dtype
 * @throws RangeError when there is no code or no bit, or a value is NaN
 */
export function packCodes(codes: NDArray): PackedCodes {
  const [count, bits] = codes.shape;
  if (codes.shape.length !== 2 || !count || !bits)
    throw new RangeError(
      `packCodes: codes must be a non-empty matrix [N, B], got shape [${codes.shape.join(", ")}]`,
    );
  const width = Math.ceil(bits / 8);
  const bytes = new Uint8Array(count * width);
  for (let row = 0; row < count; row++) {
    for (let bit = 0; bit < bits; bit++) {
      const value = Number(codes.data[row * bits + bit]);
      if (value > 0) {
        const place = row * width + (bit >> 3);
        bytes[place] = (bytes[place] as number) | (1 << (bit & 7));
      } else if (Number.isNaN(value)) throw new RangeError(`packCodes: NaN in row ${row}, bit ${bit}`);
    }
  }
  return { count, bits, bytes };
}

/**
 * Codes as +1 and -1, [N, B]: the inverse of `packCodes`.
 *
 * @throws RangeError when the number of bytes does not fit
 */
export function unpackCodes(packed: PackedCodes): NDArray<"float32"> {
  checkPacked("unpackCodes", "packed", packed);
  const { count, bits, bytes } = packed;
  const width = Math.ceil(bits / 8);
  const data = new Float32Array(count * bits);
  for (let i = 0; i < data.length; i++) {
    const bit = i % bits;
    const byte = bytes[Math.floor(i / bits) * width + (bit >> 3)] as number;
    data[i] = (byte >> (bit & 7)) & 1 ? 1 : -1;
  }
  return { dtype: "float32", shape: [count, bits], data };
}

/** Visits the distances of one query after another to all items; the array is used again. */
function forEachQuery(
  operation: string,
  queries: PackedCodes,
  items: PackedCodes,
  visit: (query: number, distances: Uint16Array) => void,
): void {
  const [left, right] = [codeWords(operation, "queries", queries), codeWords(operation, "items", items)];
  if (queries.bits !== items.bits)
    throw new RangeError(
      `${operation}: queries and items must have one number of bits, got ${queries.bits} and ${items.bits}`,
    );
  const { width } = right;
  const distances = new Uint16Array(items.count);
  for (let q = 0; q < queries.count; q++) {
    distancesTo(left.words.subarray(q * width, (q + 1) * width), right, distances);
    visit(q, distances);
  }
}

/**
 * Hamming distances of all pairs of codes: how many bits differ.
 *
 * @returns [Q, N] int32; for many items take `hammingNearest`
 * @throws RangeError when the numbers of bits differ or bytes do not fit
 */
export function hammingDistances(queries: PackedCodes, items: PackedCodes): NDArray<"int32"> {
  const data = new Int32Array(queries.count * items.count);
  forEachQuery("hammingDistances", queries, items, (query, distances) =>
    data.set(distances, query * items.count),
  );
  return { dtype: "int32", shape: [queries.count, items.count], data };
}

export interface HammingNeighbours {
  /** [Q, k] int32: nearest first; among equals the smaller index first. */
  readonly indices: NDArray<"int32">;
  /** [Q, k] int32. */
  readonly distances: NDArray<"int32">;
}

/**
 * The k nearest codes of each query by Hamming distance. Exact; Q · N · B / 32 steps, memory N.
 *
 * @throws RangeError when the numbers of bits differ, bytes do not fit, or k is not in [1, N]
 */
export function hammingNearest(queries: PackedCodes, items: PackedCodes, k: number): HammingNeighbours {
  const operation = "hammingNearest";
  if (!Number.isInteger(k) || k < 1 || k > items.count)
    throw new RangeError(`${operation}: k must be an integer in [1, ${items.count}], got ${k}`);
  const indices = new Int32Array(queries.count * k);
  const found = new Int32Array(queries.count * k);
  const nearest = nearestByCounting(items.bits);
  forEachQuery(operation, queries, items, (query, distances) =>
    nearest(distances, k, undefined, (place, index, distance) => {
      indices[query * k + place] = index;
      found[query * k + place] = distance;
    }),
  );
  const shape = [queries.count, k];
  return {
    indices: { dtype: "int32", shape, data: indices },
    distances: { dtype: "int32", shape, data: found },
  };
}
