import { formatShape, ShapeError } from "../core/errors.ts";
import { sizeOf } from "../core/ndarray.ts";
import { defineOp, type Tensor } from "../core/tensor.ts";
import { add, div, mul, neg } from "./arithmetic.ts";
import { affineChannels, emitNormalisation } from "./channels.ts";
import { zeros } from "./create.ts";
import { nodesOf } from "./elementwise.ts";
import { checkChannels, type NormOptions } from "./norm-options.ts";
import { rsqrt } from "./numeric.ts";
import { rowProducts } from "./row-products.ts";
import { broadcastTo, reshape, sum } from "./structure.ts";

/** x · scale + shift by row: [R, N] and two times [R]. */
function affineRows(x: Tensor, scale: Tensor, shift: Tensor): Tensor {
  return reshape(affineChannels(reshape(x, [1, ...x.shape]), scale, shift), x.shape);
}

interface GroupNormAttributes {
  readonly groups: number;
  readonly epsilon: number;
}

const groupNormOp = defineOp<
  GroupNormAttributes,
  [x: Tensor, gain: Tensor, bias: Tensor],
  [y: Tensor, average: Tensor, variance: Tensor]
>({
  name: "groupNorm",
  // Mean and variance of each group are kept for the gradient.
  infer: ([x], { groups }) => {
    const { shape, dtype } = x;
    const statistics = { shape: [(shape[0] as number) * groups, 1], dtype };
    return [x, statistics, statistics];
  },
  lower: (graph, [x, gain, bias], { groups, epsilon }, { inputs }) => {
    const { shape, dtype } = inputs[0];
    const [batch, channels] = shape as [number, number];
    const emit = nodesOf(graph, dtype);
    const expanded = (value: string, to: readonly number[]): string =>
      graph.reshape(graph.node("Expand", [value, graph.int64s(to)]), [batch * channels]);
    const last = graph.int64s([1]);
    const rows = graph.reshape(x, [batch * groups, sizeOf(shape) / (batch * groups)]);
    const average = graph.node("ReduceMean", [rows, last], { keepdims: 1 });
    const squares = graph.node("ReduceSumSquare", [emit("Sub", rows, average), last], { keepdims: 1 });
    const variance = emit("Mul", squares, (batch * groups) / sizeOf(shape));
    // Rows of one channel of one example are the channels of a batch of one.
    const rowsOfChannels = [1, batch * channels, sizeOf(shape.slice(2))];
    const perRow = [
      expanded(gain, [batch, channels]),
      expanded(bias, [batch, channels]),
      expanded(average, [batch * groups, channels / groups]),
      expanded(variance, [batch * groups, channels / groups]),
    ];
    const operands = [graph.reshape(x, rowsOfChannels), ...perRow];
    const y = emitNormalisation(graph, operands, { shape: rowsOfChannels, dtype }, epsilon);
    return [graph.reshape(y, shape), average, variance];
  },
  vjp: ({ inputs, outputs, cotangents, attributes: { groups, epsilon } }) => {
    const [x, gain] = inputs;
    const [, average, variance] = outputs;
    const [dy, dAverage, dVariance] = cotangents;
    const [batch, channels] = x.shape as [number, number];
    const count = sizeOf(x.shape) / (batch * groups);
    const perGroup = [batch * groups, channels / groups];
    const rows = [batch * channels, sizeOf(x.shape.slice(2))];
    const toRows = (statistic: Tensor): Tensor => reshape(broadcastTo(statistic, perGroup), [-1]);
    const onGroup = { axes: -1, keepDims: true };
    const inverse = rsqrt(add(variance, epsilon));
    // Everything of the size of x happens on rows of one channel; sums over a group are made of sums over its rows.
    const centre = neg(mul(average, inverse));
    const standardised = affineRows(reshape(x, rows), toRows(inverse), toRows(centre));
    let dGain: Tensor | null = null;
    let dBias: Tensor | null = null;
    let scale = zeros([batch * groups, 1], x.dtype);
    let shift = scale;
    let dx: Tensor | undefined;
    if (dy) {
      const dRows = reshape(dy, rows);
      const total = reshape(sum(dRows, { axes: -1 }), [batch, channels]);
      const projection = reshape(rowProducts(dRows, standardised), [batch, channels]);
      dGain = sum(projection, { axes: 0 });
      dBias = sum(total, { axes: 0 });
      const ofGroup = (sums: Tensor): Tensor =>
        mul(div(sum(reshape(mul(sums, gain), perGroup), onGroup), count), inverse);
      const slopes = mul(reshape(broadcastTo(gain, [batch, channels]), perGroup), inverse);
      dx = affineRows(dRows, reshape(slopes, [-1]), neg(toRows(ofGroup(total))));
      scale = neg(ofGroup(projection));
    }
    // Only higher derivatives reach the statistics themselves.
    if (dVariance) scale = add(scale, div(mul(dVariance, 2 / count), inverse));
    if (dAverage) shift = div(dAverage, count);
    const rest = dAverage
      ? affineRows(standardised, toRows(scale), toRows(shift))
      : mul(standardised, reshape(toRows(scale), [-1, 1]));
    return [reshape(dx ? add(dx, rest) : rest, x.shape), dGain, dBias];
  },
});

/**
 * Standardises groups of neighbouring channels of each example over the group's channels and positions, then scales
 * and shifts each channel:
 *
 *   y = (x - μ_bg) / √(σ²_bg + ε) · gain_c + bias_c
 *
 * @param x     [B, C, ...]
 * @param gain  [C]
 * @param bias  [C]
 * @param options.groups  divides C
 * @throws ShapeError when C does not part into the groups, or a vector has not one entry for each channel
 * @source Wu, He 2018
 */
export function groupNorm(
  x: Tensor,
  gain: Tensor,
  bias: Tensor,
  options: NormOptions & { readonly groups: number },
): Tensor {
  const { groups, epsilon = 1e-5 } = options;
  checkChannels("groupNorm", x, { gain, bias });
  if (!(Number.isInteger(groups) && groups > 0 && (x.shape[1] as number) % groups === 0))
    throw new ShapeError(
      `groupNorm: ${x.shape[1]} channels do not part into ${groups} groups; x has shape ${formatShape(x.shape)}`,
    );
  return groupNormOp([x, gain, bias], { groups, epsilon })[0];
}

/**
 * Standardises each channel of each example over its positions: `groupNorm` with one group a channel.
 *
 * @param x     [B, C, ...]
 * @param gain  [C]
 * @param bias  [C]
 * @returns [B, C, ...]
 * @throws ShapeError when x has no channels or a vector not one entry for each; DTypeError for integers
 * @source Ulyanov, Vedaldi, Lempitsky 2016
 */
export function instanceNorm(x: Tensor, gain: Tensor, bias: Tensor, options: NormOptions = {}): Tensor {
  checkChannels("instanceNorm", x, { gain, bias });
  return groupNorm(x, gain, bias, { ...options, groups: x.shape[1] as number });
}

/**
 * Standardises each example over all channels and positions: `groupNorm` with one group.
 *
 * @param x     [B, C, ...]
 * @param gain  [C]
 * @param bias  [C]
 * @param options.epsilon  default 1e-8
 * @returns [B, C, ...]
 * @throws ShapeError when x has no channels or a vector not one entry for each; DTypeError for integers
 * @source Luo, Mesgarani 2019, section II-D (global layer normalisation)
 */
export function globalLayerNorm(x: Tensor, gain: Tensor, bias: Tensor, options: NormOptions = {}): Tensor {
  checkChannels("globalLayerNorm", x, { gain, bias });
  return groupNorm(x, gain, bias, { epsilon: options.epsilon ?? 1e-8, groups: 1 });
}
