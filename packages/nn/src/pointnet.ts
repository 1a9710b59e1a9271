import type { Key, Traced } from "@concord/tensor";
import { checkAxes, expandDims, foldIn, max, relu, type Tensor, where } from "@concord/tensor";
import type { MlpParams } from "./mlp.ts";
import { mlp, mlpInit } from "./mlp.ts";

/**
 * Widths of the paper's shared MLP and of the MLP on the global feature.
 *
 * @source Qi et al. 2017, figure 2
 */
export const pointnetWidths = { points: [64, 64, 64, 128, 1024], head: [512, 256] } as const;

export interface PointNetOptions {
  /** Numbers of a point: 3 for coordinates, more with colours or intensities. Default 3. */
  readonly inputs?: number;
  /** Widths of the MLP that all points share. Default `pointnetWidths.points`. */
  readonly points?: readonly number[];
  /** Hidden widths of the MLP on the global feature. Default `pointnetWidths.head`. */
  readonly head?: readonly number[];
  readonly outputs: number;
}

export interface PointNetParams {
  readonly points: MlpParams;
  readonly head: MlpParams;
}

/**
 * Parameters of a PointNet.
 *
 * @throws RangeError when the shared MLP has no layers
 */
export function pointnetInit(key: Key, options: PointNetOptions): PointNetParams {
  const { inputs = 3, points = pointnetWidths.points, head = pointnetWidths.head, outputs } = options;
  const last = points.at(-1);
  if (last === undefined) throw new RangeError("pointnet: the shared MLP needs at least one layer");
  return {
    points: mlpInit(foldIn(key, 0), [inputs, ...points]),
    head: mlpInit(foldIn(key, 1), [last, ...head, outputs]),
  };
}

/**
 * PointNet: one MLP for every point, the maximum over points, an MLP on that. The order of points does not matter.
 *
 * @param points        [B, N, C], e.g. coordinates
 * @param options.mask  [B, N] bool: false for padding; at least one point of each cloud must be true. Default: all
 * @returns y [B, outputs], not normalised, and the features of every point [B, N, D]
 * @throws ShapeError when C differs from that of the parameters
 * @source Qi et al. 2017; without the learned transforms of input and features, and without batch norm
 */
export function pointnet(
  params: Traced<PointNetParams>,
  points: Tensor,
  options: { readonly mask?: Tensor } = {},
): { readonly y: Tensor; readonly features: Tensor } {
  const { mask } = options;
  checkAxes("pointnet", { points: [points, "B N C"], ...(mask && { mask: [mask, "B N"] as const }) });
  const features = relu(mlp(params.points, points, relu));
  // ReLU leaves no negative numbers, so that padding never wins, nor does it tie with a positive maximum.
  const counted = mask ? where(expandDims(mask, -1), features, 0) : features;
  return { y: mlp(params.head, max(counted, { axes: 1 }), relu), features };
}
