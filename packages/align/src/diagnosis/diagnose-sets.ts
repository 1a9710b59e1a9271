import { foldIn, type Key } from "@concord/tensor";
import type { CollectedSet } from "./collect.ts";
import type { Diagnosis, Finding, RemedyResult, RetrievalDirection, SetSummary } from "./finding.ts";
import { domainShiftFinding } from "./findings/domain-shift.ts";
import { hubnessFinding } from "./findings/hubness.ts";
import {
  misalignedPairsFinding,
  type PairSimilarities,
  pairSimilarities,
} from "./findings/misaligned-pairs.ts";
import { modalityGapFinding } from "./findings/modality-gap.ts";
import { rotationFinding } from "./findings/rotation-mismatch.ts";
import {
  duplicateRowsFinding,
  normDifferencesFinding,
  outlierRowsFinding,
  type ProductRanks,
} from "./findings/rows.ts";
import { anisotropyFinding, collapseFinding, uniformityFinding } from "./findings/spread.ts";
import { LABEL_NEIGHBOURS, weakLabelsFinding } from "./findings/weak-labels.ts";
import { headlineOf } from "./headline.ts";
import { FINDING_IDS } from "./ids.ts";
import { plotsOf } from "./plots.ts";
import { labelRemedies, pairRemedies } from "./remedies.ts";
import { queryRanks, summarizeRanks } from "./retrieval.ts";
import { choose, type PairedPlaces, restrictPairs, takeRows } from "./sample.ts";
import { spectrumOf } from "./spectrum.ts";
import type { DiagnosisView } from "./view.ts";

/** Fewer rows say nothing: ten nearest neighbours and two halves need some. */
export const LEAST_ROWS = 20;
const DEFAULT_QUERIES = 2000;
/** Rows in which the ranks by cosines and by products are compared, and closed forms for labels are tried. */
const COMPARED_ROWS = 10_000;

export interface DiagnosisInput {
  readonly a: CollectedSet;
  readonly b?: CollectedSet;
  /** Rows of the two samples that belong together. */
  readonly pairs?: PairedPlaces & {
    /** Pairs in all, sampled or not. */
    readonly total: number;
    /** Whether pairs have the same row number in both sets. */
    readonly sameRows: boolean;
  };
  /** For each sampled row the number of its label in `names`, or -1. */
  readonly labels?: { readonly a: Int32Array; readonly b?: Int32Array; readonly names: readonly string[] };
}

export interface DiagnoseSetsOptions {
  readonly key: Key;
  /** Most queries of each retrieval, default 2000. */
  readonly queries?: number;
  /** Called when a part of the work begins, in plain words. */
  readonly onStage?: (stage: string) => void;
  readonly signal?: AbortSignal;
}

function checkInput({ a, b, pairs, labels }: DiagnosisInput): void {
  for (const set of b ? [a, b] : [a]) {
    if (set.rows < LEAST_ROWS || (set.sample.shape[0] as number) < (pairs ? 2 : LEAST_ROWS)) {
      throw new RangeError(
        `${set.name}: a diagnosis needs at least ${LEAST_ROWS} usable rows, got ${Math.min(set.rows, set.sample.shape[0] as number)}`,
      );
    }
  }
  if (b && a.width !== b.width) {
    throw new RangeError(
      `${a.name} has vectors of width ${a.width}, ${b.name} of width ${b.width}: only vectors of one width have similarities. Diagnose each set alone, or project them to one width first`,
    );
  }
  if (pairs && !b) throw new RangeError("pairs need two sets");
  if (pairs && (pairs.a.length !== pairs.b.length || pairs.a.length < LEAST_ROWS)) {
    throw new RangeError(`a diagnosis needs at least ${LEAST_ROWS} pairs, got ${pairs.a.length}`);
  }
  if (labels && labels.a.length !== (a.sample.shape[0] as number))
    throw new RangeError(`${a.name}: needs one label a sampled row, got ${labels.a.length}`);
}

function summaryOf({ name, rows, skipped, width, sample }: CollectedSet): SetSummary {
  return { name, rows, skipped, width, sampled: sample.shape[0] as number };
}

/** Ranks of the same queries by cosine and by plain products, where lengths differ at all. */
async function compareProducts(
  view: DiagnosisView,
  b: CollectedSet,
  pairs: PairedPlaces,
): Promise<ProductRanks | null> {
  const { a } = view;
  const chosen = choose(pairs.a.length, COMPARED_ROWS, foldIn(view.key, 91));
  const part = restrictPairs(a.sample, b.sample, pairs, chosen);
  const scalesOf = (set: CollectedSet, places: Uint32Array, used: Uint32Array): Float64Array => {
    const scale = new Float64Array(1 + used.reduce((top, row) => Math.max(top, row), 0));
    used.forEach((row, i) => {
      scale[row] = set.norms[places[chosen[i] as number] as number] as number;
    });
    // Ties are judged on a scale of cosines.
    const average = scale.reduce((sum, value) => sum + value, 0) / scale.length;
    return scale.map((value) => value / average);
  };
  const options = { key: foldIn(view.key, 92), queries: Math.min(view.queries, 1000) };
  const [ofA, ofB] = [scalesOf(a, pairs.a, part.pairs.a), scalesOf(b, pairs.b, part.pairs.b)];
  return {
    cosine: [
      await queryRanks(part.a, part.b, part.pairs, "a", options),
      await queryRanks(part.b, part.a, part.pairs, "b", options),
    ],
    product: [
      await queryRanks(part.a, part.b, part.pairs, "a", { ...options, itemScale: ofB }),
      await queryRanks(part.b, part.a, part.pairs, "b", { ...options, itemScale: ofA }),
    ],
  };
}

const RANK = { serious: 0, mild: 1, none: 2 } as const;

/** Serious ones first; then in the order of the list of findings, which goes from relations to single rows. */
function ordered(findings: readonly Finding[]): Finding[] {
  return [...findings].sort(
    (x, y) =>
      RANK[x.severity] - RANK[y.severity] ||
      FINDING_IDS.indexOf(x.id) - FINDING_IDS.indexOf(y.id) ||
      x.scope.localeCompare(y.scope),
  );
}

/**
 * Everything that can be said about one set of vectors, or two that should agree: findings with severity, intervals,
 * plain words and measured cost; retrieval; what closed forms would change; data for plots.
 *
 * Sums over all rows (centres, covariance, anisotropy, duplicates) come from `collectSet`; everything between pairs of
 * rows is of its sample, and says so. Intervals are 95 % bootstrap intervals over rows, pairs or queries.
 *
 * @throws RangeError when widths differ, or there are fewer than 20 rows or pairs
 */
export async function diagnoseSets(input: DiagnosisInput, options: DiagnoseSetsOptions): Promise<Diagnosis> {
  checkInput(input);
  const { a, b, pairs, labels } = input;
  const { key, queries = DEFAULT_QUERIES, signal } = options;
  const stage = (text: string): void => {
    signal?.throwIfAborted();
    options.onStage?.(text);
  };
  const view: DiagnosisView = {
    a,
    b: b ?? null,
    pairs: pairs ?? null,
    sameRows: pairs?.sameRows ?? false,
    totalPairs: pairs?.total ?? 0,
    labels: labels ? { a: labels.a, b: labels.b ?? null, names: labels.names } : null,
    key,
    queries,
  };
  const findings: Finding[] = [];
  const retrieval: RetrievalDirection[] = [];
  let remedies: readonly RemedyResult[] = [];
  let similarities: PairSimilarities | null = null;
  let ranks: ProductRanks | null = null;
  if (b && pairs) {
    stage("retrieval");
    const asked = { key: foldIn(key, 3), queries };
    for (const [from, to, side] of [
      [a, b, "a"],
      [b, a, "b"],
    ] as const) {
      const found = await queryRanks(from.sample, to.sample, pairs, side, asked);
      retrieval.push(
        summarizeRanks(found, { from: from.name, to: to.name }, foldIn(key, side === "a" ? 4 : 5)),
      );
    }
    stage("what closed forms would change");
    remedies = await pairRemedies(a.sample, b.sample, pairs, { key: foldIn(key, 6), queries });
    stage("pairs");
    similarities = pairSimilarities(view);
    ranks = await compareProducts(view, b, pairs);
    findings.push(misalignedPairsFinding(view, similarities, retrieval));
    stage("gap");
    findings.push(modalityGapFinding(view, remedies));
    const rotation = rotationFinding(view, remedies);
    if (rotation) findings.push(rotation);
  } else if (b) {
    stage("domain shift");
    findings.push(await domainShiftFinding(view));
  }
  if (labels) {
    stage("labels");
    const known = [...labels.a.keys()].filter((i) => (labels.a[i] as number) >= 0);
    const chosen = Array.from(choose(known.length, COMPARED_ROWS, foldIn(key, 7)), (i) => known[i] as number);
    const labelled =
      b || chosen.length < LEAST_ROWS
        ? []
        : await labelRemedies(
            takeRows(a.sample, chosen),
            Int32Array.from(chosen, (i) => labels.a[i] as number),
            LABEL_NEIGHBOURS,
            foldIn(key, 8),
          );
    const weak = await weakLabelsFinding(view, labelled);
    if (weak) findings.push(weak);
    if (!b) remedies = labelled;
  }
  const spectra = [];
  const hubs = [];
  for (const [set, scope, other] of [[a, "a", b], ...(b ? ([[b, "b", a]] as const) : [])] as const) {
    stage(`directions of ${set.name}`);
    const spectrum = spectrumOf(set, foldIn(key, scope === "a" ? 9 : 10));
    spectra.push({ set, spectrum });
    findings.push(
      collapseFinding(set, scope, spectrum, remedies),
      anisotropyFinding(view, set, scope, remedies),
    );
    findings.push(await uniformityFinding(view, set, scope, remedies));
    stage(`neighbours in ${set.name}`);
    const asking = pairs && other ? other : null;
    const hub = await hubnessFinding(view, { items: set, scope, queries: asking }, remedies);
    findings.push(hub.finding);
    hubs.push({ label: set.name, occurrences: hub.occurrences });
    findings.push(duplicateRowsFinding(set, scope), await outlierRowsFinding(view, set, scope));
  }
  findings.push(normDifferencesFinding(view, ranks));
  stage("plots");
  const sorted = ordered(findings);
  return {
    kind: pairs ? "pairs" : b ? "two sets" : "one set",
    labelled: labels !== undefined,
    sets: (b ? [a, b] : [a]).map(summaryOf),
    pairs: pairs ? { total: pairs.total, sampled: pairs.a.length } : null,
    headline: headlineOf({ findings: sorted, retrieval, remedies, names: b ? [a.name, b.name] : [a.name] }),
    findings: sorted,
    retrieval,
    remedies,
    plots: plotsOf(view, { similarities, spectra, hubs }),
  };
}
