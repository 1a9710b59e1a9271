import { type Experiment, type Metric, type MetricSummary, type RunRecord, summarise } from "@concord/papers";
import { type ArmRole, type ArmStyle, styleArms } from "@concord/plots";
import { numberText } from "../text.ts";

/** What the pages need of an experiment: its descriptions, not its code. */
export type ExperimentInfo = Pick<Experiment, "slug" | "arms" | "metrics" | "claims" | "presets" | "inputs">;

/** One metric of one arm over the seeds that are done. */
export interface Cell extends MetricSummary {
  /** Whether no arm does better in the metric's direction. */
  readonly best: boolean;
}

export interface ResultRow {
  readonly arm: ArmStyle;
  /** One cell per metric; null while no seed of this arm is done. */
  readonly cells: readonly (Cell | null)[];
}

/** The arms of a run with their looks; an arm that the experiment no longer has keeps its id as its name. */
export function armStyles(run: RunRecord, experiment: ExperimentInfo | null): readonly ArmStyle[] {
  return styleArms(
    run.arms.map((id) => {
      const arm = experiment?.arms.find((candidate) => candidate.id === id);
      return { id, label: arm?.label ?? id, role: arm?.role ?? ("ablation" satisfies ArmRole) };
    }),
  );
}

/** The metrics of a run: the experiment's definitions, or what the results name where there are none. */
export function metricsOf(run: RunRecord, experiment: ExperimentInfo | null): readonly Metric[] {
  if (experiment) return experiment.metrics;
  const ids = new Set(run.results.flatMap(({ metrics }) => Object.keys(metrics)));
  return [...ids].map((id) => ({ id, label: id, better: "neither", digits: 4, description: "" }));
}

/** Arm by metric: mean and deviation over the seeds so far, the best arm of every metric marked. */
export function resultRows(run: RunRecord, experiment: ExperimentInfo | null): readonly ResultRow[] {
  const metrics = metricsOf(run, experiment);
  const summary = summarise(run);
  const rows = armStyles(run, experiment).map((arm) => ({
    arm,
    cells: metrics.map((metric) => {
      const found = summary.get(arm.id)?.get(metric.id);
      return found ? { ...found, best: false } : null;
    }),
  }));
  const best = metrics.map((metric, column) => {
    const means = rows.flatMap(({ cells }) => cells[column]?.mean ?? []);
    if (metric.better === "neither" || means.length < 2) return null;
    // Compared as shown, so that two arms with the same printed figure are both best.
    return numberText(metric.better === "higher" ? Math.max(...means) : Math.min(...means), metric.digits);
  });
  return rows.map((row) => ({
    ...row,
    cells: row.cells.map(
      (cell, column) =>
        cell && { ...cell, best: numberText(cell.mean, metrics[column]!.digits) === best[column] },
    ),
  }));
}
