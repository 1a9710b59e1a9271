import { formatShape, ShapeError } from "./errors.ts";
import type { NDArray } from "./ndarray.ts";
import { allocate, isNDArray, ndarray, sizeOf } from "./ndarray.ts";
import type { Spec } from "./tensor.ts";
import { placeholder, Tensor } from "./tensor.ts";
import type { Traced } from "./tree.ts";
import { treeEntries, treeMap } from "./tree.ts";

export type Leaves = ReadonlyMap<string, NDArray>;

/**
 * A tree of concrete arrays (numbers become float32 scalars) by the paths of its leaves.
 *
 * @throws TypeError when a leaf is no array, RangeError when its data does not fill its shape
 */
export function concreteLeaves(tree: unknown, what: string): Map<string, NDArray> {
  return new Map(
    treeEntries(tree).map(([path, leaf]) => {
      if (typeof leaf === "number") return [path, ndarray([leaf], { shape: [] })];
      if (isNDArray(leaf)) {
        if (sizeOf(leaf.shape) !== leaf.data.length)
          throw new RangeError(
            `${what}: '${path}' has ${leaf.data.length} values, which do not fill its shape ${formatShape(leaf.shape)}`,
          );
        return [path, leaf];
      }
      if (leaf instanceof Tensor && leaf.node.source.kind === "constant")
        return [path, leaf.node.source.value];
      throw new TypeError(
        `${what}: '${path}' must be an array or a number, got ${leaf instanceof Tensor ? "an unevaluated tensor" : typeof leaf}`,
      );
    }),
  );
}

/** Replaces every leaf of a tree of arrays by a placeholder `prefix/path`. */
export function placeholders<T>(
  tree: T,
  prefix: string,
): { readonly tree: Traced<T>; readonly inputs: Map<string, Tensor> } {
  const inputs = new Map<string, Tensor>();
  const traced = treeMap(tree, (leaf, path) => {
    const { shape, dtype } =
      typeof leaf === "number" ? { shape: [], dtype: "float32" as const } : (leaf as NDArray);
    const name = `${prefix}/${path}`;
    const input = placeholder(name, { shape, dtype });
    inputs.set(name, input);
    return input;
  }) as Traced<T>;
  return { tree: traced, inputs };
}

/** Throws unless two trees have the same leaves with the same dtypes and shapes. */
export function checkStructure(
  what: string,
  given: ReadonlyMap<string, Spec>,
  wanted: ReadonlyMap<string, Spec>,
): void {
  const describe = (spec: Spec | undefined): string =>
    spec ? `${spec.dtype} ${formatShape(spec.shape)}` : "nothing";
  for (const path of new Set([...wanted.keys(), ...given.keys()])) {
    const [found, expected] = [describe(given.get(path)), describe(wanted.get(path))];
    if (found !== expected)
      throw new ShapeError(`${what} has ${found} at '${path}', the old one ${expected}`);
  }
}

export function allocateLike(spec: Spec): NDArray {
  return { dtype: spec.dtype, shape: spec.shape, data: allocate(spec.dtype, sizeOf(spec.shape)) };
}

export function copyLeaves(leaves: Leaves): Map<string, NDArray> {
  return new Map(
    [...leaves].map(([path, { dtype, shape, data }]) => [
      path,
      { dtype, shape, data: data.slice() } as NDArray,
    ]),
  );
}

/** Leaves by the names under which a graph is fed or fetched. */
export function prefixed(leaves: Leaves, prefix: string): [string, NDArray][] {
  return [...leaves].map(([path, array]) => [`${prefix}/${path}`, array]);
}

/** Two sets of arrays that take turns, so that a graph can read the old values while it writes the new ones. */
export class DoubleBuffer {
  #current: Map<string, NDArray>;
  #next: Map<string, NDArray>;

  /** Starts with a copy of the leaves. */
  constructor(leaves: Leaves) {
    this.#current = copyLeaves(leaves);
    this.#next = new Map([...leaves].map(([path, array]) => [path, allocateLike(array)]));
  }

  get current(): Leaves {
    return this.#current;
  }

  get next(): Leaves {
    return this.#next;
  }

  /** The new values become the current ones. */
  swap(): void {
    [this.#current, this.#next] = [this.#next, this.#current];
  }

  /** As `swap` for some leaves. */
  swapOnly(paths: Iterable<string>): void {
    for (const path of paths) {
      const [current, next] = [this.#current.get(path), this.#next.get(path)];
      if (!current || !next) throw new Error(`no leaf '${path}'`);
      this.#current.set(path, next);
      this.#next.set(path, current);
    }
  }

  /** Copies values of the same structure. */
  replace(leaves: Leaves): void {
    this.#current = copyLeaves(leaves);
  }
}
