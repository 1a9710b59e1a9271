import type { GraphBuilder } from "../../onnx/builder.ts";
import type { Value } from "./columns.ts";
import { convolveByColumns, inputGradientByColumns, reshaped, weightGradientByColumns } from "./columns.ts";
import type { ConvGeometry } from "./geometry.ts";
import { onnxPads, unreached } from "./geometry.ts";

function withBias(graph: GraphBuilder, y: string, bias: Value | undefined, rank: number): string {
  if (!bias) return y;
  const shape = Array.from({ length: rank - 1 }, (_, axis) => (axis === 0 ? -1 : 1));
  return graph.node("Add", [y, reshaped(graph, bias.name, shape)]);
}

/** Emits y = x ∗ w + bias. */
export function convolve(
  graph: GraphBuilder,
  { x, weights, bias }: { readonly x: Value; readonly weights: Value; readonly bias?: Value },
  shape: readonly number[],
  geometry: ConvGeometry,
): string {
  if (x.dtype !== "float32")
    return withBias(graph, convolveByColumns(graph, x, weights, geometry), bias, shape.length);
  const { stride, dilation, padding, groups } = geometry;
  return graph.node("Conv", [x.name, weights.name, ...(bias ? [bias.name] : [])], {
    strides: stride,
    dilations: dilation,
    pads: onnxPads(padding),
    group: groups,
  });
}

/** Emits the gradient of the input, of the given shape, plus a bias. */
export function inputGradient(
  graph: GraphBuilder,
  { dy, weights, bias }: { readonly dy: Value; readonly weights: Value; readonly bias?: Value },
  shape: readonly number[],
  geometry: ConvGeometry,
): string {
  const image = shape.slice(2);
  if (dy.dtype !== "float32")
    return withBias(graph, inputGradientByColumns(graph, dy, weights, image, geometry), bias, shape.length);
  const { stride, dilation, padding, groups } = geometry;
  return graph.node("ConvTranspose", [dy.name, weights.name, ...(bias ? [bias.name] : [])], {
    strides: stride,
    dilations: dilation,
    pads: onnxPads(padding),
    group: groups,
    output_padding: unreached(image, dy.shape.slice(2), weights.shape.slice(2), geometry),
  });
}

/** Emits the gradient of the weights, of the given shape. */
export function weightGradient(
  graph: GraphBuilder,
  x: Value,
  dy: Value,
  shape: readonly number[],
  geometry: ConvGeometry,
): string {
  return weightGradientByColumns(graph, x, dy, shape, geometry);
}
