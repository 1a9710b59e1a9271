import { sizeOf } from "../core/ndarray.ts";
import type { Spec } from "../core/tensor.ts";
import type { GraphBuilder } from "../onnx/builder.ts";
import { nodesOf } from "./elementwise.ts";

interface RowSampling {
  readonly padding: "zeros" | "border";
  readonly alignCorners: boolean;
}

/** Index [B, P] and share [B, P] of the two neighbours of coordinates [B, P] along an axis of n pixels. */
function emitNeighbours(
  graph: GraphBuilder,
  coordinate: string,
  n: number,
  { padding, alignCorners }: RowSampling,
  { dtype }: Spec,
): readonly (readonly [index: string, share: string])[] {
  const emit = nodesOf(graph, dtype);
  const factor = (alignCorners ? n - 1 : n) / 2;
  const free = emit("Add", emit("Mul", coordinate, factor), (n - 1) / 2);
  const place = padding === "border" ? emit("Max", emit("Min", free, n - 1), 0) : free;
  const base = emit("Floor", place);
  const part = emit("Sub", place, base);
  return [0, 1].map((offset) => {
    const number = offset === 0 ? base : emit("Add", base, 1);
    const index = emit("Min", emit("Max", number, 0), n - 1);
    const inside = graph.cast(emit("Equal", index, number), dtype);
    return [graph.cast(index, "int64"), emit("Mul", offset === 0 ? emit("Sub", 1, part) : part, inside)];
  });
}

/**
 * Nodes of linear sampling of x [B, C, ...] at places [B, P, D] by rows of channels: the weighted sum of the 2^D
 * neighbours of every place, gathered one after another. ONNX Runtime's GridSample computes neighbours and shares
 * anew for each channel of a volume; from a few channels on, rows are several times faster.
 *
 * @returns the name of the result [B, C, P]
 */
export function emitSampleRows(
  graph: GraphBuilder,
  x: string,
  grid: string,
  options: RowSampling,
  [image, places]: readonly [Spec, Spec],
): string {
  const [batch, channels, ...space] = image.shape as [number, number, ...number[]];
  const [, points, axes] = places.shape as [number, number, number];
  const emit = nodesOf(graph, image.dtype);
  const along = Array.from({ length: axes }, (_, axis) => {
    const bounds = [[axis], [axis + 1], [2]].map((list) => graph.int64s(list));
    const coordinate = graph.reshape(graph.node("Slice", [grid, ...bounds]), [batch, points]);
    return emitNeighbours(graph, coordinate, space[axes - 1 - axis] as number, options, image);
  });
  const strides = along.map((_, axis) => graph.scalar(sizeOf(space.slice(axes - axis)), "int64"));
  const starts = graph.reshape(graph.int64s(Array.from({ length: batch }, (_, b) => b * sizeOf(space))), [
    batch,
    1,
  ]);
  const transposed = graph.node("Transpose", [graph.reshape(x, [batch, channels, sizeOf(space)])], {
    perm: [0, 2, 1],
  });
  const pixels = graph.reshape(transposed, [batch * sizeOf(space), channels]);
  let rows: string | undefined;
  for (let corner = 0; corner < 2 ** axes; corner++) {
    const chosen = along.map((pair, axis) => pair[(corner >> axis) & 1] as readonly [string, string]);
    const row = chosen.reduce(
      (sum, [index], axis) => graph.node("Add", [sum, graph.node("Mul", [index, strides[axis] as string])]),
      starts,
    );
    const share = chosen.map(([, part]) => part).reduce((product, part) => emit("Mul", product, part));
    const found = graph.node("Gather", [pixels, graph.reshape(row, [batch * points])], { axis: 0 });
    const term = emit("Mul", found, graph.reshape(share, [batch * points, 1]));
    rows = rows === undefined ? term : emit("Add", rows, term);
  }
  return graph.node("Transpose", [graph.reshape(rows as string, [batch, points, channels])], {
    perm: [0, 2, 1],
  });
}
