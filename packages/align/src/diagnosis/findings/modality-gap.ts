import { foldIn, type Key } from "@concord/tensor";
import type { CollectedSet } from "../collect.ts";
import type { Estimate, Finding, RemedyResult } from "../finding.ts";
import { rootOf, squaredMeanLength } from "../resample.ts";
import { separability } from "../separability.ts";
import { count, ofHundred, percent, plain } from "../text.ts";
import { severityOf, THRESHOLDS } from "../thresholds.ts";
import { basisOf, type DiagnosisView, measure } from "../view.ts";
import { costOf } from "./cost.ts";

/** Mean squared distance of a set's rows from their mean. */
function spreadOf({ mean }: CollectedSet): number {
  return 1 - mean.reduce((sum, value) => sum + value * value, 0);
}

export interface CentroidGap {
  /** Distance of the two means of rows at length 1, without sampling noise, in [0, 2]. */
  readonly distance: Estimate;
  /** Its square over the mean squared distance of a row of A and a row of B, in [0, 1]. */
  readonly share: Estimate;
}

/** How far apart the means of the two sets lie. */
export function centroidGap(a: CollectedSet, b: CollectedSet, sameRows: boolean, key: Key): CentroidGap {
  const squared = squaredMeanLength(a.groups, b.groups, sameRows, key);
  const spread = Math.max(spreadOf(a) + spreadOf(b), 0);
  const shareOf = (square: number): number => {
    const own = Math.max(0, square);
    return own + spread > 0 ? own / (own + spread) : 0;
  };
  return {
    distance: rootOf(squared),
    share: { value: shareOf(squared.value), low: shareOf(squared.low), high: shareOf(squared.high) },
  };
}

/** Whether the two sides of the pairs live in two separate clouds. */
export function modalityGapFinding(view: DiagnosisView, remedies: readonly RemedyResult[]): Finding {
  const { a, b, pairs } = view;
  if (!b || !pairs) throw new RangeError("modalityGapFinding: needs pairs");
  const { distance, share } = centroidGap(a, b, view.sameRows, foldIn(view.key, 1));
  const apart = separability(a.sample, b.sample, pairs, foldIn(view.key, 2));
  const severity = severityOf("modality-gap", share);
  const gap = severity !== "none";
  const { mild, serious, why } = THRESHOLDS["modality-gap"];
  return {
    id: "modality-gap",
    scope: "both",
    severity,
    title: gap
      ? `${a.name} and ${b.name} live in two separate clouds`
      : `${a.name} and ${b.name} share one region`,
    term: "modality gap",
    value: share.value,
    interval: share,
    measures: [
      measure("share of the squared distance between the sets that their centres explain", share, "share"),
      measure("distance of the two centres (0 to 2)", distance),
      measure("rows that a linear classifier assigns to the right set", apart, "share"),
    ],
    sentence: `${percent(share.value)} of the squared distance between a row of ${a.name} and a row of ${b.name} is there only because the centres of the two sets are ${plain(distance.value)} apart. Asked which set an unseen row is from, a linear classifier is right for ${ofHundred(apart.value)} (50 is guessing).`,
    explanation:
      "Each set forms a cloud of its own. The distance from one cloud to the other is the same for every pair, so it says nothing about what belongs together, but it stands in every similarity between the sets: thresholds, mixed result lists and averages over both sets go wrong.",
    normal: `Below ${percent(mild)}. Mild from ${percent(mild)}, serious from ${percent(serious)}. ${why} The classifier may well be right for most rows without harm: it finds any difference, however small.`,
    cost: gap ? costOf(remedies, "mean-shift") : null,
    remedy:
      severity === "none"
        ? "Nothing to do."
        : "Subtract from each set its own mean, computed on training data, and scale rows back to length 1. If that helps retrieval too little, fine-tune with a method that closes the gap.",
    basis: `centres: all ${count(a.rows)} and ${count(b.rows)} rows; classifier: ${basisOf(Math.min(1000, pairs.a.length), view.totalPairs, "pairs")}, half of them to test`,
  };
}
