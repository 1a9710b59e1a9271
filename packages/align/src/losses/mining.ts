import {
  add,
  cast,
  checkAxes,
  equal,
  expandDims,
  eye,
  greater,
  less,
  logicalAnd,
  logicalNot,
  logicalOr,
  maskedSoftmax,
  max,
  min,
  mul,
  neg,
  ones,
  scatterSetAlong,
  stopGradient,
  sub,
  sum,
  type Tensor,
  topK,
  where,
  zeros,
} from "@concord/tensor";

/** Beyond every similarity. */
const FAR = 1e30;

export interface MiningOptions {
  /** [N, M] bool or weights: false or 0 for pairs that are never chosen, e.g. of rows with themselves. */
  readonly mask?: Tensor;
}

interface Candidates {
  readonly similarities: Tensor;
  readonly positive: Tensor;
  readonly negative: Tensor;
}

const truthOf = (x: Tensor): Tensor => (x.dtype === "bool" ? x : greater(x, 0));

function candidatesOf(
  operation: string,
  similarities: Tensor,
  positives: Tensor,
  { mask }: MiningOptions,
): Candidates {
  checkAxes(operation, {
    similarities: [similarities, "N M"],
    positives: [positives, "N M"],
    ...(mask && { mask: [mask, "N M"] as const }),
  });
  const matching = truthOf(positives);
  const others = logicalNot(matching);
  return {
    similarities: stopGradient(similarities),
    positive: mask ? logicalAnd(matching, truthOf(mask)) : matching,
    negative: mask ? logicalAnd(others, truthOf(mask)) : others,
  };
}

/** The k candidates of each row with the largest scores, fewer where it has fewer; among equals those that come first. */
function best(operation: string, scores: Tensor, candidates: Tensor, k: number): Tensor {
  const [rows, columns] = scores.shape as [number, number];
  if (!(Number.isInteger(k) && k >= 1 && k <= columns))
    throw new RangeError(`${operation}: k must be an integer from 1 to ${columns}, the columns; got ${k}`);
  const { indices } = topK(where(candidates, scores, -FAR), k, 1);
  const chosen = scatterSetAlong(
    zeros([rows, columns], scores.dtype),
    indices,
    ones([rows, k], scores.dtype),
    1,
  );
  return logicalAnd(greater(chosen, 0), candidates);
}

/**
 * Which rows and columns have equal labels: positives for miners. Rows of one set match themselves here: leave them out
 * with `mask: otherRows(N)`.
 *
 * @param labels     [N] int32 or int64
 * @param keyLabels  [M]. Default: `labels`
 * @returns [N, M] bool
 * @throws ShapeError when the labels are no vectors
 */
export function equalLabels(labels: Tensor, keyLabels: Tensor = labels): Tensor {
  checkAxes("equalLabels", { labels: [labels, "N"], keyLabels: [keyLabels, "M"] });
  return equal(expandDims(labels, 1), expandDims(keyLabels, 0));
}

/** All pairs of different rows of one set: [rows, rows] bool, false on the diagonal. */
export function otherRows(rows: number): Tensor {
  return less(eye(rows), 1);
}

/**
 * The k most similar candidates of each row, whatever matches: for instance as positives where none are known.
 *
 * @param similarities  [N, M], larger is nearer
 * @param k             1 ≤ k ≤ M; a row with fewer candidates has all of them chosen
 * @returns [N, M] bool; no gradient
 * @throws ShapeError when the mask does not fit; RangeError for a k out of range
 */
export function nearestPairs(similarities: Tensor, k: number, options: MiningOptions = {}): Tensor {
  const none = zeros(similarities.shape);
  const { negative, similarities: scores } = candidatesOf("nearestPairs", similarities, none, options);
  return best("nearestPairs", scores, negative, k);
}

/**
 * The k negatives of each row that are most similar to it. `logicalOr(positives, …)` is a mask for any pair loss.
 *
 * @param similarities  [N, M], larger is nearer
 * @param positives     [N, M] bool, or weights > 0 where pairs match
 * @param k             1 ≤ k ≤ M; a row with fewer negatives has all of them chosen
 * @returns [N, M] bool; no gradient
 * @throws ShapeError when the shapes differ; RangeError for a k out of range
 */
export function hardestNegatives(
  similarities: Tensor,
  positives: Tensor,
  k: number,
  options: MiningOptions = {},
): Tensor {
  const { similarities: scores, negative } = candidatesOf(
    "hardestNegatives",
    similarities,
    positives,
    options,
  );
  return best("hardestNegatives", scores, negative, k);
}

/**
 * The k positives of each row that are least similar to it.
 *
 * @param similarities  [N, M], larger is nearer
 * @param positives     [N, M] bool, or weights > 0 where pairs match
 * @param k             1 ≤ k ≤ M; a row with fewer positives has all of them chosen
 * @returns [N, M] bool; no gradient
 * @throws ShapeError when the shapes differ; RangeError for a k out of range
 */
export function hardestPositives(
  similarities: Tensor,
  positives: Tensor,
  k: number,
  options: MiningOptions = {},
): Tensor {
  const { similarities: scores, positive } = candidatesOf(
    "hardestPositives",
    similarities,
    positives,
    options,
  );
  return best("hardestPositives", neg(scores), positive, k);
}

/** Least similar positive and most similar negative of each row: [N, 1]. */
function extremes({ similarities, positive, negative }: Candidates): readonly [Tensor, Tensor] {
  return [
    min(where(positive, similarities, FAR), { axes: 1, keepDims: true }),
    max(where(negative, similarities, -FAR), { axes: 1, keepDims: true }),
  ];
}

/**
 * Semi-hard negatives of each row: less similar than its least similar positive, but by less than the margin. Rows
 * without a positive have none.
 *
 * @param similarities  [N, M], larger is nearer
 * @param positives     [N, M] bool, or weights > 0 where pairs match
 * @param options.margin  > 0. Default 0.2
 * @returns [N, M] bool; no gradient
 * @throws ShapeError when the shapes differ; RangeError unless the margin is > 0
 * @source Schroff et al. 2015, equation 4
 */
export function semiHardNegatives(
  similarities: Tensor,
  positives: Tensor,
  options: MiningOptions & { readonly margin?: number } = {},
): Tensor {
  const { margin = 0.2 } = options;
  if (!(margin > 0)) throw new RangeError(`semiHardNegatives: margin must be > 0, got ${margin}`);
  const candidates = candidatesOf("semiHardNegatives", similarities, positives, options);
  const [positive] = extremes(candidates);
  const within = logicalAnd(
    less(candidates.similarities, positive),
    greater(candidates.similarities, sub(positive, margin)),
  );
  return logicalAnd(within, candidates.negative);
}

/**
 * Pairs that say something, as the multi-similarity loss mines them: negatives more similar than the least similar
 * positive of their row less a margin, and positives less similar than the most similar negative plus the margin.
 *
 * @param similarities  [N, M], larger is nearer
 * @param positives     [N, M] bool, or weights > 0 where pairs match
 * @param options.margin  ε >= 0. Default 0.1
 * @returns [N, M] bool, a mask for any pair loss; no gradient. Rows without a positive or without a negative have none
 * @throws ShapeError when the shapes differ; RangeError for a negative margin
 * @source Wang et al. 2019, equations 10 and 11
 */
export function informativePairs(
  similarities: Tensor,
  positives: Tensor,
  options: MiningOptions & { readonly margin?: number } = {},
): Tensor {
  const { margin = 0.1 } = options;
  if (!(margin >= 0)) throw new RangeError(`informativePairs: margin must be >= 0, got ${margin}`);
  const candidates = candidatesOf("informativePairs", similarities, positives, options);
  const [positive, negative] = extremes(candidates);
  const { similarities: scores } = candidates;
  return logicalOr(
    logicalAnd(candidates.negative, greater(add(scores, margin), positive)),
    logicalAnd(candidates.positive, less(sub(scores, margin), negative)),
  );
}

/**
 * Weights that emphasise hard negatives: in each row e^{β s_ij}, scaled to mean 1 over its negatives; positives have
 * weight 1. As `mask` of a loss over exponentials they are its hardness-weighted form.
 *
 * @param similarities  [N, M], larger is nearer
 * @param positives     [N, M] bool, or weights > 0 where pairs match
 * @param options.beta  β >= 0. Default 1; 0 weighs all alike
 * @returns [N, M] weights >= 0, 0 outside the mask; no gradient
 * @throws ShapeError when the shapes differ; RangeError for a negative β
 * @source Robinson et al. 2021, equation 4, with τ⁺ = 0
 */
export function hardNegativeWeights(
  similarities: Tensor,
  positives: Tensor,
  options: MiningOptions & { readonly beta?: number } = {},
): Tensor {
  const { beta = 1 } = options;
  if (!(beta >= 0)) throw new RangeError(`hardNegativeWeights: beta must be >= 0, got ${beta}`);
  const {
    similarities: scores,
    positive,
    negative,
  } = candidatesOf("hardNegativeWeights", similarities, positives, options);
  const counts = sum(cast(negative, scores.dtype), { axes: 1, keepDims: true });
  const shares = maskedSoftmax(mul(scores, beta), negative);
  return add(mul(shares, counts), cast(positive, scores.dtype));
}
