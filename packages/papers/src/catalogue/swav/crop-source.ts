import {
  type BatchSource,
  batchPlan,
  type PrefetchedSource,
  prefetch,
  siblingModule,
  workerSource,
} from "@concord/data";
import type { Key, NDArray } from "@concord/tensor";
import { checkMultiCrop, type MultiCropOptions, multiCropBatch } from "./multi-crop.ts";

/** What a thread needs to make batches of crops; the pixels are shared, not copied. */
export interface CropSourceOptions {
  /** [N, 3, S, S] bytes. */
  readonly pixels: Uint8Array;
  readonly count: number;
  /** S */
  readonly size: number;
  readonly batchSize: number;
  readonly key: Key;
  readonly crops: MultiCropOptions;
}

/** The crops of a step: for each group [crops · B, 3, S, S], standardised, crop by crop. */
export interface CropBatch {
  readonly groups: readonly NDArray<"float32">[];
}

/** Batches of crops in the calling thread. Found by name where a thread loads this module. */
export function createBatchSource(options: CropSourceOptions): BatchSource<CropBatch> {
  const { pixels, count, size, batchSize, key, crops } = options;
  checkMultiCrop(crops);
  const plan = batchPlan({ key, count, batchSize });
  const length = 3 * size * size;
  return {
    stepsPerEpoch: plan.stepsPerEpoch,
    async batch(step) {
      const { indices, stepKey } = plan.at(step);
      const images = Array.from(indices, (i) => ({
        data: pixels.subarray(i * length, (i + 1) * length),
        height: size,
        width: size,
        scale: 1 / 255,
      }));
      return { groups: multiCropBatch(images, stepKey, crops) };
    },
    async close() {},
    async [Symbol.asyncDispose]() {},
  };
}

/**
 * Batches of crops made ahead in threads of their own; without any (0) in the calling thread.
 *
 * @param until  steps from this one on are not begun
 */
export async function openCrops(
  options: CropSourceOptions,
  { workers, until }: { readonly workers: number; readonly until: number },
): Promise<PrefetchedSource<CropBatch>> {
  if (workers === 0) return prefetch(createBatchSource(options), { ahead: 1, until });
  const source = await workerSource<CropBatch, CropSourceOptions>({
    module: siblingModule(import.meta.url, "./crop-source"),
    options,
    workers,
  });
  return prefetch(source, { ahead: 2 * workers, until });
}
