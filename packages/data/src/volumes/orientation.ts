import { type NDArray, ShapeError } from "@concord/tensor";

/** Rows of the map from voxel (i, j, k) to millimetres (right, front, up): [R | t]. */
export type Affine = readonly [AffineRow, AffineRow, AffineRow];
type AffineRow = readonly [number, number, number, number];

/** Which axis of the file runs along each axis of the body, and whether it runs backwards. */
export interface AxisOrder {
  readonly axes: readonly [number, number, number];
  readonly flips: readonly [boolean, boolean, boolean];
}

/**
 * The order of axes that comes closest to right, front, up (RAS+): of all six the one with the largest share of the
 * voxel directions.
 *
 * @throws RangeError when a direction has no length
 */
export function nearestAxes(affine: Affine): AxisOrder {
  const share = (world: number, axis: number): number => {
    const length = Math.hypot(...affine.map((row) => row[axis] as number));
    if (!(length > 0 && Number.isFinite(length)))
      throw new RangeError(`the direction of axis ${axis} has no length`);
    return Math.abs((affine[world] as AffineRow)[axis] as number) / length;
  };
  const orders = [
    [0, 1, 2],
    [0, 2, 1],
    [1, 0, 2],
    [1, 2, 0],
    [2, 0, 1],
    [2, 1, 0],
  ] as const;
  const total = (order: readonly number[]): number =>
    order.reduce((sum, axis, world) => sum + share(world, axis), 0);
  const axes = orders.reduce((best, order) => (total(order) > total(best) + 1e-9 ? order : best));
  const backwards = (world: number): boolean =>
    ((affine[world] as AffineRow)[axes[world] as number] as number) < 0;
  return { axes, flips: [backwards(0), backwards(1), backwards(2)] };
}

/**
 * Voxels of a file, whose first axis runs fastest, as a volume [X, Y, Z] in the given order of axes, whose last axis
 * runs fastest.
 *
 * @param sizes  of the file's axes
 * @throws ShapeError when there are not as many voxels as the sizes say
 */
export function orderVoxels(
  voxels: Float32Array,
  sizes: readonly [number, number, number],
  { axes, flips }: AxisOrder,
): NDArray<"float32"> {
  if (voxels.length !== sizes[0] * sizes[1] * sizes[2])
    throw new ShapeError(`orderVoxels: ${voxels.length} voxels for [${sizes.join(", ")}]`);
  const strides = [1, sizes[0], sizes[0] * sizes[1]] as const;
  const shape = axes.map((axis) => sizes[axis] as number) as [number, number, number];
  const [sx, sy, sz] = axes.map((axis, world) =>
    flips[world] ? -(strides[axis] as number) : (strides[axis] as number),
  ) as [number, number, number];
  const start = axes.reduce(
    (sum, axis, world) =>
      sum + (flips[world] ? (strides[axis] as number) * ((shape[world] as number) - 1) : 0),
    0,
  );
  const data = new Float32Array(voxels.length);
  let next = 0;
  for (let x = 0; x < shape[0]; x++)
    for (let y = 0; y < shape[1]; y++) {
      let from = start + x * sx + y * sy;
      for (let z = 0; z < shape[2]; z++, from += sz) data[next++] = voxels[from] as number;
    }
  return { dtype: "float32", shape, data };
}
