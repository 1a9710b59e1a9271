import { compile, matmul, type NDArray, type Tensor } from "@concord/tensor";
import { checkRows } from "../metrics/rows.ts";

/** Rows of one product; memory beside the data is a few such chunks in float64. */
const CHUNK = 1024;

const productOfColumns = compile((a: Tensor, b: Tensor) => matmul(a, b, { transposeA: true }), {
  name: "cross-covariance",
});

/** Mean of the rows of a checked matrix. */
function meanRow(rows: NDArray): Float64Array {
  const [n, width] = rows.shape as [number, number];
  const data = rows.data as Float64Array;
  const mean = new Float64Array(width);
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < width; k++) {
      const old = mean[k] as number;
      mean[k] = old + ((data[i * width + k] as number) - old) / (i + 1);
    }
  }
  return mean;
}

export interface Moments {
  readonly count: number;
  readonly mean: Float64Array;
}

/**
 * Number and mean of rows.
 *
 * @throws RangeError as `checkRows`
 */
export function momentsOf(operation: string, name: string, rows: NDArray): Moments {
  const [count] = checkRows(operation, name, rows);
  return { count, mean: meanRow(rows) };
}

/**
 * 1/N Σ_i (a_i - mean_a)(b_i - mean_b)ᵀ, [D, E] in float64, a chunk of rows at a time.
 *
 * @param visit  gets each chunk of centred rows of a
 */
export async function crossCovariance(
  a: NDArray,
  meanA: Float64Array,
  b: NDArray,
  meanB: Float64Array,
  visit?: (centred: Float64Array) => void,
): Promise<Float64Array> {
  const [n] = a.shape as [number, number];
  const total = new Float64Array(meanA.length * meanB.length);
  const chunk = Math.min(CHUNK, n);
  const part = (rows: NDArray, mean: Float64Array, first: number): NDArray<"float64"> => {
    const width = mean.length;
    const source = rows.data as Float64Array;
    const data = new Float64Array(chunk * width);
    const count = Math.min(chunk, n - first);
    for (let i = 0; i < count; i++)
      for (let k = 0; k < width; k++)
        data[i * width + k] = (source[(first + i) * width + k] as number) - (mean[k] as number);
    return { dtype: "float64", shape: [chunk, width], data };
  };
  for (let first = 0; first < n; first += chunk) {
    const left = part(a, meanA, first);
    const right = a === b && meanA === meanB ? left : part(b, meanB, first);
    visit?.(left.data.subarray(0, Math.min(chunk, n - first) * meanA.length));
    const product = (await productOfColumns(left, right)).data as Float64Array;
    for (let i = 0; i < total.length; i++) total[i] = (total[i] as number) + (product[i] as number) / n;
  }
  return total;
}
