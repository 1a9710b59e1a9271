import type { PackedCodes } from "../components/codes.ts";
import { checkSearch, type SearchOptions, type SearchResult } from "./results.ts";

/** Binary codes that are searched by comparing every one of them. */
export interface HammingIndex {
  /** N */
  readonly size: number;
  /** B */
  readonly bits: number;
  /**
   * The k codes that differ from each query in the fewest bits; scores are these numbers of bits. Exact.
   *
   * @throws RangeError when the queries have another number of bits, or k or the mask do not fit
   */
  search(queries: PackedCodes, options?: SearchOptions): SearchResult;
}

function ones(word: number): number {
  let x = word - ((word >>> 1) & 0x55555555);
  x = (x & 0x33333333) + ((x >>> 2) & 0x33333333);
  return Math.imul((x + (x >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

const MAX_BITS = 65_535;

/** Codes as 32-bit words, as many a code, with zeros beyond the last bit. */
function wordsOf(
  operation: string,
  { count, bits, bytes }: PackedCodes,
): { readonly words: Int32Array; readonly width: number } {
  const byteWidth = Math.ceil(bits / 8);
  if (!Number.isInteger(bits) || bits < 1 || bits > MAX_BITS || !Number.isInteger(count) || count < 0)
    throw new RangeError(`${operation}: expected codes of 1 to ${MAX_BITS} bits, got ${count} of ${bits}`);
  if (bytes.length !== count * byteWidth)
    throw new RangeError(
      `${operation}: ${bytes.length} bytes are there, but ${count} codes of ${bits} bits take ${count * byteWidth}`,
    );
  const width = Math.ceil(bits / 32);
  const words = new Int32Array(count * width);
  const target = new Uint8Array(words.buffer);
  const lastByte = bits % 8 === 0 ? 0xff : 2 ** (bits % 8) - 1;
  for (let row = 0; row < count; row++) {
    target.set(bytes.subarray(row * byteWidth, (row + 1) * byteWidth), row * width * 4);
    const last = row * width * 4 + byteWidth - 1;
    target[last] = (target[last] as number) & lastByte;
  }
  return { words, width };
}

/** Distances of one code to all items, for the widths that people use without a loop within the loop. */
function distancesTo(query: Int32Array, words: Int32Array, width: number, distances: Uint16Array): void {
  const [q0 = 0, q1 = 0] = query;
  if (width === 1) {
    for (let i = 0; i < distances.length; i++) distances[i] = ones((words[i] as number) ^ q0);
  } else if (width === 2) {
    for (let i = 0, at = 0; i < distances.length; i++, at += 2)
      distances[i] = ones((words[at] as number) ^ q0) + ones((words[at + 1] as number) ^ q1);
  } else {
    for (let i = 0, at = 0; i < distances.length; i++) {
      let sum = 0;
      for (let w = 0; w < width; w++, at++) sum += ones((words[at] as number) ^ (query[w] as number));
      distances[i] = sum;
    }
  }
}

/**
 * An index of binary codes that counts differing bits, code by code: N · B / 32 steps a query. Made for many queries:
 * codes are laid out as words once. `hammingNearest` does the same for one call.
 *
 * @throws RangeError when bytes and number of codes do not fit
 */
export function createHammingIndex(codes: PackedCodes): HammingIndex {
  const { words, width } = wordsOf("createHammingIndex", codes);
  const { count: size, bits } = codes;
  const distances = new Uint16Array(size);
  const places = new Int32Array(bits + 2);
  return {
    size,
    bits,
    search(queries, options = {}) {
      if (queries.bits !== bits)
        throw new RangeError(`search: queries have ${queries.bits} bits, the codes of the index ${bits}`);
      const own = wordsOf("search", queries).words;
      const k = checkSearch("search", size, options);
      const { mask } = options;
      const indices = new Int32Array(queries.count * k);
      const scores = new Float32Array(queries.count * k);
      if (k === 0) return { k, indices, scores };
      for (let q = 0; q < queries.count; q++) {
        distancesTo(own.subarray(q * width, (q + 1) * width), words, width, distances);
        // Counting sort: where each distance begins among the results. Stable, so the lower index comes first.
        places.fill(0);
        for (let i = 0; i < size; i++) {
          if (mask !== undefined && mask[i] === 0) continue;
          const next = (distances[i] as number) + 1;
          places[next] = (places[next] as number) + 1;
        }
        for (let d = 1; d < places.length; d++) places[d] = (places[d] as number) + (places[d - 1] as number);
        for (let i = 0; i < size; i++) {
          const distance = distances[i] as number;
          const place = places[distance] as number;
          if (place >= k || (mask !== undefined && mask[i] === 0)) continue;
          places[distance] = place + 1;
          indices[q * k + place] = i;
          scores[q * k + place] = distance;
        }
      }
      return { k, indices, scores };
    },
  };
}
