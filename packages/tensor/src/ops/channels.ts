import { ndarray, sizeOf } from "../core/ndarray.ts";
import type { Spec } from "../core/tensor.ts";
import { defineUnitOp, type Tensor, type UnitOp } from "../core/tensor.ts";
import type { GraphBuilder } from "../onnx/builder.ts";
import { mul } from "./arithmetic.ts";
import { rowProducts } from "./row-products.ts";
import { reshape, sum } from "./structure.ts";

/** A vector with an entry for each channel, shaped to broadcast over [B, C, ...]. */
export function alongChannels(vector: Tensor, rank: number): Tensor {
  return reshape(vector, [1, -1, ...Array.from({ length: rank - 2 }, () => 1)]);
}

/** [B, C, ...] as rows of one channel of one example, which sums are fastest over. */
function channelRows(x: Tensor): Tensor {
  return reshape(x, [(x.shape[0] as number) * (x.shape[1] as number), -1]);
}

/** Sums of rows as sums of channels: [B C] or [B C, 1] to [C]. */
function overBatch(rows: Tensor, channels: number): Tensor {
  const perExample = reshape(rows, [-1, channels]);
  return perExample.shape[0] === 1 ? reshape(perExample, [channels]) : sum(perExample, { axes: 0 });
}

/** Σ x of each channel: [B, C, ...] to [C]. */
export function channelSums(x: Tensor): Tensor {
  return overBatch(sum(channelRows(x), { axes: -1 }), x.shape[1] as number);
}

/** Σ a · b of each channel: twice [B, C, ...] to [C]. */
export function channelProducts(a: Tensor, b: Tensor): Tensor {
  const rows = channelRows(a);
  return overBatch(rowProducts(rows, a === b ? rows : channelRows(b)), a.shape[1] as number);
}

/** (x - average) / √(variance + ε) · scale + shift by channel, in one pass over memory. */
export function emitNormalisation(
  graph: GraphBuilder,
  [x, ...vectors]: readonly string[],
  { shape, dtype }: Spec,
  epsilon: number,
): string {
  if (sizeOf(shape.slice(2)) > 1) {
    if (dtype === "float32" || epsilon === 0)
      return graph.node("BatchNormalization", [x as string, ...vectors], { epsilon: { float: epsilon } });
    // The attribute of the kernel is float32, so that in float64 epsilon has to be a value.
    const shifted = graph.node("Add", [vectors[3] as string, graph.scalar(epsilon, dtype)]);
    return graph.node("BatchNormalization", [x as string, ...vectors.with(3, shifted)], {
      epsilon: { float: 0 },
    });
  }
  // The kernel takes a call for each example and channel, which a vector's length must be worth.
  const [scale, shift, average, variance] = vectors.map((vector) =>
    graph.reshape(vector, [shape[1] as number, ...shape.slice(2)], [shape[1] as number]),
  ) as [string, string, string, string];
  const deviation = graph.node("Sqrt", [graph.node("Add", [variance, graph.scalar(epsilon, dtype)])]);
  const standardized = graph.node("Div", [graph.node("Sub", [x as string, average]), deviation]);
  return graph.node("Add", [graph.node("Mul", [standardized, scale]), shift]);
}

const affineOp: UnitOp<undefined, [x: Tensor, scale: Tensor, shift: Tensor]> = defineUnitOp({
  name: "affineChannels",
  infer: ([x]) => [x],
  lower: (graph, inputs, _attributes, { inputs: specs }) => {
    const { shape, dtype } = specs[0];
    const channels = shape[1] as number;
    const all = (value: number): string =>
      graph.constant(ndarray(new Array<number>(channels).fill(value), { shape: [channels], dtype }));
    return [emitNormalisation(graph, [...inputs, all(0), all(1)], specs[0], 0)];
  },
  vjp: ({ inputs, cotangents }) => {
    const [x, scale] = inputs;
    const dy = cotangents[0];
    return [mul(dy, alongChannels(scale, x.rank)), channelProducts(dy, x), channelSums(dy)];
  },
});

/** x · scale + shift by channel: [B, C, ...] and two times [C]. */
export function affineChannels(x: Tensor, scale: Tensor, shift: Tensor): Tensor {
  return affineOp([x, scale, shift], undefined);
}
