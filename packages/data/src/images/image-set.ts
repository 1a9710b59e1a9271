import { type Key, type NDArray, permutation } from "@concord/tensor";
import type { PixelStore } from "./pixel-store.ts";

/** A categorical value of every image. */
export interface LabelColumn {
  /** The different values; a class index is a position in this list. */
  readonly values: readonly string[];
  /** Class index of every image, -1 where the value is missing. */
  readonly indices: Int32Array;
}

/** Images of one size with one or more captions each, ready for random access. */
export interface CaptionedImageSet {
  /** Number of images. */
  readonly count: number;
  /** Side S of the square images. */
  readonly size: number;
  /** What each image is called, e.g. its path. */
  readonly names: readonly string[];
  /** At least one caption per image. */
  readonly captions: readonly (readonly string[])[];
  readonly labels: Readonly<Record<string, LabelColumn>>;
  /** The images of these indices, [B, 3, S, S], 0 to 255. The caller owns the array. */
  pixels(indices: ArrayLike<number>): Promise<NDArray<"uint8">>;
}

/** @throws RangeError when the parts describe different numbers of images or an image has no caption */
export function captionedImageSet(parts: {
  readonly names: readonly string[];
  readonly captions: readonly (readonly string[])[];
  readonly labels: Readonly<Record<string, LabelColumn>>;
  readonly store: PixelStore;
}): CaptionedImageSet {
  const { names, captions, labels, store } = parts;
  const lengths: [string, number][] = [
    ["names", names.length],
    ["captions", captions.length],
    ...Object.entries(labels).map(([name, column]): [string, number] => [
      `label "${name}"`,
      column.indices.length,
    ]),
  ];
  for (const [what, length] of lengths) {
    if (length !== store.count)
      throw new RangeError(`captionedImageSet: ${store.count} images, but ${what} has ${length} entries`);
  }
  const bare = captions.findIndex((list) => list.length === 0);
  if (bare >= 0) throw new RangeError(`captionedImageSet: image ${names[bare]} has no caption`);
  return {
    count: store.count,
    size: store.size,
    names,
    captions,
    labels,
    pixels: (indices) => store.gather(indices),
  };
}

/** Labels from one text per image; values are numbered in the order of their first appearance. */
export function labelColumn(texts: readonly (string | undefined)[]): LabelColumn {
  const known = new Map<string, number>();
  const indices = Int32Array.from(texts, (text) => {
    if (text === undefined) return -1;
    const index = known.get(text) ?? known.size;
    known.set(text, index);
    return index;
  });
  return { values: [...known.keys()], indices };
}

/**
 * Some images of a set, in the given order; pixels are shared, not copied.
 *
 * @throws RangeError when an index is not an image of the set
 */
export function selectImages(set: CaptionedImageSet, indices: ArrayLike<number>): CaptionedImageSet {
  const chosen = Array.from(indices, (index) => {
    if (!Number.isInteger(index) || index < 0 || index >= set.count)
      throw new RangeError(`selectImages: ${index} is not an image of a set of ${set.count}`);
    return index;
  });
  return {
    count: chosen.length,
    size: set.size,
    names: chosen.map((index) => set.names[index] as string),
    captions: chosen.map((index) => set.captions[index] as readonly string[]),
    labels: Object.fromEntries(
      Object.entries(set.labels).map(([name, column]) => [
        name,
        { values: column.values, indices: Int32Array.from(chosen, (i) => column.indices[i] as number) },
      ]),
    ),
    pixels: (positions) =>
      set.pixels(
        Array.from(positions, (position) => {
          const index = chosen[position];
          if (index === undefined)
            throw new RangeError(`pixels: ${position} is not an image of a set of ${chosen.length}`);
          return index;
        }),
      ),
  };
}

/**
 * A set divided at random into disjoint parts, e.g. `{ train: 0.99, validation: 0.01 }`. All captions of an
 * image stay in one part. Sizes are rounded so that they add up to the whole where the shares do.
 *
 * @param shares share of the images per part, each > 0, sum <= 1
 * @throws RangeError when a share is not positive, the sum exceeds 1 or a part would be empty
 */
export function splitImages<Part extends string>(
  set: CaptionedImageSet,
  key: Key,
  shares: Readonly<Record<Part, number>>,
): Record<Part, CaptionedImageSet> {
  const order = permutation(key, set.count);
  const parts: Partial<Record<Part, CaptionedImageSet>> = {};
  let sum = 0;
  let start = 0;
  for (const [name, share] of Object.entries(shares) as [Part, number][]) {
    sum += share;
    if (!(share > 0) || sum > 1 + 1e-9)
      throw new RangeError(
        `splitImages: shares must be positive with a sum <= 1, got ${JSON.stringify(shares)}`,
      );
    const end = Math.min(set.count, Math.round(sum * set.count));
    if (end === start)
      throw new RangeError(`splitImages: part "${name}" with share ${share} of ${set.count} images is empty`);
    parts[name] = selectImages(set, order.subarray(start, end));
    start = end;
  }
  return parts as Record<Part, CaptionedImageSet>;
}
