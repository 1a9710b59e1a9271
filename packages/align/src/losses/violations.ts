import {
  add,
  cast,
  clampMax,
  concat,
  cumsum,
  greater,
  less,
  lessOrEqual,
  logicalAnd,
  max,
  min,
  mul,
  narrow,
  relu,
  sort,
  sub,
  sum,
  type Tensor,
  takeAlong,
  where,
  zerosLike,
} from "@concord/tensor";
import type { PairBlock } from "./relations.ts";

/** Which negatives a positive is compared with. */
export type Mining = "all" | "hard" | "semi-hard";

/** Of each row of a block, [count]. */
export interface Violations {
  /** Σ max(0, d_p - d_n + margin) over its pairs of a positive and a negative, by the weights of the positives. */
  readonly loss: Tensor;
  /** How many of these terms are not 0. */
  readonly active: Tensor;
  /** How many positive pairs it has, by their weights; 0 without any negative. */
  readonly mass: Tensor;
}

const FAR = 1e30;

const rowSum = (x: Tensor): Tensor => sum(x, { axes: 1 });

/** Negatives of each row by their distance, [count, M], and the sums of the first 0 to M of them, [count, M + 1]. */
interface Sorted {
  readonly distances: Tensor;
  readonly totals: Tensor;
}

function sortedNegatives(distances: Tensor, negatives: Tensor): Sorted {
  const inOrder = sort(where(negatives, distances, FAR), 1);
  const totals = cumsum(where(less(inOrder, FAR), inOrder, 0), 1);
  return { distances: inOrder, totals: concat([narrow(zerosLike(totals), 1, 0, 1), totals], 1) };
}

/**
 * How many negatives of its row lie below each threshold, or not above it, and the sum of their distances: [count, M]
 * each. By bisection in the sorted negatives, so that memory is that of some rows of pairs rather than of all triples.
 */
function below(
  thresholds: Tensor,
  { distances, totals }: Sorted,
  side: "below" | "not above",
): { readonly count: Tensor; readonly total: Tensor } {
  const columns = distances.shape[1] as number;
  let found = zerosLike({ shape: thresholds.shape, dtype: "int32" });
  for (let step = 2 ** Math.floor(Math.log2(columns)); step >= 1; step /= 2) {
    const next = add(found, step);
    const last = takeAlong(distances, clampMax(sub(next, 1), columns - 1), 1);
    const before = side === "below" ? less(last, thresholds) : lessOrEqual(last, thresholds);
    found = where(logicalAnd(before, lessOrEqual(next, columns)), next, found);
  }
  return { count: cast(found, distances.dtype), total: takeAlong(totals, found, 1) };
}

/** All pairs of a positive and a negative of each row, or the semi-hard ones: d_p < d_n < d_p + margin. */
export function againstAll(
  distances: Tensor,
  pairs: PairBlock,
  margin: number,
  semiHard = false,
): Violations {
  const negatives = sortedNegatives(distances, greater(pairs.negatives, 0));
  const thresholds = add(distances, margin);
  let { count, total } = below(thresholds, negatives, "below");
  if (semiHard) {
    const nearer = below(distances, negatives, "not above");
    count = sub(count, nearer.count);
    total = sub(total, nearer.total);
  }
  const matched = cast(greater(pairs.positives, 0), distances.dtype);
  return {
    loss: rowSum(mul(pairs.positives, sub(mul(count, thresholds), total))),
    active: rowSum(mul(matched, count)),
    mass: massOf(pairs),
  };
}

function massOf({ positives, negatives }: PairBlock): Tensor {
  const opposed = greater(rowSum(negatives), 0);
  return mul(rowSum(positives), cast(opposed, positives.dtype));
}

/** Distance of the nearest negative of each row, [count, 1]; FAR without any. */
export function nearestNegative(distances: Tensor, { negatives }: PairBlock): Tensor {
  return min(where(greater(negatives, 0), distances, FAR), { axes: 1, keepDims: true });
}

/** The farthest positive and the nearest negative of each row. */
function hardest(distances: Tensor, pairs: PairBlock, margin: number): Violations {
  const matched = greater(pairs.positives, 0);
  const mass = cast(greater(massOf(pairs), 0), distances.dtype);
  const farthest = max(where(matched, distances, -FAR), { axes: 1, keepDims: true });
  const gaps = rowSum(sub(farthest, nearestNegative(distances, pairs)));
  const loss = relu(add(where(greater(mass, 0), gaps, -FAR), margin));
  return { loss, active: cast(greater(loss, 0), distances.dtype), mass };
}

/** The only positive of each row against all its negatives, which needs no order. */
export function onlyAgainstAll(distances: Tensor, pairs: PairBlock, margin: number): Violations {
  const own = sum(where(greater(pairs.positives, 0), distances, 0), { axes: 1, keepDims: true });
  const over = relu(add(sub(own, distances), margin));
  const counted = where(greater(pairs.negatives, 0), over, 0);
  const matched = rowSum(pairs.positives);
  return {
    loss: mul(matched, rowSum(counted)),
    active: mul(
      cast(greater(matched, 0), distances.dtype),
      rowSum(cast(greater(counted, 0), distances.dtype)),
    ),
    mass: massOf(pairs),
  };
}

/** Each positive against the nearest negative of its row. */
export function againstNearest(distances: Tensor, pairs: PairBlock, margin: number): Violations {
  const gaps = relu(add(sub(distances, nearestNegative(distances, pairs)), margin));
  const active = greater(mul(gaps, pairs.positives), 0);
  return {
    loss: rowSum(where(active, mul(gaps, pairs.positives), 0)),
    active: rowSum(cast(active, distances.dtype)),
    mass: massOf(pairs),
  };
}

export function violationsOf(
  distances: Tensor,
  pairs: PairBlock,
  margin: number,
  mining: Mining,
): Violations {
  if (mining === "hard") return hardest(distances, pairs, margin);
  return againstAll(distances, pairs, margin, mining === "semi-hard");
}
