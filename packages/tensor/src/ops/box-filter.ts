import { checkWindow } from "../core/axes.ts";
import { formatShape, ShapeError } from "../core/errors.ts";
import { asTensor, checkDType, type Tensor, type TensorLike } from "../core/tensor.ts";
import type { AxisWeights } from "./separable.ts";
import { applySeparable } from "./separable.ts";

export interface BoxFilterOptions {
  /**
   * What stands outside: `zeros` are counted, as a convolution with padding does; `inside` averages over the part of
   * the window that lies inside. Default `zeros`.
   */
  readonly border?: "zeros" | "inside";
}

/**
 * Mean over a window around each position, for local statistics such as local cross-correlation. Each axis is one
 * product with a band matrix; nothing cancels as in differences of cumulative sums.
 *
 * @param x     [B, C, ...], any number of spatial axes; the shape stays
 * @param size  odd width of the window, for all spatial axes or for each
 * @throws ShapeError when a width is even or not given for each axis
 */
export function boxFilter(
  x: TensorLike,
  size: number | readonly number[],
  options: BoxFilterOptions = {},
): Tensor {
  const input = asTensor(x);
  checkDType("boxFilter", [input]);
  const space = input.shape.slice(2);
  const sizes = typeof size === "number" ? space.map(() => size) : size;
  if (space.length === 0 || sizes.length !== space.length)
    throw new ShapeError(
      `boxFilter: ${sizes.length} widths do not fit the spatial axes of x ${formatShape(input.shape)}`,
    );
  checkWindow("boxFilter", { size: sizes, stride: 1, padding: 0 });
  if (sizes.some((n) => n % 2 === 0))
    throw new ShapeError(`boxFilter: widths must be odd, got ${sizes.join(", ")}`);
  const bands = sizes.map((width, i): [number, AxisWeights] => {
    const n = space[i] as number;
    const half = (width - 1) / 2;
    return [
      i + 2,
      Array.from({ length: n }, (_, at) => {
        const inside = Math.min(at + half, n - 1) - Math.max(at - half, 0) + 1;
        const share = 1 / (options.border === "inside" ? inside : width);
        return Array.from({ length: n }, (_, j) => (Math.abs(at - j) <= half ? share : 0));
      }),
    ];
  });
  return applySeparable(input, new Map(bands.filter(([axis]) => sizes[axis - 2] !== 1)));
}
