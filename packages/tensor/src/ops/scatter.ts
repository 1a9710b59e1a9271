import { normalizeAxis, sameShape } from "../core/axes.ts";
import { DTypeError, formatShape, ShapeError } from "../core/errors.ts";
import type { TensorLike } from "../core/tensor.ts";
import { asTensor, defineUnitOp, type Tensor, type UnitOp } from "../core/tensor.ts";
import { zerosLike } from "./create.ts";
import { gather, takeAlong } from "./gather.ts";
import { checkIndices, scatterRows } from "./indices.ts";
import { transpose } from "./structure.ts";

export { scatterAddAlong } from "./gather.ts";

function checkUpdates(operation: string, x: Tensor, updates: Tensor, expected: readonly number[]): void {
  if (updates.dtype !== x.dtype)
    throw new DTypeError(
      `${operation}: x and updates have dtypes ${x.dtype} and ${updates.dtype}; convert one with cast()`,
    );
  if (!sameShape(updates.shape, expected))
    throw new ShapeError(
      `${operation}: updates have shape ${formatShape(updates.shape)}, expected ${formatShape(expected)}`,
    );
}

const setRowsOp: UnitOp<undefined, [x: Tensor, indices: Tensor, updates: Tensor]> = defineUnitOp({
  name: "scatterSet",
  infer: ([x]) => [x],
  lower: (graph, inputs, _attributes, { inputs: specs }) => {
    const [x, indices, updates] = inputs;
    const rows = specs[0].shape[0] as number;
    return [scatterRows(graph, x, indices, updates, specs[2], rows, "none")];
  },
  vjp: ({ inputs, cotangents: [dy] }) => {
    const [, indices, updates] = inputs;
    return [setRowsOp([dy, indices, zerosLike(updates)], undefined), null, gather(dy, indices)];
  },
});

/**
 * x with the entries at some indices along an axis replaced, e.g. rows of a memory bank.
 *
 * @param x        [..., N, ...]
 * @param indices  [K] integers in [0, N), each at most once: which of two updates of one place wins is undefined
 * @param updates  [..., K, ...]
 * @param axis     default: the first
 * @returns [..., N, ...]
 * @throws ShapeError, DTypeError when updates or indices do not fit
 */
export function scatterSet(x: TensorLike, indices: TensorLike, updates: TensorLike, axis = 0): Tensor {
  const input = asTensor(x);
  const at = asTensor(indices, "int32");
  const news = asTensor(updates, input.dtype);
  checkIndices("scatterSet", at);
  const along = normalizeAxis("scatterSet", axis, input.rank);
  if (at.rank !== 1)
    throw new ShapeError(`scatterSet: indices have shape ${formatShape(at.shape)}, expected axes [K]`);
  checkUpdates("scatterSet", input, news, input.shape.with(along, at.shape[0] as number));
  const order = [along, ...input.shape.map((_, i) => i).filter((i) => i !== along)];
  const result = setRowsOp([transpose(input, order), at, transpose(news, order)], undefined);
  return transpose(
    result,
    order.map((_, i) => order.indexOf(i)),
  );
}

const setAlongOp: UnitOp<{ readonly axis: number }, [x: Tensor, indices: Tensor, updates: Tensor]> =
  defineUnitOp({
    name: "scatterSetAlong",
    infer: ([x]) => [x],
    lower: (graph, inputs, { axis }) => [graph.node("ScatterElements", inputs, { axis })],
    vjp: ({ inputs, cotangents: [dy], attributes: { axis } }) => {
      const [, indices, updates] = inputs;
      return [setAlongOp([dy, indices, zerosLike(updates)], { axis }), null, takeAlong(dy, indices, axis)];
    },
  });

/**
 * x with one entry replaced for each index, y[i][indices[i][j]] = updates[i][j] for the last axis: the inverse of
 * `takeAlong`.
 *
 * @param x        [..., N, ...]
 * @param indices  [..., K, ...] int32 or int64 in [0, N), no place twice
 * @param updates  [..., K, ...]
 * @param axis     default: the last
 * @returns [..., N, ...]
 * @throws ShapeError, DTypeError when updates or indices do not fit
 */
export function scatterSetAlong(x: TensorLike, indices: TensorLike, updates: TensorLike, axis = -1): Tensor {
  const input = asTensor(x);
  const at = asTensor(indices, "int32");
  const news = asTensor(updates, input.dtype);
  checkIndices("scatterSetAlong", at);
  const along = normalizeAxis("scatterSetAlong", axis, input.rank);
  if (at.rank !== input.rank || !sameShape(at.shape.with(along, 0), input.shape.with(along, 0)))
    throw new ShapeError(
      `scatterSetAlong: x ${formatShape(input.shape)} and indices ${formatShape(at.shape)} differ outside axis ${axis}`,
    );
  checkUpdates("scatterSetAlong", input, news, at.shape);
  return setAlongOp([input, at, news], { axis: along });
}
