import {
  add,
  cast,
  clampMin,
  concat,
  customGradient,
  div,
  greater,
  logicalOr,
  mul,
  narrow,
  recompute,
  reshape,
  sum,
  type Tensor,
} from "@concord/tensor";

export interface BlockOptions {
  /**
   * Rows of the matrix of pairs in memory at a time; Infinity for all of them. Default: all up to 1024 rows and columns,
   * above that as many as fill 2²⁰ entries, in at most 64 blocks. The gradient computes each block anew. Value and
   * gradient do not depend on it but for rounding; the graph grows with the number of blocks.
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

/** Some rows of a matrix of pairs, which are computed at a time. */
export interface RowBlock {
  readonly start: number;
  readonly count: number;
  /** x, to be computed when the block's turn has come. */
  readonly inTurn: (x: Tensor) => Tensor;
  /** Rows of the block of x [rows, ...], when its turn has come. */
  readonly rowsOf: (x: Tensor) => Tensor;
}

/** False whatever x holds, NaN and infinity too, and known only when x is. */
function never(x: Tensor): Tensor {
  return greater(x, Number.POSITIVE_INFINITY);
}

/** x, computed only after a scalar is; the gradient of the scalar, which is 0, is computed only after that of x. */
const after = customGradient(
  (x: Tensor, before: Tensor) => add(x, cast(never(before), x.dtype)),
  ({ inputs, cotangents }) => {
    const [slope, before] = [cotangents[0] as Tensor, inputs[1] as Tensor];
    const first = narrow(reshape(slope, [-1]), 0, 0, 1);
    return [slope, reshape(cast(never(first), before.dtype), [])];
  },
);

function blockAt(start: number, count: number, before: Tensor | undefined): RowBlock {
  const inTurn = (x: Tensor): Tensor => {
    if (!before) return x;
    if (x.dtype === "bool") return logicalOr(x, never(before));
    return x.dtype === "int32" || x.dtype === "int64"
      ? add(x, cast(never(before), x.dtype))
      : after(x, before);
  };
  return { start, count, inTurn, rowsOf: (x) => inTurn(narrow(x, 0, start, count)) };
}

/**
 * What a function gives for each row of a matrix of pairs, [rows] each, computed block after block of rows. Blocks keep
 * nothing for the gradient but their results. A runtime is free in the order of what does not depend on each other and
 * would hold many blocks at once, so each block waits for the one before, and in the gradient for the one behind.
 */
export function overRowBlocks<K extends string>(
  rows: number,
  columns: number,
  blockRows: number | undefined,
  block: (rows: RowBlock) => Readonly<Record<K, Tensor>>,
): Readonly<Record<K, Tensor>> {
  const size = rowsInBlock(rows, columns, blockRows);
  if (size >= rows) return block(blockAt(0, rows, undefined));
  let before: Tensor | undefined;
  const parts = Array.from({ length: Math.ceil(rows / size) }, (_, i) => {
    const turn = before;
    const made = recompute(() => {
      const found = block(blockAt(i * size, Math.min(size, rows - i * size), turn));
      // First, because recomputation waits for the gradient of the first result.
      return { done: sum(Object.values<Tensor>(found)[0] as Tensor), found };
    })();
    before = made.done;
    return made.found;
  });
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
