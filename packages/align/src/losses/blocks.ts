import { add, cast, clampMin, concat, div, greater, mul, recompute, sum, type Tensor } from "@concord/tensor";

export interface BlockOptions {
  /**
   * Rows of the matrix of pairs in memory at a time; Infinity for all of them. Default: all up to 1024 rows and columns,
   * above that as many as fill 2²⁰ entries, in at most 64 blocks. The gradient computes each block anew. Value and
   * gradient do not depend on it but for rounding.
   */
  readonly blockRows?: number;
}

/** Largest matrix of pairs that is held as a whole by default: 4 MiB each time it is written. */
const WHOLE_ENTRIES = 2 ** 20;
/** Blocks are written out in the graph, one after another; by default not more than these. */
const MOST_BLOCKS = 64;

export function checkBlockRows(operation: string, blockRows: number | undefined): void {
  if (blockRows === undefined || blockRows === Number.POSITIVE_INFINITY) return;
  if (!(blockRows >= 1)) throw new RangeError(`${operation}: blockRows must be >= 1, got ${blockRows}`);
  if (!Number.isInteger(blockRows))
    throw new RangeError(`${operation}: blockRows must be an integer >= 1, got ${blockRows}`);
}

function rowsInBlock(rows: number, columns: number, blockRows: number | undefined): number {
  if (blockRows !== undefined) return Math.min(blockRows, rows);
  if (rows * columns <= WHOLE_ENTRIES) return rows;
  return Math.max(Math.ceil(WHOLE_ENTRIES / columns), Math.ceil(rows / MOST_BLOCKS));
}

/**
 * What a function gives for each row of a matrix of pairs, [rows] each, computed block after block of rows. Blocks keep
 * nothing for the gradient but their results.
 */
export function overRowBlocks<K extends string>(
  rows: number,
  columns: number,
  blockRows: number | undefined,
  block: (start: number, count: number) => Readonly<Record<K, Tensor>>,
): Readonly<Record<K, Tensor>> {
  const size = rowsInBlock(rows, columns, blockRows);
  if (size >= rows) return block(0, rows);
  const parts = Array.from({ length: Math.ceil(rows / size) }, (_, i) =>
    recompute(() => block(i * size, Math.min(size, rows - i * size)))(),
  );
  const names = Object.keys(parts[0] as object) as K[];
  return Object.fromEntries(names.map((name) => [name, concat(parts.map((part) => part[name]))])) as Record<
    K,
    Tensor
  >;
}

/** Σ_i w_i x_i / Σ_i w_i, and 0 without any weight. */
export function weightedMean(values: Tensor, weights: Tensor): Tensor {
  const total = sum(weights);
  return div(sum(mul(values, weights)), add(total, cast(greater(1e-30, total), total.dtype)));
}

/** Sum over count, and 0 when nothing is counted. */
export function ratio(total: Tensor, count: Tensor): Tensor {
  return div(sum(total), clampMin(sum(count), 1));
}
