import { availableParallelism } from "node:os";
import { WorkerPool } from "@concord/data";
import type { Recipe, RecipeContext } from "@concord/papers/recipes";
import { foldIn, type Key, type NDArray } from "@concord/tensor";
import { siblingModule } from "@concord/tensor/workers";
import { itemOf, stackItems } from "./feeds.ts";
import type { StepBatch } from "./step.ts";

/** What a recipe makes of the items of a batch: [B, V, ...] by group, and what belongs to it: [B, ...] by name. */
export type BatchViews = Required<Pick<StepBatch, "views" | "targets">>;

/** Makes the views of batches. */
export interface ViewMaker {
  /**
   * The views of items [B, ...]; those of item i by the key folded with i, wherever they are made.
   *
   * @throws what the recipe throws; AdaptRequestError when views of two items differ in shape
   */
  make(items: NDArray, key: Key): Promise<BatchViews>;
  close(): Promise<void>;
}

/** What a thread of views is started with, and asked. */
export interface ViewThreadData {
  readonly slug: string;
  readonly context: RecipeContext;
}
export type ViewRequest =
  /** Be ready: load the recipe. */
  null | { readonly items: NDArray; readonly key: Key };

/** Threads that make views at most: each holds a batch that waits. */
const MOST_THREADS = 2;

/** Batches that a thread is handed at a time: it makes the next one while a step blocks the calling thread. */
const DEPTH = 2;

/** How many threads make views beside the one that trains: one, two where there are cores for them. */
export function viewThreads(): number {
  return Math.max(1, Math.min(MOST_THREADS, availableParallelism() - 2));
}

/** The views of a batch, in the calling thread; see `ViewMaker.make`. */
export function viewsOf(recipe: Recipe, context: RecipeContext, items: NDArray, key: Key): BatchViews {
  const [count = 0] = items.shape;
  const made = Array.from({ length: count }, (_, i) =>
    recipe.views?.(itemOf(items, i), foldIn(key, i), context),
  );
  const stacked = (
    lists: readonly (Readonly<Record<string, NDArray>> | undefined)[],
  ): Record<string, NDArray> =>
    Object.fromEntries(
      Object.keys(lists[0] ?? {}).map((name) => [
        name,
        stackItems(
          name,
          lists.map((list) => list?.[name]),
        ),
      ]),
    );
  return {
    views: stacked(made.map((one) => one?.groups)),
    targets: stacked(made.map((one) => one?.targets)),
  };
}

/**
 * Views made in the calling thread (0 threads), or in threads of their own, which load the recipe by its slug: for
 * recipes of the catalogue alone. Both make the same, bit for bit.
 */
export function openViews(recipe: Recipe, context: RecipeContext, threads: number): ViewMaker {
  if (threads === 0)
    return {
      make: async (items, key) => viewsOf(recipe, context, items, key),
      async close() {},
    };
  const workerData: ViewThreadData = { slug: recipe.slug, context };
  const pool = new WorkerPool<ViewRequest, BatchViews>(siblingModule(import.meta.url, "./views-worker"), {
    size: threads,
    depth: DEPTH,
    workerData,
  });
  let closed = false;
  // The first thread starts while validation rows are looked at. What is wrong with it says the first batch.
  pool.run(null).catch(() => {});
  return {
    async make(items, key) {
      try {
        return await pool.run({ items, key });
      } catch (error) {
        // Errors lose their class between threads. What the recipe throws, it throws here too.
        if (!closed) viewsOf(recipe, context, items, key);
        throw error;
      }
    },
    async close() {
      closed = true;
      await pool.close();
    },
  };
}
