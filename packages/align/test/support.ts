import { compile, grad, type NDArray, normalArray, randomKey, type Tensor } from "@concord/tensor";
import { expect } from "vitest";

export type Matrix = number[][];

/** Normal numbers [rows, columns], the same for the same seed. */
export function randomMatrix(seed: number, rows: number, columns: number): NDArray<"float32"> {
  return normalArray(randomKey(seed), [rows, columns]);
}

export function toMatrix(array: NDArray): Matrix {
  const [rows, columns] = array.shape as [number, number];
  return Array.from({ length: rows }, (_, i) =>
    Array.from({ length: columns }, (_, j) => Number(array.data[i * columns + j])),
  );
}

/** The same rows in another order. */
export function takeRows(array: NDArray, order: readonly number[]): NDArray<"float32"> {
  const width = array.shape[1] as number;
  const rows = toMatrix(array);
  return {
    dtype: "float32",
    shape: [order.length, width],
    data: Float32Array.from(order.flatMap((i) => rows[i] as number[])),
  };
}

export function scaled(array: NDArray, factor: (row: number) => number): NDArray<"float32"> {
  const width = array.shape[1] as number;
  const data = Float32Array.from(array.data as Float32Array, (v, i) => v * factor(Math.floor(i / width)));
  return { dtype: "float32", shape: [...array.shape], data };
}

export function dotProduct(a: readonly number[], b: readonly number[]): number {
  return a.reduce((total, value, k) => total + value * (b[k] as number), 0);
}

export function unit(row: readonly number[]): number[] {
  const length = Math.sqrt(dotProduct(row, row));
  return row.map((value) => value / length);
}

export function squaredDistance(a: readonly number[], b: readonly number[]): number {
  return a.reduce((total, value, k) => total + (value - (b[k] as number)) ** 2, 0);
}

export function softmaxOf(row: readonly number[]): number[] {
  const top = Math.max(...row);
  const powers = row.map((value) => Math.exp(value - top));
  const total = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / total);
}

/** The value of a scalar function of tensors. */
export async function scalarOf(fn: (...args: Tensor[]) => Tensor, ...args: NDArray[]): Promise<number> {
  const compiled = compile(fn);
  return Number((await (compiled as (...args: NDArray[]) => Promise<NDArray>)(...args)).data[0]);
}

/** Compares the gradient with respect to the first argument with central differences, in float64. */
export async function expectGradientOfDifferences(
  fn: (x: Tensor, ...rest: Tensor[]) => Tensor,
  x: NDArray,
  ...rest: NDArray[]
): Promise<void> {
  const wide = (array: NDArray): NDArray<"float64"> => ({
    dtype: "float64",
    shape: array.shape,
    data: Float64Array.from(array.data as Float32Array),
  });
  const others = rest.map((other) => (other.dtype === "float32" ? wide(other) : other));
  const value = compile(fn) as (...args: NDArray[]) => Promise<NDArray>;
  const slope = compile(grad(fn)) as (...args: NDArray[]) => Promise<NDArray>;
  const start = wide(x);
  const analytic = (await slope(start, ...others)).data as Float64Array;
  const step = 1e-5;
  const at = async (index: number, shift: number): Promise<number> => {
    const moved = wide(start);
    moved.data[index] = (moved.data[index] as number) + shift;
    return Number((await value(moved, ...others)).data[0]);
  };
  for (let i = 0; i < start.data.length; i++) {
    const numeric = ((await at(i, step)) - (await at(i, -step))) / (2 * step);
    expect(
      Math.abs((analytic[i] as number) - numeric),
      `entry ${i}: ${analytic[i]} and ${numeric}`,
    ).toBeLessThan(1e-6 * Math.max(1, Math.abs(numeric)));
  }
}
