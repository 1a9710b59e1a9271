import { sizeOf } from "../../core/ndarray.ts";
import type { Spec } from "../../core/tensor.ts";
import type { BlockedKernels, GraphTarget } from "../../onnx/builder.ts";
import { blockable } from "./blocked.ts";
import { weightsBlockable } from "./blocked-weights.ts";
import type { ConvGeometry } from "./geometry.ts";
import { adjoint } from "./geometry.ts";
import { subpixel } from "./subpixel.ts";

/*
 * The choices below are those that bench/convolution measured to be fastest; its README holds the table. In short:
 *
 * - The blocked kernels run at up to twice the speed of `Conv`, but reading and writing the blocked layout costs as
 *   much as some 30 operations for every number. So they are for kernels of several taps on several channels.
 * - Kernels of one tap are matrix products in either layout, and cheapest where no layout changes.
 * - `ConvTranspose` in three dimensions takes up to thirty times as long as the convolution that it transposes.
 */

/** Below this many operations the copies between layouts cost more than the blocked kernels save. */
const LEAST_WORK = 4e6;
/** With fewer channels and filters of few taps the blocks are mostly zeros. */
const LEAST_CHANNELS = 8;
const LEAST_SUMMANDS = 64;

function worthwhile(
  { leastWork = LEAST_WORK }: BlockedKernels,
  weights: readonly number[],
  positions: readonly number[],
): boolean {
  if (leastWork === 0) return true;
  const [filters, channels, ...kernel] = weights as [number, number, ...number[]];
  const taps = sizeOf(kernel);
  const work = 2 * sizeOf(weights) * (positions[0] as number) * sizeOf(positions.slice(2));
  return taps > 1 && filters >= LEAST_CHANNELS && channels * taps >= LEAST_SUMMANDS && work >= leastWork;
}

/** y = x ∗ w, y of the given shape. */
export function forwardStrategy(
  { blockedConv }: GraphTarget,
  x: Spec,
  weights: Spec,
  shape: readonly number[],
  geometry: ConvGeometry,
): "columns" | "blocked" | "plain" {
  if (x.dtype !== "float32") return "columns";
  if (!blockedConv || !blockable(x.shape, weights.shape, geometry, blockedConv.block)) return "plain";
  return worthwhile(blockedConv, weights.shape, shape) ? "blocked" : "plain";
}

/** The gradient of x, which has the given shape. */
export function inputGradientStrategy(
  { blockedConv }: GraphTarget,
  dy: Spec,
  weights: Spec,
  shape: readonly number[],
  geometry: ConvGeometry,
): "columns" | "adjoint" | "subpixel" | "plain" {
  if (dy.dtype !== "float32") return "columns";
  const [filters, , ...kernel] = weights.shape as [number, number, ...number[]];
  const exchanged = [shape[1] as number, filters / geometry.groups, ...kernel];
  const blocked = blockedConv && worthwhile(blockedConv, exchanged, dy.shape) ? blockedConv : undefined;
  const [image, positions] = [shape.slice(2), dy.shape.slice(2)];
  const volume = image.length === 3;
  if (!blocked && !volume) return "plain";
  if (geometry.stride.some((step) => step > 1))
    return subpixel(image, positions, kernel, geometry) ? "subpixel" : "plain";
  const back = adjoint(image, positions, kernel, geometry);
  if (volume) return back.padding.flat().every((border) => border >= 0) ? "adjoint" : "plain";
  return blocked && blockable(dy.shape, exchanged, back, blocked.block) ? "adjoint" : "plain";
}

/** The gradient of w, which has the given shape. */
export function weightGradientStrategy(
  { blockedConv }: GraphTarget,
  x: Spec,
  dy: Spec,
  shape: readonly number[],
  geometry: ConvGeometry,
): "columns" | "blocked" {
  if (x.dtype !== "float32" || !blockedConv) return "columns";
  if (!weightsBlockable(x.shape[0] as number, shape.slice(2), geometry, blockedConv.block)) return "columns";
  // Windows that hardly overlap make few columns.
  const overlap = sizeOf(shape.slice(2)) / sizeOf(geometry.stride);
  if (overlap < 2 && blockedConv.leastWork !== 0) return "columns";
  return worthwhile(blockedConv, shape, dy.shape) ? "blocked" : "columns";
}
