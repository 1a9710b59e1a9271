import { codeWords, distancesTo, nearestByCounting } from "../components/code-words.ts";
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

/**
 * An index of binary codes that counts differing bits, code by code: N · B / 32 steps a query. Made for many queries:
 * codes are laid out as words once. `hammingNearest` does the same for one call.
 *
 * @throws RangeError when bytes and number of codes do not fit
 */
export function createHammingIndex(codes: PackedCodes): HammingIndex {
  const items = codeWords("createHammingIndex", "codes", codes, 0);
  const { width } = items;
  const { count: size, bits } = codes;
  const distances = new Uint16Array(size);
  const nearest = nearestByCounting(bits);
  return {
    size,
    bits,
    search(queries, options = {}) {
      if (queries.bits !== bits)
        throw new RangeError(`search: queries have ${queries.bits} bits, the codes of the index ${bits}`);
      const own = codeWords("search", "queries", queries, 0).words;
      const k = checkSearch("search", size, options);
      const { mask } = options;
      const indices = new Int32Array(queries.count * k);
      const scores = new Float32Array(queries.count * k);
      if (k === 0) return { k, indices, scores };
      for (let q = 0; q < queries.count; q++) {
        distancesTo(own.subarray(q * width, (q + 1) * width), items, distances);
        nearest(distances, k, mask, (place, index, distance) => {
          indices[q * k + place] = index;
          scores[q * k + place] = distance;
        });
      }
      return { k, indices, scores };
    },
  };
}
