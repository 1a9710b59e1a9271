import type { DType } from "../core/ndarray.ts";
import { allocate, ndarray } from "../core/ndarray.ts";
import { asTensor, constant, type Spec, type Tensor, type TensorLike } from "../core/tensor.ts";
import { cast, equal } from "./arithmetic.ts";
import { broadcastTo, expandDims } from "./structure.ts";

/** A tensor filled with one value. */
export function full(shape: readonly number[], value: number, dtype: DType = "float32"): Tensor {
  return broadcastTo(constant(ndarray([value], { shape: [], dtype })), shape);
}

/** A tensor of zeros. */
export function zeros(shape: readonly number[], dtype: DType = "float32"): Tensor {
  return full(shape, 0, dtype);
}

/** A tensor of ones. */
export function ones(shape: readonly number[], dtype: DType = "float32"): Tensor {
  return full(shape, 1, dtype);
}

/** Zeros of the shape and dtype of x. */
export function zerosLike(x: Spec): Tensor {
  return zeros(x.shape, x.dtype);
}

/**
 * 0, 1, …, length - 1: [length].
 *
 * @throws RangeError when the length is no integer >= 0
 */
export function arange(length: number, dtype: DType = "float32"): Tensor {
  if (!Number.isInteger(length) || length < 0)
    throw new RangeError(`arange: needs an integer length >= 0, got ${length}`);
  const data = allocate(dtype, length);
  for (let i = 0; i < length; i++) {
    if (dtype === "int64") (data as BigInt64Array)[i] = BigInt(i);
    else (data as Float32Array)[i] = i;
  }
  return constant({ dtype, shape: [length], data });
}

/** Identity matrix [size, size]. */
export function eye(size: number, dtype: DType = "float32"): Tensor {
  const index = arange(size, "int32");
  return cast(equal(expandDims(index, 1), expandDims(index, 0)), dtype);
}

/**
 * 1 at the index, 0 elsewhere: [...] to [..., depth]. An index outside of [0, depth) gives a row of zeros.
 *
 * @param indices  any shape, int32 or int64
 */
export function oneHot(indices: TensorLike, depth: number, dtype: DType = "float32"): Tensor {
  const at = asTensor(indices, "int32");
  return cast(equal(expandDims(at, -1), arange(depth, at.dtype)), dtype);
}
