import { formatShape, ShapeError } from "./errors.ts";
import type { NDArray, TypedArray } from "./ndarray.ts";
import { isNDArray, sizeOf } from "./ndarray.ts";
import { treeEntries, treeMap } from "./tree.ts";

/**
 * Number of rows of a tree of arrays: the size of their first axis. Numbers and scalars have none.
 *
 * @throws ShapeError when two arrays have different numbers of rows, or none has any
 */
export function rowCount(tree: unknown, what: string): number {
  let known: { readonly path: string; readonly rows: number } | undefined;
  for (const [path, leaf] of treeEntries(tree)) {
    if (!isNDArray(leaf) || leaf.shape.length === 0) continue;
    const rows = leaf.shape[0] as number;
    if (known && known.rows !== rows)
      throw new ShapeError(
        `${what}: '${path}' ${formatShape(leaf.shape)} has ${rows} rows, '${known.path}' has ${known.rows}`,
      );
    known ??= { path, rows };
  }
  if (!known) throw new ShapeError(`${what}: no array has a first axis`);
  return known.rows;
}

/** Rows [start, end) of an array, without a copy. */
export function rowsOfArray(array: NDArray, start: number, end: number): NDArray {
  const inner = array.shape.slice(1);
  const width = sizeOf(inner);
  const data: TypedArray = array.data.subarray(start * width, end * width);
  return { dtype: array.dtype, shape: [end - start, ...inner], data } as NDArray;
}

/** Rows [start, end) of every array of a tree, without copies; numbers and scalars stay. */
export function rowsOfTree<T>(tree: T, start: number, end: number): T {
  return treeMap(tree, (leaf) =>
    isNDArray(leaf) && leaf.shape.length > 0 ? rowsOfArray(leaf, start, end) : leaf,
  ) as T;
}

/** Bounds of chunks of `size` rows; the last one may be smaller. */
export function chunksOf(rows: number, size: number): readonly (readonly [start: number, end: number])[] {
  return Array.from(
    { length: Math.ceil(rows / size) },
    (_, i) => [i * size, Math.min(rows, (i + 1) * size)] as const,
  );
}
