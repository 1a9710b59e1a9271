import { foldIn, type Key, type NDArray, RandomStream } from "@concord/tensor";
import {
  augmentCrop,
  type CropAugmentation,
  type CropGeometry,
  checkGeometry,
  cropSizeOf,
  extractCrop,
} from "./crops.ts";
import { positionLabels } from "./position-labels.ts";
import { centresOf, stackCrops } from "./volume-batches.ts";

/** Crops of a volume as an encoder takes them. */
export interface VolumeViews {
  /** [n + R, 1, S, S, D]: the n base crops, then R random ones */
  readonly crops: NDArray<"float32">;
  /** [R, n] overlaps of the random crops with the base crops */
  readonly labels: NDArray<"float32">;
}

const streams = { centres: 0, augmentation: 1 } as const;

/** How a prepared volume [1, X, Y, Z] is cut, so that a cell of the grid is what the encoder takes. */
function geometryOf({ shape }: NDArray, grid: number): CropGeometry {
  const [channels, side = 0, width, depth = 0] = shape;
  if (shape.length !== 4 || channels !== 1 || side !== width)
    throw new RangeError(
      `voco: crops are cut from volumes [1, X, X, Z] of one channel and a square plane; got [${shape.join(", ")}]`,
    );
  const inputSide = side / grid;
  const geometry = { side, depth, grid, inputSide, inputDepth: depth };
  checkGeometry(geometry);
  return geometry;
}

/**
 * Base crops and random crops of a volume, all of the depth, with the overlaps of the random ones.
 *
 * @param item  [1, G S, G S, D], as large as the grid of G × G inputs of the encoder
 * @param augmentation  null for none
 * @throws RangeError for an item of another kind, or one that the grid does not part evenly
 */
export function volumeViews(
  item: NDArray,
  key: Key,
  {
    grid,
    randomCrops,
    augmentation,
  }: { readonly grid: number; readonly randomCrops: number; readonly augmentation: CropAugmentation | null },
): VolumeViews {
  const geometry = geometryOf(item, grid);
  const volume: NDArray<"float32"> = {
    dtype: "float32",
    shape: item.shape.slice(1),
    data: item.data as Float32Array,
  };
  const centres = centresOf(new RandomStream(foldIn(key, streams.centres)), geometry, randomCrops);
  const how = new RandomStream(foldIn(key, streams.augmentation));
  const crops = centres.map((centre) => {
    const crop = extractCrop(volume, centre, geometry);
    return augmentation ? augmentCrop(crop, how, augmentation) : crop;
  });
  const labels = positionLabels(
    {
      dtype: "float32",
      shape: [randomCrops, 2],
      data: Float32Array.from(centres.slice(-randomCrops).flat()),
    },
    { cropSize: cropSizeOf(geometry), grid },
  );
  return { crops: stackCrops(crops, geometry), labels };
}
