import {
  abs,
  add,
  argsort,
  cast,
  cumsum,
  greater,
  max,
  min,
  mul,
  relu,
  scatterSetAlong,
  stopGradient,
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

/** Pairs of a positive and a negative that were chosen. All of it is constant where no distance changes its order. */
interface Comparisons {
  /** [count, M]: how often a distance is in them, for a positive by its weight, for a negative less those weights. */
  readonly slopes: Tensor;
  /** [count]: how many there are in each row. */
  readonly pairs: Tensor;
  /** [count]: the same by the weights of the positives. */
  readonly mass: Tensor;
}

/**
 * Compares each positive with the negatives of its row that lie below its threshold. All are sorted together, so that
 * running sums say for each positive how many negatives lie before it, and for each negative what lies behind it:
 * memory is that of some rows of pairs rather than of all triples.
 */
function compareBelow(
  thresholds: Tensor,
  distances: Tensor,
  { positives, negatives }: PairBlock,
): Comparisons {
  const matched = greater(positives, 0);
  const opposed = greater(negatives, 0);
  const keys = where(opposed, distances, where(matched, thresholds, FAR));
  const order = argsort(stopGradient(keys), 1);
  const inOrder = (x: Tensor): Tensor => takeAlong(cast(x, distances.dtype), order, 1);
  const [weights, against] = [inOrder(positives), inOrder(opposed)];
  const before = mul(cast(greater(weights, 0), weights.dtype), cumsum(against, 1));
  const all = sum(weights, { axes: 1, keepDims: true });
  const behind = sub(all, cumsum(weights, 1));
  const sorted = sub(mul(weights, before), mul(against, behind));
  return {
    slopes: stopGradient(scatterSetAlong(zerosLike(sorted), order, sorted, 1)),
    pairs: stopGradient(rowSum(before)),
    mass: stopGradient(rowSum(mul(weights, before))),
  };
}

/** Thresholds a rounding step down or up, so that none equals a distance that it would have equalled. */
function moved(thresholds: Tensor, direction: 1 | -1): Tensor {
  const step = thresholds.dtype === "float64" ? 1.2 * 2 ** -53 : 1.2 * 2 ** -24;
  return add(thresholds, mul(add(mul(abs(thresholds), step), 1e-37), direction));
}

/** All pairs of a positive and a negative of each row, or the semi-hard ones: d_p < d_n < d_p + margin. */
export function againstAll(
  distances: Tensor,
  pairs: PairBlock,
  margin: number,
  semiHard = false,
): Violations {
  const within = compareBelow(moved(add(distances, margin), -1), distances, pairs);
  const nearer = semiHard ? compareBelow(moved(distances, 1), distances, pairs) : undefined;
  const less = (x: Tensor, y: Tensor | undefined): Tensor => (y ? sub(x, y) : x);
  const slopes = less(within.slopes, nearer?.slopes);
  const mass = less(within.mass, nearer?.mass);
  return {
    loss: add(rowSum(mul(slopes, distances)), mul(mass, margin)),
    active: less(within.pairs, nearer?.pairs),
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
