import { sizeOf } from "../../core/ndarray.ts";
import type { Spec } from "../../core/tensor.ts";
import type { BlockedKernels, GraphTarget } from "../../onnx/builder.ts";
import { blockable, subpixel } from "./blocked.ts";
import { weightsBlockable } from "./blocked-weights.ts";
import type { ConvGeometry } from "./geometry.ts";
import { adjoint } from "./geometry.ts";

/** Below this many operations the copies between layouts cost more than the blocked kernels save. */
const LEAST_WORK = 4e6;

function worthwhile(
  { leastWork = LEAST_WORK }: BlockedKernels,
  weights: readonly number[],
  count: number,
): boolean {
  return 2 * sizeOf(weights) * count >= leastWork;
}

function positionsOf(shape: readonly number[]): number {
  return (shape[0] as number) * sizeOf(shape.slice(2));
}

export function forwardStrategy(
  { blockedConv }: GraphTarget,
  x: Spec,
  weights: Spec,
  shape: readonly number[],
  geometry: ConvGeometry,
): "columns" | "blocked" | "plain" {
  if (x.dtype !== "float32") return "columns";
  if (!blockedConv || !blockable(x.shape, weights.shape, geometry, blockedConv.block)) return "plain";
  const kernel = sizeOf(weights.shape.slice(2));
  if (kernel === 1 || !worthwhile(blockedConv, weights.shape, positionsOf(shape))) return "plain";
  return "blocked";
}

export function inputGradientStrategy(
  target: GraphTarget,
  dy: Spec,
  weights: Spec,
  shape: readonly number[],
  geometry: ConvGeometry,
): "columns" | "adjoint" | "subpixel" | "plain" {
  if (dy.dtype !== "float32") return "columns";
  const { blockedConv } = target;
  const kernel = weights.shape.slice(2);
  if (!blockedConv || sizeOf(kernel) === 1) return "plain";
  if (!worthwhile(blockedConv, weights.shape, positionsOf(dy.shape))) return "plain";
  const [image, positions] = [shape.slice(2), dy.shape.slice(2)];
  if (geometry.stride.every((step) => step === 1)) {
    const back = adjoint(image, positions, kernel, geometry);
    const exchanged = [shape[1] as number, (weights.shape[0] as number) / geometry.groups, ...kernel];
    return blockable(dy.shape, exchanged, back, blockedConv.block) ? "adjoint" : "plain";
  }
  return image.length < 3 && subpixel(image, positions, kernel, geometry) ? "subpixel" : "plain";
}

export function weightGradientStrategy(
  { blockedConv }: GraphTarget,
  x: Spec,
  dy: Spec,
  shape: readonly number[],
  geometry: ConvGeometry,
): "columns" | "blocked" {
  if (x.dtype !== "float32" || !blockedConv) return "columns";
  if (!weightsBlockable(shape.slice(2), geometry)) return "columns";
  return worthwhile(blockedConv, shape, positionsOf(dy.shape)) ? "blocked" : "columns";
}
