import { readFileSync } from "node:fs";
import type { DType, NDArray } from "../../src/index.ts";
import { ndarray } from "../../src/index.ts";
import { families } from "./families.ts";

export interface StoredArray {
  readonly shape: readonly number[];
  /** Left out for floats. */
  readonly dtype?: DType;
  readonly data: readonly number[];
}

export interface OperationCase {
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly inputs: readonly StoredArray[];
  readonly outputs: readonly StoredArray[];
  readonly gradients: readonly (StoredArray | null)[];
}

/** Content of a file that `fixtures/generate.py` wrote. */
export function readFixture<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(`../fixtures/${name}.json`, import.meta.url), "utf8")) as T;
}

/** The cases of every operation, from all families. */
export function operationCases(): ReadonlyMap<string, readonly OperationCase[]> {
  return new Map(
    [...families].flatMap(([group, { applications }]) =>
      Object.keys(applications).length === 0
        ? []
        : Object.entries(readFixture<Record<string, OperationCase[]>>(group)),
    ),
  );
}

/** A stored array in memory; floats become `float`. */
export function toArray(stored: StoredArray, float: DType = "float32"): NDArray {
  return ndarray(stored.data, { shape: stored.shape, dtype: stored.dtype ?? float });
}

/** Weights of the k-th output in the scalar whose gradients are stored: cos(1 + 0.7 i + k). */
export function outputWeights(shape: readonly number[], k: number, dtype: DType): NDArray {
  const size = shape.reduce((product, n) => product * n, 1);
  return ndarray(
    Array.from({ length: size }, (_, i) => Math.cos(1 + 0.7 * i + k)),
    { shape, dtype },
  );
}
