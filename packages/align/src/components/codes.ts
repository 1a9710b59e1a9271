import type { NDArray } from "@concord/tensor";

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

/** @throws RangeError unless there is a byte for every eight bits of every code, and no bit beyond */
function checkPacked(operation: string, name: string, { count, bits, bytes }: PackedCodes): void {
  if (!Number.isInteger(bits) || bits < 1 || !Number.isInteger(count) || count < 1)
    throw new RangeError(
      `${operation}: ${name} must have count and bits that are integers >= 1, got ${count} and ${bits}`,
    );
  const width = Math.ceil(bits / 8);
  if (bytes.length !== count * width)
    throw new RangeError(
      `${operation}: ${name} holds ${bytes.length} bytes, but ${count} codes of ${bits} bits take ${count * width}`,
    );
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

/** Codes as 32-bit words, padded with zeros; bits beyond B are cleared, whatever the bytes hold. */
function wordsOf({ count, bits, bytes }: PackedCodes): {
  readonly words: Uint32Array;
  readonly width: number;
} {
  const [byteWidth, width] = [Math.ceil(bits / 8), Math.ceil(bits / 32)];
  const words = new Uint32Array(count * width);
  const rest = bits & 31;
  const lastWord = rest === 0 ? 0xffffffff : 2 ** rest - 1;
  for (let row = 0; row < count; row++) {
    for (let i = 0; i < byteWidth; i++) {
      const place = row * width + (i >> 2);
      words[place] =
        ((words[place] as number) | ((bytes[row * byteWidth + i] as number) << (8 * (i & 3)))) >>> 0;
    }
    const last = (row + 1) * width - 1;
    words[last] = ((words[last] as number) & lastWord) >>> 0;
  }
  return { words, width };
}

function ones(word: number): number {
  let x = word - ((word >>> 1) & 0x55555555);
  x = (x & 0x33333333) + ((x >>> 2) & 0x33333333);
  return Math.imul((x + (x >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

/** Visits the distances of one query after another to all items; the array is used again. */
function forEachQuery(
  operation: string,
  queries: PackedCodes,
  items: PackedCodes,
  visit: (query: number, distances: Uint16Array) => void,
): void {
  checkPacked(operation, "queries", queries);
  checkPacked(operation, "items", items);
  if (queries.bits !== items.bits || items.bits > 65535)
    throw new RangeError(
      `${operation}: queries and items must have one number of bits, at most 65535; got ${queries.bits} and ${items.bits}`,
    );
  const [left, right] = [wordsOf(queries), wordsOf(items)];
  const { width, words } = right;
  const distances = new Uint16Array(items.count);
  for (let q = 0; q < queries.count; q++) {
    const own = left.words.subarray(q * width, (q + 1) * width);
    for (let i = 0, place = 0; i < distances.length; i++) {
      let distance = 0;
      for (let w = 0; w < width; w++, place++)
        distance += ones((own[w] as number) ^ (words[place] as number));
      distances[i] = distance;
    }
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
  const places = new Int32Array(items.bits + 2);
  forEachQuery(operation, queries, items, (query, distances) => {
    // Counting sort: where each distance begins among the results.
    places.fill(0);
    for (let i = 0; i < distances.length; i++) {
      const after = (distances[i] as number) + 1;
      places[after] = (places[after] as number) + 1;
    }
    for (let d = 1; d < places.length; d++) places[d] = (places[d] as number) + (places[d - 1] as number);
    for (let i = 0; i < distances.length; i++) {
      const distance = distances[i] as number;
      const place = places[distance] as number;
      if (place >= k) continue;
      indices[query * k + place] = i;
      found[query * k + place] = distance;
      places[distance] = place + 1;
    }
  });
  const shape = [queries.count, k];
  return {
    indices: { dtype: "int32", shape, data: indices },
    distances: { dtype: "int32", shape, data: found },
  };
}
