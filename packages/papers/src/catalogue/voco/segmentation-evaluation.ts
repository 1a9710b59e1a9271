import { segmentationOverlap } from "@concord/align";
import type { createSegmenter } from "./fine-tuning.ts";
import type { SegmenterParams } from "./network.ts";
import type { PreparedVolume, Task } from "./task.ts";

export interface SegmentedVolume {
  readonly volume: PreparedVolume;
  /** Predicted classes of all voxels. */
  readonly predicted: Int32Array;
  /** Dice of each class after the background; NaN where truth and prediction lack it. */
  readonly dice: readonly number[];
  /** [C, C] counts of voxels: row is the true class, column the predicted one. */
  readonly confusion: Float64Array;
}

/** Segments the test volumes that have labels. */
export async function segmentVolumes(
  task: Task,
  params: SegmenterParams,
  segmenter: ReturnType<typeof createSegmenter>,
  signal: AbortSignal,
): Promise<SegmentedVolume[]> {
  const results: SegmentedVolume[] = [];
  const classes = task.classes.length + 1;
  for (const volume of task.test) {
    if (!volume.labels) continue;
    signal.throwIfAborted();
    const predicted = await segmenter.predict(params, volume.volume);
    const { dice, confusion } = segmentationOverlap(volume.labels.data, predicted, classes);
    results.push({ volume, predicted, dice: Array.from(dice).slice(1), confusion });
  }
  return results;
}

function meanOf(values: readonly number[]): number {
  const known = values.filter((value) => !Number.isNaN(value));
  return known.length > 0 ? known.reduce((sum, value) => sum + value, 0) / known.length : Number.NaN;
}

/** Mean Dice of each class over the volumes that have it, in [0, 1]; NaN for a class that none has. */
export function classDice(segmented: readonly SegmentedVolume[], classes: number): number[] {
  return Array.from({ length: classes }, (_, c) =>
    meanOf(segmented.map(({ dice }) => dice[c] ?? Number.NaN)),
  );
}

export interface SegmentationMetrics {
  /** Mean over classes of their mean Dice over volumes. */
  readonly dice: number;
  /** The same over the classes that look alike; null where that is not known. */
  readonly alike: number | null;
  /** Share of the voxels of classes that look alike that are taken for another one of them; null as above. */
  readonly mistaken: number | null;
}

export function segmentationMetrics(segmented: readonly SegmentedVolume[], task: Task): SegmentationMetrics {
  const each = classDice(segmented, task.classes.length);
  if (task.alike === 0) return { dice: meanOf(each), alike: null, mistaken: null };
  const C = task.classes.length + 1;
  let [voxels, wrong] = [0, 0];
  for (const { confusion } of segmented)
    for (let truth = 1; truth <= task.alike; truth++)
      for (let guess = 0; guess < C; guess++) {
        const count = confusion[truth * C + guess] as number;
        voxels += count;
        if (guess !== truth && guess >= 1 && guess <= task.alike) wrong += count;
      }
  return { dice: meanOf(each), alike: meanOf(each.slice(0, task.alike)), mistaken: wrong / voxels };
}
