import { foldIn, type Key, type NDArray, RandomStream } from "@concord/tensor";
import { multiCropBatch, paperColours } from "./multi-crop.ts";

export interface ViewOptions {
  /** Small crops beside the two full ones. */
  readonly smallCrops: number;
  /** Least share of a picture that a full crop covers; the largest of a small one. */
  readonly fullScale: number;
  /** Least share that a small crop covers. */
  readonly smallScale: number;
  /** Of vectors: share of the numbers that a full view keeps. */
  readonly keep: number;
}

/** Side of the paper's full crops, which its blur belongs to. */
const PAPER_SIDE = 224;
/** Blur below this changes nothing that one could see. */
const LEAST_SIGMA = 0.2;

/** A picture as a network takes it, changed back and forth so that its values span [0, 1] while it is cropped. */
function pictureViews(item: NDArray, key: Key, options: ViewOptions): NDArray<"float32">[] {
  const [channels = 0, height = 0, width = 0] = item.shape;
  if ((channels !== 1 && channels !== 3) || height !== width)
    throw new Error(
      `swav: crops are made of square pictures with 1 or 3 channels; this encoder takes [${item.shape.join(", ")}]`,
    );
  const values = item.data as Float32Array;
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  const span = high > low ? high - low : 1;
  const plane = height * width;
  const data = new Float32Array(3 * plane);
  for (let i = 0; i < data.length; i++)
    data[i] = ((values[channels === 1 ? i % plane : i] as number) - low) / span;
  const sigma = (2 * height) / PAPER_SIDE;
  const group = (count: number, minScale: number, maxScale: number) => ({
    count,
    size: height,
    minScale,
    maxScale,
  });
  const { smallCrops, smallScale, fullScale } = options;
  const crops = multiCropBatch([{ data, height, width }], key, {
    groups: [group(2, fullScale, 1), ...(smallCrops > 0 ? [group(smallCrops, smallScale, fullScale)] : [])],
    colour: paperColours,
    blur: {
      probability: sigma < LEAST_SIGMA ? 0 : 0.5,
      minSigma: sigma / 20,
      maxSigma: sigma,
    },
    statistics: { mean: [0, 0, 0], deviation: [1, 1, 1] },
  });
  return crops.map(({ shape: [count = 0], data: made }) => {
    const kept = new Float32Array(count * channels * plane);
    for (let v = 0; v < count; v++)
      for (let i = 0; i < channels * plane; i++)
        kept[v * channels * plane + i] = low + span * (made[v * 3 * plane + i] as number);
    return { dtype: "float32", shape: [count, channels, height, width], data: kept };
  });
}

/** A vector with some of its numbers set to 0; small views keep three quarters of what full ones keep. */
function vectorViews(item: NDArray, key: Key, { smallCrops, keep }: ViewOptions): NDArray<"float32">[] {
  const [width = 0] = item.shape;
  const random = new RandomStream(key);
  const views = (count: number, share: number): NDArray<"float32"> => ({
    dtype: "float32",
    shape: [count, width],
    data: Float32Array.from({ length: count * width }, (_, i) =>
      random.chance(share) ? (item.data[i % width] as number) : 0,
    ),
  });
  return [views(2, keep), ...(smallCrops > 0 ? [views(smallCrops, 0.75 * keep)] : [])];
}

/**
 * Views of an item as an encoder takes it: crops of a picture [1 or 3, S, S], all of its size, or a vector [D] with
 * numbers left out.
 *
 * @returns full views [2, ...] and small ones [smallCrops, ...], the latter absent where there are none
 * @throws Error for items of another kind
 * @source crops: section 3.3 and released code; vectors: ours
 */
export function swavViews(
  item: NDArray,
  key: Key,
  options: ViewOptions,
): { readonly full: NDArray; readonly small?: NDArray } {
  if (item.shape.length !== 3 && item.shape.length !== 1)
    throw new Error(
      `swav: views are made of pictures [channels, S, S] and vectors [D]; this encoder takes [${item.shape.join(", ")}]`,
    );
  const make = item.shape.length === 3 ? pictureViews : vectorViews;
  const [full, small] = make(item, foldIn(key, 0), options);
  return { full: full as NDArray, ...(small && { small }) };
}
