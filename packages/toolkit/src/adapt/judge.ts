import type { RecipeContext } from "@concord/papers/recipes";
import type { Key, NDArray } from "@concord/tensor";
import {
  type Comparison,
  chooseMetric,
  compareCorrelations,
  compareMeasured,
  type Directions,
  type Measured,
  type MeasuredRows,
  type MetricId,
  type MetricInfo,
  measure,
  possibleMetrics,
} from "./evaluate.ts";
import type { FeedSource } from "./feeds.ts";
import { type Embedder, type Measurer, makeMeasurer, type Trainable, type Vectors } from "./model.ts";
import type { Prepared } from "./prepare.ts";
import type { AdaptRequest } from "./request.ts";
import { gatherRows, type Tower } from "./tower.ts";
import { type ViewSetup, type ViewYardstick, viewYardstick } from "./view-measure.ts";

/** Everything that is needed to measure vectors of some rows. */
export interface Yardstick {
  /** What chooses. */
  readonly metric: MetricInfo;
  readonly possible: readonly MetricId[];
  /** What the recipe measures by itself, on views. */
  readonly own: ViewYardstick | null;
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
  feedSource: FeedSource,
  views: ViewSetup | null,
): Yardstick {
  const { towers, twin, labels, scores, groups } = prepared;
  const possible = possibleMetrics({
    towers: towers.length,
    compare: twin !== null,
    scores: scores !== null,
    labels: labels !== null,
    binary: embedder.bits !== null,
  });
  const own = views?.measure ? viewYardstick(views, context, embedder, feedSource) : null;
  const [first] = towers as [Tower];
  const anchor = towers.find((tower) => tower.anchor);
  const pairs: (readonly [string, string])[] =
    towers.length === 1
      ? [[first.name, twin ? twin.name : first.name]]
      : anchor
        ? towers.filter((tower) => tower !== anchor).map(({ name }) => [name, anchor.name])
        : [[first.name, (towers[1] as Tower).name]];
  return {
    metric: chooseMetric(request.metric, possible, own?.metric),
    possible,
    own,
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
  const { metric, own, possible, directions } = stick;
  const facts = stick.rows(rows);
  const one =
    own?.metric === metric
      ? await own.measured(rows, facts.groups, trainable, signal)
      : (
          await measure(
            await stick.measurer.vectors(rows, trainable, signal),
            facts,
            directions,
            possible.filter((id) => id === metric.id),
          )
        )[0];
  if (!one || !Number.isFinite(one.value)) return metric.better === "higher" ? -Infinity : Infinity;
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
  const measureAll = async (vectors: Vectors, by: Trainable | null): Promise<Measured[]> => [
    ...(stick.own ? [await stick.own.measured(rows, facts.groups, by)] : []),
    ...(await measure(vectors, facts, stick.directions, stick.possible)),
  ];
  const [old, now] = [before && (await measureAll(before, null)), await measureAll(after, trainable)];
  const comparisons = now.map((one): Comparison => {
    const [a, b] = stick.directions[0] as readonly [string, string];
    if (one.metric.id === "spearman" && facts.scores) {
      const sides = (vectors: Vectors) => ({
        a: vectors[a] as NDArray<"float32">,
        b: vectors[b] as NDArray<"float32">,
      });
      return compareCorrelations(before && sides(before), sides(after), facts.scores, key);
    }
    return compareMeasured(old?.find(({ metric }) => metric.id === one.metric.id) ?? null, one, key);
  });
  return { comparisons, before, after };
}
