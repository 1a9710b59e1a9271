import type { GraphBuilder } from "../../onnx/builder.ts";
import type { Value } from "../../onnx/nchwc.ts";
import { convolveBlocked, type Operands } from "./blocked.ts";
import { weightGradientBlocked } from "./blocked-weights.ts";
import {
  adjointWeights,
  convolveByColumns,
  inputGradientByColumns,
  weightGradientByColumns,
} from "./columns.ts";
import type { ConvGeometry } from "./geometry.ts";
import { adjoint, onnxPads, unreached } from "./geometry.ts";
import { forwardStrategy, inputGradientStrategy, weightGradientStrategy } from "./strategy.ts";
import { subpixel, subpixelBlocked, subpixelPlain } from "./subpixel.ts";

function withBias(graph: GraphBuilder, y: string, bias: Value | undefined, rank: number): string {
  if (!bias) return y;
  const shape = Array.from({ length: rank - 1 }, (_, axis) => (axis === 0 ? -1 : 1));
  return graph.node("Add", [y, graph.reshape(bias.name, shape)]);
}

/** Emits y = x ∗ w + bias, of the given shape. */
export function convolve(
  graph: GraphBuilder,
  operands: Operands,
  shape: readonly number[],
  geometry: ConvGeometry,
): string {
  const { x, weights, bias } = operands;
  switch (forwardStrategy(graph.target, x, weights, shape, geometry)) {
    case "columns":
      return withBias(graph, convolveByColumns(graph, x, weights, geometry), bias, shape.length);
    case "blocked":
      return convolveBlocked(graph, operands, shape, geometry);
    case "plain":
      return graph.node("Conv", [x.name, weights.name, ...(bias ? [bias.name] : [])], {
        strides: geometry.stride,
        dilations: geometry.dilation,
        pads: onnxPads(geometry.padding),
        group: geometry.groups,
      });
  }
}

/** Emits the gradient of the input, `x` being dy, of the given shape; plus a bias. */
export function inputGradient(
  graph: GraphBuilder,
  operands: Operands,
  shape: readonly number[],
  geometry: ConvGeometry,
): string {
  const { x: dy, weights, bias } = operands;
  const { stride, dilation, padding, groups } = geometry;
  const [image, positions, kernel] = [shape.slice(2), dy.shape.slice(2), weights.shape.slice(2)];
  switch (inputGradientStrategy(graph.target, dy, weights, shape, geometry)) {
    case "columns":
      return withBias(graph, inputGradientByColumns(graph, dy, weights, image, geometry), bias, shape.length);
    case "adjoint": {
      const back = adjoint(image, positions, kernel, geometry);
      return convolve(graph, { x: dy, weights: adjointWeights(graph, weights, groups), bias }, shape, back);
    }
    case "subpixel": {
      const parts = subpixel(image, positions, kernel, geometry);
      if (!parts) throw new Error("a strategy was chosen that does not exist for this convolution");
      if (graph.target.blockedConv && image.length < 3)
        return subpixelBlocked(graph, operands, shape, parts, stride);
      return subpixelPlain(graph, operands, shape, parts, stride, (part, size, unit) =>
        convolve(graph, part, size, unit),
      );
    }
    case "plain":
      return graph.node("ConvTranspose", [dy.name, weights.name, ...(bias ? [bias.name] : [])], {
        strides: stride,
        dilations: dilation,
        pads: onnxPads(padding),
        group: groups,
        output_padding: unreached(image, positions, kernel, geometry),
      });
  }
}

/** Emits the gradient of the weights, of the given shape. */
export function weightGradient(
  graph: GraphBuilder,
  x: Value,
  dy: Value,
  shape: readonly number[],
  geometry: ConvGeometry,
): string {
  switch (weightGradientStrategy(graph.target, x, dy, shape, geometry)) {
    case "columns":
      return weightGradientByColumns(graph, x, dy, shape, geometry);
    case "blocked":
      return weightGradientBlocked(graph, x, dy, shape, geometry);
  }
}
