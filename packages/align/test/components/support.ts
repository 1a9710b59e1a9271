import { compile, grad, type NDArray, type Tensor } from "@concord/tensor";
import { expect } from "vitest";
import fixtures from "../fixtures/components.json" with { type: "json" };

export { fixtures };

/** Numbers in lists of equal lengths, to any depth. */
export type Nested = number | readonly Nested[];

function flatten(values: Nested): number[] {
  return typeof values === "number" ? [values] : values.flatMap(flatten);
}

/** Nested numbers as a float64 array, so that nothing is rounded on the way. */
export function wide(values: Nested): NDArray<"float64"> {
  const shape: number[] = [];
  for (let level: Nested | undefined = values; typeof level === "object"; level = level[0])
    shape.push(level.length);
  return { dtype: "float64", shape, data: Float64Array.from(flatten(values)) };
}

export function integers(values: readonly number[]): NDArray<"int32"> {
  return { dtype: "int32", shape: [values.length], data: Int32Array.from(values) };
}

export function flags(values: readonly (boolean | number)[]): NDArray<"bool"> {
  return { dtype: "bool", shape: [values.length], data: Uint8Array.from(values, Number) };
}

/** The result of a function of tensors. */
export async function run<R>(fn: (...args: Tensor[]) => R, ...args: NDArray[]) {
  return (compile(fn) as unknown as (...args: NDArray[]) => Promise<NDArray>)(...args);
}

/** The gradient with respect to the first argument. */
export async function gradientOf(fn: (...args: Tensor[]) => Tensor, ...args: NDArray[]): Promise<NDArray> {
  return (compile(grad(fn)) as unknown as (...args: NDArray[]) => Promise<NDArray>)(...args);
}

/** Every number within a tolerance, absolute below 1 and relative above. */
export function expectClose(got: NDArray | readonly number[], want: Nested, tolerance: number): void {
  const values = "data" in got ? Array.from(got.data as ArrayLike<number>, Number) : got;
  const expected = flatten(want);
  expect(values.length).toBe(expected.length);
  for (const [i, value] of values.entries()) {
    const target = expected[i] as number;
    expect(Math.abs(value - target), `entry ${i}: ${value}, expected ${target}`).toBeLessThanOrEqual(
      tolerance * Math.max(1, Math.abs(target)),
    );
  }
}
