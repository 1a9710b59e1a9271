import { type NDArray, ShapeError } from "@concord/tensor";
import { PAPER_DEFAULTS } from "./defaults.ts";

export interface PositionLabelOptions {
  /** Side of a crop in the plane, in voxels. Base crops have the same. Default 96. */
  readonly cropSize?: number;
  /** G: base crops along each axis of the plane. Default 4. */
  readonly grid?: number;
}

/** @throws RangeError unless the crop has a size and the grid a whole number of cells */
export function checkGrid(operation: string, cropSize: number, grid: number): void {
  if (!(Number.isFinite(cropSize) && cropSize > 0))
    throw new RangeError(`${operation}: the size of a crop must be a number above 0, got ${cropSize}`);
  if (!Number.isInteger(grid) || grid < 1)
    throw new RangeError(`${operation}: the grid must be an integer >= 1, got ${grid}`);
}

/** Length that [c - s/2, c + s/2) has in common with the i-th cell [i s, (i + 1) s). */
function overlap(centre: number, cell: number, size: number): number {
  const [from, to] = [centre - size / 2, centre + size / 2];
  return Math.max(0, Math.min(to, (cell + 1) * size) - Math.max(from, cell * size));
}

/**
 * How much a random crop overlaps each base crop: the area that they share in the plane, as a share of the crop.
 *
 *   y_i = |crop ∩ base_i| / s²,   i = G · (cell along the first axis) + (cell along the second)
 *
 * The third axis does not count, as all crops span the depth. A crop inside the plane touches one to four cells and its
 * labels sum to 1; what lies outside the plane belongs to no cell.
 *
 * @param centres  [..., 2] centres in the plane, in voxels from the corner of the first cell
 * @returns [..., G²] in [0, 1]
 * @throws ShapeError unless the last axis is 2; RangeError for centres that are not finite, or sizes that are none
 * @source released code, get_position_label
 */
export function positionLabels(
  centres: NDArray,
  { cropSize = PAPER_DEFAULTS.cropSize, grid = PAPER_DEFAULTS.grid }: PositionLabelOptions = {},
): NDArray<"float32"> {
  checkGrid("positionLabels", cropSize, grid);
  if (centres.shape.at(-1) !== 2)
    throw new ShapeError(
      `positionLabels: centres must have the shape [..., 2], got [${centres.shape.join(", ")}]`,
    );
  const count = centres.data.length / 2;
  const labels = new Float32Array(count * grid * grid);
  for (let crop = 0; crop < count; crop++) {
    const [x, y] = [Number(centres.data[2 * crop]), Number(centres.data[2 * crop + 1])];
    if (!Number.isFinite(x) || !Number.isFinite(y))
      throw new RangeError(`positionLabels: the centre of crop ${crop} is (${x}, ${y})`);
    for (let i = 0; i < grid; i++)
      for (let j = 0; j < grid; j++)
        labels[crop * grid * grid + i * grid + j] =
          (overlap(x, i, cropSize) * overlap(y, j, cropSize)) / cropSize ** 2;
  }
  return { dtype: "float32", shape: [...centres.shape.slice(0, -1), grid * grid], data: labels };
}

/** Centres of the base crops, [G², 2] in voxels, in the order of the labels. */
export function baseCentres({
  cropSize = PAPER_DEFAULTS.cropSize,
  grid = PAPER_DEFAULTS.grid,
}: PositionLabelOptions = {}): NDArray<"float32"> {
  checkGrid("baseCentres", cropSize, grid);
  const data = new Float32Array(2 * grid * grid);
  for (let i = 0; i < grid * grid; i++) {
    data[2 * i] = (Math.floor(i / grid) + 0.5) * cropSize;
    data[2 * i + 1] = ((i % grid) + 0.5) * cropSize;
  }
  return { dtype: "float32", shape: [grid * grid, 2], data };
}
