import type { PackedCodes } from "./codes.ts";

/** Distances are kept as 16-bit numbers. */
const MAX_BITS = 65_535;

/** Codes as 32-bit words, with zeros beyond the last bit. */
export interface CodeWords {
  /** [N · width] */
  readonly words: Int32Array;
  /** ⌈B / 32⌉, words of a code. */
  readonly width: number;
}

/** @throws RangeError unless there is a byte for every eight bits of every code, and no byte beyond */
export function checkPacked(
  operation: string,
  name: string,
  { count, bits, bytes }: PackedCodes,
  leastCount = 1,
): void {
  if (!Number.isInteger(bits) || bits < 1 || !Number.isInteger(count) || count < leastCount)
    throw new RangeError(
      `${operation}: ${name} must have bits >= 1 and count >= ${leastCount}, both integers; got ${bits} and ${count}`,
    );
  const width = Math.ceil(bits / 8);
  if (bytes.length !== count * width)
    throw new RangeError(
      `${operation}: ${name} holds ${bytes.length} bytes, but ${count} codes of ${bits} bits take ${count * width}`,
    );
}

/**
 * Words of packed codes. Bits beyond B are cleared, whatever the bytes hold.
 *
 * @throws RangeError as `checkPacked`, and above 65,535 bits
 */
export function codeWords(operation: string, name: string, packed: PackedCodes, leastCount = 1): CodeWords {
  checkPacked(operation, name, packed, leastCount);
  const { count, bits, bytes } = packed;
  if (bits > MAX_BITS)
    throw new RangeError(`${operation}: ${name} must have at most ${MAX_BITS} bits, got ${bits}`);
  const [byteWidth, width] = [Math.ceil(bits / 8), Math.ceil(bits / 32)];
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

/** Number of set bits of a 32-bit word. */
function ones(word: number): number {
  let x = word - ((word >>> 1) & 0x55555555);
  x = (x & 0x33333333) + ((x >>> 2) & 0x33333333);
  return Math.imul((x + (x >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

/** Hamming distances of one code to all items; the widths that people use go without a loop within the loop. */
export function distancesTo(query: Int32Array, { words, width }: CodeWords, distances: Uint16Array): void {
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
 * A function that visits the k smallest of distances in order, the lower index first among equals, without those that a
 * mask has at 0. It counts how often each distance occurs, which says where each begins among the results.
 */
export function nearestByCounting(bits: number) {
  const places = new Int32Array(bits + 2);
  return (
    distances: Uint16Array,
    k: number,
    mask: Uint8Array | undefined,
    visit: (place: number, index: number, distance: number) => void,
  ): void => {
    places.fill(0);
    for (let i = 0; i < distances.length; i++) {
      if (mask !== undefined && mask[i] === 0) continue;
      const next = (distances[i] as number) + 1;
      places[next] = (places[next] as number) + 1;
    }
    for (let d = 1; d < places.length; d++) places[d] = (places[d] as number) + (places[d - 1] as number);
    for (let i = 0; i < distances.length; i++) {
      const distance = distances[i] as number;
      const place = places[distance] as number;
      if (place >= k || (mask !== undefined && mask[i] === 0)) continue;
      places[distance] = place + 1;
      visit(place, i, distance);
    }
  };
}
