import { formatShape, ShapeError } from "../core/errors.ts";
import { sizeOf } from "../core/ndarray.ts";
import { defineOp, defineUnitOp, type Tensor } from "../core/tensor.ts";
import type { GraphBuilder } from "../onnx/builder.ts";
import { add, div, mul, neg } from "./arithmetic.ts";
import { zeros } from "./create.ts";
import { nodesOf } from "./elementwise.ts";
import { checkChannels, type NormOptions } from "./norm-options.ts";
import { rsqrt } from "./numeric.ts";
import { rowProducts } from "./row-products.ts";
import { broadcastTo, reshape, sum } from "./structure.ts";

/** Scale and shift for each row in one pass over memory, by the kernel of batch norm: [R, N], four times [R]. */
function emitAffine(
  graph: GraphBuilder,
  x: string,
  shape: readonly number[],
  [scale, shift, average, variance]: readonly string[],
  epsilon: number,
): string {
  const stacked = graph.node("Reshape", [x, graph.int64s([1, ...shape])]);
  const inputs = [stacked, scale, shift, average, variance] as readonly string[];
  return graph.node("BatchNormalization", inputs, { epsilon: { float: epsilon } });
}

const affineRowsOp = defineUnitOp<undefined, [x: Tensor, scale: Tensor, shift: Tensor]>({
  name: "affineRows",
  infer: ([x]) => [x],
  lower: (graph, [x, scale, shift], _attributes, { inputs }) => {
    const { shape, dtype } = inputs[0];
    const row = (value: number): string =>
      graph.node("Expand", [graph.scalar(value, dtype), graph.int64s(shape.slice(0, 1))]);
    const parameters = [scale, shift, row(0), row(1)];
    return [graph.node("Reshape", [emitAffine(graph, x, shape, parameters, 0), graph.int64s(shape)])];
  },
  vjp: ({ inputs, cotangents }) => {
    const [x, scale] = inputs;
    const dy = cotangents[0];
    return [mul(dy, reshape(scale, [-1, 1])), rowProducts(dy, x), sum(dy, { axes: -1 })];
  },
});

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
    const reshaped = (value: string, to: readonly number[]): string =>
      graph.node("Reshape", [value, graph.int64s(to)]);
    const expanded = (value: string, to: readonly number[]): string =>
      reshaped(graph.node("Expand", [value, graph.int64s(to)]), [batch * channels]);
    const last = graph.int64s([1]);
    const rows = reshaped(x, [batch * groups, sizeOf(shape) / (batch * groups)]);
    const average = graph.node("ReduceMean", [rows, last], { keepdims: 1 });
    const squares = graph.node("ReduceSumSquare", [emit("Sub", rows, average), last], { keepdims: 1 });
    const variance = emit("Mul", squares, (batch * groups) / sizeOf(shape));
    // The attribute of the kernel is float32, so that in float64 epsilon has to be a value.
    const exact = dtype === "float64";
    const y = emitAffine(
      graph,
      x,
      [batch * channels, sizeOf(shape.slice(2))],
      [
        expanded(gain, [batch, channels]),
        expanded(bias, [batch, channels]),
        expanded(average, [batch * groups, channels / groups]),
        expanded(exact ? emit("Add", variance, epsilon) : variance, [batch * groups, channels / groups]),
      ],
      exact ? 0 : epsilon,
    );
    return [reshaped(y, shape), average, variance];
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
    const standardised = affineRowsOp([reshape(x, rows), toRows(inverse), toRows(centre)], undefined);
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
      dx = affineRowsOp([dRows, reshape(slopes, [-1]), neg(toRows(ofGroup(total)))], undefined);
      scale = neg(ofGroup(projection));
    }
    // Only higher derivatives reach the statistics themselves.
    if (dVariance) scale = add(scale, div(mul(dVariance, 2 / count), inverse));
    if (dAverage) shift = div(dAverage, count);
    const rest = dAverage
      ? affineRowsOp([standardised, toRows(scale), toRows(shift)], undefined)
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
