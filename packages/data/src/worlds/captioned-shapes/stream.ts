import { foldIn, type Key } from "@concord/tensor";
import { type BatchSource, checkStep } from "../../batches/batch-source.ts";
import type { CaptionedBatch } from "../../batches/captioned-batches.ts";
import { workerSource } from "../../batches/worker-source.ts";
import { type ChannelStatistics, standardise } from "../../images/convert.ts";
import { textTokenizer } from "../../text/tokenizer.ts";
import { siblingModule } from "../../threads/worker-pool.ts";
import { type CaptionedShapesOptions, captionedShapes } from "./world.ts";

export interface CaptionedShapesStreamOptions {
  readonly key: Key;
  readonly batchSize: number;
  /** The stream has no end; this only says how many steps count as an epoch. */
  readonly stepsPerEpoch: number;
  readonly world?: CaptionedShapesOptions;
  /** Content of a `tokenizer.json`. */
  readonly tokenizer: object;
  /** T, tokens per caption. */
  readonly length: number;
  /** Subtract these means and divide by these deviations. */
  readonly statistics?: ChannelStatistics;
}

/**
 * Pictures that never come twice: item i of step s has the key of number s B + i. In the calling thread; see
 * `captionedShapesStream` for threads.
 */
export function createBatchSource(options: CaptionedShapesStreamOptions): BatchSource<CaptionedBatch> {
  const { key, batchSize, stepsPerEpoch, length, statistics } = options;
  const world = captionedShapes(options.world);
  const tokenizer = textTokenizer(options.tokenizer);
  const close = async (): Promise<void> => {};
  return {
    stepsPerEpoch,
    async batch(step) {
      checkStep(step);
      const numbers = Int32Array.from({ length: batchSize }, (_, i) => step * batchSize + i);
      const { images, captions } = world.batch(Array.from(numbers, (number) => foldIn(key, number)));
      const { ids, mask } = tokenizer.encodeBatch(captions, { length });
      return {
        images: statistics ? standardise(images, statistics) : images,
        tokens: ids,
        mask,
        indices: { dtype: "int32", shape: [batchSize], data: numbers },
      };
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** The same stream made in worker threads. @param workers default 1 */
export function captionedShapesStream(
  options: CaptionedShapesStreamOptions,
  workers = 1,
): Promise<BatchSource<CaptionedBatch>> {
  const module = siblingModule(import.meta.url, "./stream");
  return workerSource<CaptionedBatch, CaptionedShapesStreamOptions>({ module, options, workers });
}
