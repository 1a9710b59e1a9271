import type { GraphBuilder } from "../../onnx/builder.ts";
import {
  blockedConv,
  blockedWeights,
  blockOf,
  fitted,
  fromBlocked,
  roundUp,
  toBlocked,
  toChannelsLast,
  transposed,
  type Value,
} from "../../onnx/nchwc.ts";
import type { Border, ConvGeometry } from "./geometry.ts";
import { extent } from "./geometry.ts";

/*
 * Convolutions by the blocked kernels (onnx/nchwc.ts), which are two-dimensional. A line of values is an image of one
 * row. A volume is an image whose rows are those of all its slices, one slice below the other with rows of zeros
 * between them: the neighbour in the next slice is `pitch` rows further down, which a dilated kernel reaches. So a
 * kernel of kd x kh x kw becomes kh kernels of kd x kw, whose results are added up by the kernels themselves.
 */

/** What a convolution is made of; of a transposed one x is what it spreads. */
export interface Operands {
  readonly x: Value;
  readonly weights: Value;
  readonly bias?: Value | undefined;
}

/** Rows from one slice of a stacked volume to the next: enough for its own, for the zeros, and for those of the result. */
function pitchOf(
  shape: readonly number[],
  kernel: readonly number[],
  { padding, dilation }: ConvGeometry,
): number {
  const [before, after] = padding[1] as Border;
  const height = shape[3] as number;
  const rows = height + before + after - extent(kernel[1] as number, dilation[1] as number) + 1;
  return Math.max(height + Math.max(before, after), rows);
}

/** Rows that the stacked volume needs above and below for one row of the kernel. */
function stackPads(
  row: number,
  pitch: number,
  { padding, dilation }: ConvGeometry,
): readonly [top: number, bottom: number] {
  const [[front, back], [above]] = padding as [Border, Border];
  const shift = above - row * (dilation[1] as number);
  return [front * pitch + shift, back * pitch - shift];
}

/** Whether the blocked kernels can do this convolution at all. */
export function blockable(
  shape: readonly number[],
  weights: readonly number[],
  geometry: ConvGeometry,
  block: number,
): boolean {
  const { groups, padding, stride } = geometry;
  const kernel = weights.slice(2);
  const [filters, perGroup] = weights as [number, number];
  const aligned = (filters / groups) % block === 0 && perGroup % block === 0;
  const depthwise = filters === groups && perGroup === 1;
  if (groups > 1 && !aligned && !depthwise) return false;
  if (padding.flat().some((border) => border < 0)) return false;
  if (kernel.length < 3) return true;
  const pitch = pitchOf(shape, kernel, geometry);
  const rows = Array.from({ length: kernel[1] as number }, (_, row) => stackPads(row, pitch, geometry));
  return stride[0] === 1 && stride[1] === 1 && rows.flat().every((n) => n >= 0);
}

/** Rank 3 of lines to rank 4 of images with one row. */
export function asImages(graph: GraphBuilder, x: Value): Value {
  if (x.shape.length > 3) return x;
  const shape = [x.shape[0] as number, x.shape[1] as number, 1, x.shape[2] as number];
  return { ...x, name: graph.reshape(x.name, shape), shape };
}

/** All slices of volumes below each other, with zeros between them. */
function stacked(graph: GraphBuilder, x: Value, pitch: number): Value {
  const [batch, channels, depth, , width] = x.shape as [number, number, number, number, number];
  const spaced = fitted(graph, x, 3, pitch);
  const shape = [batch, channels, depth * pitch, width];
  return { ...x, name: graph.reshape(spaced.name, shape), shape };
}

/** x as the blocked kernels read it: with fewer channels than a block they take the plain layout. */
function blockedInput(graph: GraphBuilder, x: Value): string {
  return (x.shape[1] as number) < blockOf(graph) ? x.name : toBlocked(graph, x);
}

/** Channels last: [B, C, H, W] to [B, H, W, C]; volumes to [B, D, pitch, W, C], by way of the blocked input if that exists. */
export function channelsLast(
  graph: GraphBuilder,
  x: Value,
  kernel: readonly number[],
  geometry: ConvGeometry,
): Value {
  const [batch, channels, ...image] = x.shape as [number, number, ...number[]];
  const volume = image.length === 3;
  const pitch = volume ? pitchOf(x.shape, kernel, geometry) : 0;
  const rows = volume ? stacked(graph, x, pitch) : asImages(graph, x);
  const name =
    channels < blockOf(graph)
      ? transposed(graph, rows.name, [0, 2, 3, 1])
      : toChannelsLast(graph, toBlocked(graph, rows), channels);
  const width = image.at(-1) as number;
  const shape = volume
    ? [batch, image[0] as number, pitch, width, channels]
    : [batch, rows.shape[2] as number, width, channels];
  return { name: volume ? graph.reshape(name, shape) : name, dtype: x.dtype, shape };
}

/** One row of the kernels, [O, C, kd, kh, kw] to [O, C, kd, kw]. */
function kernelRow(graph: GraphBuilder, weights: Value, row: number): Value {
  const [filters, channels, depth, , width] = weights.shape as [number, number, number, number, number];
  const bounds = [[row], [row + 1], [3]].map((list) => graph.int64s(list));
  const cut = graph.node("Slice", [weights.name, ...bounds]);
  const shape = [filters, channels, depth, width];
  return { ...weights, name: graph.reshape(cut, shape), shape };
}

/** The result in blocked layout: an image, or the stacked slices of a volume. */
export function convolveStack(
  graph: GraphBuilder,
  { x, weights, bias }: Operands,
  geometry: ConvGeometry,
): string {
  const { groups } = geometry;
  const depthwise = groups > 1 && weights.shape[1] === 1;
  const plainWeights = depthwise || (x.shape[1] as number) < blockOf(graph);
  const filters = roundUp(weights.shape[0] as number, blockOf(graph));
  const common = {
    bias: bias && fitted(graph, bias, 0, filters).name,
    groups: depthwise ? filters : groups,
  };
  const { stride, dilation, padding } = geometry;
  if (x.shape.length < 5) {
    const [lines, image] = [x.shape.length === 3, asImages(graph, x)];
    const kernels = blockedWeights(graph, asImages(graph, weights), plainWeights);
    const [first, second] = lines ? [[0, 0] as Border, padding[0] as Border] : (padding as [Border, Border]);
    return blockedConv(graph, {
      ...common,
      x: depthwise ? toBlocked(graph, image) : blockedInput(graph, image),
      weights: kernels.name,
      kernel: kernels.shape.slice(2) as [number, number],
      stride: lines ? [1, ...stride] : stride,
      dilation: lines ? [1, ...dilation] : dilation,
      pads: [first[0], second[0], first[1], second[1]],
    });
  }
  const kernel = weights.shape.slice(2) as [number, number, number];
  const pitch = pitchOf(x.shape, kernel, geometry);
  const rows = stacked(graph, x, pitch);
  const source = depthwise ? toBlocked(graph, rows) : blockedInput(graph, rows);
  const [left, right] = padding[2] as Border;
  let sum: string | undefined;
  for (let row = 0; row < kernel[1]; row++) {
    const [top, bottom] = stackPads(row, pitch, geometry);
    sum = blockedConv(graph, {
      ...common,
      x: source,
      weights: blockedWeights(graph, kernelRow(graph, weights, row), plainWeights).name,
      bias: row === 0 ? common.bias : undefined,
      sum,
      kernel: [kernel[0], kernel[2]],
      stride: [1, stride[2] as number],
      dilation: [(dilation[0] as number) * pitch, dilation[2] as number],
      pads: [top, left, bottom, right],
    });
  }
  return sum as string;
}

/** Convolution to `shape` = [B, O, ...positions] by blocked kernels. */
export function convolveBlocked(
  graph: GraphBuilder,
  operands: Operands,
  shape: readonly number[],
  geometry: ConvGeometry,
): string {
  const y = fromBlocked(graph, convolveStack(graph, operands, geometry), shape[1] as number);
  if (shape.length < 5) return shape.length === 3 ? graph.reshape(y, shape) : y;
  const [batch, filters, slices, rows, width] = shape as [number, number, number, number, number];
  const pitch = pitchOf(operands.x.shape, operands.weights.shape.slice(2), geometry);
  const whole: Value = {
    name: graph.reshape(y, [batch, filters, slices, pitch, width]),
    dtype: operands.x.dtype,
    shape: [batch, filters, slices, pitch, width],
  };
  return fitted(graph, whole, 3, rows).name;
}
