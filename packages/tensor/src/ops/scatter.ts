import { normalizeAxis, sameShape } from "../core/axes.ts";
import { DTypeError, formatShape, ShapeError } from "../core/errors.ts";
import type { Spec, TensorLike } from "../core/tensor.ts";
import { asTensor, defineUnitOp, type Tensor, type UnitOp } from "../core/tensor.ts";
import { add, mul } from "./arithmetic.ts";
import { zerosLike } from "./create.ts";
import { gather, takeAlong } from "./gather.ts";
import { checkIndices, scatterRows } from "./indices.ts";
import { narrow } from "./shape.ts";
import { reshape, squeeze, transpose } from "./structure.ts";

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

const setRowsOp: UnitOp<undefined> = defineUnitOp<undefined>({
  name: "scatterSet",
  infer: ([x]) => [x as Spec],
  lower: (graph, inputs, _attributes, { inputs: specs }) => {
    const [x, indices, updates] = inputs as [string, string, string];
    const rows = (specs[0] as Spec).shape[0] as number;
    return [scatterRows(graph, x, indices, updates, specs[2] as Spec, rows, "none")];
  },
  vjp: ({ inputs, cotangents: [dy] }) => {
    const [, indices, updates] = inputs as [Tensor, Tensor, Tensor];
    return [
      setRowsOp([dy as Tensor, indices, zerosLike(updates)], undefined),
      null,
      gather(dy as Tensor, indices),
    ];
  },
});

/**
 * x with the entries at some indices along an axis replaced, e.g. rows of a memory bank.
 *
 * @param x        [..., N, ...]
 * @param indices  [K] integers in [0, N), each at most once: which of two updates of one place wins is undefined
 * @param updates  [..., K, ...]
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

const setAlongOp: UnitOp<{ readonly axis: number }> = defineUnitOp<{ readonly axis: number }>({
  name: "scatterSetAlong",
  infer: ([x]) => [x as Spec],
  lower: (graph, inputs, { axis }) => [graph.node("ScatterElements", inputs, { axis })],
  vjp: ({ inputs, cotangents: [dy], attributes: { axis } }) => {
    const [, indices, updates] = inputs as [Tensor, Tensor, Tensor];
    return [
      setAlongOp([dy as Tensor, indices, zerosLike(updates)], { axis }),
      null,
      takeAlong(dy as Tensor, indices, axis),
    ];
  },
});

/**
 * x with one entry replaced for each index, y[i][indices[i][j]] = updates[i][j] for the last axis: the inverse of
 * `takeAlong`. No two indices may name one place.
 *
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

/**
 * Entries at whole positions of the K leading axes: [N_1, …, N_K, ...] and [..., K] to [...index axes, ...]. Indices
 * must lie in [0, N_k).
 *
 * @throws ShapeError when an index has more coordinates than x has axes
 */
export function gatherNd(x: TensorLike, indices: TensorLike): Tensor {
  const input = asTensor(x);
  const at = asTensor(indices, "int32");
  checkIndices("gatherNd", at);
  const depth = at.shape.at(-1) ?? 0;
  if (depth < 1 || depth > input.rank)
    throw new ShapeError(
      `gatherNd: indices ${formatShape(at.shape)} name positions of ${depth} axes, x has shape ${formatShape(input.shape)}`,
    );
  let flat: Tensor | undefined;
  for (let axis = 0; axis < depth; axis++) {
    const coordinate = squeeze(narrow(at, -1, axis, 1), -1);
    flat = flat ? add(mul(flat, input.shape[axis] as number), coordinate) : coordinate;
  }
  return gather(reshape(input, [-1, ...input.shape.slice(depth)]), flat as Tensor);
}
