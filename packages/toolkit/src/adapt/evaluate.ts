import {
  bootstrap,
  bootstrapDifference,
  bootstrapMean,
  normalizeRows,
  rankedRetrieval,
  spearman,
  uniformity,
} from "@concord/align";
import { foldIn, type Key, type NDArray } from "@concord/tensor";
import { AdaptRequestError } from "./errors.ts";
import { gatherRows } from "./tower.ts";

/** Items within this of a place count as there: ranks are expectations under ties. */
const TIE = 1e-9;

export interface MetricInfo {
  readonly id: string;
  readonly label: string;
  readonly better: "higher" | "lower";
  /** Exact definition, one sentence. */
  readonly description: string;
}

export const METRICS = {
  mrr: {
    id: "mrr",
    label: "MRR",
    better: "higher",
    description: "Mean over queries of 1 / rank of the first right item, averaged over both directions.",
  },
  "recall@1": {
    id: "recall@1",
    label: "Recall@1",
    better: "higher",
    description: "Share of queries whose nearest item is right.",
  },
  "recall@5": {
    id: "recall@5",
    label: "Recall@5",
    better: "higher",
    description: "Share of queries with a right item among the five nearest.",
  },
  "recall@10": {
    id: "recall@10",
    label: "Recall@10",
    better: "higher",
    description: "Share of queries with a right item among the ten nearest.",
  },
  map: {
    id: "map",
    label: "mAP",
    better: "higher",
    description: "Mean average precision, an item being right when it shares a label with the query.",
  },
  spearman: {
    id: "spearman",
    label: "Spearman",
    better: "higher",
    description: "Rank correlation of cosines with the given scores.",
  },
  uniformity: {
    id: "uniformity",
    label: "Uniformity",
    better: "lower",
    description:
      "ln of the mean of exp(-2 |x - y|²) over pairs of unit vectors; it says nothing about right or wrong.",
  },
} as const satisfies Readonly<Record<string, MetricInfo>>;

export type MetricId = keyof typeof METRICS;

/** Rows to be measured: what is right for what. */
export interface MeasuredRows {
  /** Group of each row: rows of one group are right for each other. */
  readonly groups: Uint32Array;
  /** [rows, C] with 1 where a label holds. */
  readonly labels: NDArray<"float32"> | null;
  readonly scores: Float64Array | null;
}

/** Which sets are searched by which: both directions of each pair. */
export type Directions = readonly (readonly [from: string, to: string])[];

export interface Measured {
  readonly metric: MetricInfo;
  readonly value: number;
  /** Mean of each group, for intervals; null where the metric is no mean. */
  readonly perGroup: Float64Array | null;
}

/** The metrics that the data allow, the one to choose by first. */
export function possibleMetrics(data: {
  readonly towers: number;
  readonly compare: boolean;
  readonly scores: boolean;
  readonly labels: boolean;
  readonly binary: boolean;
}): readonly MetricId[] {
  const retrieval: MetricId[] = ["mrr", "recall@1", "recall@5", "recall@10"];
  if (data.towers === 1) {
    return [
      ...(data.scores ? (["spearman"] as const) : []),
      ...(data.compare && !data.scores ? retrieval : []),
      ...(data.labels ? (["map"] as const) : []),
      "uniformity",
    ];
  }
  if (!data.labels) return retrieval;
  return data.binary ? ["map", ...retrieval] : [...retrieval, "map"];
}

/**
 * The metric that chooses.
 *
 * @param own  what the recipe measures by itself, which goes first
 * @throws AdaptRequestError listing the metrics that the data allow
 */
export function chooseMetric(
  wanted: string | undefined,
  possible: readonly MetricId[],
  own: MetricInfo | null = null,
): MetricInfo {
  const all: readonly MetricInfo[] = [...(own ? [own] : []), ...possible.map((id) => METRICS[id])];
  const found = wanted === undefined ? all[0] : all.find(({ id }) => id === wanted);
  if (found) return found;
  throw new AdaptRequestError(
    `There is no metric '${wanted}' for these data; there are ${all.map(({ id }) => id).join(", ")}`,
  );
}

function meansByGroup(values: Float64Array, groups: Uint32Array): Float64Array {
  const sums = new Map<number, { sum: number; count: number }>();
  values.forEach((value, i) => {
    const group = groups[i] as number;
    const known = sums.get(group) ?? { sum: 0, count: 0 };
    sums.set(group, { sum: known.sum + value, count: known.count + 1 });
  });
  return Float64Array.from([...sums.values()], ({ sum, count }) => sum / count);
}

function average(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** A mean over groups of rows, of values of each row: one list, or several of which the mean is taken first. */
export function measuredMean(
  metric: MetricInfo,
  perRow: readonly Float64Array[],
  groups: Uint32Array,
): Measured {
  const [first] = perRow as readonly [Float64Array];
  const rows = first.map(
    (_, i) => perRow.reduce((sum, values) => sum + (values[i] as number), 0) / perRow.length,
  );
  const perGroup = meansByGroup(rows, groups);
  return { metric, value: average(perGroup), perGroup };
}

function sharesLabel({ shape, data }: NDArray<"float32">): (a: number, b: number) => boolean {
  const classes = shape[1] as number;
  const sets = Array.from({ length: shape[0] as number }, (_, row) => {
    const own: number[] = [];
    for (let c = 0; c < classes; c++) if ((data[row * classes + c] as number) > 0) own.push(c);
    return own;
  });
  return (a, b) => (sets[a] as number[]).some((label) => (sets[b] as number[]).includes(label));
}

/** Cosines of rows i of two sets. */
function pairCosines(a: NDArray<"float32">, b: NDArray<"float32">): Float64Array {
  const [left, right] = [normalizeRows(a), normalizeRows(b)];
  const [count, width] = left.shape as [number, number];
  return Float64Array.from({ length: count }, (_, row) => {
    let dot = 0;
    for (let k = row * width; k < (row + 1) * width; k++)
      dot += (left.data[k] as number) * (right.data[k] as number);
    return dot;
  });
}

/**
 * Metrics of vectors of rows, computed on all of them.
 *
 * @param vectors     [rows, E] by name
 * @param directions  from queries to items, e.g. image to text and back
 * @param wanted      which metrics
 */
export async function measure(
  vectors: Readonly<Record<string, NDArray<"float32">>>,
  rows: MeasuredRows,
  directions: Directions,
  wanted: readonly MetricId[],
): Promise<Measured[]> {
  const results: Measured[] = [];
  const { groups, labels, scores } = rows;
  const set = (name: string): NDArray<"float32"> => vectors[name] as NDArray<"float32">;
  const places = ["recall@1", "recall@5", "recall@10"] as const;
  if (wanted.includes("mrr") || places.some((id) => wanted.includes(id))) {
    const reciprocal: Float64Array[] = [];
    for (const [from, to] of directions) {
      const { perQuery } = await rankedRetrieval(
        set(from),
        set(to),
        (q, i) => Number(groups[q] === groups[i]),
        { ks: [] },
      );
      reciprocal.push(perQuery.reciprocalRank);
    }
    results.push(measuredMean(METRICS.mrr, reciprocal, groups));
    for (const id of places) {
      const least = 1 / Number(id.slice("recall@".length)) - TIE;
      const hits = reciprocal.map((values) => values.map((value) => Number(value >= least)));
      results.push(measuredMean(METRICS[id], hits, groups));
    }
  }
  if (wanted.includes("map") && labels)
    results.push(...(await measureByLabels(set, rows, labels, directions)));
  const [first] = directions;
  if (wanted.includes("spearman") && scores && first)
    results.push({
      metric: METRICS.spearman,
      value: spearman(pairCosines(set(first[0]), set(first[1])), scores),
      perGroup: null,
    });
  if (wanted.includes("uniformity")) {
    const name = first?.[0] ?? (Object.keys(vectors)[0] as string);
    results.push({ metric: METRICS.uniformity, value: (await uniformity(set(name))).log, perGroup: null });
  }
  return results.filter(({ metric }) => wanted.some((id) => id === metric.id));
}

/** mAP by shared labels; queries without a right item have none. A set that is searched by itself leaves the query out. */
async function measureByLabels(
  set: (name: string) => NDArray<"float32">,
  { groups }: MeasuredRows,
  labels: NDArray<"float32">,
  directions: Directions,
): Promise<Measured[]> {
  const shares = sharesLabel(labels);
  const count = labels.shape[0] as number;
  const all = Array.from({ length: count }, (_, i) => i);
  const perRow: Float64Array[] = [];
  let queries: number[] = [];
  for (const [from, to] of directions) {
    const own = from === to;
    queries = all.filter((q) => all.some((i) => (!own || i !== q) && shares(q, i)));
    if (queries.length < 2) return [];
    const { perQuery } = own
      ? await rankedRetrieval(
          gatherRows(set(from), queries),
          gatherRows(set(to), queries),
          (q, i) => Number(shares(queries[q] as number, queries[i] as number)),
          { ks: [], excludeSelf: true },
        )
      : await rankedRetrieval(
          gatherRows(set(from), queries),
          set(to),
          (q, i) => Number(shares(queries[q] as number, i)),
          { ks: [] },
        );
    perRow.push(perQuery.averagePrecision);
  }
  return [
    measuredMean(
      METRICS.map,
      perRow,
      Uint32Array.from(queries, (q) => groups[q] as number),
    ),
  ];
}

/** A value with its 95 % interval; null where the metric has none. */
export interface Interval {
  readonly value: number;
  readonly low: number | null;
  readonly high: number | null;
}

/** A metric before and after on the same rows. */
export interface Comparison {
  /** Its id. */
  readonly metric: string;
  readonly label: string;
  readonly better: "higher" | "lower";
  /** Null where there was nothing to compare with. */
  readonly before: Interval | null;
  readonly after: Interval;
  /** After minus before, with its 95 % interval over resampled groups. */
  readonly change: Interval | null;
}

/** Two measurements of one metric with 95 % intervals over resampled groups of rows (bootstrap). */
export function compareMeasured(before: Measured | null, after: Measured, key: Key): Comparison {
  const { id, label, better } = after.metric;
  const interval = ({ value, perGroup }: Measured): Interval => {
    if (!perGroup || perGroup.length < 2) return { value, low: null, high: null };
    const { estimate, low, high } = bootstrapMean(perGroup, { key: foldIn(key, 0), method: "percentile" });
    return { value: estimate, low, high };
  };
  const change = (): Comparison["change"] => {
    if (!before) return null;
    const value = after.value - before.value;
    if (!before.perGroup || !after.perGroup || after.perGroup.length < 2)
      return { value, low: null, high: null };
    const { low, high } = bootstrapDifference(after.perGroup, before.perGroup, {
      key: foldIn(key, 1),
      method: "percentile",
    });
    return { value, low, high };
  };
  return {
    metric: id,
    label,
    better,
    before: before && interval(before),
    after: interval(after),
    change: change(),
  };
}

/** As `compareMeasured` for Spearman's correlation, whose intervals come from resampled pairs. */
export function compareCorrelations(
  before: { readonly a: NDArray<"float32">; readonly b: NDArray<"float32"> } | null,
  after: { readonly a: NDArray<"float32">; readonly b: NDArray<"float32"> },
  scores: Float64Array,
  key: Key,
): Comparison {
  const cosines = (sets: { readonly a: NDArray<"float32">; readonly b: NDArray<"float32"> }) =>
    pairCosines(sets.a, sets.b);
  const [old, now] = [before && cosines(before), cosines(after)];
  const of = (values: Float64Array, rows: Uint32Array): number => {
    const picked = (list: Float64Array): Float64Array =>
      Float64Array.from(rows, (row) => list[row] as number);
    const value = spearman(picked(values), picked(scores));
    // A resample in which all values are equal has no correlation.
    return Number.isFinite(value) ? value : 0;
  };
  const interval = (statistic: (rows: Uint32Array) => number) => {
    const { estimate, low, high } = bootstrap(scores.length, statistic, {
      key,
      resamples: 1000,
      method: "percentile",
    });
    return { value: estimate, low, high };
  };
  return {
    metric: "spearman",
    label: METRICS.spearman.label,
    better: "higher",
    before: old && interval((rows) => of(old, rows)),
    after: interval((rows) => of(now, rows)),
    change: old && interval((rows) => of(now, rows) - of(old, rows)),
  };
}

/** Whether the first is better than the second, by at least a hair. */
export function isBetter({ better }: Pick<MetricInfo, "better">, value: number, than: number): boolean {
  return better === "higher" ? value > than + TIE : value < than - TIE;
}
