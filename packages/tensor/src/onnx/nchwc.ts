/**
 * The blocked channel layout of ONNX Runtime's fastest convolution kernels on CPUs, and the operators that work in it.
 *
 * A blocked tensor of shape [N, C, H, W] lies in memory as [N, C / b, H, W, b] with b = `GraphTarget.blockedConv.block`
 * channels side by side, the last block filled up with zeros. ONNX Runtime's own graph optimiser uses these operators
 * for constant weights only; a graph may contain them itself, and then weights may be anything.
 */
import type { Spec } from "../core/tensor.ts";
import type { GraphBuilder } from "./builder.ts";

const DOMAIN = "com.microsoft.nchwc";
/** Channel counts of `ReorderInput` must be multiples of this. */
const ALIGNMENT = 4;

/** A value in the ONNX graph with what is known about it. */
export interface Value extends Spec {
  readonly name: string;
}

export function transposed(graph: GraphBuilder, x: string, order: readonly number[]): string {
  return graph.node("Transpose", [x], { perm: order });
}

/** Zeros before and after each axis; negative borders cut. */
export function padded(
  graph: GraphBuilder,
  x: Value,
  borders: readonly (readonly [before: number, after: number])[],
): Value {
  if (borders.every(([before, after]) => before === 0 && after === 0)) return x;
  const pads = [...borders.map(([before]) => before), ...borders.map(([, after]) => after)];
  const name = graph.node("Pad", [x.name, graph.int64s(pads), graph.scalar(0, x.dtype)], {
    mode: "constant",
  });
  const shape = x.shape.map((n, axis) => n + (borders[axis]?.[0] ?? 0) + (borders[axis]?.[1] ?? 0));
  return { name, dtype: x.dtype, shape };
}

/** The multiple of `step` at or above n. */
export function roundUp(n: number, step: number): number {
  return Math.ceil(n / step) * step;
}

/** Channels in a block. */
export function blockOf(graph: GraphBuilder): number {
  const { blockedConv } = graph.target;
  if (!blockedConv) throw new Error("the target has no blocked convolution kernels");
  return blockedConv.block;
}

/** Fills one axis up with zeros, or cuts it, to a size. */
export function fitted(graph: GraphBuilder, x: Value, axis: number, size: number): Value {
  const more = size - (x.shape[axis] as number);
  return padded(
    graph,
    x,
    x.shape.map((_, i) => [0, i === axis ? more : 0] as const),
  );
}

/** [N, C, H, W] in plain order to blocked order. */
export function toBlocked(graph: GraphBuilder, x: Value): string {
  const source = fitted(graph, x, 1, roundUp(x.shape[1] as number, ALIGNMENT));
  return graph.node("ReorderInput", [source.name], {}, DOMAIN);
}

/** Blocked order to plain order with this many channels. */
export function fromBlocked(graph: GraphBuilder, x: string, channels: number): string {
  return graph.node("ReorderOutput", [x], { channels }, DOMAIN);
}

/** Blocked order to [N, H, W, C]. */
export function toChannelsLast(graph: GraphBuilder, x: string, channels: number): string {
  return graph.node("ReorderOutput", [x], { channels, channels_last: 1 }, DOMAIN);
}

/** [N, R, C] in plain order to [N, C / b, R, b], C a multiple of the block. */
export function blockRows(
  graph: GraphBuilder,
  x: string,
  [n, rows, columns]: readonly [number, number, number],
): string {
  const shaped = graph.reshape(x, [n, 1, rows, columns]);
  return graph.node("ReorderInput", [shaped], { channels_last: 1 }, DOMAIN);
}

/**
 * Weights [O, C, kh, kw] in the order that the blocked convolution reads: [O / b, C / b, kh, kw, b (C), b (O)], both
 * channel axes filled up with zeros. With `plainInput` the input is no blocked tensor and C stays one axis:
 * [O / b, C, kh, kw, b (O)]; so it is for fewer channels than a block, and for depthwise convolutions.
 */
export function blockedWeights(graph: GraphBuilder, weights: Value, plainInput = false): Value {
  const block = blockOf(graph);
  const filters = roundUp(weights.shape[0] as number, block);
  const [, c, rows, columns] = weights.shape as [number, number, number, number];
  const channels = plainInput ? c : roundUp(c, block);
  const filled = fitted(graph, fitted(graph, weights, 0, filters), 1, channels);
  const shape = [filters, channels, rows, columns];
  const taps = rows * columns;
  // The reorderings of activations serve here too; they are several times as fast as Transpose.
  const parted = [filters / block, block, channels, taps];
  const byFilter = graph.reshape(filled.name, parted);
  let ordered = toBlocked(graph, { name: byFilter, dtype: weights.dtype, shape: parted });
  if (!plainInput && taps > 1)
    ordered = blockRows(graph, ordered, [(filters / block) * (channels / block), block, taps * block]);
  return { name: graph.reshape(ordered, shape), dtype: weights.dtype, shape };
}

export interface BlockedConvolution {
  /** Blocked, or plain with fewer channels than a block. */
  readonly x: string;
  /** From `blockedWeights`. */
  readonly weights: string;
  /** As many entries as blocked filters. */
  readonly bias?: string | undefined;
  /** Blocked tensor of the result's shape that is added to it. */
  readonly sum?: string | undefined;
  readonly kernel: readonly [number, number];
  readonly stride: readonly number[];
  readonly dilation: readonly number[];
  /** Top, left, bottom, right. */
  readonly pads: readonly number[];
  readonly groups?: number;
}

/** Two-dimensional convolution; the result is blocked. */
export function blockedConv(graph: GraphBuilder, convolution: BlockedConvolution): string {
  const { x, weights, bias, sum, kernel, stride, dilation, pads, groups = 1 } = convolution;
  const optional = sum === undefined ? (bias === undefined ? [] : [bias]) : [bias ?? "", sum];
  return graph.node(
    "Conv",
    [x, weights, ...optional],
    { kernel_shape: kernel, strides: stride, dilations: dilation, pads, group: groups },
    DOMAIN,
  );
}
