import {
  add,
  clampMin,
  expandDims,
  greater,
  l2Normalize,
  matmul,
  neg,
  sqrt,
  square,
  sub,
  sum,
  type Tensor,
  where,
} from "@concord/tensor";
import type { RowBlock } from "./blocks.ts";
import type { Relation } from "./relations.ts";

/**
 * How far two rows lie apart: ‖x - y‖, its square, 1 - cosine, or -x·y. Euclidean distances come from products, so in
 * float32 those below about 1e-3 of the norms are lost in rounding.
 */
export type PairDistance = "euclidean" | "squared" | "cosine" | "dot";

const NAMES: readonly PairDistance[] = ["euclidean", "squared", "cosine", "dot"];

/** Distances of a block of rows of a relation from all its columns: [count, M]. */
export function distancesOf(
  operation: string,
  { queries, keys }: Relation,
  distance: PairDistance,
): (rows: RowBlock) => Tensor {
  if (!NAMES.includes(distance))
    throw new RangeError(`${operation}: distance must be ${NAMES.join(", ")}; got ${distance}`);
  const unit = distance === "cosine";
  const [x, y] = unit ? [l2Normalize(queries), l2Normalize(keys)] : [queries, keys];
  const products = (rows: Tensor): Tensor => matmul(rows, y, { transposeB: true });
  if (distance === "dot") return ({ rowsOf }) => neg(products(rowsOf(x)));
  if (unit) return ({ rowsOf }) => sub(1, products(rowsOf(x)));
  const lengths = expandDims(sum(square(y), { axes: 1 }), 0);
  return ({ rowsOf }) => {
    const rows = rowsOf(x);
    const norms = add(sum(square(rows), { axes: 1, keepDims: true }), lengths);
    const squares = clampMin(sub(norms, matmul(rows, y, { transposeB: true, scale: 2 })), 0);
    return distance === "squared" ? squares : rootOf(squares);
  };
}

/** √x whose gradient at 0 is 0 rather than infinite. */
function rootOf(squares: Tensor): Tensor {
  const apart = greater(squares, 0);
  return where(apart, sqrt(where(apart, squares, 1)), 0);
}
