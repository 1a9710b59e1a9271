import { resizeVolume } from "@concord/data";
import { type NDArray, type RandomStream, ShapeError } from "@concord/tensor";
import { PAPER_DEFAULTS } from "./defaults.ts";

/** How a volume is cut. */
export interface CropGeometry {
  /** Side of the plane in voxels: a multiple of the grid. */
  readonly side: number;
  readonly depth: number;
  /** G: base crops along each axis of the plane. */
  readonly grid: number;
  /** What the encoder gets: side in the plane, and depth. */
  readonly inputSide: number;
  readonly inputDepth: number;
}

/** Side of a crop in the plane; it spans the depth. */
export function cropSizeOf({ side, grid }: CropGeometry): number {
  return side / grid;
}

/** Voxels of a crop as the encoder gets it. */
export function inputVoxels({ inputSide, inputDepth }: CropGeometry): number {
  return inputSide * inputSide * inputDepth;
}

/** @throws RangeError unless sizes are counts and the grid parts the plane into cells of even size */
export function checkGeometry(geometry: CropGeometry): void {
  for (const [name, value] of Object.entries(geometry))
    if (!Number.isInteger(value) || value < 1)
      throw new RangeError(`voco: ${name} must be an integer >= 1, got ${value}`);
  const size = cropSizeOf(geometry);
  if (!Number.isInteger(size) || size % 2 !== 0)
    throw new RangeError(
      `voco: a plane of ${geometry.side} voxels does not part into ${geometry.grid} cells of an even number of voxels`,
    );
}

/**
 * The centre of a random crop that lies inside the plane: integers in [s/2, side - s/2), both axes alike.
 *
 * @source released code
 */
export function randomCentre(random: RandomStream, geometry: CropGeometry): [x: number, y: number] {
  const size = cropSizeOf(geometry);
  const reach = Math.max(1, geometry.side - size);
  return [size / 2 + random.integer(reach), size / 2 + random.integer(reach)];
}

/** A block of a volume, all of its depth: [S, S, Z] around a centre. */
function cutOut<D extends "float32" | "int32">(
  volume: NDArray<D>,
  [cx, cy]: readonly [number, number],
  size: number,
): NDArray<D> {
  const [X = 0, Y = 0, Z = 0] = volume.shape;
  const [x0, y0] = [cx - size / 2, cy - size / 2];
  if (!Number.isInteger(x0) || !Number.isInteger(y0) || x0 < 0 || y0 < 0 || x0 + size > X || y0 + size > Y)
    throw new RangeError(`voco: a crop of ${size} around (${cx}, ${cy}) leaves a plane of ${X} × ${Y}`);
  const data = volume.data.slice(0, size * size * Z);
  for (let x = 0; x < size; x++) {
    // A row of the crop lies in one piece.
    const from = ((x0 + x) * Y + y0) * Z;
    data.set(volume.data.subarray(from, from + size * Z) as never, x * size * Z);
  }
  return { dtype: volume.dtype, shape: [size, size, Z], data } as unknown as NDArray<D>;
}

/**
 * A crop around a centre, resized to what the encoder takes: [S, S, D].
 *
 * @param volume  [X, Y, Z] with X = Y = geometry.side and Z = geometry.depth
 * @throws ShapeError for a volume of another size, RangeError for a crop that leaves it
 */
export function extractCrop<D extends "float32" | "int32">(
  volume: NDArray<D>,
  centre: readonly [number, number],
  geometry: CropGeometry,
): NDArray<D> {
  const { side, depth, inputSide, inputDepth } = geometry;
  if (volume.shape.join() !== [side, side, depth].join())
    throw new ShapeError(
      `voco: expected a volume of [${side}, ${side}, ${depth}], got [${volume.shape.join(", ")}]`,
    );
  const mode = volume.dtype === "int32" ? "nearest" : "linear";
  return resizeVolume(cutOut(volume, centre, cropSizeOf(geometry)), [inputSide, inputSide, inputDepth], {
    mode,
  });
}

export interface CropAugmentation {
  /** Probability of a flip, for each axis. */
  readonly flip: number;
  /** Probability of one to three quarter turns in the plane. */
  readonly rotate: number;
  /** Probability of a shift of intensity, and its range. */
  readonly shift: number;
  readonly shiftBy: number;
  /** Range of a factor 1 ± gain, and deviation of noise, both of every crop. Not in the paper; 0 for none. */
  readonly gain: number;
  readonly noise: number;
}

/** Flips, turns and shifts with the paper's probabilities. @source released code */
export const PAPER_AUGMENTATION: CropAugmentation = {
  flip: PAPER_DEFAULTS.flip,
  rotate: PAPER_DEFAULTS.rotate,
  shift: PAPER_DEFAULTS.shift,
  shiftBy: PAPER_DEFAULTS.shiftBy,
  gain: 0,
  noise: 0,
};

/** Where each axis of a crop comes from: a permutation of the plane and directions. */
function orientation(random: RandomStream, { flip, rotate }: CropAugmentation) {
  const flips = [random.chance(flip), random.chance(flip), random.chance(flip)] as const;
  const turns = random.chance(rotate) ? 1 + random.integer(3) : 0;
  return { flips, turns };
}

/**
 * A crop flipped along each axis, turned in the plane and shifted in brightness, each by chance and by itself. Labels stay
 * as they are.
 *
 * @param crop  [S, S, D]
 * @returns a new array of the same shape
 * @throws ShapeError when the plane is not square
 * @source released code; the maintainers call it basic and give no ablation
 */
export function augmentCrop(
  crop: NDArray<"float32">,
  random: RandomStream,
  augmentation: CropAugmentation = PAPER_AUGMENTATION,
): NDArray<"float32"> {
  const [S = 0, width, D = 0] = crop.shape;
  if (crop.shape.length !== 3 || S !== width)
    throw new ShapeError(`voco: expected a crop of [S, S, D], got [${crop.shape.join(", ")}]`);
  const { flips, turns } = orientation(random, augmentation);
  const { shift, shiftBy, gain, noise } = augmentation;
  const offset = random.chance(shift) ? random.uniform(-shiftBy, shiftBy) : 0;
  const factor = gain > 0 ? random.uniform(1 - gain, 1 + gain) : 1;
  const data = new Float32Array(crop.data.length);
  let next = 0;
  for (let x = 0; x < S; x++)
    for (let y = 0; y < S; y++) {
      // Turned by a quarter: the voxel at (x, y) comes from (y, S - 1 - x).
      let [a, b] = [x, y];
      for (let turn = 0; turn < turns; turn++) [a, b] = [b, S - 1 - a];
      const row = ((flips[0] ? S - 1 - a : a) * S + (flips[1] ? S - 1 - b : b)) * D;
      for (let z = 0; z < D; z++)
        data[next++] = factor * (crop.data[row + (flips[2] ? D - 1 - z : z)] as number) + offset;
    }
  if (noise > 0)
    for (let i = 0; i < data.length; i++) data[i] = (data[i] as number) + random.normal(0, noise);
  return { dtype: "float32", shape: crop.shape, data };
}
