import type { NDArray } from "../core/ndarray.ts";
import { sizeOf } from "../core/ndarray.ts";

/**
 * A random key: two 32-bit words. Keys are passed, never hidden: the same key always gives the same numbers,
 * on every runtime, inside a compiled graph (see `graph.ts`) as well as here on the host.
 */
export type Key = readonly [number, number];

/** Constants of the mixing function, shared with its in-graph twin. */
export const MIX = {
  golden: 0x9e3779b9,
  first: 0x85ebca6b,
  second: 0xc2b2ae35,
  third: 0x27d4eb2f,
  tweak: 0x5bd1e995,
} as const;

/**
 * 32 random bits for one counter: a multiply-xorshift finaliser with the key injected twice.
 * For a fixed key it is a bijection of the counter.
 */
export function bitsAt(key: Key, counter: number): number {
  let x = (Math.imul(counter, MIX.golden) + key[0]) | 0;
  x = Math.imul(x ^ (x >>> 16), MIX.first);
  x = (x ^ (x >>> 13)) + key[1];
  x = Math.imul(x, MIX.second);
  x = Math.imul(x ^ (x >>> 16), MIX.third);
  return (x ^ (x >>> 15)) >>> 0;
}

/** A key from an integer seed (up to 2^53). */
export function randomKey(seed: number): Key {
  if (!Number.isSafeInteger(seed) || seed < 0)
    throw new RangeError(`randomKey: the seed must be an integer >= 0, got ${seed}`);
  return foldIn([seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0], MIX.golden);
}

/** A new key that depends on `key` and on an integer, e.g. the number of the step, epoch or layer. */
export function foldIn(key: Key, data: number): Key {
  return [bitsAt(key, data), bitsAt([(key[1] ^ MIX.tweak) >>> 0, key[0]], data)];
}

/** `count` independent keys. */
export function splitKey(key: Key, count: number): Key[] {
  return Array.from({ length: count }, (_, index) => foldIn(key, index));
}

/** Uniform numbers in [low, high), float32, 24 random bits each. */
export function uniformArray(key: Key, shape: readonly number[], low = 0, high = 1): NDArray<"float32"> {
  const data = new Float32Array(sizeOf(shape));
  for (let i = 0; i < data.length; i++) {
    const value = Math.fround(low + (bitsAt(key, i) >>> 8) * 2 ** -24 * (high - low));
    data[i] = value < high ? value : low; // rounding to float32 can reach the bound
  }
  return { dtype: "float32", shape: [...shape], data };
}

/** Normal numbers by the Box-Muller transform of two streams of uniform numbers. */
export function normalArray(key: Key, shape: readonly number[], mean = 0, deviation = 1): NDArray<"float32"> {
  const data = new Float32Array(sizeOf(shape));
  const radius = foldIn(key, 0);
  const angle = foldIn(key, 1);
  for (let i = 0; i < data.length; i++) {
    const u = ((bitsAt(radius, i) >>> 8) + 1) * 2 ** -24;
    const v = (bitsAt(angle, i) >>> 8) * 2 ** -24;
    data[i] = mean + deviation * Math.sqrt(-2 * Math.log(u)) * Math.cos(2 * Math.PI * v);
  }
  return { dtype: "float32", shape: [...shape], data };
}

/** A uniformly random order of 0 .. length-1 (Fisher-Yates). */
export function permutation(key: Key, length: number): Uint32Array {
  const order = new Uint32Array(length);
  for (let i = 0; i < length; i++) order[i] = i;
  const stream = new RandomStream(key);
  for (let i = length - 1; i > 0; i--) {
    const j = stream.integer(i + 1);
    const swap = order[i] as number;
    order[i] = order[j] as number;
    order[j] = swap;
  }
  return order;
}

/** Numbers one after another from one key, for host code such as generators and augmentation. */
export class RandomStream {
  readonly #key: Key;
  #counter = 0;

  constructor(key: Key) {
    this.#key = key;
  }

  /** Uniform in [low, high), 53 random bits. */
  uniform(low = 0, high = 1): number {
    const a = bitsAt(this.#key, this.#counter++) >>> 5;
    const b = bitsAt(this.#key, this.#counter++) >>> 6;
    return low + ((a * 2 ** 26 + b) / 2 ** 53) * (high - low);
  }

  /** Uniform integer in [0, bound). */
  integer(bound: number): number {
    return Math.floor(this.uniform() * bound);
  }

  normal(mean = 0, deviation = 1): number {
    const u = 1 - this.uniform();
    return mean + deviation * Math.sqrt(-2 * Math.log(u)) * Math.cos(2 * Math.PI * this.uniform());
  }

  /** True with the given probability. */
  chance(probability: number): boolean {
    return this.uniform() < probability;
  }

  /** One element of a non-empty list. */
  pick<T>(items: readonly T[]): T {
    if (items.length === 0) throw new RangeError("RandomStream.pick: the list is empty");
    return items[this.integer(items.length)] as T;
  }

  /** `count` different elements of a list, in random order. */
  sample<T>(items: readonly T[], count: number): T[] {
    const pool = [...items];
    const chosen: T[] = [];
    while (chosen.length < count && pool.length > 0)
      chosen.push(...pool.splice(this.integer(pool.length), 1));
    return chosen;
  }
}
