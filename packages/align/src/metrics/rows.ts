import { compile, matmul, type NDArray, type Tensor } from "@concord/tensor";

/** Embeddings in memory: [N, D]. */
export type Rows = NDArray<"float32"> | NDArray<"float64">;

/** Rows of the two sides of one product. Every product has this size, so that equal rows give equal bits wherever they stand. */
const TILE_ROWS = 256;
const TILE_COLUMNS = 512;

/**
 * Number of rows and their width.
 *
 * @throws RangeError when there are no rows, when `rows` is no float matrix or when a value is not finite
 */
export function checkRows(operation: string, name: string, rows: NDArray): readonly [N: number, D: number] {
  const [n, width] = rows.shape;
  if (rows.shape.length !== 2 || n === undefined || width === undefined || n === 0 || width === 0) {
    throw new RangeError(
      `${operation}: ${name} must be a non-empty matrix [N, D], got shape [${rows.shape.join(", ")}]`,
    );
  }
  if (rows.dtype !== "float32" && rows.dtype !== "float64")
    throw new RangeError(`${operation}: ${name} must be float32 or float64, got ${rows.dtype}`);
  const wrong = (rows.data as Float32Array).findIndex((value) => !Number.isFinite(value));
  if (wrong >= 0) {
    throw new RangeError(
      `${operation}: ${name} has the value ${rows.data[wrong]} in row ${Math.floor(wrong / width)}, column ${wrong % width}; only finite values can be measured`,
    );
  }
  return [n, width];
}

/**
 * Rows scaled to length 1, as float64. A row of zeros stays zero: it has similarity 0 with everything.
 *
 * @throws RangeError as `checkRows`
 */
export function unitRows(operation: string, name: string, rows: NDArray): NDArray<"float64"> {
  const [n, width] = checkRows(operation, name, rows);
  const data = Float64Array.from(rows.data as Float32Array);
  for (let i = 0; i < n; i++) {
    const row = data.subarray(i * width, (i + 1) * width);
    let squares = 0;
    for (const value of row) squares += value * value;
    if (squares === 0) continue;
    const factor = 1 / Math.sqrt(squares);
    for (let k = 0; k < width; k++) row[k] = (row[k] as number) * factor;
  }
  return { dtype: "float64", shape: [n, width], data };
}

/**
 * Rows scaled to length 1: [N, D] to [N, D]. A row of zeros stays zero.
 *
 * @throws RangeError when `rows` is no non-empty float matrix or a value is not finite
 */
export function normalizeRows(rows: NDArray): NDArray<"float32"> {
  const { shape, data } = unitRows("normalizeRows", "rows", rows);
  return { dtype: "float32", shape, data: Float32Array.from(data) };
}

/** @throws RangeError when two sets of embeddings differ in width, or in number where they must be pairs */
export function checkFit(operation: string, a: NDArray, b: NDArray, pairs: "pairs" | "sets"): void {
  if (a.shape[1] !== b.shape[1] || (pairs === "pairs" && a.shape[0] !== b.shape[0])) {
    throw new RangeError(
      `${operation}: embeddings of shape [${a.shape.join(", ")}] and [${b.shape.join(", ")}] do not ${pairs === "pairs" ? "form pairs" : "have one width"}`,
    );
  }
}

/**
 * Two named sets of embeddings as `unitRows`.
 *
 * @throws RangeError as `checkRows` and `checkFit`
 */
export function unitSets(
  operation: string,
  sets: Readonly<Record<string, NDArray>>,
  pairs: "pairs" | "sets",
): readonly [NDArray<"float64">, NDArray<"float64">] {
  const [a, b] = Object.entries(sets).map(([name, rows]) => unitRows(operation, name, rows)) as [
    NDArray<"float64">,
    NDArray<"float64">,
  ];
  checkFit(operation, a, b, pairs);
  return [a, b];
}

const productOfTiles = compile((a: Tensor, b: Tensor) => matmul(a, b, { transposeB: true }), {
  name: "similarities",
});

/** `count` rows from `first` as float32, filled up with zeros. */
function tile(rows: NDArray, first: number, count: number): NDArray<"float32"> {
  const width = rows.shape[1] as number;
  const data = new Float32Array(count * width);
  data.set((rows.data as Float64Array).subarray(first * width, (first + count) * width));
  return { dtype: "float32", shape: [count, width], data };
}

/**
 * Inner products of all rows of a with all rows of b, a block of a's rows at a time: memory is 256 × N_b.
 *
 * @param visit  gets the number of the block's first row, how many rows it has, and their products, row after row
 */
export async function forEachBlockOfProducts(
  a: NDArray,
  b: NDArray,
  visit: (first: number, count: number, products: Float32Array) => void,
): Promise<void> {
  const rows = a.shape[0] as number;
  const columns = b.shape[0] as number;
  const products = new Float32Array(Math.min(TILE_ROWS, rows) * columns);
  const right = Array.from({ length: Math.ceil(columns / TILE_COLUMNS) }, (_, i) =>
    tile(b, i * TILE_COLUMNS, TILE_COLUMNS),
  );
  for (let first = 0; first < rows; first += TILE_ROWS) {
    const count = Math.min(TILE_ROWS, rows - first);
    const left = tile(a, first, TILE_ROWS);
    for (const [i, other] of right.entries()) {
      const values = (await productOfTiles(left, other)).data as Float32Array;
      const start = i * TILE_COLUMNS;
      const wide = Math.min(TILE_COLUMNS, columns - start);
      for (let row = 0; row < count; row++) {
        products.set(values.subarray(row * TILE_COLUMNS, row * TILE_COLUMNS + wide), row * columns + start);
      }
    }
    visit(first, count, products.subarray(0, count * columns));
  }
}
