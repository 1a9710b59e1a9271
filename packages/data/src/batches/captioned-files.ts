import type { AugmentOptions } from "../images/augment.ts";
import type { ChannelStatistics } from "../images/convert.ts";
import { type LoadCaptionedImagesOptions, loadCaptionedImages } from "../loaders/captioned-images.ts";
import { type OpenPairsOptions, openPairs } from "../loaders/open-pairs.ts";
import { loadTokenizer } from "../text/tokenizer.ts";
import type { BatchSource } from "./batch-source.ts";
import { type CaptionedBatch, type CaptionedBatchesOptions, captionedBatches } from "./captioned-batches.ts";
import { workerSource } from "./worker-source.ts";

/** All as plain data, so that it can be given to a thread. */
export interface CaptionedFilesOptions
  extends Pick<CaptionedBatchesOptions, "key" | "batchSize" | "length" | "shuffle" | "dropLast"> {
  /** What `openPairs` opens: a table, a class folder, shards, Parquet. */
  readonly pairs: string;
  readonly pairsOptions?: OpenPairsOptions;
  /** Folder or archive of the images. Default: where the pairs say. */
  readonly images?: string;
  /** A `tokenizer.json`, or a folder that holds one. */
  readonly tokenizer: string;
  /** Side S of the images. */
  readonly size: number;
  /** Default `source`: images are decoded at each visit. */
  readonly keep?: LoadCaptionedImagesOptions["keep"];
  readonly cacheDirectory?: string;
  readonly strict?: boolean;
  readonly augment?: AugmentOptions;
  readonly statistics?: ChannelStatistics;
}

/**
 * Batches of captioned images, read, decoded, augmented and tokenised in a thread of their own, so that a training step
 * finds them ready; put `prefetch` around it. Images are looked at once beforehand, and bad rows left out.
 *
 * @param options.workers  threads, each of which reads the pairs for itself. Default 1
 * @throws Error when the pairs or the tokenizer cannot be read
 */
export function captionedFiles(
  options: CaptionedFilesOptions & { readonly workers?: number },
): Promise<BatchSource<CaptionedBatch>> {
  const { workers = 1, ...plain } = options;
  return workerSource<CaptionedBatch, CaptionedFilesOptions>({
    module: new URL(import.meta.url),
    options: plain,
    workers,
  });
}

/** The same in the calling thread; what the threads of `captionedFiles` run. */
export async function createBatchSource(
  options: CaptionedFilesOptions,
): Promise<BatchSource<CaptionedBatch>> {
  const {
    pairs,
    pairsOptions,
    images,
    tokenizer,
    size,
    keep = "source",
    cacheDirectory,
    strict,
    ...batches
  } = options;
  const opened = await openPairs(pairs, pairsOptions);
  const loaded = await loadCaptionedImages({
    pairs: opened.pairs,
    images: images ?? opened.images,
    size,
    keep,
    workers: 0,
    ...(cacheDirectory === undefined ? {} : { cacheDirectory }),
    ...(strict === undefined ? {} : { strict }),
  });
  return captionedBatches(loaded.set, { ...batches, tokenizer: await loadTokenizer(tokenizer) });
}
