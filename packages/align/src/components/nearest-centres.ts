import { argmax, compile, matmul, mul, type NDArray, sub, sumSquares, type Tensor } from "@concord/tensor";

/** Sum of all squared distances to the mean, which bounds every product, with room below float32's largest number. */
const LARGEST_SQUARES = 1e36;

/** Entries of the matrix of products of one chunk: 16 MiB in float32. */
const PRODUCTS = 2 ** 22;

const nearest = compile(
  (rows: Tensor, centres: Tensor) => {
    const halves = mul(sumSquares(centres, { axes: 1 }), 0.5);
    return argmax(sub(matmul(rows, centres, { transposeB: true }), halves), 1);
  },
  { name: "nearest centres" },
);

/** Rows as clustering sees them: moved to their mean, or scaled to length 1; float32, a chunk at a time. */
export interface Chunks {
  readonly count: number;
  readonly width: number;
  /** Rows of a chunk. */
  readonly size: number;
  /** Mean variance of a dimension. */
  readonly variance: number;
  /** Writes `count` prepared rows from `first` into a buffer. */
  read(first: number, count: number, into: Float32Array): void;
  /** One prepared row. */
  row(index: number): Float32Array;
  /** Other rows, prepared alike. */
  prepare(rows: NDArray): Float64Array;
  /** Prepared centres as the caller's rows are. */
  restore(centres: Float64Array): Float32Array;
}

/** @throws RangeError when a row of zeros has no direction, or values are too large for float32 */
export function prepareRows(operation: string, rows: NDArray, spherical: boolean, clusters: number): Chunks {
  const [count, width] = rows.shape as [number, number];
  const data = rows.data as Float64Array;
  const shift = new Float64Array(width);
  if (!spherical) {
    for (let first = 0; first < data.length; first += width)
      for (let k = 0; k < width; k++) shift[k] = (shift[k] as number) + (data[first + k] as number) / count;
  }
  const lengthOf = (source: Float64Array, index: number, name: string): number => {
    let squares = 0;
    for (let k = 0; k < width; k++) squares += (source[index * width + k] as number) ** 2;
    if (squares === 0)
      throw new RangeError(`${operation}: row ${index} of ${name} is zero and has no direction`);
    return Math.sqrt(squares);
  };
  const write = (
    source: Float64Array,
    name: string,
    first: number,
    many: number,
    into: Float32Array | Float64Array,
  ): void => {
    for (let i = 0; i < many; i++) {
      const base = (first + i) * width;
      const length = spherical ? lengthOf(source, first + i, name) : 1;
      for (let k = 0; k < width; k++)
        into[i * width + k] = ((source[base + k] as number) - (shift[k] as number)) / length;
    }
  };
  const size = Math.min(count, Math.max(64, Math.min(4096, Math.floor(PRODUCTS / clusters))));
  const read = (first: number, many: number, into: Float32Array): void =>
    write(data, "rows", first, many, into);
  const variance = meanVariance(count, width, size, read);
  if (!(variance * width * count < LARGEST_SQUARES))
    throw new RangeError(
      `${operation}: values lie too far apart to be compared in float32 (their variance is ${variance}); scale the rows down`,
    );
  return {
    count,
    width,
    size,
    variance,
    read,
    row: (index) => {
      const values = new Float32Array(width);
      read(index, 1, values);
      return values;
    },
    prepare: (others) => {
      const values = new Float64Array(others.data.length);
      write(others.data as Float64Array, "centres", 0, others.shape[0] as number, values);
      return values;
    },
    restore: (centres) => Float32Array.from(centres, (value, i) => value + (shift[i % width] as number)),
  };
}

function meanVariance(count: number, width: number, size: number, read: Chunks["read"]): number {
  const buffer = new Float32Array(size * width);
  const [sums, squares] = [new Float64Array(width), new Float64Array(width)];
  for (let first = 0; first < count; first += size) {
    const many = Math.min(size, count - first);
    read(first, many, buffer);
    for (let i = 0; i < many; i++) {
      for (let k = 0; k < width; k++) {
        const value = buffer[i * width + k] as number;
        sums[k] = (sums[k] as number) + value;
        squares[k] = (squares[k] as number) + value * value;
      }
    }
  }
  let total = 0;
  for (let k = 0; k < width; k++)
    total += Math.max(0, (squares[k] as number) / count - ((sums[k] as number) / count) ** 2) / width;
  return total;
}

/** Visits chunk after chunk of prepared rows with the nearest centre of each. */
export async function nearestCentres(
  chunks: Chunks,
  centres: Float64Array,
  signal: AbortSignal | undefined,
  visit: (first: number, rows: Float32Array, labels: Int32Array) => void,
): Promise<void> {
  const { count, width, size } = chunks;
  const buffer = new Float32Array(size * width);
  const fixed: NDArray<"float32"> = {
    dtype: "float32",
    shape: [centres.length / width, width],
    data: Float32Array.from(centres),
  };
  for (let first = 0; first < count; first += size) {
    signal?.throwIfAborted();
    const many = Math.min(size, count - first);
    chunks.read(first, many, buffer);
    const found = await nearest({ dtype: "float32", shape: [size, width], data: buffer }, fixed);
    visit(first, buffer, (found.data as Int32Array).subarray(0, many));
  }
}
