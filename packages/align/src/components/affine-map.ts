import { add, compile, matmul, type NDArray, sub, type Tensor } from "@concord/tensor";
import { checkRows, type Rows } from "../metrics/rows.ts";

/**
 * A map of embeddings, y = (x - centre) M + offset, in float64. A linear layer computes it with weights M and bias
 * offset - centre M.
 */
export interface AffineMap {
  /** [D] */
  readonly centre: NDArray<"float64">;
  /** M [D, E] */
  readonly matrix: NDArray<"float64">;
  /** [E] */
  readonly offset: NDArray<"float64">;
}

export function affineMap(centre: Float64Array, matrix: Float64Array, offset: Float64Array): AffineMap {
  const vector = (data: Float64Array): NDArray<"float64"> => ({
    dtype: "float64",
    shape: [data.length],
    data,
  });
  return {
    centre: vector(centre),
    matrix: { dtype: "float64", shape: [centre.length, offset.length], data: matrix },
    offset: vector(offset),
  };
}

/** Rows mapped at a time. */
const CHUNK = 2048;

const mapRows = compile(
  (x: Tensor, map: { readonly centre: Tensor; readonly matrix: Tensor; readonly offset: Tensor }) =>
    add(matmul(sub(x, map.centre), map.matrix), map.offset),
  { name: "affine map" },
);

/**
 * Embeddings through a fitted map (`fitWhitening`, `fitProcrustes`, `fitMeanShift`, `fitCoral`), computed in chunks of
 * 2048 rows in the rows' own dtype.
 *
 * @param rows  [N, D]
 * @returns [N, E]
 * @throws RangeError when the width is not the map's, there are no rows or a value is not finite
 */
export async function applyMap(rows: NDArray, map: AffineMap): Promise<Rows> {
  const [n, width] = checkRows("applyMap", "rows", rows);
  const [D, E] = map.matrix.shape as [number, number];
  if (width !== D)
    throw new RangeError(`applyMap: rows have width ${width}, but the map was fitted to width ${D}`);
  const wide = rows.dtype === "float64";
  const data = wide ? new Float64Array(n * E) : new Float32Array(n * E);
  const as = (array: NDArray<"float64">): Rows =>
    wide ? array : { dtype: "float32", shape: array.shape, data: Float32Array.from(array.data) };
  const own = { centre: as(map.centre), matrix: as(map.matrix), offset: as(map.offset) };
  const chunk = Math.min(CHUNK, n);
  for (let first = 0; first < n; first += chunk) {
    const count = Math.min(chunk, n - first);
    const part = wide ? new Float64Array(chunk * D) : new Float32Array(chunk * D);
    part.set((rows.data as Float64Array).subarray(first * D, (first + count) * D));
    const mapped = await mapRows({ dtype: rows.dtype, shape: [chunk, D], data: part } as Rows, own);
    data.set((mapped.data as Float64Array).subarray(0, count * E), first * E);
  }
  return { dtype: rows.dtype, shape: [n, E], data } as Rows;
}
