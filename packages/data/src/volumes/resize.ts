import type { NDArray, TypedArrays } from "@concord/tensor";
import { allocate, ShapeError } from "@concord/tensor";

export interface ResizeVolumeOptions {
  /** `linear` (default) between voxels, or `nearest`, for labels. */
  readonly mode?: "linear" | "nearest";
}

/** Where each voxel of a resized axis lies between the old ones, by the centres of voxels, borders repeated. */
function places(from: number, to: number) {
  const low = new Int32Array(to);
  const high = new Int32Array(to);
  const share = new Float32Array(to);
  for (let i = 0; i < to; i++) {
    const place = Math.min(from - 1, Math.max(0, ((i + 0.5) * from) / to - 0.5));
    low[i] = Math.floor(place);
    high[i] = Math.min(from - 1, Math.floor(place) + 1);
    share[i] = place - Math.floor(place);
  }
  return { low, high, share };
}

function resizeAxis<D extends "float32" | "int32">(
  volume: NDArray<D>,
  axis: number,
  to: number,
  nearest: boolean,
): NDArray<D> {
  const { shape, data, dtype } = volume;
  const from = shape[axis] as number;
  if (from === to) return volume;
  const outer = shape.slice(0, axis).reduce((a, b) => a * b, 1);
  const inner = shape.slice(axis + 1).reduce((a, b) => a * b, 1);
  const result = allocate(dtype, outer * to * inner) as TypedArrays[D];
  const { low, high, share } = places(from, to);
  for (let o = 0; o < outer; o++)
    for (let i = 0; i < to; i++) {
      const weight = share[i] as number;
      const near = nearest ? Math.min(from - 1, Math.floor(((i + 0.5) * from) / to)) : (low[i] as number);
      const first = (o * from + near) * inner;
      const second = (o * from + (high[i] as number)) * inner;
      const target = (o * to + i) * inner;
      if (nearest || weight === 0)
        for (let k = 0; k < inner; k++) result[target + k] = data[first + k] as number;
      else
        for (let k = 0; k < inner; k++) {
          const value = data[first + k] as number;
          result[target + k] = value + weight * ((data[second + k] as number) - value);
        }
    }
  return { dtype, shape: shape.map((size, a) => (a === axis ? to : size)), data: result } as NDArray<D>;
}

/**
 * A volume of another size: linear interpolation along each axis, or the nearest voxel. Centres of voxels lie at halves,
 * borders are repeated; there is no smoothing before shrinking.
 *
 * @param volume  [X, Y, Z]
 * @param size    the new sizes, integers >= 1
 * @returns the volume itself when it has that size already
 * @throws ShapeError when the volume has not three axes, or a size is none
 */
export function resizeVolume<D extends "float32" | "int32">(
  volume: NDArray<D>,
  size: readonly [number, number, number],
  { mode = "linear" }: ResizeVolumeOptions = {},
): NDArray<D> {
  if (volume.shape.length !== 3 || volume.shape.includes(0))
    throw new ShapeError(`resizeVolume: expected [X, Y, Z], got [${volume.shape.join(", ")}]`);
  if (size.some((n) => !Number.isInteger(n) || n < 1))
    throw new ShapeError(`resizeVolume: sizes must be integers >= 1, got [${size.join(", ")}]`);
  // Axes that shrink most come first: fewer voxels are left for the others.
  const order = [0, 1, 2].sort((a, b) => ratio(a) - ratio(b));
  function ratio(axis: number): number {
    return (size[axis] as number) / (volume.shape[axis] as number);
  }
  return order.reduce(
    (result, axis) => resizeAxis(result, axis, size[axis] as number, mode === "nearest"),
    volume,
  );
}
