import type { NDArray } from "../core/ndarray.ts";
import { ndarray, sizeOf } from "../core/ndarray.ts";
import type { Tensor } from "../core/tensor.ts";
import { matmul } from "./matmul.ts";
import { reshape } from "./structure.ts";

/** One row of weights over the inputs for each output. */
export type AxisWeights = readonly (readonly number[])[];

/** Replaces an axis of size n by the products with a constant matrix [m, n]. */
function applyAlong(x: Tensor, axis: number, weights: AxisWeights): Tensor {
  const { shape, dtype } = x;
  const [outputs, inputs] = [weights.length, shape[axis] as number];
  const lead = shape.slice(0, axis);
  const tail = shape.slice(axis + 1);
  const array = (rows: readonly (readonly number[])[], of: readonly number[]): NDArray =>
    ndarray(rows.flat(), { shape: of, dtype });
  const result = [...lead, outputs, ...tail];
  if (sizeOf(tail) === 1) {
    const columns = Array.from({ length: inputs }, (_, i) => weights.map((row) => row[i] as number));
    const flat = reshape(x, [sizeOf(lead), inputs]);
    return reshape(matmul(flat, array(columns, [inputs, outputs])), result);
  }
  const planes = reshape(x, [sizeOf(lead), inputs, sizeOf(tail)]);
  return reshape(matmul(array(weights, [outputs, inputs]), planes), result);
}

/**
 * Applies a constant matrix to each of several axes; axes without one stay. The axes that shrink most come first, so
 * that the rest has less to do.
 */
export function applySeparable(x: Tensor, weights: ReadonlyMap<number, AxisWeights>): Tensor {
  const growth = ([axis, rows]: [number, AxisWeights]): number => rows.length / (x.shape[axis] as number);
  return [...weights]
    .sort((a, b) => growth(a) - growth(b))
    .reduce((current, [axis, rows]) => applyAlong(current, axis, rows), x);
}
