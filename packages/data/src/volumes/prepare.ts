import type { NDArray } from "@concord/tensor";
import type { NiftiVolume } from "../loaders/nifti.ts";
import { resizeVolume } from "./resize.ts";

/** How a scan becomes what a network takes. */
export interface VolumePreparation {
  /** Values that become 0 and 1, e.g. Hounsfield units; null for the 0.5 and 99.5 percentiles of each scan. */
  readonly window: readonly [low: number, high: number] | null;
  /** The box around all voxels above this, after scaling to [0, 1], is kept; 0 keeps everything. */
  readonly foreground: number;
  /**
   * Millimetres between voxels afterwards: the scan keeps its proportions, its middle is cut out and filled up with 0.
   * Null: all of it is stretched to the size.
   */
  readonly spacing: readonly [number, number, number] | null;
  /** Voxels to the right, to the front and up. */
  readonly size: readonly [number, number, number];
}

const PERCENTILES = [0.005, 0.995] as const;
/** Voxels that percentiles are taken of, at most. */
const SAMPLE = 200_000;

function percentiles(data: Float32Array): [number, number] {
  const step = Math.max(1, Math.floor(data.length / SAMPLE));
  const values: number[] = [];
  for (let i = 0; i < data.length; i += step) {
    const value = data[i] as number;
    if (Number.isFinite(value)) values.push(value);
  }
  if (values.length === 0) throw new RangeError("no voxel has a finite value");
  values.sort((a, b) => a - b);
  return PERCENTILES.map((share) => values[Math.floor(share * (values.length - 1))] as number) as [
    number,
    number,
  ];
}

/**
 * Values of a window to [0, 1], cut off beyond it; what is not a number becomes 0.
 *
 * @param window  null for the 0.5 and 99.5 percentiles
 * @throws RangeError when the window has no width
 */
export function scaleToWindow(
  volume: NDArray<"float32">,
  window: readonly [number, number] | null,
): NDArray<"float32"> {
  const [low, high] = window ?? percentiles(volume.data);
  if (!(high > low))
    throw new RangeError(`all voxels lie in a window of [${low}, ${high}], which has no width`);
  const data = volume.data.map((value) =>
    Number.isNaN(value) ? 0 : Math.min(1, Math.max(0, (value - low) / (high - low))),
  );
  return { dtype: "float32", shape: volume.shape, data };
}

/** Voxels from..to of each axis, the last one excluded. */
export type VolumeBox = readonly (readonly [from: number, to: number])[];

/** The smallest box around all voxels above a threshold; the whole volume where there is none. */
export function foregroundBox({ shape, data }: NDArray<"float32">, threshold: number): VolumeBox {
  const [X = 0, Y = 0, Z = 0] = shape;
  const whole: VolumeBox = [
    [0, X],
    [0, Y],
    [0, Z],
  ];
  if (threshold <= 0) return whole;
  const low = [X, Y, Z];
  const high = [0, 0, 0];
  const reach = (axis: number, at: number): void => {
    if (at < (low[axis] as number)) low[axis] = at;
    if (at >= (high[axis] as number)) high[axis] = at + 1;
  };
  for (let x = 0; x < X; x++)
    for (let y = 0; y < Y; y++) {
      const row = (x * Y + y) * Z;
      let first = 0;
      while (first < Z && !((data[row + first] as number) > threshold)) first++;
      if (first === Z) continue;
      let last = Z - 1;
      while (!((data[row + last] as number) > threshold)) last--;
      reach(0, x);
      reach(1, y);
      reach(2, first);
      reach(2, last);
    }
  return high[0] === 0 ? whole : low.map((from, axis) => [from, high[axis] as number] as const);
}

/** A box of a volume. */
export function cutBox<D extends "float32" | "int32">(
  { dtype, shape, data }: NDArray<D>,
  box: VolumeBox,
): NDArray<D> {
  const [[x0, x1], [y0, y1], [z0, z1]] = box as [VolumeBox[number], VolumeBox[number], VolumeBox[number]];
  const [, Y = 0, Z = 0] = shape;
  const size = [x1 - x0, y1 - y0, z1 - z0] as const;
  const cut = data.slice(0, size[0] * size[1] * size[2]);
  let next = 0;
  for (let x = x0; x < x1; x++)
    for (let y = y0; y < y1; y++, next += size[2]) {
      const from = (x * Y + y) * Z;
      cut.set(data.subarray(from + z0, from + z1) as never, next);
    }
  return { dtype, shape: [...size], data: cut } as unknown as NDArray<D>;
}

/** A volume in the middle of a larger one of zeros. */
function padded({ shape, data }: NDArray<"float32">, size: readonly number[]): NDArray<"float32"> {
  const [X, Y, Z] = shape as [number, number, number];
  const [, toY, toZ] = size as [number, number, number];
  const [x0, y0, z0] = shape.map((from, axis) => Math.floor(((size[axis] as number) - from) / 2)) as [
    number,
    number,
    number,
  ];
  const filled = new Float32Array(size.reduce((product, length) => product * length, 1));
  for (let x = 0; x < X; x++)
    for (let y = 0; y < Y; y++) {
      const from = (x * Y + y) * Z;
      filled.set(data.subarray(from, from + Z), ((x0 + x) * toY + y0 + y) * toZ + z0);
    }
  return { dtype: "float32", shape: [...size], data: filled };
}

/** The middle of a volume at another distance between voxels. Only what comes out is ever computed. */
function respaced(
  volume: NDArray<"float32">,
  from: readonly number[],
  to: readonly number[],
  size: readonly number[],
): NDArray<"float32"> {
  const box: [number, number][] = [];
  const shape: number[] = [];
  for (const [axis, length] of volume.shape.entries()) {
    const ratio = (to[axis] as number) / (from[axis] as number);
    const most = size[axis] as number;
    const taken = Math.min(length, Math.max(1, Math.round(most * ratio)));
    const start = Math.floor((length - taken) / 2);
    box.push([start, start + taken]);
    shape.push(Math.min(most, Math.max(1, Math.round(taken / ratio))));
  }
  return padded(resizeVolume(cutBox(volume, box), shape as [number, number, number]), size);
}

/**
 * A scan as a network takes it: values of a window to [0, 1], cut to its foreground, brought to one size.
 *
 * @returns [X, Y, Z] of the size that is asked for, in [0, 1]
 * @throws RangeError when all voxels are equal or none is finite
 */
export function prepareVolume(
  { volume, spacing: from }: Pick<NiftiVolume, "volume"> & Partial<Pick<NiftiVolume, "spacing">>,
  { window, foreground, spacing, size }: VolumePreparation,
): NDArray<"float32"> {
  const scaled = scaleToWindow(volume, window);
  const kept = foreground > 0 ? cutBox(scaled, foregroundBox(scaled, foreground)) : scaled;
  return spacing === null ? resizeVolume(kept, size) : respaced(kept, from ?? [1, 1, 1], spacing, size);
}
