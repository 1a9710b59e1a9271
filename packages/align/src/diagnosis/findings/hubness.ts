import { foldIn, type Key, RandomStream } from "@concord/tensor";
import { hubness } from "../../metrics/neighbourhoods.ts";
import type { CollectedSet } from "../collect.ts";
import type { Estimate, Finding, FindingScope, RemedyResult } from "../finding.ts";
import { estimateOf, meanEstimate, RESAMPLES } from "../resample.ts";
import { choose, takeRows, type UnitRows } from "../sample.ts";
import { count, ofHundred, percent, plain } from "../text.ts";
import { severityOf, THRESHOLDS } from "../thresholds.ts";
import { basisOf, type DiagnosisView, measure } from "../view.ts";
import { costOf } from "./cost.ts";

const ROWS = 4000;
const NEIGHBOURS = 10;

function skewnessOf(values: Float64Array): number {
  const n = values.length;
  const average = values.reduce((sum, value) => sum + value, 0) / n;
  let [squares, cubes] = [0, 0];
  for (const value of values) {
    const distance = value - average;
    squares += distance * distance;
    cubes += distance * distance * distance;
  }
  return squares > 0 ? cubes / n / (squares / n) ** 1.5 : 0;
}

/** Skewness of how often items are retrieved, resampled over items. */
function skewnessEstimate(occurrences: Float64Array, key: Key): Estimate {
  const stream = new RandomStream(key);
  const drawn = new Float64Array(occurrences.length);
  const replicates = Float64Array.from({ length: RESAMPLES }, () => {
    for (let i = 0; i < drawn.length; i++) drawn[i] = occurrences[stream.integer(drawn.length)] as number;
    return skewnessOf(drawn);
  });
  return estimateOf(skewnessOf(occurrences), replicates);
}

export interface HubnessInput {
  readonly items: CollectedSet;
  readonly scope: FindingScope;
  /** The set that asks; null when the items ask for each other. */
  readonly queries: CollectedSet | null;
}

/** Whether a few items stand in everybody's result list, and how often each item is retrieved. */
export async function hubnessFinding(
  view: DiagnosisView,
  { items, scope, queries }: HubnessInput,
  remedies: readonly RemedyResult[],
): Promise<{ readonly finding: Finding; readonly occurrences: Float64Array }> {
  const key = foldIn(view.key, scope === "b" ? 32 : 31);
  const pick = (set: CollectedSet, stream: number): UnitRows => {
    const sampled = set.sample.shape[0] as number;
    return takeRows(set.sample, choose(sampled, ROWS, foldIn(key, stream)));
  };
  const gallery = pick(items, 0);
  const asking = queries ? pick(queries, 1) : gallery;
  const n = gallery.shape[0] as number;
  const k = Math.min(NEIGHBOURS, n - 1);
  const { occurrences, largestHubShare } = await hubness(asking, gallery, { k, excludeSelf: !queries });
  const skewness = skewnessEstimate(occurrences, foldIn(key, 2));
  const never = meanEstimate(
    occurrences.map((times) => Number(times < 1e-9)),
    foldIn(key, 3),
  );
  const asked = asking.shape[0] as number;
  const popular = meanEstimate(
    Float64Array.from({ length: asked }, (_, query) => Number(query < Math.round(largestHubShare * asked))),
    foldIn(key, 4),
  );
  const severity = severityOf("hubness", skewness);
  const { mild, serious, why } = THRESHOLDS.hubness;
  const asker = queries ? `rows of ${queries.name}` : "other rows";
  const finding: Finding = {
    id: "hubness",
    scope,
    severity,
    title:
      severity === "none"
        ? `Result lists from ${items.name} are not crowded by a few items`
        : `A few items of ${items.name} crowd the result lists`,
    term: "hubness",
    value: skewness.value,
    interval: skewness,
    measures: [
      measure(`skewness of N_${k}`, skewness),
      measure(`items in nobody's first ${k}`, never, "share"),
      measure(`queries whose first ${k} hold the most popular item`, popular, "share"),
    ],
    sentence: `Asked by ${asker}, ${never.value === 0 ? `every item of ${items.name} comes` : `${ofHundred(never.value)} items of ${items.name} never come`} among the first ${k}, while the most popular one is shown to ${percent(largestHubShare)} of the queries (skewness ${plain(skewness.value, 1)}).`,
    explanation:
      "In spaces of many dimensions some items become everybody's neighbour, hubs, and push the right answers out; others are found by nobody.",
    normal: `A skewness below ${plain(mild, 1)}. Mild from ${plain(mild, 1)}, serious from ${plain(serious, 0)}. ${why}`,
    cost: severity === "none" || !queries ? null : costOf(remedies, "local-scaling"),
    remedy:
      severity === "none"
        ? "Nothing to do."
        : "Remove the gap and the common mean first: both make hubs. If hubs stay, take from each similarity how near the item is to everybody (CSLS, mutual proximity, inverted softmax), and look at the most popular items: often they are empty or broken inputs.",
    basis: `${basisOf(n, items.rows)} as items, ${count(asked)} queries; the number grows slowly with the number of items`,
  };
  return { finding, occurrences };
}
