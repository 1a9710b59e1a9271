import type { Tensor } from "../core/tensor.ts";
import { mul } from "./arithmetic.ts";
import { matmul } from "./matmul.ts";
import { sumSquares } from "./reduce.ts";
import { reshape, sum } from "./structure.ts";

/** From this length on a row is worth its own matrix product, which beats the reductions by two to three times. */
const LEAST_ROW = 128;

/** Inner products of the rows of two matrices: [R, N] twice to [R]. Long rows write nothing but their sums to memory. */
export function rowProducts(a: Tensor, b: Tensor): Tensor {
  const [rows, length] = a.shape as [number, number];
  if (length >= LEAST_ROW) {
    const apart = [rows, 1, length];
    return reshape(matmul(reshape(a, apart), reshape(b, apart), { transposeB: true }), [rows]);
  }
  return a === b ? sumSquares(a, { axes: -1 }) : sum(mul(a, b), { axes: -1 });
}
