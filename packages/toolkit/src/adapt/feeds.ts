import type { NDArray } from "@concord/tensor";
import type { EncoderItem } from "../encoders/encoder.ts";
import { AdaptRequestError } from "./errors.ts";
import type { Feeds, Tower } from "./tower.ts";

/** Lengths of texts are rounded up to a multiple of this, so that few graphs are compiled. */
const LENGTH_STEP = 16;
/** Prepared items of all towers that are kept in memory: they come again in every epoch. */
const MAX_KEPT_BYTES = 2 ** 30;

/** The inputs of one item, without the axis of the batch. */
type ItemFeeds = Readonly<Record<string, NDArray>>;

/** Makes the inputs of encoders, and keeps them as long as there is room. */
export interface FeedSource {
  /** The inputs for some rows of a tower. */
  feeds(tower: Tower, rows: ArrayLike<number>, signal?: AbortSignal): Promise<Feeds>;
}

function makeArray(like: NDArray, shape: readonly number[]): NDArray {
  const size = shape.reduce((product, length) => product * length, 1);
  const data = new (like.data.constructor as new (size: number) => NDArray["data"])(size);
  return { ...like, shape, data } as NDArray;
}

/** One item of an array whose first axis is the batch, as an array of its own. */
export function itemOf(array: NDArray, row: number): NDArray {
  const shape = array.shape.slice(1);
  const size = shape.reduce((product, length) => product * length, 1);
  return { ...array, shape, data: array.data.slice(row * size, (row + 1) * size) } as NDArray;
}

/**
 * Arrays of one shape as one, the new axis first.
 *
 * @throws AdaptRequestError when one is missing or has another shape
 */
export function stackItems(name: string, arrays: readonly (NDArray | undefined)[]): NDArray {
  const [like] = arrays;
  const strange = arrays.find(
    (array) => array?.shape.join() !== like?.shape.join() || array?.dtype !== like?.dtype,
  );
  if (!like || strange !== undefined || arrays.includes(undefined))
    throw new AdaptRequestError(
      `The views '${name}' of two items differ: [${like?.shape.join(", ")}] and ${strange ? `[${strange.shape.join(", ")}]` : "none"}`,
    );
  const stacked = makeArray(like, [arrays.length, ...like.shape]);
  arrays.forEach((array, i) => {
    (stacked.data as Float32Array).set(array?.data as Float32Array, i * like.data.length);
  });
  return stacked;
}

/** Arrays that differ in their first axis alone, one after another. */
export function joinItems<T extends NDArray>(parts: readonly T[]): T {
  const [first] = parts as readonly [T];
  const count = parts.reduce((sum, { shape }) => sum + (shape[0] as number), 0);
  const shape = [count, ...first.shape.slice(1)];
  const joined = makeArray(first, shape) as T;
  let end = 0;
  for (const part of parts) {
    joined.data.set(part.data as never, end);
    end += part.data.length;
  }
  return joined;
}

function rowOf(feeds: Feeds, row: number): ItemFeeds {
  return Object.fromEntries(Object.entries(feeds).map(([name, array]) => [name, itemOf(array, row)]));
}

function roundedUp(length: number): number {
  return Math.ceil(length / LENGTH_STEP) * LENGTH_STEP;
}

/**
 * Items as one batch. Texts of several lengths are filled up with zeros, which the mask says are padding.
 *
 * @throws AdaptRequestError when items differ in shape and the model has no mask
 */
export function stackFeeds(items: readonly ItemFeeds[], mask: string | null): Feeds {
  const [first] = items;
  if (!first) return {};
  return Object.fromEntries(
    Object.entries(first).map(([name, like]) => {
      const arrays = items.map((item) => item[name] as NDArray);
      const text = mask !== null && like.shape.length === 1 && like.shape[0] === first[mask]?.shape[0];
      const shape = text
        ? [roundedUp(Math.max(...arrays.map((array) => array.shape[0] as number)))]
        : like.shape;
      const size = shape.reduce((product, length) => product * length, 1);
      const stacked = makeArray(like, [items.length, ...shape]);
      arrays.forEach((array, row) => {
        if (!text && array.shape.join() !== like.shape.join())
          throw new AdaptRequestError(
            `Items differ in shape at '${name}' ([${like.shape.join(", ")}] and [${array.shape.join(", ")}]), and the model takes no mask`,
          );
        (stacked.data as Float32Array).set(array.data as Float32Array, row * size);
      });
      return [name, stacked];
    }),
  );
}

/** Padding that a text has of its batch mates, taken off again. */
function withoutPadding(item: ItemFeeds, mask: string | null): ItemFeeds {
  const counts = mask === null ? undefined : item[mask];
  if (counts === undefined || counts.shape.length !== 1) return item;
  let end = counts.data.length;
  while (end > 1 && Number(counts.data[end - 1]) === 0) end--;
  return Object.fromEntries(
    Object.entries(item).map(([name, array]) =>
      array.shape.length === 1 && array.shape[0] === counts.shape[0]
        ? [name, { ...array, shape: [end], data: array.data.slice(0, end) } as NDArray]
        : [name, array],
    ),
  );
}

function bytesOf(item: ItemFeeds): number {
  return Object.values(item).reduce((sum, { data }) => sum + data.byteLength, 0);
}

/** A source of inputs that prepares each item once, as far as memory allows. */
export function makeFeedSource(maxBytes: number = MAX_KEPT_BYTES): FeedSource {
  const kept = new Map<string, Map<number, ItemFeeds>>();
  let bytes = 0;
  return {
    async feeds(tower, rows, signal) {
      const { encoder, data, name } = tower;
      if (!encoder || data.kind !== "items") throw new Error(`tower '${name}' has no items`);
      const { mask } = encoder.graph;
      const known = kept.get(name) ?? new Map<number, ItemFeeds>();
      kept.set(name, known);
      const wanted = Array.from(rows);
      const missing = [...new Set(wanted.filter((row) => !known.has(row)))];
      const fresh = new Map<number, ItemFeeds>();
      if (missing.length > 0) {
        const items = missing.map((row) => data.items[row] as EncoderItem);
        const { feeds, problems } = await encoder.preprocess(items, signal ? { signal } : {});
        const [problem] = problems;
        if (problem)
          throw new AdaptRequestError(
            `An item of '${name}' could be read before and cannot now: ${problem.reason}`,
          );
        missing.forEach((row, i) => {
          const item = withoutPadding(rowOf(feeds, i), mask);
          fresh.set(row, item);
          const size = bytesOf(item);
          if (bytes + size > maxBytes) return;
          bytes += size;
          known.set(row, item);
        });
      }
      return stackFeeds(
        wanted.map((row) => (known.get(row) ?? fresh.get(row)) as ItemFeeds),
        mask,
      );
    },
  };
}
