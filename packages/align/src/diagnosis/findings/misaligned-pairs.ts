import { foldIn, type Key, RandomStream, splitKey } from "@concord/tensor";
import { mean } from "../../metrics/checks.ts";
import type { Estimate, Finding, Histogram, RetrievalDirection } from "../finding.ts";
import { estimateOf, meanEstimate } from "../resample.ts";
import { choose, type UnitRows } from "../sample.ts";
import { count, ofHundred, percent, plain } from "../text.ts";
import { severityOf, THRESHOLDS } from "../thresholds.ts";
import { basisOf, type DiagnosisView, measure } from "../view.ts";

const PAIRS = 2000;
/** Unmatched rows that each sampled pair is compared with. */
const OTHERS = 20;
export const HISTOGRAM_BINS = 50;
const OVERLAP_RESAMPLES = 100;

export function dotOfRows(x: UnitRows, i: number, y: UnitRows, j: number): number {
  const width = x.shape[1] as number;
  let sum = 0;
  for (let k = 0; k < width; k++)
    sum += (x.data[i * width + k] as number) * (y.data[j * width + k] as number);
  return sum;
}

/** Counts in bins of one width that cover all the lists. */
export function histograms(lists: readonly Float64Array[], bins = HISTOGRAM_BINS): Histogram[] {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const values of lists) {
    for (const value of values) {
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
  }
  if (!(high > low)) [low, high] = [low - 0.01, low + 0.01];
  const edges = Array.from({ length: bins + 1 }, (_, i) => low + ((high - low) * i) / bins);
  return lists.map((values) => {
    const counts = new Array<number>(bins).fill(0);
    for (const value of values) {
      const bin = Math.min(bins - 1, Math.floor(((value - low) / (high - low)) * bins));
      counts[bin] = (counts[bin] as number) + 1;
    }
    return { edges, counts };
  });
}

export interface PairSimilarities {
  /** Cosines of sampled pairs. */
  readonly matched: Float64Array;
  /** Cosines of rows of these pairs with rows of others. */
  readonly unmatched: Float64Array;
}

/** Cosines of up to 2,000 pairs, and of each one's first side with 20 rows that are not its partner. */
export function pairSimilarities(view: DiagnosisView): PairSimilarities {
  const { a, b, pairs } = view;
  if (!b || !pairs) throw new RangeError("pairSimilarities: needs pairs");
  const chosen = choose(pairs.a.length, PAIRS, foldIn(view.key, 11));
  const n = chosen.length;
  const partners = new Set(Array.from(pairs.a, (row, i) => row * 2 ** 26 + (pairs.b[i] as number)));
  const unmatched: number[] = [];
  const matched = Float64Array.from(chosen, (place, i) => {
    const row = pairs.a[place] as number;
    for (let step = 1; step <= OTHERS; step++) {
      // Strides that are spread over the list, so that neighbours in the file are not all that is met.
      const other = pairs.b[
        chosen[(i + 1 + Math.floor((step * (n - 1)) / (OTHERS + 1))) % n] as number
      ] as number;
      if (!partners.has(row * 2 ** 26 + other)) unmatched.push(dotOfRows(a.sample, row, b.sample, other));
    }
    return dotOfRows(a.sample, row, b.sample, pairs.b[place] as number);
  });
  return { matched, unmatched: Float64Array.from(unmatched) };
}

/** Chance that a matched pair is more similar than an unmatched one, ties one half, with its interval over pairs. */
export function pairAuc({ matched, unmatched }: PairSimilarities, key: Key): Estimate {
  const sorted = unmatched.slice().sort();
  const below = (limit: number, orEqual: boolean): number => {
    let [from, to] = [0, sorted.length];
    while (from < to) {
      const middle = (from + to) >> 1;
      const value = sorted[middle] as number;
      if (value < limit || (orEqual && value === limit)) from = middle + 1;
      else to = middle;
    }
    return from;
  };
  const chances = matched.map((value) => (below(value, false) + below(value, true)) / (2 * sorted.length));
  return meanEstimate(chances, key);
}

/** Common area of the two histograms, with its interval: bins drawn anew as often as there are values. */
function overlapOf(similarities: PairSimilarities, key: Key): Estimate {
  const [own, other] = histograms([similarities.matched, similarities.unmatched]) as [Histogram, Histogram];
  const areaOf = (left: readonly number[], right: readonly number[]): number => {
    const [n, m] = [left, right].map((counts) => counts.reduce((sum, count) => sum + count, 0)) as [
      number,
      number,
    ];
    return left.reduce((sum, count, bin) => sum + Math.min(count / n, (right[bin] as number) / m), 0);
  };
  const stream = new RandomStream(key);
  const binsOf = ({ counts }: Histogram): number[] =>
    counts.flatMap((count, bin) => new Array<number>(count).fill(bin));
  const drawn = (bins: readonly number[], times: number): number[] => {
    const fresh = own.counts.map(() => 0);
    for (let i = 0; i < times; i++) {
      const bin = bins[stream.integer(bins.length)] as number;
      fresh[bin] = (fresh[bin] as number) + 1;
    }
    return fresh;
  };
  const n = similarities.matched.length;
  const [ownBins, otherBins] = [binsOf(own), binsOf(other)];
  // Unmatched values of one row hang together, so as many are drawn as there are rows.
  const replicates = Float64Array.from({ length: OVERLAP_RESAMPLES }, () =>
    areaOf(drawn(ownBins, n), drawn(otherBins, n)),
  );
  return estimateOf(areaOf(own.counts, other.counts), replicates);
}

/** Whether matched pairs are more similar than unmatched ones. */
export function misalignedPairsFinding(
  view: DiagnosisView,
  similarities: PairSimilarities,
  retrieval: readonly RetrievalDirection[],
): Finding {
  const [aucKey, ownKey, otherKey, overlapKey] = splitKey(foldIn(view.key, 12), 4) as [Key, Key, Key, Key];
  const { matched, unmatched } = similarities;
  const auc = pairAuc(similarities, aucKey);
  const own = meanEstimate(matched, ownKey);
  const other = meanEstimate(unmatched, otherKey);
  const distance = meanEstimate(
    matched.map((cosine) => 2 - 2 * cosine),
    ownKey,
  );
  const severity = severityOf("misaligned-pairs", auc);
  const { mild, serious, why } = THRESHOLDS["misaligned-pairs"];
  const [there] = retrieval;
  const first = there?.recall[0]?.estimate.value;
  return {
    id: "misaligned-pairs",
    scope: "both",
    severity,
    title:
      severity === "none"
        ? "Matched pairs stand out from all others"
        : severity === "mild"
          ? "Some matched pairs look no more alike than strangers"
          : mean(matched) - mean(unmatched) < 0.01
            ? "Matched pairs look no more alike than strangers"
            : "Many matched pairs look no more alike than strangers",
    term: "misalignment of positive pairs",
    value: auc.value,
    interval: auc,
    measures: [
      measure("matched more similar than unmatched (AUC)", auc, "share"),
      measure("mean cosine of matched pairs", own),
      measure("mean cosine of unmatched pairs", other),
      measure("alignment, mean squared distance of pairs (0 to 4)", distance),
      measure("overlap of the two histograms", overlapOf(similarities, overlapKey), "share"),
    ],
    sentence: `A matched pair is more similar than an unmatched one in ${ofHundred(auc.value)} comparisons (50 is chance). Mean similarity (cosine): ${plain(own.value)} for matched pairs, ${plain(other.value)} for others.`,
    explanation:
      "Search by similarity works as far as the right partner is more similar than everything else. Where the two ranges overlap, wrong answers come first.",
    normal: `${percent(mild)} and more. Mild below ${percent(mild)}, serious below ${percent(serious)}. ${why}`,
    cost:
      there === undefined || first === undefined
        ? null
        : `Of 100 rows of ${there.from}, ${Math.round(100 * first)} find their own partner first among ${count(there.gallery)} of ${there.to}.`,
    remedy:
      severity === "none"
        ? "Nothing to do."
        : "First check that the pairs are right: row i of both files the same thing, the same preprocessing, no shuffled file. If they are, the encoders must be trained or adapted on pairs (a contrastive loss); no shift or rotation replaces that unless the findings below say so.",
    basis: basisOf(matched.length, view.totalPairs, "pairs"),
  };
}
