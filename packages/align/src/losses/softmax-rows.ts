import {
  add,
  cast,
  div,
  greater,
  log,
  maskedLogSumExp,
  matmul,
  mul,
  softplus,
  sub,
  sum,
  type Tensor,
  where,
} from "@concord/tensor";
import { overRowBlocks, weightedMean } from "./blocks.ts";
import type { PairBlock, Relation } from "./relations.ts";

export interface SoftmaxOptions {
  /**
   * Several positives of a row: `outside` averages their log-probabilities (each must be found), `inside` takes the
   * logarithm of their average probability (one of them is enough). Default `outside`.
   */
  readonly severalPositives?: "outside" | "inside";
  /**
   * What a positive competes with: `all` pairs of its row; the negatives and itself, but no other positive (`own`); the
   * `negatives` alone, which makes the loss decoupled, and unbounded below. Default `all`.
   */
  readonly denominator?: "all" | "own" | "negatives";
  /** Weight of a row with positives: 1, or the sum of its positives, so that all positive pairs count the same. Default `rows`. */
  readonly average?: "rows" | "pairs";
  /** Taken from the products of positives, before the scale: they must win by that much. Default 0. */
  readonly margin?: number;
}

/** The number that products are multiplied by: `logitScale`, or 1 / temperature. */
export function scaleOf(
  operation: string,
  {
    temperature,
    logitScale,
  }: { readonly temperature?: number | undefined; readonly logitScale?: number | Tensor | undefined },
  defaultTemperature: number,
): number | Tensor {
  if (logitScale !== undefined) {
    if (temperature !== undefined)
      throw new RangeError(`${operation}: give either temperature or logitScale, not both`);
    if (typeof logitScale === "number" && !(logitScale > 0))
      throw new RangeError(`${operation}: logitScale must be > 0, got ${logitScale}`);
    return logitScale;
  }
  const tau = temperature ?? defaultTemperature;
  if (!(tau > 0)) throw new RangeError(`${operation}: temperature must be > 0, got ${tau}`);
  return 1 / tau;
}

export function checkSoftmaxOptions(
  operation: string,
  { severalPositives = "outside", denominator = "all", margin = 0 }: SoftmaxOptions,
): void {
  if (!Number.isFinite(margin)) throw new RangeError(`${operation}: margin must be finite, got ${margin}`);
  if (severalPositives === "inside" && denominator !== "all")
    throw new RangeError(
      `${operation}: severalPositives "inside" is a probability among all pairs of a row; it excludes denominator "${denominator}"`,
    );
}

const present = (x: Tensor): Tensor => greater(x, 0);
const rowSum = (x: Tensor): Tensor => sum(x, { axes: -1, keepDims: true });

/** ln Σ_j w_j e^{s_j} of each row, [N, 1], over weights > 0; 0 for a row without any. */
function weightedLogSumExp(logits: Tensor, weights: Tensor, weighted: boolean): Tensor {
  const kept = present(weights);
  const shifted = weighted ? add(logits, log(where(kept, weights, 1))) : logits;
  return maskedLogSumExp(shifted, kept, { axes: -1, keepDims: true });
}

/** Loss of each row of a block, and the mass of its positives, 0 where it does not count: [count, 1]. */
export function rowLosses(
  logits: Tensor,
  { positives, negatives, allowed, weighted }: PairBlock,
  { severalPositives = "outside", denominator = "all" }: SoftmaxOptions,
): { readonly loss: Tensor; readonly mass: Tensor } {
  const mass = rowSum(positives);
  const shares = div(positives, add(mass, cast(greater(1e-30, mass), mass.dtype)));
  if (denominator === "all") {
    const all = weightedLogSumExp(logits, allowed, weighted);
    const found =
      severalPositives === "inside" ? weightedLogSumExp(logits, shares, true) : rowSum(mul(shares, logits));
    return { loss: sub(all, found), mass };
  }
  const competing = weightedLogSumExp(logits, negatives, weighted);
  const opposed = present(rowSum(negatives));
  if (denominator === "negatives") {
    const counted = cast(opposed, mass.dtype);
    return { loss: sub(competing, rowSum(mul(shares, logits))), mass: mul(mass, counted) };
  }
  return { loss: where(opposed, rowSum(mul(shares, softplus(sub(competing, logits)))), 0), mass };
}

/** Logits less the margin where pairs match. */
export function lessMargin(
  logits: Tensor,
  positives: Tensor,
  scale: number | Tensor,
  margin: number | undefined,
): Tensor {
  if (!margin) return logits;
  return sub(logits, mul(cast(present(positives), logits.dtype), mul(scale, margin)));
}

/** Mean of the losses of rows by their masses, as `average` says. */
export function meanOfRows(loss: Tensor, mass: Tensor, average: SoftmaxOptions["average"]): Tensor {
  const counted = present(mass);
  return weightedMean(where(counted, loss, 0), average === "pairs" ? mass : cast(counted, mass.dtype));
}

/** Mean over the rows that have positives of cross-entropies between the rows of a relation. */
export function softmaxDirection(
  { queries, keys, rows, columns, block }: Relation,
  scale: number | Tensor,
  blockRows: number | undefined,
  options: SoftmaxOptions,
): Tensor {
  const scaled = mul(queries, scale);
  const { loss, mass } = overRowBlocks(rows, columns, blockRows, (at) => {
    const logits = matmul(at.rowsOf(scaled), keys, { transposeB: true });
    const pairs = block(at);
    const found = rowLosses(lessMargin(logits, pairs.positives, scale, options.margin), pairs, options);
    return { loss: sum(found.loss, { axes: 1 }), mass: sum(found.mass, { axes: 1 }) };
  });
  return meanOfRows(loss, mass, options.average);
}
