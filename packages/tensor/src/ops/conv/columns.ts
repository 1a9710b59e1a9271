import { sizeOf } from "../../core/ndarray.ts";
import type { GraphBuilder } from "../../onnx/builder.ts";
import { padded, transposed, type Value } from "../../onnx/nchwc.ts";
import type { Border, ConvGeometry, Geometry } from "./geometry.ts";
import { adjoint, extent } from "./geometry.ts";

/** Zeros around the spatial axes; negative borders cut. */
export function paddedImage(graph: GraphBuilder, x: Value, borders: readonly Border[]): Value {
  return padded(graph, x, [[0, 0], [0, 0], ...borders]);
}

/** Indices of a window's entries in row-major order. */
export function taps(kernel: readonly number[]): number[][] {
  return kernel.reduce<number[][]>(
    (list, n) => list.flatMap((tap) => Array.from({ length: n }, (_, i) => [...tap, i])),
    [[]],
  );
}

/** What one tap of the kernel sees at all positions: a strided block of the padded input. */
export function tapSlice(
  graph: GraphBuilder,
  x: Value,
  tap: readonly number[],
  positions: readonly number[],
  { stride, dilation }: Geometry,
): string {
  const starts = tap.map((i, axis) => i * (dilation[axis] as number));
  const ends = starts.map(
    (start, axis) => start + ((positions[axis] as number) - 1) * (stride[axis] as number) + 1,
  );
  const axes = tap.map((_, axis) => axis + 2);
  return graph.node("Slice", [
    x.name,
    graph.int64s(starts),
    graph.int64s(ends),
    graph.int64s(axes),
    graph.int64s(stride),
  ]);
}

/** Every window as a column: [B, C, ...] to [B, groups, C / groups · taps, positions]. */
function columnsOf(
  graph: GraphBuilder,
  x: Value,
  kernel: readonly number[],
  positions: readonly number[],
  geometry: ConvGeometry,
): string {
  const [batch, channels] = x.shape as [number, number];
  const count = sizeOf(positions);
  const source = paddedImage(graph, x, geometry.padding);
  const parts = taps(kernel).map((tap) =>
    graph.reshape(tapSlice(graph, source, tap, positions, geometry), [batch, channels, 1, count]),
  );
  const all = parts.length === 1 ? (parts[0] as string) : graph.node("Concat", parts, { axis: 2 });
  return graph.reshape(all, [batch, geometry.groups, (channels / geometry.groups) * parts.length, count]);
}

/** Convolution as slices and one product; any float type, negative borders allowed. */
export function convolveByColumns(
  graph: GraphBuilder,
  x: Value,
  weights: Value,
  geometry: ConvGeometry,
): string {
  const [batch] = x.shape as [number];
  const [filters, , ...kernel] = weights.shape as [number, number, ...number[]];
  const { groups, stride, padding, dilation } = geometry;
  const positions = x.shape.slice(2).map((n, i) => {
    const [before, after] = padding[i] as Border;
    const span = extent(kernel[i] as number, dilation[i] as number);
    return Math.floor((n + before + after - span) / (stride[i] as number)) + 1;
  });
  const columns = columnsOf(graph, x, kernel, positions, geometry);
  const perFilter = sizeOf(weights.shape) / filters;
  const rows = graph.reshape(weights.name, [1, groups, filters / groups, perFilter]);
  return graph.reshape(graph.node("MatMul", [rows, columns]), [batch, filters, ...positions]);
}

/** stride - 1 zeros between neighbours along the spatial axes. */
export function zeroStuffed(graph: GraphBuilder, x: Value, stride: readonly number[]): Value {
  if (stride.every((step) => step === 1)) return x;
  const [batch, channels, ...sizes] = x.shape as [number, number, ...number[]];
  const wide = [batch, channels, ...sizes.flatMap((n) => [n, 1])];
  const spread = padded(graph, { ...x, name: graph.reshape(x.name, wide), shape: wide }, [
    [0, 0],
    [0, 0],
    ...stride.flatMap((step): Border[] => [
      [0, 0],
      [0, step - 1],
    ]),
  ]);
  const merged = [batch, channels, ...sizes.map((n, i) => n * (stride[i] as number))];
  return paddedImage(
    graph,
    { ...x, name: graph.reshape(spread.name, merged), shape: merged },
    stride.map((step): Border => [0, 1 - step]),
  );
}

/** The kernel that carries a gradient back: flipped, output channels and input channels exchanged within groups. */
export function adjointWeights(graph: GraphBuilder, weights: Value, groups: number): Value {
  const [filters, perGroup, ...kernel] = weights.shape as [number, number, ...number[]];
  const spatial = kernel.map((_, i) => i);
  const flipped = kernel.every((n) => n === 1)
    ? weights.name
    : graph.node("Slice", [
        weights.name,
        graph.int64s(kernel.map(() => -1)),
        graph.int64s(kernel.map((n) => -n - 1)),
        graph.int64s(spatial.map((i) => i + 2)),
        graph.int64s(kernel.map(() => -1)),
      ]);
  const parted = graph.reshape(flipped, [groups, filters / groups, perGroup, ...kernel]);
  const exchanged = transposed(graph, parted, [0, 2, 1, ...spatial.map((i) => i + 3)]);
  const shape = [groups * perGroup, filters / groups, ...kernel];
  return { name: graph.reshape(exchanged, shape), dtype: weights.dtype, shape };
}

/** Gradient of the input: the adjoint convolution of dy with zeros between its entries. */
export function inputGradientByColumns(
  graph: GraphBuilder,
  dy: Value,
  weights: Value,
  image: readonly number[],
  geometry: ConvGeometry,
): string {
  const back = adjoint(image, dy.shape.slice(2), weights.shape.slice(2), geometry);
  const spread = zeroStuffed(graph, dy, geometry.stride);
  return convolveByColumns(graph, spread, adjointWeights(graph, weights, geometry.groups), back);
}

/** Gradient of the weights: products of dy with the windows, summed over the batch. */
export function weightGradientByColumns(
  graph: GraphBuilder,
  x: Value,
  dy: Value,
  shape: readonly number[],
  geometry: ConvGeometry,
): string {
  const [batch, filters, ...positions] = dy.shape as [number, number, ...number[]];
  const { groups } = geometry;
  const columns = columnsOf(graph, x, shape.slice(2), positions, geometry);
  const rows = graph.reshape(dy.name, [batch, groups, filters / groups, sizeOf(positions)]);
  const product =
    graph.target.contribOps && x.dtype === "float32"
      ? graph.node("FusedMatMul", [rows, columns], { transB: 1 }, "com.microsoft")
      : graph.node("MatMul", [rows, transposed(graph, columns, [0, 1, 3, 2])]);
  const total =
    batch === 1 ? product : graph.node("ReduceSum", [product, graph.int64s([0])], { keepdims: 0 });
  return graph.reshape(total, shape);
}
