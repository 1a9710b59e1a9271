import { sizeOf } from "../core/ndarray.ts";
import { defineUnitOp, type Tensor, type UnitOp } from "../core/tensor.ts";
import { add, div, mul, neg, stopGradient, sub } from "./arithmetic.ts";
import {
  affineChannels,
  alongChannels,
  channelProducts,
  channelSums,
  emitNormalisation,
} from "./channels.ts";
import { ones, zeros } from "./create.ts";
import { sqrt } from "./math.ts";
import { checkChannels, type NormOptions } from "./norm-options.ts";

/** Statistics of a batch-norm layer: [C] each. */
export interface BatchStatistics {
  readonly mean: Tensor;
  readonly variance: Tensor;
}

/**
 * Inputs: x, gain, bias, and the mean and variance of this very x. Their share in the gradient is part of that of x,
 * in closed form, so that nothing flows through them; higher derivatives do go through them.
 */
const batchNormOp: UnitOp<
  { readonly epsilon: number },
  [x: Tensor, gain: Tensor, bias: Tensor, average: Tensor, variance: Tensor]
> = defineUnitOp({
  name: "batchNorm",
  infer: ([x]) => [x],
  lower: (graph, inputs, { epsilon }, { inputs: specs }) => [
    emitNormalisation(graph, inputs, specs[0], epsilon),
  ],
  vjp: ({ inputs, cotangents, attributes: { epsilon } }) => {
    const [x, gain, , average, variance] = inputs;
    const dy = cotangents[0];
    const count = sizeOf(x.shape) / (x.shape[1] as number);
    const centred = sub(x, alongChannels(average, x.rank));
    const inverse = div(1, sqrt(add(variance, epsilon)));
    const [total, projection] = [channelSums(dy), channelProducts(dy, centred)];
    const scale = mul(gain, inverse);
    const pull = div(mul(mul(scale, projection), mul(inverse, inverse)), -count);
    const dx = add(
      affineChannels(dy, scale, neg(div(mul(scale, total), count))),
      mul(centred, alongChannels(pull, x.rank)),
    );
    return [dx, mul(projection, inverse), total, null, null];
  },
});

export interface BatchNormOptions extends NormOptions {
  /** Share of the new batch in the running statistics. Default 0.1. */
  readonly momentum?: number;
}

/**
 * Batch normalisation in training: standardises each channel over batch and space.
 *
 *   y = (x - μ_c) / √(σ²_c + ε) · gain_c + bias_c,   running ← (1 - m) · running + m · batch
 *
 * The running variance takes the unbiased estimate (n / (n - 1)), as PyTorch does.
 *
 * @param x        [B, C, ...]
 * @param gain     [C]
 * @param bias     [C]
 * @param running  statistics before this batch
 * @returns y and the statistics after this batch (which carry no gradient)
 * @throws ShapeError when x has no channels or a vector not one entry for each; DTypeError for integers
 * @source Ioffe, Szegedy 2015
 */
export function batchNorm(
  x: Tensor,
  gain: Tensor,
  bias: Tensor,
  running: BatchStatistics,
  options: BatchNormOptions = {},
): { readonly y: Tensor; readonly running: BatchStatistics } {
  const { epsilon = 1e-5, momentum = 0.1 } = options;
  checkChannels("batchNorm", x, { gain, bias, mean: running.mean, variance: running.variance });
  const count = sizeOf(x.shape) / (x.shape[1] as number);
  const average = div(channelSums(x), count);
  const centred = sub(x, alongChannels(average, x.rank));
  const deviation = div(channelProducts(centred, centred), count);
  const blend = (old: Tensor, batch: Tensor): Tensor =>
    stopGradient(add(mul(old, 1 - momentum), mul(batch, momentum)));
  return {
    y: batchNormOp([x, gain, bias, average, deviation], { epsilon }),
    running: {
      mean: blend(running.mean, average),
      variance: blend(running.variance, mul(deviation, count / Math.max(count - 1, 1))),
    },
  };
}

/**
 * Batch normalisation with fixed statistics, as used after training: y = (x - μ_c) / √(σ²_c + ε) · gain_c + bias_c.
 *
 * @param x           [B, C, ...]
 * @param gain        [C]
 * @param bias        [C]
 * @param statistics  mean and variance, [C] each
 * @returns [B, C, ...]
 * @throws ShapeError when x has no channels or a vector not one entry for each; DTypeError for integers
 * @source Ioffe, Szegedy 2015
 */
export function batchNormInference(
  x: Tensor,
  gain: Tensor,
  bias: Tensor,
  statistics: BatchStatistics,
  options: NormOptions = {},
): Tensor {
  checkChannels("batchNormInference", x, {
    gain,
    bias,
    mean: statistics.mean,
    variance: statistics.variance,
  });
  const scale = div(gain, sqrt(add(statistics.variance, options.epsilon ?? 1e-5)));
  return affineChannels(x, scale, sub(bias, mul(statistics.mean, scale)));
}

/**
 * Batch normalisation by the statistics of this batch alone, in training and afterwards: each channel is standardised
 * over batch and positions.
 *
 * @param x     [B, C, ...]
 * @param gain  [C]
 * @param bias  [C]
 * @returns [B, C, ...]
 * @throws ShapeError when x has no channels or a vector not one entry for each; DTypeError for integers
 * @source Ioffe, Szegedy 2015
 */
export function batchStatisticsNorm(
  x: Tensor,
  gain: Tensor,
  bias: Tensor,
  options: NormOptions = {},
): Tensor {
  checkChannels("batchStatisticsNorm", x, { gain, bias });
  const unused = { mean: zeros(gain.shape, x.dtype), variance: ones(gain.shape, x.dtype) };
  return batchNorm(x, gain, bias, unused, options).y;
}
