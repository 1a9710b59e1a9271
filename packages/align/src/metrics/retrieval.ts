import type { NDArray } from "@concord/tensor";
import { checkKs, hitsAt } from "./ranking.ts";
import { forEachBlockOfProducts, unitSets } from "./rows.ts";

/** Recall at each k, a share in [0, 1]. */
export type RecallAtK = ReadonlyMap<number, number>;

export interface RetrievalRecall {
  /** An image is the query; a hit is any of its captions. */
  readonly imageToText: RecallAtK;
  /** A caption is the query; the hit is its image. */
  readonly textToImage: RecallAtK;
}

/**
 * Share of queries that find one of their own items among the k nearest by cosine.
 *
 *   R@k = mean_q P(min rank of q's own items ≤ k)
 *
 * Items whose cosines are equal (nearer than 1e-6) have no order of their own: a query whose best own item ties with
 * others counts by its chance under a random order of the tied, not by the order of the input. So embeddings that
 * collapsed to a point score k / N, and duplicates share their place. The result depends on neither the order of
 * queries nor that of items.
 *
 * @param queries     [Q, D]
 * @param items       [N, D]
 * @param queryOwner  Q integers; query q owns item i when queryOwner[q] = itemOwner[i]
 * @param itemOwner   N integers
 * @param ks          e.g. [1, 5, 10]
 * @throws RangeError when shapes or lengths do not fit, values are not finite or a query owns no item
 */
export async function recallAtK(
  queries: NDArray,
  items: NDArray,
  queryOwner: ArrayLike<number>,
  itemOwner: ArrayLike<number>,
  ks: readonly number[],
): Promise<RecallAtK> {
  const operation = "recallAtK";
  checkKs(operation, ks);
  const [unitQueries, unitItems] = unitSets(operation, { queries, items }, "sets");
  const [Q, N] = [unitQueries.shape[0] as number, unitItems.shape[0] as number];
  if (queryOwner.length !== Q || itemOwner.length !== N) {
    throw new RangeError(
      `${operation}: needs one owner for each of ${Q} queries and ${N} items, got ${queryOwner.length} and ${itemOwner.length}`,
    );
  }
  const owners = new Set(Array.from(itemOwner));
  for (let q = 0; q < Q; q++) {
    if (!owners.has(queryOwner[q] as number))
      throw new RangeError(`${operation}: query ${q} (owner ${queryOwner[q]}) owns no item`);
  }
  const totals = ks.map(() => 0);
  await forEachBlockOfProducts(unitQueries, unitItems, (first, count, products) => {
    for (let row = 0; row < count; row++) {
      const owner = queryOwner[first + row];
      const scores = products.subarray(row * N, (row + 1) * N);
      const hits = hitsAt(scores, (item) => itemOwner[item] === owner, ks);
      hits.forEach((hit, i) => {
        totals[i] = (totals[i] as number) + hit;
      });
    }
  });
  return new Map(ks.map((k, i) => [k, (totals[i] as number) / Q]));
}

/**
 * Recall of image-text retrieval in both directions, several captions an image allowed.
 *
 * @param images        [N, D] features, normalised here
 * @param captions      [M, D] features, normalised here
 * @param captionOwner  M integers in [0, N): the image that each caption describes
 * @param ks            default [1, 5, 10]
 * @throws RangeError as `recallAtK`, also when an image has no caption or an owner is not an image
 */
export async function retrievalRecall(
  images: NDArray,
  captions: NDArray,
  captionOwner: ArrayLike<number>,
  ks: readonly number[] = [1, 5, 10],
): Promise<RetrievalRecall> {
  const imageOwner = Array.from({ length: images.shape[0] ?? 0 }, (_, i) => i);
  return {
    imageToText: await recallAtK(images, captions, imageOwner, captionOwner, ks),
    textToImage: await recallAtK(captions, images, captionOwner, imageOwner, ks),
  };
}
