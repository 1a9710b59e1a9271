import { checkFinite, checkSameLength } from "./checks.ts";
import { averageRanks } from "./correlation.ts";

/** Number of positives. */
function checkBinary(
  operation: string,
  scores: ArrayLike<number>,
  labels: ArrayLike<number | boolean>,
): number {
  checkFinite(operation, "scores", scores);
  checkSameLength(operation, ["scores", scores], ["labels", labels]);
  let positives = 0;
  for (let i = 0; i < labels.length; i++) {
    const label = Number(labels[i]);
    if (label !== 0 && label !== 1)
      throw new RangeError(`${operation}: labels must be 0 or 1, got ${labels[i]} at index ${i}`);
    positives += label;
  }
  return positives;
}

/**
 * Area under the receiver operating characteristic: the chance that a random positive scores above a random negative,
 * ties counting one half.
 *
 *   AUROC = (Σ_{positives} rank - P (P + 1) / 2) / (P N),   ranks averaged over ties
 *
 * In [0, 1], 0.5 for constant scores.
 *
 * @param scores  higher means positive
 * @param labels  0 or 1 (or booleans)
 * @throws RangeError when lengths differ, a score is not finite, a label is neither 0 nor 1 or one class is missing
 * @source Hanley, McNeil 1982
 */
export function auroc(scores: ArrayLike<number>, labels: ArrayLike<number | boolean>): number {
  const positives = checkBinary("auroc", scores, labels);
  const negatives = scores.length - positives;
  if (positives === 0 || negatives === 0) {
    throw new RangeError(
      `auroc: needs positives and negatives, got ${positives} and ${negatives}; with one class it is not defined`,
    );
  }
  const sum = averageRanks(scores).reduce((total, rank, i) => total + (labels[i] ? rank : 0), 0);
  return (sum - (positives * (positives + 1)) / 2) / (positives * negatives);
}

/**
 * Average precision of a binary classifier: the area under the steps of the precision-recall curve.
 *
 *   AP = Σ_n (R_n - R_{n-1}) P_n
 *
 * n runs over the distinct scores, highest first; items of equal score enter together, so constant scores have the
 * share of positives. In (0, 1]. No interpolation (for detections see `detectionAveragePrecision`).
 *
 * @param scores  higher means positive
 * @param labels  0 or 1 (or booleans)
 * @throws RangeError as `auroc`, but only positives are needed
 * @source scikit-learn's average_precision_score
 */
export function averagePrecision(scores: ArrayLike<number>, labels: ArrayLike<number | boolean>): number {
  const positives = checkBinary("averagePrecision", scores, labels);
  if (positives === 0) throw new RangeError("averagePrecision: needs at least one positive");
  const order = Uint32Array.from({ length: scores.length }, (_, i) => i).sort(
    (a, b) => (scores[b] as number) - (scores[a] as number),
  );
  let right = 0;
  let entered = 0;
  let area = 0;
  order.forEach((item, i) => {
    if (labels[item]) entered++;
    const next = order[i + 1];
    if (next !== undefined && scores[next] === scores[item]) return;
    right += entered;
    area += (entered / positives) * (right / (i + 1));
    entered = 0;
  });
  return area;
}
