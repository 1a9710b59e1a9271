import {
  add,
  arange,
  cast,
  checkAxes,
  DTypeError,
  equal,
  expandDims,
  greater,
  logicalAnd,
  logicalNot,
  mul,
  narrow,
  notEqual,
  repeat,
  reshape,
  type Tensor,
  transpose,
} from "@concord/tensor";
import { type BlockOptions, checkBlockRows, type RowBlock } from "./blocks.ts";

/** Which pairs of rows match, and which count at all. Without any of it row i matches row i. */
export interface PairOptions extends BlockOptions {
  /** [N, M] true, or a weight > 0, where a row and a column match. Excludes `labels`. */
  readonly positives?: Tensor;
  /** [N] int32 or int64: rows and columns with equal labels match. Excludes `positives`. */
  readonly labels?: Tensor;
  /** [M] labels of the columns. Default: `labels`. */
  readonly keyLabels?: Tensor;
  /**
   * [N, M] false or 0 for pairs that are left out, as positive and as negative. Losses that are sums over pairs or
   * over exponentials multiply a pair's term by its weight; those that order pairs take any weight > 0 as true.
   */
  readonly mask?: Tensor;
}

/** As `PairOptions` for rows among themselves, where no row is paired with itself, or with rows of another set. */
export interface OwnPairOptions extends PairOptions {
  /** [M, D] rows to compare with, e.g. a memory queue, instead of the rows themselves. */
  readonly keys?: Tensor;
}

/** Pairs of a block of rows with all columns: weights [count, M], 0 for pairs that do not count. */
export interface PairBlock {
  readonly positives: Tensor;
  readonly negatives: Tensor;
  /** Both: the weight with which a pair counts at all. */
  readonly allowed: Tensor;
  /** Whether `allowed` and `negatives` hold other weights than 0 and 1. */
  readonly weighted: boolean;
}

export interface Relation {
  readonly queries: Tensor;
  readonly keys: Tensor;
  readonly rows: number;
  readonly columns: number;
  /** Whether it is known that no row has more than one positive. */
  readonly oneEach: boolean;
  readonly block: (rows: RowBlock) => PairBlock;
  /** The same pairs seen from the columns. */
  readonly transposed: () => Relation;
}

interface Pairing extends PairOptions {
  readonly queries: Tensor;
  readonly keys: Tensor;
  /** Rows of the same set, which are not paired with themselves. */
  readonly own: boolean;
  /** Rows that stand for one row of `positives` and of `mask`, one after another. */
  readonly views: number;
  /** Whether rows of `positives` and `mask` are columns here. */
  readonly turned: boolean;
}

/** Rows [start, start + count) of x with each row `views` times in a row. */
function repeatedRows(x: Tensor, views: number, start: number, count: number): Tensor {
  if (views === 1) return narrow(x, 0, start, count);
  const first = Math.floor(start / views);
  const items = narrow(x, 0, first, Math.ceil((start + count) / views) - first);
  return narrow(repeat(items, views, 0), 0, start - first * views, count);
}

/** Rows [start, start + count) of a matrix of pairs of items, with a row and a column for each view. */
function rowsOfMatrix(matrix: Tensor, { views, turned }: Pairing, start: number, count: number): Tensor {
  if (turned) return transpose(narrow(matrix, 1, start, count));
  const rows = repeatedRows(matrix, views, start, count);
  return views === 1 ? rows : repeat(rows, views, 1);
}

function blockOf(pairing: Pairing, { start, count, inTurn, rowsOf }: RowBlock): PairBlock {
  const { queries, keys, positives, labels, keyLabels, mask, own, views } = pairing;
  const { dtype } = queries;
  const columns = keys.shape[0] as number;
  const column = arange(columns, "int32");
  const row = inTurn(expandDims(add(arange(count, "int32"), start), 1));
  let matches: Tensor;
  if (positives) matches = inTurn(rowsOfMatrix(positives, pairing, start, count));
  else if (labels) matches = equal(expandDims(rowsOf(labels), 1), keyLabels ?? labels);
  else if (views === 1) matches = equal(row, column);
  else {
    const items = arange(columns / views, "int32");
    matches = equal(inTurn(expandDims(repeatedRows(items, views, start, count), 1)), repeat(items, views));
  }
  const others = own ? notEqual(row, column) : undefined;
  const given = mask && inTurn(rowsOfMatrix(mask, pairing, start, count));
  const weighted = given !== undefined && given.dtype !== "bool";
  const weightOf = (chosen: Tensor): Tensor => {
    const kept = others ? logicalAnd(chosen, others) : chosen;
    if (!given) return cast(kept, dtype);
    return weighted ? mul(cast(kept, dtype), cast(given, dtype)) : cast(logicalAnd(kept, given), dtype);
  };
  const matching = matches.dtype === "bool" ? matches : greater(matches, 0);
  const positive = weightOf(matching);
  const negative = weightOf(logicalNot(matching));
  return {
    positives: matches.dtype === "bool" ? positive : mul(positive, cast(matches, dtype)),
    negatives: negative,
    allowed: add(positive, negative),
    weighted,
  };
}

function relationOf(pairing: Pairing): Relation {
  const { queries, keys, positives, labels, keyLabels, own, turned } = pairing;
  return {
    oneEach: !positives && !labels && !own,
    queries,
    keys,
    rows: queries.shape[0] as number,
    columns: keys.shape[0] as number,
    block: (rows) => blockOf(pairing, rows),
    transposed: () =>
      relationOf({
        ...pairing,
        queries: keys,
        keys: queries,
        turned: !turned,
        ...(labels && { labels: keyLabels ?? labels, keyLabels: labels }),
      }),
  };
}

function checkOptions(operation: string, { positives, labels, keyLabels, blockRows }: PairOptions): void {
  checkBlockRows(operation, blockRows);
  if (positives && labels) throw new RangeError(`${operation}: give either positives or labels, not both`);
  if (keyLabels && !labels) throw new RangeError(`${operation}: keyLabels need labels of the rows too`);
  for (const [name, list] of Object.entries({ labels, keyLabels }))
    if (list && list.dtype !== "int32" && list.dtype !== "int64")
      throw new DTypeError(`${operation}: ${name} must be int32 or int64, got ${list.dtype}`);
}

/** Pairs of a's rows with b's; by default row i of a matches row i of b. */
export function relationBetween(operation: string, a: Tensor, b: Tensor, options: PairOptions): Relation {
  checkOptions(operation, options);
  const { positives, labels, keyLabels, mask } = options;
  checkAxes(operation, {
    a: [a, "N D"],
    b: [b, "M D"],
    ...(positives && { positives: [positives, "N M"] as const }),
    ...(mask && { mask: [mask, "N M"] as const }),
    ...(labels && { labels: [labels, "N"] as const }),
    ...(labels && { [keyLabels ? "keyLabels" : "labels"]: [keyLabels ?? labels, "M"] as const }),
  });
  return relationOf({ ...options, queries: a, keys: b, own: false, views: 1, turned: false });
}

/**
 * Pairs of rows among themselves without a row's pair with itself, or with the rows of `keys`. With views x is
 * [N, V, D], `positives` and `mask` are [N, N], and without positives the views of one item match. `unmatched` rows need
 * neither labels nor positives.
 */
export function relationWithin(
  operation: string,
  x: Tensor,
  options: OwnPairOptions,
  kind: "views" | "rows" | "unmatched",
): Relation {
  checkOptions(operation, options);
  const { positives, labels, keyLabels, mask, keys } = options;
  const several = kind === "views" && x.rank === 3;
  const V = several ? (x.shape[1] as number) : 1;
  if (!positives && !labels && !several && kind !== "unmatched")
    throw new RangeError(
      `${operation}: give labels or positives: among rows [N, D] nothing else says which of them match`,
    );
  if (several && keys)
    throw new RangeError(`${operation}: keys go with rows [N, D], not with views [N, V, D]`);
  if (!keys && keyLabels)
    throw new RangeError(`${operation}: keyLabels are labels of keys, which are missing`);
  if (keys && labels && !keyLabels)
    throw new RangeError(`${operation}: keys need keyLabels where rows have labels`);
  const columns = keys ? "M" : "N";
  checkAxes(operation, {
    x: [x, several ? "N V D" : "N D"],
    ...(keys && { keys: [keys, "M D"] as const }),
    ...(positives && { positives: [positives, `N ${columns}`] as const }),
    ...(mask && { mask: [mask, `N ${columns}`] as const }),
    ...(labels && { labels: [labels, "N"] as const }),
    ...(keyLabels && { keyLabels: [keyLabels, "M"] as const }),
  });
  const queries = several ? reshape(x, [-1, x.shape[2] as number]) : x;
  return relationOf({
    ...options,
    ...(labels && several && { labels: repeat(labels, V, 0) }),
    queries,
    keys: keys ?? queries,
    own: !keys,
    views: V,
    turned: false,
  });
}
