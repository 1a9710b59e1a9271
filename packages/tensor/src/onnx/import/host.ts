import { broadcastShapes } from "../../core/axes.ts";
import type { DType, NDArray, TypedArray } from "../../core/ndarray.ts";
import { allocate, isFloat, sizeOf } from "../../core/ndarray.ts";
import type { NodeCall } from "./call.ts";

/** Arithmetic on small arrays that are known while a graph is traced: shapes, axes, masks. */

const INT64_MAX = 2n ** 63n - 1n;

/** A number as an int64: out of range goes to the nearest end, as "until the end" in Slice wants it. */
function toInt64(value: number): bigint {
  if (Number.isNaN(value)) return 0n;
  if (value >= 2 ** 63) return INT64_MAX;
  if (value <= -(2 ** 63)) return -INT64_MAX - 1n;
  return BigInt(Math.trunc(value));
}

function put(data: TypedArray, dtype: DType, at: number, value: number): void {
  if (dtype === "int64") (data as BigInt64Array)[at] = toInt64(value);
  else (data as Float32Array)[at] = dtype === "bool" ? Number(value !== 0) : value;
}

/** An array whose entries are computed one by one. */
export function build(
  call: NodeCall,
  shape: readonly number[],
  dtype: DType,
  value: (index: number) => number,
): NDArray {
  const size = call.reserve(shape);
  const data = allocate(dtype, size);
  for (let i = 0; i < size; i++) put(data, dtype, i, value(i));
  return { dtype, shape: [...shape], data } as NDArray;
}

/** Row-major steps of each axis. */
export function stridesOf(shape: readonly number[]): number[] {
  const strides = shape.map(() => 1);
  for (let axis = shape.length - 2; axis >= 0; axis--)
    strides[axis] = (strides[axis + 1] as number) * (shape[axis + 1] as number);
  return strides;
}

/** The index along each axis of the entry at a position in memory. */
export function unravel(position: number, shape: readonly number[]): number[] {
  const index = shape.map(() => 0);
  let rest = position;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const size = shape[axis] as number;
    index[axis] = rest % size;
    rest = Math.floor(rest / size);
  }
  return index;
}

/** An array whose entries are entries of another one, `from` gives their positions. */
export function rearrange(
  call: NodeCall,
  x: NDArray,
  shape: readonly number[],
  from: (index: readonly number[]) => number,
): NDArray {
  const size = call.reserve(shape);
  const data = allocate(x.dtype, size) as { [at: number]: number | bigint };
  for (let i = 0; i < size; i++) {
    const value = x.data[from(unravel(i, shape))];
    if (value === undefined) call.fail(`an index reaches outside of [${x.shape.join(", ")}]`);
    data[i] = value;
  }
  return { dtype: x.dtype, shape: [...shape], data: data as unknown as TypedArray } as NDArray;
}

/** Where each entry of a broadcast result comes from. */
export function broadcastPositions(
  from: readonly number[],
  to: readonly number[],
): (index: readonly number[]) => number {
  const strides = stridesOf(from);
  const lead = to.length - from.length;
  return (index) => {
    let position = 0;
    for (let axis = 0; axis < from.length; axis++)
      if (from[axis] !== 1) position += (index[axis + lead] as number) * (strides[axis] as number);
    return position;
  };
}

/** Applies a function to the entries of arrays that broadcast. */
export function elementwise(
  call: NodeCall,
  inputs: readonly NDArray[],
  dtype: DType,
  compute: (...values: number[]) => number,
): NDArray {
  const shape = inputs.reduce(
    (common: readonly number[], x) => broadcastShapes(call.node.op, common, x.shape),
    [],
  );
  const positions = inputs.map((x) => broadcastPositions(x.shape, shape));
  return build(call, shape, dtype, (i) => {
    const index = unravel(i, shape);
    return compute(...inputs.map((x, k) => Number(x.data[(positions[k] as (i: number[]) => number)(index)])));
  });
}

/** Reduces axes; they stay with size 1. */
export function reduceHost(
  call: NodeCall,
  x: NDArray,
  axes: readonly number[],
  start: number,
  combine: (total: number, value: number) => number,
): { readonly totals: Float64Array; readonly shape: number[]; readonly count: number } {
  const shape = x.shape.map((n, axis) => (axes.includes(axis) ? 1 : n));
  call.reserve(x.shape);
  const totals = new Float64Array(sizeOf(shape)).fill(start);
  const to = broadcastPositions(shape, x.shape);
  for (let i = 0; i < x.data.length; i++) {
    const at = to(unravel(i, x.shape));
    totals[at] = combine(totals[at] as number, Number(x.data[i]));
  }
  return { totals, shape, count: axes.reduce((n, axis) => n * (x.shape[axis] as number), 1) };
}

/** The quotient as the element type rounds it: integers towards zero. */
export function quotient(dtype: DType): (a: number, b: number) => number {
  return isFloat(dtype) ? (a, b) => a / b : (a, b) => (b === 0 ? Number.NaN : Math.trunc(a / b));
}
