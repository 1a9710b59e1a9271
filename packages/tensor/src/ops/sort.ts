import { normalizeAxis } from "../core/axes.ts";
import { formatShape, ShapeError } from "../core/errors.ts";
import type { DType } from "../core/ndarray.ts";
import type { Spec, TensorLike } from "../core/tensor.ts";
import { asOperands, asTensor, checkDType, defineOp, defineUnitOp, type Tensor } from "../core/tensor.ts";
import { cast, less, lessOrEqual } from "./arithmetic.ts";
import { scatterAddAlong } from "./gather.ts";
import { expandDims, reducedShape, squeeze, sum } from "./structure.ts";

const SORTED: readonly DType[] = ["float32", "float64", "int32", "int64"];

interface TopKAttributes {
  readonly k: number;
  readonly axis: number;
  readonly largest: boolean;
}

const topKOp = defineOp<TopKAttributes>({
  name: "topK",
  infer: ([x], { k, axis }) => {
    const shape = (x as Spec).shape.with(axis, k);
    return [
      { shape, dtype: (x as Spec).dtype },
      { shape, dtype: "int64" },
    ];
  },
  lower: (graph, [x], { k, axis, largest }) =>
    graph.nodeWithOutputs("TopK", [x as string, graph.int64s([k])], 2, {
      axis,
      largest: Number(largest),
      sorted: 1,
    }),
  vjp: ({ inputs: [x], outputs: [, indices], cotangents: [dy], attributes: { axis } }) => [
    dy ? scatterAddAlong(dy, indices as Tensor, (x as Tensor).shape, axis) : null,
  ],
});

export interface TopKOptions {
  /** Default: the last. */
  readonly axis?: number;
  /** Largest or smallest entries. Default true. */
  readonly largest?: boolean;
}

/**
 * The k largest (or smallest) entries along an axis, best first, and where they stood (int64). Among equals the one
 * with the smaller index comes first. Gradients flow to the entries that were chosen.
 *
 * @param x  [..., N, ...] to values and indices [..., k, ...]
 * @throws ShapeError unless 1 ≤ k ≤ N
 */
export function topK(
  x: TensorLike,
  k: number,
  options: TopKOptions = {},
): { readonly values: Tensor; readonly indices: Tensor } {
  const input = asTensor(x);
  checkDType("topK", [input], SORTED);
  const axis = normalizeAxis("topK", options.axis ?? -1, input.rank);
  const size = input.shape[axis] as number;
  if (!(Number.isInteger(k) && k >= 1 && k <= size))
    throw new ShapeError(
      `topK: k must be an integer from 1 to ${size}, the size of axis ${axis} of ${formatShape(input.shape)}; got ${k}`,
    );
  const [values, indices] = topKOp([input], { k, axis, largest: options.largest ?? true }) as [
    Tensor,
    Tensor,
  ];
  return { values, indices };
}

export interface SortOptions {
  /** Default: the last. */
  readonly axis?: number;
  /** Largest first. Default false. */
  readonly descending?: boolean;
}

function sorted(
  x: TensorLike,
  { axis = -1, descending = false }: SortOptions,
  name: string,
): ReturnType<typeof topK> {
  const input = asTensor(x);
  const along = normalizeAxis(name, axis, input.rank);
  return topK(input, input.shape[along] as number, { axis: along, largest: descending });
}

/** Entries in order along an axis. Gradients go back to where the entries stood. */
export function sort(x: TensorLike, options: SortOptions = {}): Tensor {
  return sorted(x, options, "sort").values;
}

/** Indices (int64) that sort x along an axis; equal entries keep their order. */
export function argsort(x: TensorLike, options: SortOptions = {}): Tensor {
  return sorted(x, options, "argsort").indices;
}

const argminOp = defineUnitOp<{ readonly axis: number }>({
  name: "argmin",
  infer: ([x], { axis }) => [{ shape: reducedShape((x as Spec).shape, [axis]), dtype: "int32" }],
  lower: (graph, inputs, { axis }) => [
    graph.cast(graph.node("ArgMin", inputs, { axis, keepdims: 1 }), "int32"),
  ],
});

/** Index of the smallest value along an axis (int32; the first one among equals). The axis is dropped. */
export function argmin(x: TensorLike, axis = -1): Tensor {
  const input = asTensor(x);
  const along = normalizeAxis("argmin", axis, input.rank);
  return squeeze(argminOp([input], { axis: along }), along);
}

/**
 * Where values belong in ascending lists (int64): the number of entries below each value, or not above it with
 * `right`. Compares all pairs, N · M of them. No gradient.
 *
 * @param boundaries  [N] or [..., N], ascending along the last axis
 * @param values      [..., M] to indices 0 to N of the same shape
 * @throws ShapeError when leading axes do not broadcast
 */
export function searchSorted(
  boundaries: TensorLike,
  values: TensorLike,
  options: { readonly right?: boolean } = {},
): Tensor {
  const [list, wanted] = asOperands("searchSorted", boundaries, values);
  if (list.rank === 0)
    throw new ShapeError(`searchSorted: boundaries need an axis [..., N], got ${formatShape(list.shape)}`);
  const compare = options.right ? lessOrEqual : less;
  const lists = list.rank === 1 ? list : expandDims(list, -2);
  return sum(cast(compare(lists, expandDims(wanted, -1)), "int64"), { axes: -1 });
}
