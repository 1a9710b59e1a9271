import { foldIn, type Key } from "@concord/tensor";
import { mean } from "../../metrics/checks.ts";
import { forEachBlockOfProducts } from "../../metrics/rows.ts";
import type { CollectedSet } from "../collect.ts";
import type { Estimate, Finding, FindingScope, RemedyResult } from "../finding.ts";
import { estimateOf, exactly, RESAMPLES, resampledMean, squaredMeanLength } from "../resample.ts";
import { choose, takeRows } from "../sample.ts";
import type { Spectrum } from "../spectrum.ts";
import { count, percent, plain } from "../text.ts";
import { severityOf, THRESHOLDS } from "../thresholds.ts";
import { basisOf, type DiagnosisView, measure } from "../view.ts";
import { costOf } from "./cost.ts";

/** Whether a set uses the directions that it has. */
export function collapseFinding(
  set: CollectedSet,
  scope: FindingScope,
  spectrum: Spectrum,
  remedies: readonly RemedyResult[],
): Finding {
  const { effectiveRank, limit, total, topShare, rows } = spectrum;
  const share = {
    value: effectiveRank.value / limit,
    low: effectiveRank.low / limit,
    high: effectiveRank.high / limit,
  };
  const severity = severityOf("dimensional-collapse", share);
  const { mild, serious, why } = THRESHOLDS["dimensional-collapse"];
  const dead = set.constantDimensions / set.width;
  const deadText =
    set.constantDimensions === 0
      ? ""
      : ` ${count(set.constantDimensions)} of ${count(set.width)} dimensions have one value in all rows.`;
  return {
    id: "dimensional-collapse",
    scope,
    severity,
    title:
      total === 0
        ? `All rows of ${set.name} point the same way`
        : severity === "none"
          ? `${set.name} uses its dimensions`
          : `${set.name} uses few of its dimensions`,
    term: "dimensional collapse",
    value: share.value,
    interval: share,
    measures: [
      measure("effective rank over what is possible", share, "share"),
      measure("effective rank", effectiveRank),
      measure("variance in the first direction", topShare, "share"),
      measure("dimensions with one value in all rows", exactly(dead), "share"),
    ],
    sentence:
      total === 0
        ? `All ${count(set.rows)} rows are one vector up to their length: they carry no information.`
        : `Of ${count(limit)} directions that ${count(rows)} rows of width ${count(set.width)} could use, they use about ${plain(effectiveRank.value, effectiveRank.value < 10 ? 1 : 0)} (effective rank); the strongest one carries ${percent(topShare.value)} of the variance.${deadText}`,
    explanation:
      "Vectors of many dimensions can still lie in a thin slice of the space. What lies outside the slice cannot be told apart, and the other numbers only cost memory.",
    normal: `${percent(mild)} of the possible directions or more. Mild below ${percent(mild)}, serious below ${percent(serious)}. ${why}`,
    cost: severity === "none" ? null : costOf(remedies, "whitening"),
    remedy:
      severity === "none"
        ? "Nothing to do."
        : total === 0
          ? "The encoder or the export is broken: check that it sees different inputs, and its last layer."
          : "Whitening spreads what is there. In training, a loss that pushes rows apart (uniformity, InfoNCE with more negatives, whitening, prototypes with balanced use) prevents it.",
    basis: rows === set.rows ? `all ${count(rows)} rows; interval from a sample` : basisOf(rows, set.rows),
  };
}

/** Whether all rows of a set point into one narrow cone. */
export function anisotropyFinding(
  view: DiagnosisView,
  set: CollectedSet,
  scope: FindingScope,
  remedies: readonly RemedyResult[],
): Finding {
  const cosine = squaredMeanLength(set.groups, null, false, foldIn(view.key, scope === "b" ? 22 : 21));
  const severity = severityOf("anisotropy", cosine);
  const { mild, serious, why } = THRESHOLDS.anisotropy;
  return {
    id: "anisotropy",
    scope,
    severity,
    title:
      severity === "none"
        ? `${set.name} points in all directions`
        : `All rows of ${set.name} point into one ${severity === "serious" ? "narrow " : ""}cone`,
    term: "anisotropy",
    value: cosine.value,
    interval: cosine,
    measures: [measure("mean cosine of two random rows", cosine)],
    sentence: `Two rows of ${set.name} that have nothing to do with each other have a similarity (cosine) of ${plain(cosine.value)} on average.`,
    explanation:
      "When everything resembles everything, similarities are squeezed into a small range: a threshold such as 0.8 loses its meaning, and small errors decide the order.",
    normal: `Below ${plain(mild, 1)}. Mild from ${plain(mild, 1)}, serious from ${plain(serious, 1)}. ${why}`,
    cost: severity === "none" ? null : costOf(remedies, "mean-shift"),
    remedy:
      severity === "none"
        ? "Nothing to do."
        : "Subtract the mean of the set (computed on training data) and scale rows back to length 1; whitening goes further.",
    basis: `all ${count(set.rows)} rows`,
  };
}

const UNIFORMITY_ROWS = 1000;

/**
 * log mean exp(-2 ‖x - y‖²) over pairs of different sampled rows (Wang, Isola 2020).
 *
 * Interval: bootstrap over rows to first order (a mean over pairs moves by twice what the rows' own means move by).
 */
export async function uniformityOf(set: CollectedSet, key: Key): Promise<Estimate & { rows: number }> {
  const sampled = set.sample.shape[0] as number;
  const rows = takeRows(set.sample, choose(sampled, UNIFORMITY_ROWS, key));
  const n = rows.shape[0] as number;
  const means = new Float64Array(n);
  await forEachBlockOfProducts(rows, rows, (first, blockRows, products) => {
    for (let i = 0; i < blockRows; i++) {
      let sum = 0;
      for (let j = 0; j < n; j++)
        if (j !== first + i) sum += Math.exp(4 * ((products[i * n + j] as number) - 1));
      means[first + i] = sum / (n - 1);
    }
  });
  const average = mean(means);
  const logOf = (potential: number): number => Math.log(Math.max(potential, Math.exp(-8)));
  const replicates = Float64Array.from({ length: RESAMPLES }, (_, r) =>
    logOf(average + 2 * (resampledMean(means, foldIn(key, r)) - average)),
  );
  return { ...estimateOf(logOf(average), replicates), rows: n };
}

/** Whether rows crowd together instead of spreading over all directions. */
export async function uniformityFinding(
  view: DiagnosisView,
  set: CollectedSet,
  scope: FindingScope,
  remedies: readonly RemedyResult[],
): Promise<Finding> {
  const potential = await uniformityOf(set, foldIn(view.key, scope === "b" ? 24 : 23));
  const severity = severityOf("poor-uniformity", potential);
  const { mild, serious, why } = THRESHOLDS["poor-uniformity"];
  return {
    id: "poor-uniformity",
    scope,
    severity,
    title: severity === "none" ? `${set.name} is spread out` : `${set.name} crowds into a part of the space`,
    term: "poor uniformity",
    value: potential.value,
    interval: potential,
    measures: [measure("uniformity, log mean Gaussian potential (-4 spread out, 0 one point)", potential)],
    sentence: `On a scale from -4 (spread evenly) to 0 (all at one point), ${set.name} has ${plain(potential.value)}.`,
    explanation:
      "Good embeddings use the whole space: then different things are far from each other. Rows that crowd together are hard to tell apart.",
    normal: `Below ${plain(mild, 0)}. Mild from ${plain(mild, 0)}, serious from ${plain(serious, 0)}. ${why}`,
    cost: severity === "none" ? null : costOf(remedies, "whitening"),
    remedy:
      severity === "none"
        ? "Nothing to do."
        : "Whitening spreads the rows out at once. In training, add a term for uniformity or more negatives.",
    basis: basisOf(potential.rows, set.rows),
  };
}
