import type { NDArray, Tensor, Traced } from "@concord/tensor";
import { batchNorm, batchNormInference, zerosArray } from "@concord/tensor";

/** Gain and bias of a normalisation: [C] each. */
export interface NormParams {
  readonly gain: NDArray;
  readonly bias: NDArray;
}

/** Running mean and variance of a batch normalisation: [C] each. State, not parameters: no gradient reaches them. */
export interface RunningStatistics {
  readonly mean: NDArray;
  readonly variance: NDArray;
}

function onesArray(shape: readonly number[]): NDArray {
  const array = zerosArray(shape);
  array.data.fill(1);
  return array;
}

/** Gain 1 and bias 0. */
export function normInit(width: number): NormParams {
  return { gain: onesArray([width]), bias: zerosArray([width]) };
}

/** Mean 0 and variance 1: the running statistics before the first batch. */
export function runningStatistics(width: number): RunningStatistics {
  return { mean: zerosArray([width]), variance: onesArray([width]) };
}

export interface BatchNormMode {
  /** Standardise by the batch and move the running statistics (default), or use those as they are. */
  readonly training?: boolean;
  /** Share of the new batch in the running statistics. Default 0.1. */
  readonly momentum?: number;
}

/**
 * A batch normalisation in either mode: [B, C, ...] to the same shape, with the statistics after it. Outside
 * training these are the ones that came in.
 *
 * @source Ioffe, Szegedy 2015
 */
export function normalizeBatch(
  params: Traced<NormParams>,
  statistics: Traced<RunningStatistics>,
  x: Tensor,
  { training = true, momentum = 0.1 }: BatchNormMode,
): { readonly y: Tensor; readonly statistics: Traced<RunningStatistics> } {
  const { gain, bias } = params;
  if (!training) return { y: batchNormInference(x, gain, bias, statistics), statistics };
  const { y, running } = batchNorm(x, gain, bias, statistics, { momentum });
  return { y, statistics: running };
}
