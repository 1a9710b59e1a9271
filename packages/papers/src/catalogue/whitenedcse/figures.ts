import type { CovarianceSpectrum } from "@concord/align";
import type { BarsFigure, LinesFigure, PointsFigure } from "../../harness/figures.ts";
import type { StsSet } from "./task.ts";

/** Most bars of a figure. */
const MAX_SUBSETS = 128;
/** Shares below this are rounding, and would stretch the logarithmic axis. */
const LEAST_SHARE = 1e-7;

/** Shares of the total variance, largest first, counted from 1. */
function shares({ eigenvalues, sum }: CovarianceSpectrum): (readonly [number, number])[] {
  return Array.from(eigenvalues, (value, i) => [i + 1, value / sum] as const).filter(
    ([, share]) => share > LEAST_SHARE,
  );
}

/**
 * Spectra of the covariance of the test sentences' features.
 *
 * @param spectra.before  of the start, the same in all arms of a seed
 * @param spectra.after   of what the arm made; null where that is the start
 * @param spectra.inside  of what the dense layer of an arm with whitening meets
 */
export function spectrumFigure(spectra: {
  readonly before: CovarianceSpectrum;
  readonly after: CovarianceSpectrum | null;
  readonly inside: CovarianceSpectrum | null;
}): LinesFigure {
  const { before, after, inside } = spectra;
  return {
    kind: "lines",
    id: "spectrum",
    title: "Spectrum of the covariance",
    caption:
      "Share of each principal direction in the variance of the test sentences' features. A flat line uses all directions alike; a steep one crowds into few. 'Whitened' is what the dense layer meets in training.",
    x: { label: "principal direction" },
    y: { label: "share of the variance", scale: "log" },
    series: [
      { label: "before training", points: shares(before), guide: true },
      ...(after ? [{ label: "after", points: shares(after) }] : []),
      ...(inside ? [{ label: "whitened", points: shares(inside) }] : []),
    ],
  };
}

/** A place in the alignment-uniformity plane. */
export interface PlanePoint {
  /** Steps done; null for an arm that does not train. */
  readonly step: number | null;
  readonly alignment: number;
  readonly uniformity: number;
}

/** The way of an arm through the alignment-uniformity plane; null when no pair is close enough to measure alignment. */
export function planeFigure(way: readonly PlanePoint[], keptStep: number | null): PointsFigure | null {
  const points = way.filter(({ alignment }) => Number.isFinite(alignment));
  if (points.length === 0) return null;
  return {
    kind: "points",
    id: "alignment-uniformity",
    title: "Alignment and uniformity",
    caption:
      "Where the encoder stands from the start of the training to its end, on the pairs that choose the checkpoint. Down: alike sentences lie closer; left: all sentences spread more evenly. Both low is best.",
    x: { label: "uniformity" },
    y: { label: "alignment" },
    series: [
      {
        label: "",
        points: points.map(({ uniformity, alignment }) => [uniformity, alignment]),
        labels: points.map(({ step }) =>
          step === null ? "not trained" : `step ${step}${step === keptStep ? ", kept" : ""}`,
        ),
        joined: points.length > 1,
      },
    ],
  };
}

/** Correlations of the parts of a test set; null when it has none. */
export function subsetsFigure(
  { subsets }: StsSet,
  correlation: (rows: readonly number[]) => number,
): BarsFigure | null {
  if (subsets.length < 2) return null;
  const shown = subsets.slice(0, MAX_SUBSETS);
  return {
    kind: "bars",
    id: "subsets",
    title: "Similarity by part of the test set",
    caption:
      "Spearman's correlation with the gold scores within each part. The metric is taken over all pairs together.",
    categories: shown.map(({ name }) => name),
    y: { label: "Spearman × 100" },
    series: [{ label: "", values: shown.map(({ rows }) => correlation(rows)) }],
  };
}
