import { type BatchSource, batchPlan } from "@concord/data";
import { foldIn, type Key, keyArray, type NDArray, RandomStream } from "@concord/tensor";
import {
  augmentCrop,
  type CropAugmentation,
  type CropGeometry,
  cropSizeOf,
  extractCrop,
  inputVoxels,
  randomCentre,
} from "./crops.ts";
import { baseCentres, positionLabels } from "./position-labels.ts";
import type { PreparedVolume } from "./task.ts";

/** Crops of V volumes: of each first the n base crops, then the R random ones. */
export interface CropBatch {
  /** [V (n + R), 1, S, S, D] */
  readonly inputs: NDArray<"float32">;
  /** [V, R, n] overlaps of the random crops with the base crops */
  readonly labels: NDArray<"float32">;
  /** [V (n + R), 2] centres, from -1 to 1 across the plane */
  readonly places: NDArray<"float32">;
  /** int32 [2] */
  readonly key: NDArray<"int32">;
}

/** Centres of all crops of a volume, base crops first. */
export function centresOf(random: RandomStream, geometry: CropGeometry, crops: number): [number, number][] {
  const { data } = baseCentres({ cropSize: cropSizeOf(geometry), grid: geometry.grid });
  const bases = Array.from({ length: data.length / 2 }, (_, i): [number, number] => [
    data[2 * i] as number,
    data[2 * i + 1] as number,
  ]);
  return [...bases, ...Array.from({ length: crops }, () => randomCentre(random, geometry))];
}

/** Crops one after another, [N, 1, S, S, D]. */
export function stackCrops(crops: readonly NDArray<"float32">[], geometry: CropGeometry): NDArray<"float32"> {
  const { inputSide, inputDepth } = geometry;
  const size = inputVoxels(geometry);
  const data = new Float32Array(crops.length * size);
  crops.forEach((crop, i) => {
    data.set(crop.data, i * size);
  });
  return { dtype: "float32", shape: [crops.length, 1, inputSide, inputSide, inputDepth], data };
}

export interface VolumeBatchesOptions {
  readonly key: Key;
  readonly batchSize: number;
  /** R */
  readonly randomCrops: number;
  readonly geometry: CropGeometry;
  readonly augmentation: CropAugmentation;
}

/** Independent uses of a step's key. */
const streams = { centres: 0, augmentation: 1, graph: 2 } as const;

/**
 * Batches for pre-training by step. Which volumes come and where they are cut depends on the key alone, so that arms with
 * different augmentations see the same crops.
 */
export function volumeBatches(
  volumes: readonly PreparedVolume[],
  { key, batchSize, randomCrops, geometry, augmentation }: VolumeBatchesOptions,
): BatchSource<CropBatch> {
  const plan = batchPlan({ key, count: volumes.length, batchSize: Math.min(batchSize, volumes.length) });
  const options = { cropSize: cropSizeOf(geometry), grid: geometry.grid };
  const close = async (): Promise<void> => {};
  return {
    stepsPerEpoch: plan.stepsPerEpoch,
    async batch(step) {
      const { indices, stepKey } = plan.at(step);
      const where = new RandomStream(foldIn(stepKey, streams.centres));
      const how = new RandomStream(foldIn(stepKey, streams.augmentation));
      const cuts = Array.from(indices, (index) => {
        const { volume } = volumes[index] as PreparedVolume;
        return centresOf(where, geometry, randomCrops).map((centre) => ({
          centre,
          crop: augmentCrop(extractCrop(volume, centre, geometry), how, augmentation),
        }));
      });
      const random = cuts.flatMap((list) => list.slice(-randomCrops).flatMap(({ centre }) => centre));
      const centres = {
        dtype: "float32",
        shape: [indices.length, randomCrops, 2],
        data: Float32Array.from(random),
      } as const;
      const all = cuts.flat();
      const half = geometry.side / 2;
      return {
        inputs: stackCrops(
          all.map(({ crop }) => crop),
          geometry,
        ),
        labels: positionLabels(centres, options),
        places: {
          dtype: "float32",
          shape: [all.length, 2],
          data: Float32Array.from(all.flatMap(({ centre: [x, y] }) => [x / half - 1, y / half - 1])),
        },
        key: keyArray(foldIn(stepKey, streams.graph)),
      };
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}
