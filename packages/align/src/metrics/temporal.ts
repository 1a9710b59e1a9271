import { checkCount, checkFinite } from "./checks.ts";

/** Start and end of a span of time, in any unit. */
export type TimeSpan = readonly [start: number, end: number];

function checkSpan(operation: string, what: string, span: TimeSpan): void {
  checkFinite(operation, what, span);
  if (span.length !== 2 || span[1] < span[0])
    throw new RangeError(
      `${operation}: ${what} must be [start, end] with start <= end, got [${span.join(", ")}]`,
    );
}

/**
 * Intersection over union of two spans of time, in [0, 1].
 *
 *   IoU = max(0, min(e₁, e₂) - max(s₁, s₂)) / (length₁ + length₂ - intersection)
 *
 * 0 when they do not overlap, and when both have no length.
 *
 * @throws RangeError when a span ends before it starts or is not finite
 */
export function temporalIoU(a: TimeSpan, b: TimeSpan): number {
  checkSpan("temporalIoU", "a", a);
  checkSpan("temporalIoU", "b", b);
  const common = Math.max(0, Math.min(a[1], b[1]) - Math.max(a[0], b[0]));
  const union = a[1] - a[0] + (b[1] - b[0]) - common;
  return union > 0 ? common / union : 0;
}

export interface TemporalRecall {
  /** Share of queries with a span of IoU ≥ m among the first k, `recall.get(k)?.get(m)`. */
  readonly recall: ReadonlyMap<number, ReadonlyMap<number, number>>;
  /** Mean over queries of the IoU of the first prediction (mIoU). */
  readonly meanIoU: number;
}

/**
 * Temporal grounding: R@k, IoU = m and the mean IoU of first predictions.
 *
 *   R@k,m = (1 / Q) Σ_q [max over the first k predictions of IoU with q's truth ≥ m]
 *
 * A query with several true spans takes the best of them. A query without prediction scores 0.
 *
 * @param predictions   for each query its spans, best first
 * @param truths        for each query its true span or spans
 * @param options.ks    default [1, 5]
 * @param options.ious  default [0.3, 0.5, 0.7]
 * @throws RangeError when the numbers of queries differ, there are none, a query has no truth, a span is wrong, or a
 *   threshold is outside (0, 1]
 * @source Gao et al. 2017 (TALL)
 */
export function temporalRecall(
  predictions: readonly (readonly TimeSpan[])[],
  truths: readonly (readonly TimeSpan[])[],
  {
    ks = [1, 5],
    ious = [0.3, 0.5, 0.7],
  }: { readonly ks?: readonly number[]; readonly ious?: readonly number[] } = {},
): TemporalRecall {
  const operation = "temporalRecall";
  if (predictions.length !== truths.length || truths.length === 0) {
    throw new RangeError(
      `${operation}: needs predictions and truths of the same queries, at least one, got ${predictions.length} and ${truths.length}`,
    );
  }
  for (const k of ks) checkCount(operation, "k", k);
  for (const m of ious)
    if (!(m > 0 && m <= 1)) throw new RangeError(`${operation}: IoU thresholds lie in (0, 1], got ${m}`);
  const overlaps = predictions.map((spans, q) => {
    const own = truths[q] as readonly TimeSpan[];
    if (own.length === 0) throw new RangeError(`${operation}: query ${q} has no true span`);
    for (const span of own) checkSpan(operation, `a true span of query ${q}`, span);
    for (const span of spans) checkSpan(operation, `a prediction of query ${q}`, span);
    return spans.map((span) => own.reduce((best, truth) => Math.max(best, temporalIoU(span, truth)), 0));
  });
  const shareAt = (k: number, m: number): number =>
    overlaps.filter((ious) => ious.slice(0, k).some((iou) => iou >= m)).length / overlaps.length;
  return {
    recall: new Map(ks.map((k) => [k, new Map(ious.map((m) => [m, shareAt(k, m)]))])),
    meanIoU: overlaps.reduce((sum, ious) => sum + (ious[0] ?? 0), 0) / overlaps.length,
  };
}
