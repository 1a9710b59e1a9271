import { type BatchPlan, type BatchSource, batchPlan } from "@concord/data";
import { bitsAt, type Key, keyArray, type NDArray } from "@concord/tensor";
import type { FeedSource } from "./feeds.ts";
import type { StepBatch } from "./step.ts";
import { gatherRows, mainInput, type Tower } from "./tower.ts";
import type { ViewMaker } from "./views.ts";

/** Which training rows come in a step: of each group one, another one in each epoch. */
export interface RowPlan {
  readonly stepsPerEpoch: number;
  readonly batchSize: number;
  /** Places among the training rows, and the step's key. */
  at(step: number): { readonly items: Uint32Array; readonly key: Key };
}

/**
 * Draws one row of each group an epoch, so that no batch holds two captions of one picture, which would be false
 * negatives of each other.
 *
 * @param groups  group of each training row
 */
export function rowPlan(key: Key, groups: ArrayLike<number>, batchSize: number): RowPlan {
  const members = new Map<number, number[]>();
  for (let i = 0; i < groups.length; i++) {
    const group = groups[i] as number;
    const known = members.get(group);
    if (known) known.push(i);
    else members.set(group, [i]);
  }
  const lists = [...members.values()];
  const size = Math.min(batchSize, lists.length);
  const plan: BatchPlan = batchPlan({ key, count: lists.length, batchSize: size });
  return {
    stepsPerEpoch: plan.stepsPerEpoch,
    batchSize: size,
    at(step) {
      const { indices, epochKey, stepKey } = plan.at(step);
      const items = indices.map((group) => {
        const list = lists[group] as number[];
        return list[bitsAt(epochKey, group) % list.length] as number;
      });
      return { items, key: stepKey };
    },
  };
}

/**
 * The batches of a training by step.
 *
 * @param views  makes views of a tower's items, and is closed with the source; null where the recipe has none
 */
export function adaptBatches(
  plan: RowPlan,
  towers: readonly Tower[],
  train: Uint32Array,
  labels: NDArray<"float32"> | null,
  feedSource: FeedSource,
  views: { readonly tower: Tower; readonly maker: ViewMaker } | null,
  signal?: AbortSignal,
): BatchSource<StepBatch> {
  const close = async (): Promise<void> => views?.maker.close();
  const viewsOf = async (rows: Uint32Array, key: Key, { tower, maker }: NonNullable<typeof views>) => {
    const feeds = await feedSource.feeds(tower, rows, signal);
    return maker.make(feeds[mainInput(tower)] as NDArray, key);
  };
  return {
    stepsPerEpoch: plan.stepsPerEpoch,
    async batch(step) {
      const { items, key } = plan.at(step);
      const rows = items.map((item) => train[item] as number);
      const feeds = await Promise.all(
        towers
          .filter(({ trained }) => trained)
          .map(async (tower) => [tower.name, await feedSource.feeds(tower, rows, signal)] as const),
      );
      return {
        base: Object.fromEntries(towers.map((tower) => [tower.name, gatherRows(tower.features, rows)])),
        feeds: Object.fromEntries(feeds),
        ...(views && (await viewsOf(rows, key, views))),
        ...(labels && { labels: gatherRows(labels, rows) }),
        items: { dtype: "int32", shape: [items.length], data: Int32Array.from(items) },
        key: keyArray(key),
      };
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}
