import type { ByTower, FeatureStatistics, Recipe, RecipeContext, RecipeTower } from "@concord/papers/recipes";
import {
  asTensor,
  compile,
  foldIn,
  greater,
  type Key,
  l2Normalize,
  matmul,
  type NDArray,
  normalArray,
  sub,
  type Tensor,
  type Traced,
  treeMap,
  where,
} from "@concord/tensor";
import { type FeedSource, joinItems } from "./feeds.ts";
import { type EncoderParams, gatherRows, type Tower } from "./tower.ts";

const UNIT_TOLERANCE = 1e-3;
/** Rows that go through a trained encoder at a time when they are only measured. */
const MEASURED_TOGETHER = 64;
const NO_ROWS: NDArray<"float32"> = { dtype: "float32", shape: [0, 0], data: new Float32Array(0) };

/** Everything that is trained. */
export interface Trainable {
  readonly head: unknown;
  readonly encoders: Readonly<Record<string, EncoderParams>>;
}

/** Facts about the training rows' features. */
export function statisticsOf({ shape, data }: NDArray<"float32">): FeatureStatistics {
  const [count, width] = shape as [number, number];
  const mean = new Float64Array(width);
  let norms = 0;
  let unit = true;
  for (let row = 0; row < count; row++) {
    let squares = 0;
    for (let k = 0; k < width; k++) {
      const value = data[row * width + k] as number;
      mean[k] = (mean[k] as number) + value / count;
      squares += value * value;
    }
    const norm = Math.sqrt(squares);
    norms += norm / count;
    if (Math.abs(norm - 1) > UNIT_TOLERANCE) unit = false;
  }
  return {
    mean: { dtype: "float32", shape: [width], data: Float32Array.from(mean) },
    meanNorm: norms,
    unit,
  };
}

/** How the vectors that come out are made: by the recipe, or, as before, by the encoders alone. */
export interface Embedder {
  /** [B, D] base features of a tower to what comes out, [B, E]. */
  embed(head: unknown, features: Tensor, tower: RecipeTower): Tensor;
  /** The untouched model; null where the towers' widths differ, so that it says nothing about pairs. */
  readonly base: ((features: Tensor, tower: RecipeTower) => Tensor) | null;
  readonly bits: number | null;
}

function signs(x: Tensor): Tensor {
  return where(greater(x, 0), asTensor(1, x.dtype), -1);
}

/**
 * What the exported model computes after its encoder. Of codes the signs come out; the base that they are compared with
 * are the signs of random projections of the centred features, as many, the same ones for all towers (LSH).
 */
export function makeEmbedder(recipe: Recipe, context: RecipeContext, key: Key): Embedder {
  const output = recipe.output?.(context) ?? { kind: "float" as const };
  const { towers } = context;
  const sameWidth = towers.every(({ width }) => width === towers[0]?.width);
  const traced = (head: unknown, features: Tensor, tower: RecipeTower): Tensor =>
    recipe.embed(head as Traced<unknown>, features, tower, context);
  if (output.kind === "float") {
    const unit = towers.every(({ statistics }) => statistics.unit);
    return {
      embed: (head, features, tower) =>
        unit ? l2Normalize(traced(head, features, tower)) : traced(head, features, tower),
      base: sameWidth ? (features) => features : null,
      bits: null,
    };
  }
  const { bits } = output;
  const width = towers[0]?.width as number;
  const planes = normalArray(key, [width, bits]);
  return {
    embed: (head, features, tower) => signs(traced(head, features, tower)),
    base: sameWidth ? (features, tower) => signs(matmul(sub(features, tower.statistics.mean), planes)) : null,
    bits,
  };
}

/** Vectors by tower for some rows. */
export type Vectors = Readonly<Record<string, NDArray<"float32">>>;

/** Makes vectors of rows outside of training, graphs kept between calls. */
export interface Measurer {
  /** By the base, or by what is trained. */
  vectors(rows: Uint32Array, trainable: Trainable | null, signal?: AbortSignal): Promise<Vectors>;
  close(): Promise<void>;
}

export function makeMeasurer(
  towers: readonly Tower[],
  context: RecipeContext,
  embedder: Embedder,
  feedSource: FeedSource,
): Measurer {
  const facts = new Map(context.towers.map((tower) => [tower.name, tower]));
  const perTower = new Map(
    towers.map((tower) => {
      const own = facts.get(tower.twinOf ?? tower.name) as RecipeTower;
      const fromBase = compile((features: Tensor) => embedder.base?.(features, own) ?? features);
      const fromFeatures = compile((head: unknown, features: Tensor) => embedder.embed(head, features, own));
      const fromFeeds = compile(
        (head: unknown, params: Traced<EncoderParams>, feeds: Readonly<Record<string, Tensor>>) =>
          embedder.embed(head, (tower.layer as NonNullable<Tower["layer"]>).apply(params, feeds), own),
      );
      return [tower.name, { fromBase, fromFeatures, fromFeeds }] as const;
    }),
  );
  const graphsOf = (tower: Tower) => perTower.get(tower.name) as NonNullable<ReturnType<typeof perTower.get>>;
  const vectorsOf = async (features: NDArray<"float32">, tower: Tower, trainable: Trainable | null) => {
    const { fromBase, fromFeatures } = graphsOf(tower);
    const made = trainable ? await fromFeatures(trainable.head as never, features) : await fromBase(features);
    return made as NDArray<"float32">;
  };
  return {
    async vectors(rows, trainable, signal) {
      const all: [string, NDArray<"float32">][] = [];
      for (const tower of towers) {
        signal?.throwIfAborted();
        if (!trainable || !tower.trained) {
          all.push([tower.name, await vectorsOf(gatherRows(tower.features, rows), tower, trainable)]);
          continue;
        }
        const parts: NDArray<"float32">[] = [];
        for (let start = 0; start < rows.length; start += MEASURED_TOGETHER) {
          signal?.throwIfAborted();
          const feeds = await feedSource.feeds(
            tower,
            rows.subarray(start, start + MEASURED_TOGETHER),
            signal,
          );
          const params = trainable.encoders[tower.twinOf ?? tower.name];
          parts.push(
            (await graphsOf(tower).fromFeeds(
              trainable.head as never,
              params as never,
              feeds,
            )) as NDArray<"float32">,
          );
        }
        all.push([tower.name, parts.length === 0 ? NO_ROWS : joinItems(parts)]);
      }
      return Object.fromEntries(all);
    },
    async close() {
      for (const { fromBase, fromFeatures, fromFeeds } of perTower.values())
        await Promise.all([fromBase.close(), fromFeatures.close(), fromFeeds.close()]);
    },
  };
}

/** What is trained at the start: the recipe's parts, in closed form where it has one, and the encoders' adapters or weights. */
export async function startOf(
  recipe: Recipe,
  context: RecipeContext,
  towers: readonly Tower[],
  train: Uint32Array,
  key: Key,
): Promise<Trainable> {
  const initial = recipe.init(foldIn(key, 0), context);
  const features: ByTower<NDArray<"float32">> = recipe.fit
    ? Object.fromEntries(towers.map((tower) => [tower.name, gatherRows(tower.features, train)]))
    : {};
  const head = recipe.fit ? await recipe.fit(initial, features, context) : initial;
  const encoders = towers
    .filter(({ trained }) => trained)
    .map(({ name, layer }) => [name, layer?.params ?? {}] as const);
  return { head, encoders: Object.fromEntries(encoders) };
}

/** A tree with the same arrays, each copied. */
export function copyTree<T>(tree: T): T {
  return treeMap(tree, (leaf) => {
    const array = leaf as NDArray;
    return { ...array, data: array.data.slice() };
  }) as T;
}
