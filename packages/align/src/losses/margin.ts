import {
  add,
  cast,
  div,
  greater,
  log,
  maskedLogSumExp,
  mean,
  mul,
  relu,
  softplus,
  square,
  sub,
  sum,
  type Tensor,
  where,
} from "@concord/tensor";
import { overRowBlocks, ratio } from "./blocks.ts";
import { distancesOf, type PairDistance } from "./distances.ts";
import {
  type OwnPairOptions,
  type PairOptions,
  type Relation,
  relationBetween,
  relationWithin,
} from "./relations.ts";
import { againstAll, againstNearest, type Mining, onlyAgainstAll, violationsOf } from "./violations.ts";

function checkMargin(operation: string, name: string, value: number): void {
  if (!(value >= 0 && Number.isFinite(value)))
    throw new RangeError(`${operation}: ${name} must be a finite number >= 0, got ${value}`);
}

const rowSum = (x: Tensor): Tensor => sum(x, { axes: 1 });

export interface TripletOptions extends OwnPairOptions {
  /** m >= 0. Default 0.2. */
  readonly margin?: number;
  /** Default `euclidean`. */
  readonly distance?: PairDistance;
  /**
   * `all` triplets; `hard`, the farthest positive and the nearest negative of each row; `semi-hard`, those whose
   * negative is farther than the positive, but by less than the margin. Default `all`.
   */
  readonly mining?: Mining;
  /** Mean over the triplets whose loss is not 0 (`active`), or over all that were compared. Default `active`. */
  readonly average?: "active" | "all";
}

/**
 * Triplet loss: each positive of a row should be nearer than each negative, by a margin.
 *
 *   L = mean over (i, p, n) of max(0, d(x_i, x_p) - d(x_i, x_n) + m)
 *
 * p runs over the positives of i, n over its negatives. Triplets are never listed: with `all` and `semi-hard` each row
 * sorts its distances, so memory is that of the pairs. A row without a positive or without a negative counts nothing.
 * Weights of positives weigh their terms.
 *
 * @param x  [N, D]
 * @returns scalar; 0 when no triplet counts
 * @throws ShapeError when labels, positives, mask or keys do not fit; RangeError when neither labels nor positives are
 *   given, or the margin is negative
 * @source Schroff et al. 2015, equations 3 and 4 (semi-hard); Hermans et al. 2017, equation 5 (hard)
 */
export function tripletLoss(x: Tensor, options: TripletOptions): Tensor {
  const { margin = 0.2, distance = "euclidean", mining = "all", average = "active", blockRows } = options;
  checkMargin("tripletLoss", "margin", margin);
  if (average === "all" && mining === "semi-hard")
    throw new RangeError(
      'tripletLoss: every semi-hard triplet has a loss, so there is no average "all" of them; use "active"',
    );
  const relation = relationWithin("tripletLoss", x, options, "rows");
  const distances = distancesOf("tripletLoss", relation, distance);
  const rows = overRowBlocks(relation.rows, relation.columns, blockRows, (at) => {
    const pairs = relation.block(at);
    const { loss, active, mass } = violationsOf(distances(at), pairs, margin, mining);
    if (average === "active") return { loss, count: active };
    const opposed = rowSum(cast(greater(pairs.negatives, 0), x.dtype));
    const matched = rowSum(cast(greater(pairs.positives, 0), x.dtype));
    return { loss, count: mining === "hard" ? mass : mul(matched, opposed) };
  });
  return ratio(rows.loss, rows.count);
}

export interface HingeRankingOptions extends PairOptions {
  /** m >= 0. Default 0.2. */
  readonly margin?: number;
  /** The hardest negative of each positive (VSE++), or all of them, added up (VSE). Default `hardest`. */
  readonly negatives?: "hardest" | "all";
  /** Add b → a to a → b. Default true. */
  readonly symmetric?: boolean;
  /** Default `dot`: the similarity is the inner product. */
  readonly distance?: PairDistance;
}

/**
 * Hinge ranking loss of two sets, by default against the hardest negative in the batch (VSE++): with s_ij = a_i · b_j
 *
 *   L = mean_i max(0, m - s_ii + max_{j ≠ i} s_ij) + mean_j max(0, m - s_jj + max_{i ≠ j} s_ij)
 *
 * and with `negatives: "all"` the sum over j ≠ i in place of the largest. Means are over positive pairs that have a
 * negative, by their weights; times N this is the sum over the batch that the papers write.
 *
 * @param a  [N, D] unit norm for cosines
 * @param b  [M, D] row i matches row i of a unless `positives` or `labels` say otherwise
 * @returns scalar, the sum of both directions; 0 when no pair counts
 * @throws ShapeError when a and b differ in D or the pairs do not fit; RangeError when the margin is negative
 * @source Faghri et al. 2018, equations 4 and 6
 */
export function hingeRankingLoss(a: Tensor, b: Tensor, options: HingeRankingOptions = {}): Tensor {
  const { margin = 0.2, negatives = "hardest", symmetric = true, distance = "dot", blockRows } = options;
  checkMargin("hingeRankingLoss", "margin", margin);
  const direction = (relation: Relation): Tensor => {
    const distances = distancesOf("hingeRankingLoss", relation, distance);
    const rows = overRowBlocks(relation.rows, relation.columns, blockRows, (at) => {
      const pairs = relation.block(at);
      const compare =
        negatives === "hardest" ? againstNearest : relation.oneEach ? onlyAgainstAll : againstAll;
      const { loss, mass } = compare(distances(at), pairs, margin);
      return { loss, mass };
    });
    const total = sum(rows.mass);
    return div(sum(rows.loss), where(greater(total, 0), total, 1));
  };
  const relation = relationBetween("hingeRankingLoss", a, b, options);
  const forward = direction(relation);
  return symmetric ? add(forward, direction(relation.transposed())) : forward;
}

export interface ContrastiveOptions extends OwnPairOptions {
  /** Positive pairs nearer than this cost nothing, >= 0. Default 0. */
  readonly positiveMargin?: number;
  /** Negative pairs farther than this cost nothing, >= 0. Default 1. */
  readonly negativeMargin?: number;
  /** The exponent of what exceeds a margin. Default 2. */
  readonly power?: 1 | 2;
  /** Default `euclidean`. */
  readonly distance?: PairDistance;
  /**
   * `pairs`: half the mean over all pairs, positives and negatives together. `active`: the mean over positive pairs
   * that cost something plus that over negative pairs that do. Default `pairs`.
   */
  readonly average?: "pairs" | "active";
}

/**
 * Contrastive loss with margins: positives are pulled to within one margin, negatives pushed beyond another.
 *
 *   L = 1/2 mean over pairs of  max(0, d_ij - m₊)^q for positives,  max(0, m₋ - d_ij)^q for negatives
 *
 * Weights of positives and of the mask weigh the terms, and the mean over pairs is by these weights.
 *
 * @param x  [N, D]
 * @returns scalar; 0 when no pair counts
 * @throws ShapeError when labels, positives, mask or keys do not fit; RangeError when neither labels nor positives are
 *   given, or a margin is negative
 * @source Hadsell et al. 2006, equation 4
 */
export function contrastiveLoss(x: Tensor, options: ContrastiveOptions): Tensor {
  const { positiveMargin = 0, negativeMargin = 1, power = 2, distance = "euclidean" } = options;
  const { average = "pairs", blockRows } = options;
  checkMargin("contrastiveLoss", "positiveMargin", positiveMargin);
  checkMargin("contrastiveLoss", "negativeMargin", negativeMargin);
  if (power !== 1 && power !== 2) throw new RangeError(`contrastiveLoss: power must be 1 or 2, got ${power}`);
  const relation = relationWithin("contrastiveLoss", x, options, "rows");
  const distances = distancesOf("contrastiveLoss", relation, distance);
  const rows = overRowBlocks(relation.rows, relation.columns, blockRows, (at) => {
    const { positives, negatives } = relation.block(at);
    const d = distances(at);
    const part = (excess: Tensor, weights: Tensor): readonly [Tensor, Tensor] => {
      const over = relu(excess);
      const counted = average === "active" ? mul(weights, cast(greater(over, 0), x.dtype)) : weights;
      return [rowSum(mul(weights, power === 2 ? square(over) : over)), rowSum(counted)];
    };
    const [pulled, near] = part(sub(d, positiveMargin), positives);
    const [pushed, far] = part(sub(negativeMargin, d), negatives);
    return { pulled, near, pushed, far };
  });
  const over = (total: Tensor, count: Tensor): Tensor => {
    const weight = sum(count);
    return div(sum(total), where(greater(weight, 0), weight, 1));
  };
  return average === "active"
    ? add(over(rows.pulled, rows.near), over(rows.pushed, rows.far))
    : mul(over(add(rows.pulled, rows.pushed), add(rows.near, rows.far)), 0.5);
}

export interface MultiSimilarityOptions extends OwnPairOptions {
  /** α > 0: sharpness on positives. Default 2. */
  readonly alpha?: number;
  /** β > 0: sharpness on negatives. Default 50. */
  readonly beta?: number;
  /** λ: similarities of positives below it and of negatives above it weigh most. Default 0.5. */
  readonly base?: number;
}

/**
 * Multi-similarity loss, with s_ij = x_i · x_j:
 *
 *   L = mean_i [ 1/α ln(1 + Σ_{p} e^{-α (s_ip - λ)}) + 1/β ln(1 + Σ_{n} e^{β (s_in - λ)}) ]
 *
 * The mean is over all rows, those without positives too. Weights of positives and of the mask multiply the
 * exponentials. The paper mines pairs beforehand: see `informativePairs`.
 *
 * @param x  [N, D] unit norm
 * @returns scalar
 * @throws ShapeError when labels, positives, mask or keys do not fit; RangeError when neither labels nor positives are
 *   given, or a sharpness is not positive
 * @source Wang et al. 2019, equation 17
 */
export function multiSimilarityLoss(x: Tensor, options: MultiSimilarityOptions): Tensor {
  const { alpha = 2, beta = 50, base = 0.5, blockRows } = options;
  for (const [name, value] of Object.entries({ alpha, beta }))
    if (!(value > 0)) throw new RangeError(`multiSimilarityLoss: ${name} must be > 0, got ${value}`);
  const relation = relationWithin("multiSimilarityLoss", x, options, "rows");
  const distances = distancesOf("multiSimilarityLoss", relation, "dot");
  const rows = overRowBlocks(relation.rows, relation.columns, blockRows, (at) => {
    const { positives, negatives } = relation.block(at);
    const apart = add(distances(at), base);
    const part = (exponents: Tensor, weights: Tensor, sharpness: number): Tensor => {
      const kept = greater(weights, 0);
      const shifted = add(mul(exponents, sharpness), log(where(kept, weights, 1)));
      const total = softplus(maskedLogSumExp(shifted, kept, { axes: 1 }));
      return mul(where(greater(rowSum(weights), 0), total, 0), 1 / sharpness);
    };
    return { loss: add(part(apart, positives, alpha), part(mul(apart, -1), negatives, beta)) };
  });
  return mean(rows.loss);
}
