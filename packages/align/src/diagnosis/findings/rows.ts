import { foldIn, type Key } from "@concord/tensor";
import { bootstrapDifference } from "../../metrics/bootstrap.ts";
import { forEachBlockOfProducts } from "../../metrics/rows.ts";
import type { CollectedSet } from "../collect.ts";
import type { Estimate, Finding, FindingScope } from "../finding.ts";
import { exactly, meanEstimate, RESAMPLES } from "../resample.ts";
import { hitsWithin, type QueryRanks } from "../retrieval.ts";
import { choose, takeRows } from "../sample.ts";
import { count, percent, plain } from "../text.ts";
import { NORM_SPREAD_MILD, severityOf, THRESHOLDS } from "../thresholds.ts";
import { basisOf, type DiagnosisView, measure } from "../view.ts";

/** Rows that repeat an earlier one value for value. */
export function duplicateRowsFinding(set: CollectedSet, scope: FindingScope): Finding {
  const share = exactly(set.duplicateRows / set.rows);
  const severity = severityOf("duplicate-rows", share);
  const { mild, serious, why } = THRESHOLDS["duplicate-rows"];
  return {
    id: "duplicate-rows",
    scope,
    severity,
    title: severity === "none" ? `Rows of ${set.name} are different` : `Rows of ${set.name} repeat`,
    term: "duplicate rows",
    value: share.value,
    interval: share,
    measures: [measure("rows equal to an earlier one", share, "share")],
    sentence:
      set.duplicateRows === 0
        ? `No row of ${set.name} repeats another.`
        : `${count(set.duplicateRows)} of ${count(set.rows)} rows of ${set.name} (${percent(share.value)}) are equal, value for value, to an earlier row.`,
    explanation:
      "Equal rows compete for the same place in a result list. They come from repeated inputs, or from inputs that the encoder cannot tell apart, such as empty texts.",
    normal: `Below ${percent(mild)}. Mild from ${percent(mild)}, serious from ${percent(serious)}. ${why}`,
    cost: null,
    remedy:
      severity === "none"
        ? "Nothing to do."
        : "Look at some of the repeated inputs. Remove copies, or count any of them as a right answer.",
    basis: `all ${count(set.rows)} rows`,
  };
}

const OUTLIER_ROWS = 2000;
const OUTLIER_GALLERY = 8000;
/** Median absolute deviations of the logarithm of the length. */
const LENGTH_LIMIT = 6 * 1.4826;
/** Lengths and distances within this factor of the usual are no outliers, however equal the others are. */
const FACTOR_FLOOR = Math.log(1.5);

function quantile(sorted: Float64Array, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] as number;
}

/** Cosine of each sampled row with its nearest other row. */
async function nearest(set: CollectedSet, chosen: Uint32Array, key: Key): Promise<Float64Array> {
  const sampled = set.sample.shape[0] as number;
  const others = choose(sampled, OUTLIER_GALLERY, key);
  const place = new Map(Array.from(others, (row, i) => [row, i]));
  const gallery = takeRows(set.sample, others);
  const n = others.length;
  const best = new Float64Array(chosen.length);
  await forEachBlockOfProducts(takeRows(set.sample, chosen), gallery, (first, rows, products) => {
    for (let row = 0; row < rows; row++) {
      const self = place.get(chosen[first + row] as number) ?? -1;
      let top = -1;
      for (let j = 0; j < n; j++)
        if (j !== self && (products[row * n + j] as number) > top) top = products[row * n + j] as number;
      best[first + row] = top;
    }
  });
  return best;
}

/** Rows far from all others, of an unusual length, not finite or zero. */
export async function outlierRowsFinding(
  view: DiagnosisView,
  set: CollectedSet,
  scope: FindingScope,
): Promise<Finding> {
  const key = foldIn(view.key, scope === "b" ? 62 : 61);
  const chosen = choose(set.sample.shape[0] as number, OUTLIER_ROWS, key);
  const best = await nearest(set, chosen, foldIn(key, 1));
  // Distances are compared by ratio: in few dimensions they spread over orders of magnitude, in many hardly at all.
  const distances = best.map((cosine) => Math.log(Math.max(1 - cosine, 1e-6)));
  const sorted = distances.slice().sort();
  const [lower, upper] = [quantile(sorted, 0.25), quantile(sorted, 0.75)];
  // Tukey's outer fence.
  const fence = upper + Math.max(3 * (upper - lower), FACTOR_FLOOR);
  const lengths = Float64Array.from(chosen, (i) => Math.log(set.norms[i] as number));
  const middle = quantile(lengths.slice().sort(), 0.5);
  const deviation = quantile(lengths.map((value) => Math.abs(value - middle)).sort(), 0.5);
  const limit = Math.max(LENGTH_LIMIT * deviation, FACTOR_FLOOR);
  const far = meanEstimate(
    distances.map((value) => Number(value > fence)),
    foldIn(key, 2),
  );
  const odd = meanEstimate(
    lengths.map((value) => Number(Math.abs(value - middle) > limit)),
    foldIn(key, 3),
  );
  const { broken, zero } = set.skipped;
  const skipped = (broken + zero) / (set.rows + broken + zero);
  const any = meanEstimate(
    distances.map((value, i) => Number(value > fence || Math.abs((lengths[i] as number) - middle) > limit)),
    foldIn(key, 4),
  );
  const withSkipped = (x: number): number => skipped + (1 - skipped) * x;
  const share = {
    value: withSkipped(any.value),
    low: withSkipped(any.low),
    high: withSkipped(any.high),
  };
  const severity = severityOf("outlier-rows", share);
  const { mild, serious, why } = THRESHOLDS["outlier-rows"];
  const unusable =
    broken + zero === 0
      ? ""
      : ` ${count(broken)} rows were not finite and ${count(zero)} all zero; they were left out of everything else.`;
  return {
    id: "outlier-rows",
    scope,
    severity,
    title:
      severity === "none"
        ? `Few rows of ${set.name} stand apart`
        : `Some rows of ${set.name} are broken or far from all others`,
    term: "outliers",
    value: share.value,
    interval: share,
    measures: [
      measure("rows that stand apart in any way", share, "share"),
      measure("rows far from their nearest neighbour", far, "share"),
      measure("rows of an unusual length", odd, "share"),
      measure("rows not finite or all zero", exactly(skipped), "share"),
    ],
    sentence: `${percent(far.value)} of the rows of ${set.name} are much farther from their nearest neighbour than usual, ${percent(odd.value)} are much longer or shorter than usual.${unusable}`,
    explanation:
      "Single rows that resemble nothing else are often broken inputs. They are never found, and they pull means and spreads.",
    normal: `Below ${percent(mild)}. Mild from ${percent(mild)}, serious from ${percent(serious)}. ${why}`,
    cost: null,
    remedy:
      severity === "none" ? "Nothing to do." : "Look at the inputs of these rows, and remove or mend them.",
    basis: basisOf(chosen.length, set.rows),
  };
}

/** Spread of lengths: standard deviation over mean. */
function lengthSpread(norms: Float64Array): number {
  const average = norms.reduce((sum, value) => sum + value, 0) / norms.length;
  const squares = norms.reduce((sum, value) => sum + (value - average) ** 2, 0) / norms.length;
  return Math.sqrt(squares) / average;
}

/** Ranks by cosine and by plain products of the same queries. */
export interface ProductRanks {
  readonly cosine: readonly QueryRanks[];
  readonly product: readonly QueryRanks[];
}

/** Whether the lengths of the vectors would change what is found. */
export function normDifferencesFinding(view: DiagnosisView, ranks: ProductRanks | null): Finding {
  const { a, b } = view;
  const sets = b ? [a, b] : [a];
  const spreads = sets.map((set) => lengthSpread(set.norms));
  const medians = sets.map((set) => quantile(set.norms.slice().sort(), 0.5));
  const spread = exactly(Math.max(...spreads));
  const ratio = b ? exactly(Math.max(...medians) / Math.min(...medians)) : null;
  const hits = (list: readonly QueryRanks[]): Float64Array =>
    Float64Array.from(list.flatMap((one) => [...hitsWithin(one, 1)]));
  let loss: Estimate | null = null;
  let text: string | null = null;
  if (ranks) {
    const [cosine, product] = [hits(ranks.cosine), hits(ranks.product)];
    const { estimate, low, high } = bootstrapDifference(cosine, product, {
      key: foldIn(view.key, 71),
      resamples: RESAMPLES,
    });
    loss = { value: estimate, low, high };
    const shareOf = (values: Float64Array) => values.reduce((sum, hit) => sum + hit, 0) / values.length;
    text = `By cosine ${percent(shareOf(cosine))} of the queries find their partner first, by plain dot product ${percent(shareOf(product))} (both directions together).`;
  }
  const { mild, serious, why } = THRESHOLDS["norm-differences"];
  const severity = loss
    ? severityOf("norm-differences", loss)
    : spread.value >= NORM_SPREAD_MILD
      ? "mild"
      : "none";
  const deciding = loss ?? spread;
  return {
    id: "norm-differences",
    scope: b ? "both" : "a",
    severity,
    title: severity === "none" ? "Lengths of the vectors do no harm" : "Vectors differ in length",
    term: "norm differences",
    value: deciding.value,
    interval: deciding,
    measures: [
      loss
        ? measure("R@1 lost with dot products in place of cosines", loss, "share")
        : measure("largest spread of lengths", spread, "share"),
      ...sets.map((set, i) =>
        measure(`spread of lengths in ${set.name}`, exactly(spreads[i] as number), "share"),
      ),
      ...(ratio ? [measure("ratio of the sets' median lengths", ratio)] : []),
    ],
    sentence: `Lengths vary by ${sets.map((set, i) => `${percent(spreads[i] as number)} in ${set.name}`).join(" and ")} (standard deviation over mean)${ratio ? `; the median lengths of the two sets differ by a factor of ${plain(ratio.value)}` : ""}.`,
    explanation:
      "Cosine ignores how long a vector is, a dot product does not: there long vectors win against right ones.",
    normal: ranks
      ? `No loss. Mild from ${percent(mild)}, serious from ${percent(serious)}. ${why}`
      : `A spread below ${percent(NORM_SPREAD_MILD)}; without pairs its cost cannot be measured, so it is never more than mild.`,
    cost: text,
    remedy:
      severity === "none"
        ? "Nothing to do."
        : "Scale every vector to length 1 before it goes into an index, or choose cosine as the metric of the index.",
    basis: sets.map((set) => basisOf(set.norms.length, set.rows, `rows of ${set.name}`)).join(", "),
  };
}
