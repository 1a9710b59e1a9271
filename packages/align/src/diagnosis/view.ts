import type { Key } from "@concord/tensor";
import type { CollectedSet } from "./collect.ts";
import type { Estimate, Finding, Measure } from "./finding.ts";
import type { PairedPlaces } from "./sample.ts";
import { count } from "./text.ts";

/** What every finding is worked out from. */
export interface DiagnosisView {
  readonly a: CollectedSet;
  readonly b: CollectedSet | null;
  readonly pairs: PairedPlaces | null;
  /** Whether row i of both sets is a pair, so that groups of rows hold the same pairs. */
  readonly sameRows: boolean;
  /** Pairs in all, sampled or not. */
  readonly totalPairs: number;
  /** A number for each sampled row's label, -1 for none. */
  readonly labels: {
    readonly a: Int32Array;
    readonly b: Int32Array | null;
    readonly names: readonly string[];
  } | null;
  readonly key: Key;
  /** Most queries of retrieval, in each direction. */
  readonly queries: number;
}

/** The parts of a finding that its measures and severity do not give. */
export type FindingWords = Pick<
  Finding,
  "title" | "term" | "sentence" | "explanation" | "normal" | "cost" | "remedy" | "basis"
>;

export function measure(name: string, estimate: Estimate, format: Measure["format"] = "number"): Measure {
  return { name, format, value: estimate.value, low: estimate.low, high: estimate.high };
}

/** `all 1,898 rows`, or `2,000 of 1,000,000 rows, drawn at random`. */
export function basisOf(used: number, all: number, what = "rows"): string {
  return used >= all
    ? `all ${count(all)} ${what}`
    : `${count(used)} of ${count(all)} ${what}, drawn at random`;
}
