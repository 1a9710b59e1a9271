import {
  constant,
  evaluate,
  foldIn,
  type Key,
  type NDArray,
  normalArray,
  RandomStream,
  symmetricEigen,
} from "@concord/tensor";

/** Token ids of N sentences, padded. */
export interface TokenRows {
  /** [N, T] */
  readonly ids: NDArray<"int32">;
  /** [N, T]: 1 for tokens, 0 for padding */
  readonly mask: NDArray<"float32">;
}

export interface WordVectorOptions {
  readonly key: Key;
  readonly vocabulary: number;
  /** D */
  readonly width: number;
  /** Words at most so far apart are neighbours. Default 5. */
  readonly window?: number;
  /** Passes of the subspace iteration. Default 6. */
  readonly passes?: number;
  readonly signal?: AbortSignal;
}

/** A symmetric matrix by its rows. */
interface SparseMatrix {
  readonly size: number;
  /** [size + 1] */
  readonly starts: Uint32Array;
  readonly columns: Int32Array;
  readonly values: Float64Array;
}

/** Directions beyond D that keep the last of the D exact. */
const OVERSAMPLING = 10;
/** Of the engine's eigenvalues, which are good up to about a hundred. */
const MAX_WIDTH = 128;
/** Neighbours that are held at a time, 4 bytes each. */
const MAX_NEIGHBOURS = 200e6;
const ROWS_BETWEEN_CHECKS = 4096;

/** For every word the list of all words that stood near it, one entry for each time. */
function neighbourLists(
  { ids, mask }: TokenRows,
  vocabulary: number,
  window: number,
): { readonly starts: Float64Array; readonly neighbours: Int32Array } {
  const [n, length] = ids.shape as [number, number];
  const eachPair = (visit: (word: number, other: number) => void): void => {
    for (let row = 0; row < n; row++) {
      for (let p = row * length; p < (row + 1) * length; p++) {
        if (mask.data[p] === 0) continue;
        const end = Math.min(p + window, (row + 1) * length - 1);
        for (let q = p + 1; q <= end; q++) {
          if (mask.data[q] === 0) continue;
          visit(ids.data[p] as number, ids.data[q] as number);
          visit(ids.data[q] as number, ids.data[p] as number);
        }
      }
    }
  };
  const starts = new Float64Array(vocabulary + 1);
  eachPair((word) => {
    starts[word + 1] = (starts[word + 1] as number) + 1;
  });
  for (let word = 0; word < vocabulary; word++)
    starts[word + 1] = (starts[word + 1] as number) + (starts[word] as number);
  const total = starts[vocabulary] as number;
  if (total > MAX_NEIGHBOURS)
    throw new RangeError(
      `wordVectors: ${total} neighbours are more than ${MAX_NEIGHBOURS}; give fewer sentences`,
    );
  const neighbours = new Int32Array(total);
  const next = starts.slice();
  eachPair((word, other) => {
    const at = next[word] as number;
    neighbours[at] = other;
    next[word] = at + 1;
  });
  return { starts, neighbours };
}

/** PPMI_ij = max(0, ln(n_ij n / (n_i n_j))) of neighbouring words. */
function positiveInformation(rows: TokenRows, vocabulary: number, window: number): SparseMatrix {
  const { starts: lists, neighbours } = neighbourLists(rows, vocabulary, window);
  const total = neighbours.length;
  const countOf = (word: number): number => (lists[word + 1] as number) - (lists[word] as number);
  const counts = new Float64Array(vocabulary);
  const starts = new Uint32Array(vocabulary + 1);
  const columns: number[] = [];
  const values: number[] = [];
  for (let word = 0; word < vocabulary; word++) {
    const list = neighbours.subarray(lists[word], lists[word + 1]);
    for (const other of list) counts[other] = (counts[other] as number) + 1;
    for (const other of list) {
      const together = counts[other] as number;
      if (together === 0) continue; // seen before
      counts[other] = 0;
      const information = Math.log((together * total) / (countOf(word) * countOf(other)));
      if (information > 0) {
        columns.push(other);
        values.push(information);
      }
    }
    starts[word + 1] = columns.length;
  }
  return { size: vocabulary, starts, columns: Int32Array.from(columns), values: Float64Array.from(values) };
}

/** A X, X [size, k] row by row. */
function times({ size, starts, columns, values }: SparseMatrix, x: Float64Array, k: number): Float64Array {
  const product = new Float64Array(size * k);
  for (let i = 0; i < size; i++) {
    for (let e = starts[i] as number; e < (starts[i + 1] as number); e++) {
      const value = values[e] as number;
      const from = (columns[e] as number) * k;
      for (let c = 0; c < k; c++)
        product[i * k + c] = (product[i * k + c] as number) + value * (x[from + c] as number);
    }
  }
  return product;
}

/** Xᵀ Y of two [size, k]: [k, k]. */
function crossProduct(x: Float64Array, y: Float64Array, k: number): Float64Array {
  const result = new Float64Array(k * k);
  for (let row = 0; row < x.length; row += k) {
    for (let a = 0; a < k; a++) {
      const value = x[row + a] as number;
      for (let b = 0; b < k; b++)
        result[a * k + b] = (result[a * k + b] as number) + value * (y[row + b] as number);
    }
  }
  return result;
}

/** Makes the columns of [size, k] orthonormal in place, by Gram-Schmidt twice over; dependent columns become 0. */
function orthonormalize(x: Float64Array, k: number): void {
  const column = (c: number): Float64Array =>
    Float64Array.from({ length: x.length / k }, (_, i) => x[i * k + c] as number);
  const basis: Float64Array[] = [];
  for (let c = 0; c < k; c++) {
    const v = column(c);
    const before = Math.sqrt(v.reduce((sum, value) => sum + value * value, 0));
    for (let pass = 0; pass < 2; pass++) {
      for (const b of basis) {
        let dot = 0;
        for (let i = 0; i < v.length; i++) dot += (v[i] as number) * (b[i] as number);
        for (let i = 0; i < v.length; i++) v[i] = (v[i] as number) - dot * (b[i] as number);
      }
    }
    const norm = Math.sqrt(v.reduce((sum, value) => sum + value * value, 0));
    const scale = norm > 1e-10 * before && norm > 0 ? 1 / norm : 0;
    for (let i = 0; i < v.length; i++) v[i] = (v[i] as number) * scale;
    basis.push(v);
    for (let i = 0; i < v.length; i++) x[i * k + c] = v[i] as number;
  }
}

/**
 * Word vectors from what words stand near each other: the D leading singular directions of their positive pointwise
 * mutual information, by randomised subspace iteration.
 *
 *   M_ij = max(0, ln(n_ij n / (n_i n_j))),   M ≈ U Σ Uᵀ,   v_i = U_i Σ^(1/2) / ‖U_i Σ^(1/2)‖
 *
 * @param rows  sentences; ids below `vocabulary`
 * @returns [V, D] float32; rows of words that never occur are 0
 * @throws RangeError when the width is not in [1, 128] and below the vocabulary, or there are too many or no neighbours
 * @source Levy, Goldberg, Dagan 2015 (PPMI with Σ^(1/2)); Halko et al. 2011 (subspace iteration)
 */
export async function wordVectors(rows: TokenRows, options: WordVectorOptions): Promise<NDArray<"float32">> {
  const { key, vocabulary, width, window = 5, passes = 6, signal } = options;
  const most = Math.min(MAX_WIDTH, vocabulary - 1);
  if (!Number.isInteger(width) || width < 1 || width > most)
    throw new RangeError(`wordVectors: width must be an integer from 1 to ${most}, got ${width}`);
  const matrix = positiveInformation(rows, vocabulary, window);
  if (matrix.values.length === 0)
    throw new RangeError("wordVectors: no words stand near each other more often than by chance");
  const k = Math.min(width + OVERSAMPLING, vocabulary);
  const random = new RandomStream(key);
  let basis = Float64Array.from({ length: vocabulary * k }, () => random.normal());
  for (let pass = 0; pass < passes; pass++) {
    signal?.throwIfAborted();
    basis = Float64Array.from(times(matrix, basis, k));
    orthonormalize(basis, k);
  }
  const inner = crossProduct(basis, times(matrix, basis, k), k);
  const { values, vectors } = await evaluate(
    symmetricEigen(constant({ dtype: "float64", shape: [k, k], data: inner })),
  );
  // A matrix with entries >= 0 only has negative eigenvalues, too: singular values are their sizes.
  const strongest = Array.from({ length: k }, (_, j) => j)
    .sort((a, b) => Math.abs(Number(values.data[b])) - Math.abs(Number(values.data[a])))
    .slice(0, width);
  const data = new Float32Array(vocabulary * width);
  for (let i = 0; i < vocabulary; i++) {
    if (i % ROWS_BETWEEN_CHECKS === 0) signal?.throwIfAborted();
    if (matrix.starts[i] === matrix.starts[i + 1]) continue;
    const row = data.subarray(i * width, (i + 1) * width);
    strongest.forEach((j, d) => {
      let sum = 0;
      for (let c = 0; c < k; c++) sum += (basis[i * k + c] as number) * Number(vectors.data[c * k + j]);
      row[d] = sum * Math.sqrt(Math.abs(Number(values.data[j])));
    });
    const length = Math.sqrt(row.reduce((sum, value) => sum + value * value, 0));
    if (length > 0) row.set(row.map((value) => value / length));
  }
  return { dtype: "float32", shape: [vocabulary, width], data };
}

/** What is wrong with the vectors of pre-trained encoders, and whitening is to cure. */
export interface Defects {
  /** Length of one vector that is added to all words: the narrow cone. */
  readonly cone: number;
  /** Random directions along which every word gets a normal number: dominant directions without meaning. */
  readonly nuisances: number;
  /** Standard deviation of those numbers. */
  readonly nuisanceDeviation: number;
}

function unitVector(key: Key, width: number): Float64Array {
  const vector = Float64Array.from(normalArray(key, [width]).data);
  const norm = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
  return vector.map((value) => value / norm);
}

/** Word vectors with defects planted in them, [V, D]. */
export function withDefects(
  vectors: NDArray<"float32">,
  key: Key,
  { cone, nuisances, nuisanceDeviation }: Defects,
): NDArray<"float32"> {
  const [vocabulary, width] = vectors.shape as [number, number];
  const common = unitVector(foldIn(key, 0), width);
  const data = Float32Array.from(vectors.data, (value, at) => value + cone * (common[at % width] as number));
  for (let direction = 0; direction < nuisances; direction++) {
    const along = unitVector(foldIn(foldIn(key, 1), direction), width);
    const amounts = normalArray(foldIn(foldIn(key, 2), direction), [vocabulary], 0, nuisanceDeviation).data;
    for (let i = 0; i < vocabulary; i++)
      for (let d = 0; d < width; d++)
        data[i * width + d] = (data[i * width + d] as number) + (amounts[i] as number) * (along[d] as number);
  }
  return { dtype: "float32", shape: [vocabulary, width], data };
}
