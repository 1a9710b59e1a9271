import { normalizeAxis } from "../core/axes.ts";
import { formatShape, ShapeError } from "../core/errors.ts";
import type { DType } from "../core/ndarray.ts";
import type { TensorLike } from "../core/tensor.ts";
import { asOperands, asTensor, checkDType, defineOp, type Tensor } from "../core/tensor.ts";
import { cast, less, lessOrEqual } from "./arithmetic.ts";
import { scatterAddAlong } from "./gather.ts";
import { expandDims, sum } from "./structure.ts";

const SORTED: readonly DType[] = ["float32", "float64", "int32", "int64"];

interface TopKAttributes {
  readonly k: number;
  readonly axis: number;
  readonly largest: boolean;
}

const topKOp = defineOp<TopKAttributes, [x: Tensor], [values: Tensor, indices: Tensor]>({
  name: "topK",
  infer: ([x], { k, axis }) => {
    checkDType("topK", [x], SORTED);
    const { shape, dtype } = x;
    const size = shape[axis] as number;
    if (!(Number.isInteger(k) && k >= 1 && k <= size))
      throw new ShapeError(
        `topK: k must be an integer from 1 to ${size}, the size of axis ${axis} of ${formatShape(shape)}; got ${k}`,
      );
    const best = shape.with(axis, k);
    return [
      { shape: best, dtype },
      { shape: best, dtype: "int32" },
    ];
  },
  lower: (graph, [x], { k, axis, largest }, { used }) => {
    const attributes = { axis, largest: Number(largest), sorted: 1 };
    const outputs = graph.nodeWithOutputs("TopK", [x, graph.int64s([k])], 2, attributes);
    const [values, indices] = outputs as [string, string];
    return [values, used[1] ? graph.cast(indices, "int32") : ""];
  },
  vjp: ({ inputs: [x], outputs: [, indices], cotangents: [dy], attributes: { axis } }) => [
    dy ? scatterAddAlong(dy, indices, x.shape, axis) : null,
  ],
});

export interface TopKOptions {
  /** Largest or smallest entries. Default true. */
  readonly largest?: boolean;
}

/**
 * The k largest (or smallest) entries along an axis, best first, and where they stood (int32). Among equals the one
 * with the smaller index comes first. Gradients flow to the entries that were chosen.
 *
 * @param x     [..., N, ...] to values and indices [..., k, ...]
 * @param axis  default: the last
 * @throws ShapeError unless 1 ≤ k ≤ N; DTypeError for booleans and uint8
 */
export function topK(
  x: TensorLike,
  k: number,
  axis = -1,
  options: TopKOptions = {},
): { readonly values: Tensor; readonly indices: Tensor } {
  const input = asTensor(x);
  const attributes = { k, axis: normalizeAxis("topK", axis, input.rank), largest: options.largest ?? true };
  const [values, indices] = topKOp([input], attributes);
  return { values, indices };
}

export interface SortOptions {
  /** Largest first. Default false. */
  readonly descending?: boolean;
}

function sorted(name: string, x: TensorLike, axis: number, options: SortOptions): ReturnType<typeof topK> {
  const input = asTensor(x);
  const along = normalizeAxis(name, axis, input.rank);
  return topK(input, input.shape[along] as number, along, { largest: options.descending ?? false });
}

/**
 * Entries in order along an axis; the shape stays. Each gradient goes back to where its entry stood, so that among
 * equal entries none shares with another.
 *
 * @param axis  default: the last
 * @throws ShapeError when x has no such axis or no entry along it; DTypeError for booleans and uint8
 */
export function sort(x: TensorLike, axis = -1, options: SortOptions = {}): Tensor {
  return sorted("sort", x, axis, options).values;
}

/**
 * Indices (int32) that sort x along an axis, for `takeAlong`; equal entries keep their order. No gradient.
 *
 * @param axis  default: the last
 * @throws ShapeError when x has no such axis or no entry along it; DTypeError for booleans and uint8
 */
export function argsort(x: TensorLike, axis = -1, options: SortOptions = {}): Tensor {
  return sorted("argsort", x, axis, options).indices;
}

/**
 * Where values belong in ascending lists (int32): the number of entries below each value, or not above it with
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
  return sum(cast(compare(lists, expandDims(wanted, -1)), "int32"), { axes: -1 });
}
