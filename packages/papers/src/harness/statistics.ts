import jstat from "jstat";
import type { RunRecord } from "./run-record.ts";

/**
 * Arithmetic mean, corrected by the mean of the residuals: exact for equal values.
 *
 * @throws RangeError for an empty list
 */
export function mean(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError("mean: expected at least one value");
  const rough = values.reduce((sum, value) => sum + value, 0) / values.length;
  return rough + values.reduce((sum, value) => sum + (value - rough), 0) / values.length;
}

/** Sample standard deviation (n - 1 degrees of freedom); null for a single value. */
export function standardDeviation(values: readonly number[]): number | null {
  if (values.length < 2) return null;
  const centre = mean(values);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - centre) ** 2, 0) / (values.length - 1));
}

/** Quantile of Student's t distribution, e.g. 12.706 for probability 0.975 and one degree of freedom. */
export function studentQuantile(probability: number, degreesOfFreedom: number): number {
  return jstat.jStat.studentt.inv(probability, degreesOfFreedom);
}

/**
 * 95 % confidence interval of the mean of independent, roughly normal values:
 *
 *   mean ± t_{0.975, n-1} · sd / √n
 *
 * @returns null for a single value, which says nothing about the spread
 */
export function confidenceInterval95(values: readonly number[]): [low: number, high: number] | null {
  const deviation = standardDeviation(values);
  if (deviation === null) return null;
  const centre = mean(values);
  const half = (studentQuantile(0.975, values.length - 1) * deviation) / Math.sqrt(values.length);
  return [centre - half, centre + half];
}

/** A metric of an arm over the seeds of a run. */
export interface MetricSummary {
  readonly mean: number;
  /** Sample standard deviation over seeds; null with one seed. */
  readonly deviation: number | null;
  /** Number of seeds. */
  readonly count: number;
}

/** Mean and spread per arm and metric, over whatever results the record has so far. */
export function summarise(
  record: Pick<RunRecord, "results">,
): ReadonlyMap<string, ReadonlyMap<string, MetricSummary>> {
  const values = new Map<string, Map<string, number[]>>();
  for (const { arm, metrics } of record.results) {
    const ofArm = values.get(arm) ?? new Map<string, number[]>();
    values.set(arm, ofArm);
    for (const [metric, value] of Object.entries(metrics)) {
      ofArm.set(metric, [...(ofArm.get(metric) ?? []), value]);
    }
  }
  return new Map(
    [...values].map(([arm, ofArm]) => [
      arm,
      new Map(
        [...ofArm].map(([metric, list]) => [
          metric,
          { mean: mean(list), deviation: standardDeviation(list), count: list.length },
        ]),
      ),
    ]),
  );
}
