import type { DType, Key, NDArray, Tensor } from "../../src/index.ts";
import { evaluate, foldIn, ndarray, RandomStream, randomKey, sizeOf, toNumbers } from "../../src/index.ts";

/** Uniform numbers in [low, high) with the full precision of float64. */
export function randomArray(
  key: Key | number,
  shape: readonly number[],
  options: { readonly low?: number; readonly high?: number; readonly dtype?: DType } = {},
): NDArray {
  const stream = new RandomStream(typeof key === "number" ? randomKey(key) : key);
  const values = Array.from({ length: sizeOf(shape) }, () =>
    stream.uniform(options.low ?? -2, options.high ?? 2),
  );
  return ndarray(values, { shape, dtype: options.dtype ?? "float64" });
}

/** Several random arrays that differ from each other. */
export function randomArrays(
  seed: number,
  shapes: readonly (readonly number[])[],
  options: Parameters<typeof randomArray>[2] = {},
): NDArray[] {
  return shapes.map((shape, i) => randomArray(foldIn(randomKey(seed), i), shape, options));
}

/** The values of a tensor as plain numbers. */
export async function valuesOf(tensor: Tensor): Promise<number[]> {
  return toNumbers(await tensor.data());
}

/** The values of several tensors, computed in one graph. */
export async function allValuesOf(tensors: readonly Tensor[]): Promise<number[][]> {
  return (await evaluate(tensors)).map(toNumbers);
}

/**
 * Throws unless |actual - expected| ≤ tolerance · (1 + |expected|) for every entry; NaN equals NaN only.
 *
 * @param what  named in the message, together with the index and both numbers
 */
export function expectClose(
  what: string,
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
): void {
  if (actual.length !== expected.length)
    throw new Error(`${what}: ${actual.length} values, expected ${expected.length}`);
  for (let i = 0; i < expected.length; i++) {
    const [found, wanted] = [actual[i] as number, expected[i] as number];
    const same = Object.is(found, wanted) || found === wanted;
    if (!same && !(Math.abs(found - wanted) <= tolerance * (1 + Math.abs(wanted))))
      throw new Error(`${what}: ${found} at index ${i}, expected ${wanted} (tolerance ${tolerance})`);
  }
}
