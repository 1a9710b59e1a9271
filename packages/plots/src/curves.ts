import { bisector } from "d3-array";

export type Point = readonly [step: number, value: number];

/** The curve of one logged value in one unit of work. */
export interface CurveData {
  readonly unit: string;
  readonly points: readonly Point[];
}

/** All curves of one logged value in one phase: one chart. */
export interface ChartData {
  readonly phase: string;
  readonly name: string;
  readonly curves: readonly CurveData[];
}

/** The part of a `step` record of log.jsonl that becomes curves. */
export interface StepValues {
  readonly unit: string;
  readonly phase: string;
  readonly step: number;
  readonly values: Readonly<Record<string, number | string | boolean | null>>;
}

/** A curve keeps between half of this and this many points, more than a chart has pixels for. */
const MAX_POINTS = 480;
const MAX_CHARTS = 48;
const MAX_CURVES_PER_CHART = 240;

/** Halves a curve: of every four points in a row the lowest and the highest stay, so no spike is lost. */
function halve(points: readonly Point[]): Point[] {
  const kept: Point[] = [];
  for (let start = 0; start < points.length; start += 4) {
    const group = points.slice(start, start + 4);
    let low = 0;
    let high = 0;
    for (const [index, point] of group.entries()) {
      if (point[1] < group[low]![1]) low = index;
      if (point[1] >= group[high]![1]) high = index;
    }
    kept.push(group[Math.min(low, high)]!);
    if (low !== high) kept.push(group[Math.max(low, high)]!);
  }
  return kept;
}

/** The curve with about 480 points at most: its ends and its spikes stay. */
export function boundedCurve(points: readonly Point[]): readonly Point[] {
  let bounded = points;
  while (bounded.length > MAX_POINTS) bounded = halve(bounded);
  if (bounded === points) return points;
  const [first, last] = [points[0]!, points.at(-1)!];
  return [...(bounded[0] === first ? [] : [first]), ...bounded, ...(bounded.at(-1) === last ? [] : [last])];
}

/**
 * Collects the numbers of a run's log into curves of bounded size, one record at a time. The server fills one from
 * the file and hands its content to the page; the page goes on adding what the event stream brings.
 */
export class CurveCollector {
  readonly #charts = new Map<string, { phase: string; name: string; curves: Map<string, Point[]> }>();

  /** Starts from charts that another collector has handed over. */
  static from(charts: readonly ChartData[]): CurveCollector {
    const collector = new CurveCollector();
    for (const { phase, name, curves } of charts) {
      for (const { unit, points } of curves) {
        for (const [step, value] of points) collector.#addPoint(phase, name, unit, step, value);
      }
    }
    return collector;
  }

  /** Adds every finite number of the record; texts, flags and NaN make no curve. */
  add(record: StepValues): void {
    if (!Number.isFinite(record.step)) return;
    for (const [name, value] of Object.entries(record.values)) {
      if (typeof value === "number" && Number.isFinite(value)) {
        this.#addPoint(record.phase, name, record.unit, record.step, value);
      }
    }
  }

  #addPoint(phase: string, name: string, unit: string, step: number, value: number): void {
    const key = JSON.stringify([phase, name]);
    let chart = this.#charts.get(key);
    if (!chart) {
      if (this.#charts.size >= MAX_CHARTS) return;
      chart = { phase, name, curves: new Map() };
      this.#charts.set(key, chart);
    }
    const points = chart.curves.get(unit);
    if (!points) {
      if (chart.curves.size < MAX_CURVES_PER_CHART) chart.curves.set(unit, [[step, value]]);
      return;
    }
    points.push([step, value]);
    if (points.length > MAX_POINTS) chart.curves.set(unit, halve(points));
  }

  /** The charts in the order in which their phases began, losses first within a phase. */
  charts(): readonly ChartData[] {
    const phases = [...new Set([...this.#charts.values()].map(({ phase }) => phase))];
    const rank = (name: string) => (name === "loss" ? 0 : /loss/i.test(name) ? 1 : 2);
    return [...this.#charts.values()]
      .sort((a, b) => phases.indexOf(a.phase) - phases.indexOf(b.phase) || rank(a.name) - rank(b.name))
      .map(({ phase, name, curves }) => ({
        phase,
        name,
        curves: [...curves].map(([unit, points]) => ({ unit, points })),
      }));
  }
}

const byStep = bisector<Point, number>(([step]) => step);

/** Value of a curve at a step between its first and its last, on the straight line between its neighbours. */
export function valueAt(points: readonly Point[], step: number): number | null {
  const right = byStep.left(points, step);
  const after = points[right];
  if (!after) return null;
  if (after[0] === step) return after[1];
  const before = points[right - 1];
  if (!before) return null;
  return before[1] + ((after[1] - before[1]) * (step - before[0])) / (after[0] - before[0]);
}

const MEAN_STEPS = 200;

/** Mean over seeds, over the steps that every seed has reached. Empty where they share none. */
export function meanCurve(seeds: readonly (readonly Point[])[]): readonly Point[] {
  const first = Math.max(...seeds.map((points) => points[0]?.[0] ?? Number.POSITIVE_INFINITY));
  const last = Math.min(...seeds.map((points) => points.at(-1)?.[0] ?? Number.NEGATIVE_INFINITY));
  if (!(first <= last)) return [];
  const own = (seeds[0] ?? []).map(([step]) => step).filter((step) => step >= first && step <= last);
  const stride = Math.max(1, Math.ceil(own.length / MEAN_STEPS));
  const steps = own.filter((step, index) => index % stride === 0 || step === last);
  return steps.flatMap((step) => {
    const values = seeds.map((points) => valueAt(points, step));
    if (values.some((value) => value === null)) return [];
    const sum = values.reduce<number>((total, value) => total + (value ?? 0), 0);
    return [[step, sum / values.length] as const];
  });
}
