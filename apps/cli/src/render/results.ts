import { type Experiment, type Metric, type RunRecord, summarise } from "@concord/papers";
import type { Colours } from "../context.ts";
import { type Cell, renderSplitTable } from "./table.ts";
import { countText, numberText, paragraph, printable, wrapLines } from "./text.ts";

/** What the report needs of an experiment: its descriptions. */
export type ExperimentInfo = Pick<Experiment, "arms" | "metrics" | "claims">;

export interface RenderOptions {
  readonly columns: number;
  readonly colours: Colours;
}

const HEAD_WIDTH = 12;
const ARM_WIDTH = 24;
const ROLE_MARKS = { reference: " (reference)", baseline: " (baseline)", method: " (method)", ablation: "" };

/** The metrics of a run: the experiment's definitions, or what the results name where there are none. */
function metricsOf(run: RunRecord, experiment: ExperimentInfo | null): readonly Metric[] {
  const measured = new Set(run.results.flatMap(({ metrics }) => Object.keys(metrics)));
  if (experiment) return experiment.metrics.filter(({ id }) => measured.has(id));
  return [...measured].map((id) => ({ id, label: id, better: "neither", digits: 4, description: "" }));
}

function headOf({ label, unit, better }: Metric): string {
  const arrow = { higher: "↑", lower: "↓", neither: "" }[better];
  return [...wrapLines(printable(label), HEAD_WIDTH), [unit, arrow].filter(Boolean).join(" ")].join("\n");
}

/**
 * Arm by metric: mean ± sample standard deviation over the seeds. The best arm of every metric that has a direction
 * bears a star. Metrics that do not fit beside each other go into further tables below.
 */
export function renderResults(
  run: RunRecord,
  experiment: ExperimentInfo | null,
  { columns, colours }: RenderOptions,
): string {
  const summary = summarise(run);
  const arms = run.arms.map((id) => {
    const arm = experiment?.arms.find((candidate) => candidate.id === id);
    return { id, role: arm?.role ?? "ablation", label: printable(arm?.label ?? id) };
  });
  const styles = {
    reference: (text: string) => text,
    baseline: (text: string) => text,
    method: colours.bold,
    ablation: colours.dim,
  };
  const armCells = arms.map(({ label, role }): Cell => {
    const [first, ...rest] = wrapLines(`${label}${ROLE_MARKS[role]}`, ARM_WIDTH);
    return { text: [first, ...rest.map((line) => `  ${line}`)].join("\n"), style: styles[role] };
  });
  const metricColumns = metricsOf(run, experiment).map((metric) => {
    const { id, better, digits } = metric;
    const values = arms.map((arm) => summary.get(arm.id)?.get(id));
    const means = values.flatMap((value) => (value ? [value.mean] : []));
    const comparable = better !== "neither" && means.length > 1;
    // Compared as shown, so that arms with the same printed figure are all best.
    const best = comparable
      ? numberText(better === "higher" ? Math.max(...means) : Math.min(...means), digits)
      : null;
    const cells = values.map((value): Cell => {
      if (!value) return { text: "-  " };
      const shown = numberText(value.mean, digits);
      const spread = value.deviation === null ? "" : ` ± ${numberText(value.deviation, digits)}`;
      return shown === best
        ? { text: `${shown}${spread} *`, style: colours.green }
        : { text: `${shown}${spread}${best === null ? "" : "  "}` };
    });
    return { head: headOf(metric), cells };
  });
  const tables = renderSplitTable({ head: "Arm", cells: armCells }, metricColumns, { columns, colours });
  const seeds = new Set(run.results.map(({ seed }) => seed)).size;
  const spread =
    seeds > 1 ? `Mean ± standard deviation over ${countText(seeds, "seed")}` : "One seed, so no spread";
  const legend = `${spread}; * best; ↑ higher is better, ↓ lower is better.`;
  return `${tables}\n\n${paragraph(legend, columns)}`;
}
