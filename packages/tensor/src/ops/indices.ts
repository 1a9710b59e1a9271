import { sameShape } from "../core/axes.ts";
import { DTypeError, formatShape, ShapeError } from "../core/errors.ts";
import { sizeOf } from "../core/ndarray.ts";
import { asTensor, type Spec, type Tensor, type TensorLike } from "../core/tensor.ts";
import type { GraphBuilder } from "../onnx/builder.ts";

/** Throws unless a tensor holds indices, int32 or int64. Indices that an operation returns are int32. */
export function checkIndices(op: string, indices: Tensor): void {
  if (indices.dtype !== "int32" && indices.dtype !== "int64")
    throw new DTypeError(`${op}: indices must be int32 or int64, got ${indices.dtype}`);
}

/** Rows and the segment of each, as tensors. Throws unless there is one id for each row. */
export function segmentOperands(operation: string, x: TensorLike, ids: TensorLike): [x: Tensor, ids: Tensor] {
  const [rows, at] = [asTensor(x), asTensor(ids, "int32")];
  checkIndices(operation, at);
  if (rows.rank === 0 || !sameShape(at.shape, rows.shape.slice(0, 1)))
    throw new ShapeError(
      `${operation}: x [N, ...] and ids [N] have shapes ${formatShape(rows.shape)} and ${formatShape(at.shape)}`,
    );
  return [rows, at];
}

/**
 * Up to this many numbers ScatterND runs on one thread (ONNX Runtime parts work from about 200 000 cycles on). On
 * several threads it adds without guarding repeated indices: updates get lost.
 */
const SINGLE_THREAD_LIMIT = 65_536;

/**
 * Nodes that combine the rows of x [N, ...] with the rows of `start` that ids [N] name. Repeated ids are safe with a
 * reduction; without one each id must occur once.
 */
export function scatterRows(
  graph: GraphBuilder,
  start: string,
  ids: string,
  x: string,
  { shape }: Spec,
  rows: number,
  reduction: "add" | "max" | "min" | "none",
): string {
  const at = graph.reshape(graph.cast(ids, "int64"), [shape[0] as number, 1]);
  if (sizeOf(shape) <= SINGLE_THREAD_LIMIT || reduction === "none")
    return graph.node("ScatterND", [start, at, x], { reduction });
  const width = sizeOf(shape.slice(1));
  const columns = graph.int64s(Array.from({ length: width }, (_, column) => column));
  const positions = graph.node("Add", [
    graph.node("Mul", [at, graph.scalar(width, "int64")]),
    graph.reshape(columns, [1, width]),
  ]);
  const flat = [graph.reshape(start, [rows * width]), graph.reshape(positions, [-1]), graph.reshape(x, [-1])];
  const result = graph.node("ScatterElements", flat, { axis: 0, reduction });
  return graph.reshape(result, [rows, ...shape.slice(1)]);
}
