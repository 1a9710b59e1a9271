import { broadcastShapes } from "../../core/axes.ts";
import { formatShape, ShapeError } from "../../core/errors.ts";
import type { TensorLike } from "../../core/tensor.ts";
import { asTensor, checkDType, type Tensor } from "../../core/tensor.ts";
import { add, mul } from "../arithmetic.ts";
import { broadcastTo, reshape, transpose } from "../structure.ts";

/** A tensor of float matrices [..., M, N]. */
export function asMatrices(operation: string, x: TensorLike): Tensor {
  const input = asTensor(x);
  checkDType(operation, [input]);
  if (input.rank < 2)
    throw new ShapeError(`${operation}: expected axes [..., M, N], got ${formatShape(input.shape)}`);
  return input;
}

/** As `asMatrices`, for square ones [..., N, N]. */
export function asSquare(operation: string, x: TensorLike): Tensor {
  const input = asMatrices(operation, x);
  if (input.shape.at(-1) !== input.shape.at(-2) || input.shape.at(-1) === 0)
    throw new ShapeError(
      `${operation}: expected square matrices [..., N, N], got ${formatShape(input.shape)}`,
    );
  return input;
}

/** Matrices with all leading axes in one: [B, M, N]. */
export function flatBatch(x: Tensor): Tensor {
  return reshape(x, [x.shape.slice(0, -2).reduce((product, n) => product * n, 1), ...x.shape.slice(-2)]);
}

/** Two batches of matrices with equal leading axes. */
export function sameBatch(operation: string, a: Tensor, b: Tensor): readonly [Tensor, Tensor] {
  const lead = broadcastShapes(operation, a.shape.slice(0, -2), b.shape.slice(0, -2));
  return [broadcastTo(a, [...lead, ...a.shape.slice(-2)]), broadcastTo(b, [...lead, ...b.shape.slice(-2)])];
}

/** (x + xᵀ) / 2 */
export function symmetricPart(x: Tensor): Tensor {
  return mul(add(x, transpose(x)), 0.5);
}
