import { type NDArray, permutation, RandomStream, randomKey } from "@concord/tensor";

/** A stream of numbers, the same for the same seed. */
export function numbers(seed: number): RandomStream {
  return new RandomStream(randomKey(seed));
}

export function integers(seed: number, count: number, bound: number): number[] {
  const stream = numbers(seed);
  return Array.from({ length: count }, () => stream.integer(bound));
}

/** Rows as float64, so that nothing is rounded on the way. */
export function rows(values: readonly (readonly number[])[]): NDArray<"float64"> {
  return {
    dtype: "float64",
    shape: [values.length, values[0]?.length ?? 0],
    data: Float64Array.from(values.flat()),
  };
}

export function randomRows(seed: number, count: number, width: number): NDArray<"float64"> {
  const stream = numbers(seed);
  return rows(Array.from({ length: count }, () => Array.from({ length: width }, () => stream.normal())));
}

export function shuffled<T>(seed: number, items: readonly T[]): T[] {
  return Array.from(permutation(randomKey(seed), items.length), (i) => items[i] as T);
}

export const average = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

/** All orders of some items. */
export function orders<T>(items: readonly T[]): T[][] {
  if (items.length <= 1) return [[...items]];
  return items.flatMap((item, i) => orders(items.toSpliced(i, 1)).map((rest) => [item, ...rest]));
}
