import { checkAxes, normalizeAxis } from "../core/axes.ts";
import { formatShape, ShapeError } from "../core/errors.ts";
import { sizeOf } from "../core/ndarray.ts";
import type { Spec } from "../core/tensor.ts";
import { checkDType, defineOp, defineUnitOp, type Tensor } from "../core/tensor.ts";
import type { GraphBuilder } from "../onnx/builder.ts";
import { add, div, mul, neg, sub } from "./arithmetic.ts";
import { batchNorm } from "./batch-norm.ts";
import { ones, zeros } from "./create.ts";
import { nodesOf } from "./elementwise.ts";
import { rsqrt } from "./numeric.ts";
import { mean, norm } from "./reduce.ts";
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

const affineRowsOp = defineUnitOp<undefined>({
  name: "affineRows",
  infer: ([x]) => [x as Spec],
  lower: (graph, [x, scale, shift], _attributes, { inputs }) => {
    const { shape, dtype } = inputs[0] as Spec;
    const row = (value: number): string =>
      graph.node("Expand", [graph.scalar(value, dtype), graph.int64s(shape.slice(0, 1))]);
    const parameters = [scale as string, shift as string, row(0), row(1)];
    return [
      graph.node("Reshape", [emitAffine(graph, x as string, shape, parameters, 0), graph.int64s(shape)]),
    ];
  },
  vjp: ({ inputs, cotangents }) => {
    const [x, scale] = inputs as [Tensor, Tensor];
    const dy = cotangents[0] as Tensor;
    return [mul(dy, reshape(scale, [-1, 1])), sum(mul(dy, x), { axes: -1 }), sum(dy, { axes: -1 })];
  },
});

interface GroupNormAttributes {
  readonly groups: number;
  readonly epsilon: number;
}

const groupNormOp = defineOp<GroupNormAttributes>({
  name: "groupNorm",
  // Mean and variance of each group are kept for the gradient.
  infer: ([x], { groups }) => {
    const { shape, dtype } = x as Spec;
    const statistics = { shape: [(shape[0] as number) * groups, 1], dtype };
    return [x as Spec, statistics, statistics];
  },
  lower: (graph, [x, gain, bias], { groups, epsilon }, { inputs }) => {
    const { shape, dtype } = inputs[0] as Spec;
    const [batch, channels] = shape as [number, number];
    const emit = nodesOf(graph, dtype);
    const reshaped = (value: string, to: readonly number[]): string =>
      graph.node("Reshape", [value, graph.int64s(to)]);
    const expanded = (value: string, to: readonly number[]): string =>
      reshaped(graph.node("Expand", [value, graph.int64s(to)]), [batch * channels]);
    const last = graph.int64s([1]);
    const rows = reshaped(x as string, [batch * groups, sizeOf(shape) / (batch * groups)]);
    const average = graph.node("ReduceMean", [rows, last], { keepdims: 1 });
    const squares = graph.node("ReduceSumSquare", [emit("Sub", rows, average), last], { keepdims: 1 });
    const variance = emit("Mul", squares, (batch * groups) / sizeOf(shape));
    const y = emitAffine(
      graph,
      x as string,
      [batch * channels, sizeOf(shape.slice(2))],
      [
        expanded(gain as string, [batch, channels]),
        expanded(bias as string, [batch, channels]),
        expanded(average, [batch * groups, channels / groups]),
        expanded(variance, [batch * groups, channels / groups]),
      ],
      epsilon,
    );
    return [reshaped(y, shape), average, variance];
  },
  vjp: ({ inputs, outputs, cotangents, attributes: { groups, epsilon } }) => {
    const [x, gain] = inputs as [Tensor, Tensor];
    const [, average, variance] = outputs as [Tensor, Tensor, Tensor];
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
      const projection = reshape(sum(mul(dRows, standardised), { axes: -1 }), [batch, channels]);
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

export interface NormOptions {
  /** Added to the variance. Default 1e-5. */
  readonly epsilon?: number;
}

function checkNorm(operation: string, x: Tensor, gain: Tensor, bias: Tensor): void {
  checkDType(operation, [x, gain, bias]);
  if (x.rank < 2)
    throw new ShapeError(`${operation}: x needs the axes [B, C, ...], got ${formatShape(x.shape)}`);
  checkAxes(operation, {
    x: [{ shape: x.shape.slice(0, 2) }, "B C"],
    gain: [gain, "C"],
    bias: [bias, "C"],
  });
}

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
  checkNorm("groupNorm", x, gain, bias);
  if (!(Number.isInteger(groups) && groups > 0 && (x.shape[1] as number) % groups === 0))
    throw new ShapeError(
      `groupNorm: ${x.shape[1]} channels do not part into ${groups} groups; x has shape ${formatShape(x.shape)}`,
    );
  return groupNormOp([x, gain, bias], { groups, epsilon })[0] as Tensor;
}

/**
 * Standardises each channel of each example over its positions: `groupNorm` with one group a channel.
 *
 * @source Ulyanov, Vedaldi, Lempitsky 2016
 */
export function instanceNorm(x: Tensor, gain: Tensor, bias: Tensor, options: NormOptions = {}): Tensor {
  checkNorm("instanceNorm", x, gain, bias);
  return groupNorm(x, gain, bias, { ...options, groups: x.shape[1] as number });
}

/**
 * Standardises each example over all channels and positions: `groupNorm` with one group.
 *
 * @param options.epsilon  default 1e-8
 * @source Luo, Mesgarani 2019, section II-D (global layer normalisation)
 */
export function globalLayerNorm(x: Tensor, gain: Tensor, bias: Tensor, options: NormOptions = {}): Tensor {
  checkNorm("globalLayerNorm", x, gain, bias);
  return groupNorm(x, gain, bias, { epsilon: options.epsilon ?? 1e-8, groups: 1 });
}

/**
 * Batch normalisation by the statistics of this batch alone, in training and afterwards: each channel is standardised
 * over batch and positions, [B, C, ...] with gain and bias [C].
 *
 * @source Ioffe, Szegedy 2015
 */
export function batchStatisticsNorm(
  x: Tensor,
  gain: Tensor,
  bias: Tensor,
  options: NormOptions = {},
): Tensor {
  checkNorm("batchStatisticsNorm", x, gain, bias);
  const unused = { mean: zeros(gain.shape, x.dtype), variance: ones(gain.shape, x.dtype) };
  return batchNorm(x, gain, bias, unused, options).y;
}

const rmsNormOp = defineOp<{ readonly epsilon: number }>({
  name: "rmsNorm",
  // The second output is the inverse root of the mean square, kept for the gradient.
  infer: ([x]) => {
    const { shape, dtype } = x as Spec;
    return [x as Spec, { shape: [...shape.slice(0, -1), 1], dtype }];
  },
  lower: (graph, [x, gain], { epsilon }, { inputs, used }) => {
    const { dtype } = inputs[0] as Spec;
    // In float64 that kernel still gives the second result in float32.
    if (graph.target.contribOps && dtype === "float32") {
      const attributes = { axis: -1, epsilon: { float: epsilon } };
      return graph.nodeWithOutputs(
        "SimplifiedLayerNormalization",
        [x as string, gain as string],
        used[1] ? 2 : 1,
        attributes,
      );
    }
    const emit = nodesOf(graph, dtype);
    const squares = graph.node("ReduceMean", [emit("Mul", x as string, x as string), graph.int64s([-1])], {
      keepdims: 1,
    });
    const inverse = emit("Reciprocal", emit("Sqrt", emit("Add", squares, epsilon)));
    return [emit("Mul", emit("Mul", x as string, inverse), gain as string), inverse];
  },
  vjp: ({ inputs, outputs, cotangents }) => {
    const [x, gain] = inputs as [Tensor, Tensor];
    const inverse = outputs[1] as Tensor;
    const [dy, dInverse] = cotangents;
    const scaled = mul(x, inverse);
    const onRow = { axes: -1, keepDims: true };
    const cubed = dInverse && mul(dInverse, mul(mul(inverse, inverse), -1 / (x.shape.at(-1) as number)));
    const ofInverse = cubed && mul(scaled, cubed);
    if (!dy) return [ofInverse ?? null, null];
    const slope = mul(dy, gain);
    const ofValue = mul(sub(slope, mul(scaled, mean(mul(slope, scaled), onRow))), inverse);
    const dGain = sum(reshape(mul(dy, scaled), [-1, ...gain.shape]), { axes: 0 });
    return [ofInverse ? add(ofValue, ofInverse) : ofValue, dGain];
  },
});

/**
 * Divides each row of the last axis by its root mean square, then scales: y = x / √(mean(x²) + ε) · gain.
 *
 * @param x     [..., D]
 * @param gain  [D]
 * @param options.epsilon  default 1e-6
 * @source Zhang, Sennrich 2019
 */
export function rmsNorm(x: Tensor, gain: Tensor, options: NormOptions = {}): Tensor {
  checkDType("rmsNorm", [x, gain]);
  checkAxes("rmsNorm", { x: [x, "... D"], gain: [gain, "D"] });
  return rmsNormOp([x, gain], { epsilon: options.epsilon ?? 1e-6 })[0] as Tensor;
}

/**
 * Weights parted into direction and length: w = magnitude · direction / ‖direction‖, with one length for each entry
 * of an axis.
 *
 * @param direction  any shape; the norm goes over all axes but `axis`
 * @param magnitude  [size of `axis`]
 * @param options.axis     default 0, the outputs of a convolution
 * @param options.epsilon  added under the root of the norm. Default 0
 * @source Salimans, Kingma 2016
 */
export function weightNorm(
  direction: Tensor,
  magnitude: Tensor,
  options: { readonly axis?: number; readonly epsilon?: number } = {},
): Tensor {
  const { axis = 0, epsilon = 0 } = options;
  const kept = normalizeAxis("weightNorm", axis, direction.rank);
  const size = direction.shape[kept] as number;
  checkAxes("weightNorm", { magnitude: [magnitude, String(size)] });
  const axes = direction.shape.map((_, i) => i).filter((i) => i !== kept);
  const length = norm(direction, { axes, keepDims: true, epsilon });
  return mul(direction, div(reshape(magnitude, length.shape), length));
}
