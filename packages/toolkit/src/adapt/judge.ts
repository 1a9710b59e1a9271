import type { RecipeContext } from "@concord/papers/recipes";
import type { Key, NDArray } from "@concord/tensor";
import {
  type Comparison,
  chooseMetric,
  compareCorrelations,
  compareMeasured,
  type Directions,
  METRICS,
  type Measured,
  type MeasuredRows,
  type MetricId,
  measure,
  possibleMetrics,
} from "./evaluate.ts";
import { type FeedSource, makeFeedSource } from "./feeds.ts";
import { type Embedder, type Measurer, makeMeasurer, type Trainable, type Vectors } from "./model.ts";
import type { Prepared } from "./prepare.ts";
import type { AdaptRequest } from "./request.ts";
import { gatherRows, type Tower } from "./tower.ts";

/** Everything that is needed to measure vectors of some rows. */
export interface Yardstick {
  readonly metric: MetricId;
  readonly possible: readonly MetricId[];
  readonly directions: Directions;
  readonly measurer: Measurer;
  readonly feedSource: FeedSource;
  rows(of: Uint32Array): MeasuredRows;
}

/** What is measured, by what, in which directions. */
export function yardstick(
  request: AdaptRequest,
  prepared: Prepared,
  context: RecipeContext,
  embedder: Embedder,
): Yardstick {
  const { towers, twin, labels, scores, groups } = prepared;
  const possible = possibleMetrics({
    towers: towers.length,
    compare: twin !== null,
    scores: scores !== null,
    labels: labels !== null,
    binary: embedder.bits !== null,
  });
  const feedSource = makeFeedSource();
  const [first] = towers as [Tower];
  const anchor = towers.find((tower) => tower.anchor);
  const pairs: (readonly [string, string])[] =
    towers.length === 1
      ? [[first.name, twin ? twin.name : first.name]]
      : anchor
        ? towers.filter((tower) => tower !== anchor).map(({ name }) => [name, anchor.name])
        : [[first.name, (towers[1] as Tower).name]];
  return {
    metric: chooseMetric(request.metric, possible),
    possible,
    directions: pairs.flatMap(([a, b]) => (a === b ? [[a, b] as const] : [[a, b] as const, [b, a] as const])),
    measurer: makeMeasurer(twin ? [...towers, twin] : towers, context, embedder, feedSource),
    feedSource,
    rows: (of) => ({
      groups: of.map((row) => groups.of[row] as number),
      labels: labels && gatherRows(labels.values, of),
      scores: scores && Float64Array.from(of, (row) => scores[row] as number),
    }),
  };
}

/** The metric that chooses, on some rows; the worst value where it is not defined. */
export async function valueOn(
  stick: Yardstick,
  rows: Uint32Array,
  trainable: Trainable | null,
  signal?: AbortSignal,
): Promise<number> {
  const vectors = await stick.measurer.vectors(rows, trainable, signal);
  const [one] = await measure(vectors, stick.rows(rows), stick.directions, [stick.metric]);
  if (!one || !Number.isFinite(one.value))
    return METRICS[stick.metric].better === "higher" ? -Infinity : Infinity;
  return one.value;
}

export interface Judged {
  readonly comparisons: readonly Comparison[];
  readonly before: Vectors | null;
  readonly after: Vectors;
}

/** All metrics before and after on the held-out rows. */
export async function judge(
  stick: Yardstick,
  rows: Uint32Array,
  trainable: Trainable,
  embedder: Embedder,
  key: Key,
): Promise<Judged> {
  const facts = stick.rows(rows);
  const before = embedder.base ? await stick.measurer.vectors(rows, null) : null;
  const after = await stick.measurer.vectors(rows, trainable);
  const measureAll = (vectors: Vectors): Promise<Measured[]> =>
    measure(vectors, facts, stick.directions, stick.possible);
  const [old, now] = [before && (await measureAll(before)), await measureAll(after)];
  const comparisons = now.map((one): Comparison => {
    const [a, b] = stick.directions[0] as readonly [string, string];
    if (one.id === "spearman" && facts.scores) {
      const sides = (vectors: Vectors) => ({
        a: vectors[a] as NDArray<"float32">,
        b: vectors[b] as NDArray<"float32">,
      });
      return compareCorrelations(before && sides(before), sides(after), facts.scores, key);
    }
    return compareMeasured(old?.find(({ id }) => id === one.id) ?? null, one, key);
  });
  return { comparisons, before, after };
}
