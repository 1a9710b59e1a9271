import type { TrainingSettings } from "@concord/papers/recipes";
import type { Comparison, Interval, MetricInfo } from "./evaluate.ts";
import type { ExportedTower } from "./export.ts";
import type { RunHead } from "./folder.ts";
import type { Look } from "./training.ts";

/** What became of an adaptation, and which model was exported. */
export interface Outcome {
  /**
   * `improved`: better on held-out rows, the whole 95 % interval above 0; `unclear`: better, but by less than chance can
   * explain; `not improved`: no better, so the encoders are exported as they came; `nothing to compare`: the encoders
   * had no common space before.
   */
  readonly kind: "improved" | "unclear" | "not improved" | "nothing to compare";
  readonly kept: "adapted" | "base";
  /** One or two sentences. */
  readonly text: string;
}

/** `run.json` of a finished adaptation. */
export interface AdaptRecord extends RunHead {
  readonly status: "done";
  readonly recipe: string;
  readonly summary: string;
  readonly outcome: Outcome;
  /** The metric that chose, with its values on validation rows. */
  readonly metric: MetricInfo & { readonly validationBefore: number | null; readonly validationBest: number };
  /** On held-out rows, which nothing was chosen by. */
  readonly comparisons: readonly Comparison[];
  readonly data: {
    readonly source: string | Readonly<Record<string, string>>;
    readonly columns: Readonly<Record<string, string>>;
    readonly rows: number;
    readonly skipped: { readonly count: number; readonly byReason: Readonly<Record<string, number>> };
    readonly groups: number;
    readonly labels: number;
    readonly split: { readonly train: number; readonly validation: number; readonly heldOut: number };
  };
  readonly towers: readonly {
    readonly name: string;
    readonly width: number;
    readonly anchor: boolean;
    readonly trained: boolean;
    readonly encoder: { readonly name: string; readonly modality: string; readonly digest: string } | null;
    readonly exported: ExportedTower;
  }[];
  readonly train: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly settings: TrainingSettings;
  readonly steps: {
    readonly planned: number;
    readonly done: number;
    readonly best: number;
    readonly perEpoch: number;
    readonly batchSize: number;
    readonly stoppedEarly: boolean;
  };
  readonly seed: number;
  readonly looks: readonly Look[];
  /** Of this attempt; one that went on from a checkpoint counts from there. */
  readonly seconds: {
    readonly embedding: number;
    readonly dataWait: number;
    readonly computing: number;
    readonly samplesPerSecond: number;
  };
  readonly features: { readonly computed: number; readonly cached: number };
  readonly deviations: readonly string[];
  readonly notes: readonly string[];
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly environment: Readonly<Record<string, string>>;
}

/** A value of a metric with three digits. */
export function metricText(value: number): string {
  return value.toFixed(3);
}

/** `0.412 (0.380 to 0.443)` */
export function intervalText({ value, low, high }: Interval): string {
  return low === null || high === null
    ? metricText(value)
    : `${metricText(value)} (${metricText(low)} to ${metricText(high)})`;
}

/** What guessing would reach: the mean of 1 / rank over random orders is H_n / n. */
function chanceText(metric: string, { low }: Comparison["after"], groups: number): string {
  if (metric !== "mrr") return "";
  let harmonic = 0;
  for (let rank = 1; rank <= groups; rank++) harmonic += 1 / rank;
  const chance = harmonic / groups;
  return `; by chance it would be about ${metricText(chance)}${low !== null && low <= chance ? ", so nothing was learned that can be told from chance" : ""}`;
}

function isClearlyWorse({ better, change }: Comparison): boolean {
  if (!change || change.low === null || change.high === null) return false;
  return better === "higher" ? change.high < 0 : change.low > 0;
}

function fallText({ label, before, after }: Comparison): string {
  return `${label} from ${before ? metricText(before.value) : "?"} to ${metricText(after.value)}`;
}

/**
 * What to keep: what was trained, if it is better than the start on validation rows and on held-out rows.
 *
 * @param metric  id of the one that chose
 * @param better  whether it is on validation rows
 * @param groups  of held-out rows, each right for itself alone: what chance would find
 * @param bits    of codes; null for float vectors
 */
export function decide(
  comparisons: readonly Comparison[],
  metric: string,
  better: boolean,
  groups: number,
  bits: number | null = null,
): Outcome {
  const found = comparisons.find((one) => one.metric === metric);
  if (!found) throw new Error(`decide: ${metric} was not measured`);
  const { label, before, after, change } = found;
  if (!before || !change) {
    return {
      kind: "nothing to compare",
      kept: "adapted",
      text: `The encoders had no common space before; on held-out data ${label} is now ${intervalText(after)}${chanceText(metric, after, groups)}.`,
    };
  }
  const sign = found.better === "higher" ? 1 : -1;
  const from = `${label} went from ${metricText(before.value)} to ${metricText(after.value)} on held-out data`;
  if (!better || sign * change.value <= 0) {
    return {
      kind: "not improved",
      kept: "base",
      text: `No improvement: ${better ? from : `nothing beat the encoders as they came on the validation rows, which choose (what was best there: ${from})`}. The encoders are exported as they came${bits === null ? "" : `, with ${bits} random hyperplanes (LSH) in place of learned codes`}.`,
    };
  }
  const by = `change ${intervalText(change)}`;
  const worse = comparisons.filter((one) => one.metric !== metric && isClearlyWorse(one));
  const but = worse.length === 0 ? "" : ` What became worse: ${worse.map(fallText).join("; ")}.`;
  const nearest = sign > 0 ? change.low : change.high;
  const clear = nearest !== null && sign * nearest > 0;
  if (clear)
    return { kind: "improved", kept: "adapted", text: `Improved: ${from}, ${by}, 95 % interval.${but}` };
  const why =
    change.low !== null
      ? "the interval includes 0, so this may be chance"
      : "this metric has no interval, so judge it with care";
  return { kind: "unclear", kept: "adapted", text: `Not clearly better: ${from}, ${by}; ${why}.${but}` };
}
