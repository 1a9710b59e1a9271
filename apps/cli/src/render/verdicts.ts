import {
  type Claim,
  judge,
  type Metric,
  type RunRecord,
  type UntestedClaim,
  type Verdict,
  type VerdictOutcome,
} from "@concord/papers";
import type { ExperimentInfo, RenderOptions } from "./results.ts";
import { COLUMN_GAP, type Column, renderTable } from "./table.ts";
import { numberText, paragraph, printable, signedText } from "./text.ts";

const MARKS: Readonly<Record<VerdictOutcome, string>> = {
  reproduced: "✓ reproduced",
  "not reproduced": "✗ not reproduced",
  inconclusive: "? inconclusive",
};
const MIN_STATEMENT_WIDTH = 24;

interface ChangeFormat {
  readonly unit: string;
  readonly number: (change: number, signed: boolean) => string;
}

/** How changes of a metric are shown: relative ones in per cent, differences of percentages in points. */
function changeFormat(change: Claim["change"], metric: Metric | undefined): ChangeFormat {
  const [scale, digits, unit] =
    change === "relative"
      ? [100, 1, " %"]
      : [1, metric?.digits ?? 4, metric?.unit === "%" ? " points" : metric?.unit ? ` ${metric.unit}` : ""];
  return {
    unit,
    number: (value, signed) => (signed ? signedText : numberText)(value * scale, digits),
  };
}

/** A margin with its unit, e.g. `3.0 %` or `-1.5 points`. */
export function marginText(claim: Pick<Claim, "change" | "margin">, metric: Metric | undefined): string {
  const { number, unit } = changeFormat(claim.change, metric);
  return `${number(claim.margin, false)}${unit}`;
}

/** The cells of one claim: outcome, mean change, interval, margin, statement. */
export function verdictCells(verdict: Verdict, metric: Metric | undefined): readonly string[] {
  const { number, unit } = changeFormat(verdict.change, metric);
  const [low, high] = verdict.interval ?? [];
  return [
    MARKS[verdict.outcome],
    `${number(verdict.mean, true)}${unit}`,
    low === undefined || high === undefined ? "-" : `${number(low, true)} to ${number(high, true)}`,
    marginText(verdict, metric),
    printable(verdict.statement),
  ];
}

function untestedCells({ claim, reason }: UntestedClaim, metric: Metric | undefined): readonly string[] {
  return ["- not tested", "-", "-", marginText(claim, metric), `${printable(claim.statement)} (${reason})`];
}

/** The claims that a finished run says nothing about, and why. */
export function untestedClaims(run: RunRecord, experiment: ExperimentInfo | null): readonly UntestedClaim[] {
  return run.status === "done" && experiment ? judge(experiment.claims, run).untested : [];
}

/** Every claim of the run: outcome, mean change over paired seeds, its 95 % interval, and the margin. */
export function renderVerdicts(
  run: RunRecord,
  experiment: ExperimentInfo | null,
  { columns, colours }: RenderOptions,
): string {
  const styles = { reproduced: colours.green, "not reproduced": colours.red, inconclusive: colours.yellow };
  const metricOf = (wanted: string) => experiment?.metrics.find(({ id }) => id === wanted);
  const rows = [
    ...run.verdicts.map((verdict) => ({
      style: styles[verdict.outcome],
      cells: verdictCells(verdict, metricOf(verdict.metric)),
    })),
    ...untestedClaims(run, experiment).map((untested) => ({
      style: colours.dim,
      cells: untestedCells(untested, metricOf(untested.claim.metric)),
    })),
  ];
  const heads = ["Outcome", "Change", "95 % interval", "Margin"];
  const taken = heads
    .map((head, index) => Math.max(head.length, ...rows.map(({ cells }) => cells[index]?.length ?? 0)))
    .reduce((sum, width) => sum + width + COLUMN_GAP, 0);
  const layout: Column[] = [
    ...heads.map((head, index) => ({ head, align: index === 0 ? ("left" as const) : ("right" as const) })),
    { head: "Claim", width: Math.max(MIN_STATEMENT_WIDTH, columns - taken) },
  ];
  const table = renderTable(
    layout,
    rows.map(({ style, cells }) => cells.map((text, index) => (index === 0 ? { text, style } : text))),
    colours,
  );
  if (run.verdicts.length === 0) return table;
  const rule = run.verdicts.every(({ interval }) => interval === null)
    ? "One seed gives no interval, so no verdict: run at least two, e.g. with --seeds 3."
    : "Changes count positive in the claimed direction, over paired seeds. Reproduced: the whole interval reaches the margin; not reproduced: all of it stays below.";
  return `${table}\n\n${paragraph(rule, columns)}`;
}
