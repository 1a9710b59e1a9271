import type { Recipe, RecipeContext, RecipeTower, ViewMeasure } from "@concord/papers/recipes";
import { compile, foldIn, type Key, type NDArray, type Tensor, type Traced } from "@concord/tensor";
import { AdaptRequestError } from "./errors.ts";
import { type Measured, type MetricInfo, measuredMean } from "./evaluate.ts";
import { type FeedSource, itemOf, joinItems, stackItems } from "./feeds.ts";
import type { Embedder, Trainable } from "./model.ts";
import { type EncoderParams, mainInput, type Tower } from "./tower.ts";

/** Views that go through the encoder at a time. */
const TOGETHER = 64;
/** Items whose views are in memory at a time. */
const ITEMS = 8;

/** What views are made of and measured by. */
export interface ViewSetup {
  /** The only tower, its items at the size that the recipe asks for. */
  readonly tower: Tower;
  readonly measure: ViewMeasure | undefined;
  /** The views of a row are the same whenever it is measured. */
  readonly key: Key;
}

/** A recipe's own measure of some rows. */
export interface ViewYardstick {
  readonly metric: MetricInfo;
  /**
   * @param groups     group of each row
   * @param trainable  null for the untouched encoder
   */
  measured(
    rows: Uint32Array,
    groups: Uint32Array,
    trainable: Trainable | null,
    signal?: AbortSignal,
  ): Promise<Measured>;
  close(): Promise<void>;
}

/**
 * The tower whose items views are made of: the recipe's only one, or the same with larger items.
 *
 * @throws AdaptRequestError when the encoder takes several inputs, or items of another size cannot be had
 */
export async function viewTower(
  tower: Tower,
  rows: Uint32Array,
  recipe: Recipe,
  context: RecipeContext,
  feedSource: FeedSource,
): Promise<Tower> {
  const input = mainInput(tower);
  const { encoder, name } = tower;
  if (!recipe.itemSize || !encoder) return tower;
  if (encoder.modality !== "volume" && encoder.modality !== "image")
    throw new AdaptRequestError(
      `${recipe.slug} cuts views out of larger items, which are made of volumes and images; '${name}' takes ${encoder.modality}.`,
    );
  // A model may leave open what its preprocessing decides.
  const { shape } = (await feedSource.feeds(tower, rows.subarray(0, 1)))[input] as NDArray;
  let size: readonly number[];
  try {
    size = recipe.itemSize(shape.slice(2), context);
  } catch (error) {
    throw new AdaptRequestError((error as Error).message, { cause: error });
  }
  return {
    ...tower,
    name: `${name} (views)`,
    encoder: {
      ...encoder,
      preprocess: (items, options) => encoder.preprocess(items, { ...options, size }),
    },
  };
}

/** Measures views by what is trained, or by the untouched encoder. */
export function viewYardstick(
  { tower, measure, key }: ViewSetup,
  context: RecipeContext,
  embedder: Embedder,
  feedSource: FeedSource,
): ViewYardstick {
  const { layer } = tower;
  const [facts] = context.towers as [RecipeTower];
  if (!measure || !layer) throw new Error("there is nothing to measure views by");
  const input = mainInput(tower);
  const features = (params: Traced<EncoderParams>, x: Tensor): Tensor => layer.apply(params, { [input]: x });
  const byBase = compile((params: Traced<EncoderParams>, x: Tensor) => {
    const base = features(params, x);
    return embedder.base?.(base, facts) ?? base;
  });
  const byTrained = compile((head: unknown, params: Traced<EncoderParams>, x: Tensor) =>
    embedder.embed(head, features(params, x), facts),
  );
  /** [B, V, ...] to [B, V, E] */
  const embed = async (views: NDArray, trainable: Trainable | null): Promise<NDArray<"float32">> => {
    const [items = 0, count = 0, ...shape] = views.shape;
    const size = shape.reduce((product, side) => product * side, 1);
    const params = (trainable && tower.trained && Object.values(trainable.encoders)[0]) || layer.params;
    const made: NDArray<"float32">[] = [];
    for (let from = 0; from < items * count; from += TOGETHER) {
      const to = Math.min(from + TOGETHER, items * count);
      const data = views.data.subarray(from * size, to * size);
      const x = { ...views, shape: [to - from, ...shape], data } as NDArray;
      const vectors = await (trainable
        ? byTrained(trainable.head as never, params as never, x)
        : byBase(params as never, x));
      made.push(vectors as NDArray<"float32">);
    }
    const vectors = joinItems(made);
    return { ...vectors, shape: [items, count, vectors.shape[1] as number] };
  };
  return {
    metric: measure.metric,
    async measured(rows, groups, trainable, signal) {
      const embedded = new Map<string, NDArray<"float32">[]>();
      const targets = new Map<string, NDArray[]>();
      for (let start = 0; start < rows.length; start += ITEMS) {
        signal?.throwIfAborted();
        const some = rows.subarray(start, start + ITEMS);
        const items = (await feedSource.feeds(tower, some, signal))[input] as NDArray;
        const made = Array.from(some, (row, i) => measure.views(itemOf(items, i), foldIn(key, row), context));
        const stacked = (of: "groups" | "targets", name: string): NDArray =>
          stackItems(
            name,
            made.map((one) => one[of]?.[name]),
          );
        for (const name of Object.keys(made[0]?.groups ?? {}))
          append(embedded, name, await embed(stacked("groups", name), trainable));
        for (const name of Object.keys(made[0]?.targets ?? {}))
          append(targets, name, stacked("targets", name));
      }
      const values = measure.of(joined(embedded), joined(targets), context);
      return measuredMean(measure.metric, [values], groups);
    },
    async close() {
      await Promise.all([byBase.close(), byTrained.close()]);
    },
  };
}

function append<T>(lists: Map<string, T[]>, name: string, value: T): void {
  const list = lists.get(name);
  if (list) list.push(value);
  else lists.set(name, [value]);
}

function joined<T extends NDArray>(lists: ReadonlyMap<string, readonly T[]>): Readonly<Record<string, T>> {
  return Object.fromEntries([...lists].map(([name, parts]) => [name, joinItems(parts)]));
}
