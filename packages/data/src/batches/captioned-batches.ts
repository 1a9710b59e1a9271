import { foldIn, type Key, type NDArray, RandomStream } from "@concord/tensor";
import { type AugmentOptions, augmentImages } from "../images/augment.ts";
import { type ChannelStatistics, standardise, toFloatImages } from "../images/convert.ts";
import type { CaptionedImageSet } from "../images/image-set.ts";
import type { TextTokenizer } from "../text/tokenizer.ts";
import { type BatchSource, batchPlan } from "./batch-source.ts";

export interface CaptionedBatch {
  /** [B, 3, S, S] in [0, 1], or standardised */
  readonly images: NDArray<"float32">;
  /** [B, T] token ids of one caption per image */
  readonly tokens: NDArray<"int32">;
  /** [B, T]: 1 for tokens, 0 for padding */
  readonly mask: NDArray<"float32">;
  /** [B] which images of the set these are */
  readonly indices: NDArray<"int32">;
}

export interface CaptionedBatchesOptions {
  readonly key: Key;
  readonly batchSize: number;
  readonly tokenizer: TextTokenizer;
  /** T, tokens per caption: longer captions are cut, shorter ones padded. Default: the longest caption's. */
  readonly length?: number;
  /** Default true. */
  readonly shuffle?: boolean;
  /** Default true. */
  readonly dropLast?: boolean;
  readonly augment?: AugmentOptions;
  /** Subtract these means and divide by these deviations, after augmentation. */
  readonly statistics?: ChannelStatistics;
}

/**
 * Batches of images with one caption each, chosen at random at each visit where an image has several.
 * Captions are tokenised once, here.
 *
 * @throws RangeError when the set does not fill a batch
 */
export function captionedBatches(
  set: CaptionedImageSet,
  options: CaptionedBatchesOptions,
): BatchSource<CaptionedBatch> {
  const { key, batchSize, tokenizer, augment, statistics } = options;
  const plan = batchPlan({
    key,
    count: set.count,
    batchSize,
    ...(options.shuffle === undefined ? {} : { shuffle: options.shuffle }),
    ...(options.dropLast === undefined ? {} : { dropLast: options.dropLast }),
  });
  const table = captionTable(set, tokenizer, options.length);
  let closed = false;
  const close = async (): Promise<void> => {
    closed = true;
  };
  return {
    stepsPerEpoch: plan.stepsPerEpoch,
    async batch(step) {
      if (closed) throw new Error("captionedBatches: the source is closed");
      const { indices, epochKey, stepKey } = plan.at(step);
      const images = toFloatImages(await set.pixels(indices));
      if (augment) augmentImages(images, stepKey, augment);
      if (statistics) standardise(images, statistics);
      return {
        images,
        ...table.gather(indices, epochKey),
        indices: { dtype: "int32", shape: [indices.length], data: Int32Array.from(indices) },
      };
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

interface CaptionTable {
  gather(indices: Uint32Array, epochKey: Key): Pick<CaptionedBatch, "tokens" | "mask">;
}

/** All captions as token ids, those of an image next to each other. */
function captionTable(
  set: CaptionedImageSet,
  tokenizer: TextTokenizer,
  wantedLength: number | undefined,
): CaptionTable {
  const first = new Uint32Array(set.count + 1);
  set.captions.forEach((captions, i) => {
    first[i + 1] = (first[i] as number) + captions.length;
  });
  const { ids, mask } = tokenizer.encodeBatch(
    set.captions.flat(),
    wantedLength === undefined ? {} : { length: wantedLength },
  );
  const length = ids.shape[1] as number;
  return {
    gather(indices, epochKey) {
      const tokens = new Int32Array(indices.length * length);
      const present = new Float32Array(indices.length * length);
      indices.forEach((index, i) => {
        const start = first[index] as number;
        const choices = (first[index + 1] as number) - start;
        const row = start + (choices > 1 ? new RandomStream(foldIn(epochKey, index)).integer(choices) : 0);
        tokens.set(ids.data.subarray(row * length, (row + 1) * length), i * length);
        present.set(mask.data.subarray(row * length, (row + 1) * length), i * length);
      });
      const shape = [indices.length, length];
      return {
        tokens: { dtype: "int32", shape, data: tokens },
        mask: { dtype: "float32", shape, data: present },
      };
    },
  };
}
