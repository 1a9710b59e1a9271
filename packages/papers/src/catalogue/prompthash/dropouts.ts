import { greaterOrEqual, mul, split, type Tensor, uniform, where } from "@concord/tensor";

/** Dropout of a step: another key [2] in every step, a rate in [0, 1). */
export interface Drop {
  readonly key: Tensor;
  readonly rate: number;
}

/**
 * Dropout at several places by one draw of random numbers: a draw is a hundred nodes of a graph, whatever its size.
 *
 * @param drop    none: nothing is dropped
 * @param rows    B
 * @param widths  of the places
 * @returns a function of the number of a place and its activations [B, width], which sets entries to zero with
 *   probability `rate` and scales the others by 1 / (1 - rate)
 * @source Srivastava et al. 2014
 */
export function dropouts(
  drop: Drop | undefined,
  rows: number,
  widths: readonly number[],
): (place: number, x: Tensor) => Tensor {
  if (!drop || drop.rate === 0) return (_, x) => x;
  const total = widths.reduce((sum, width) => sum + width, 0);
  const factors = where(greaterOrEqual(uniform(drop.key, [rows, total]), drop.rate), 1 / (1 - drop.rate), 0);
  const parts = split(factors, widths, -1);
  return (place, x) => mul(x, parts[place] as Tensor);
}
