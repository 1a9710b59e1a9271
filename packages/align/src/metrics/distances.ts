import type { NDArray } from "@concord/tensor";
import { checkRows, forEachBlockOfProducts } from "./rows.ts";

/** Rows minus their mean, as float64, and that mean. Equal rows become exactly 0. */
export function centred(
  operation: string,
  name: string,
  rows: NDArray,
): { rows: NDArray<"float64">; mean: Float64Array } {
  const [n, width] = checkRows(operation, name, rows);
  const source = rows.data as Float32Array;
  const first = Float64Array.from(source.subarray(0, width));
  const data = Float64Array.from(source, (value, i) => value - (first[i % width] as number));
  const shift = new Float64Array(width);
  data.forEach((value, i) => {
    shift[i % width] = (shift[i % width] as number) + value / n;
  });
  data.forEach((value, i) => {
    data[i] = value - (shift[i % width] as number);
  });
  return {
    rows: { dtype: "float64", shape: [n, width], data },
    mean: first.map((value, k) => value + (shift[k] as number)),
  };
}

export function sumOfSquares(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value * value, 0);
}

/** ‖x_i‖² of each row. */
export function squaredLengths(rows: NDArray<"float64">): Float64Array {
  const [n, width] = rows.shape as [number, number];
  return Float64Array.from({ length: n }, (_, i) =>
    sumOfSquares(rows.data.subarray(i * width, (i + 1) * width)),
  );
}

/** Visits ‖x_i - y_j‖² of all pairs of rows, a row of a after the other. */
export async function forEachRowOfDistances(
  a: NDArray<"float64">,
  b: NDArray<"float64">,
  visit: (row: number, squares: Float64Array) => void,
): Promise<void> {
  const [ofA, ofB] = [squaredLengths(a), squaredLengths(b)];
  const squares = new Float64Array(ofB.length);
  await forEachBlockOfProducts(a, b, (first, count, products) => {
    for (let row = 0; row < count; row++) {
      const own = ofA[first + row] as number;
      for (let j = 0; j < squares.length; j++) {
        // Products in float32 may leave a tiny negative value where rows are equal.
        squares[j] = Math.max(
          0,
          own + (ofB[j] as number) - 2 * (products[row * squares.length + j] as number),
        );
      }
      visit(first + row, squares);
    }
  });
}
