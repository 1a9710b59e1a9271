import type { NDArray } from "./ndarray.ts";
import { isNDArray } from "./ndarray.ts";
import { Tensor } from "./tensor.ts";

/** Nested records and lists with leaves of type L, e.g. the parameters of a model. */
export type Tree<L> = L | readonly Tree<L>[] | { readonly [name: string]: Tree<L> };

/** The type of a tree whose concrete arrays and numbers have become tensors: what a traced function sees. */
export type Traced<T> = T extends Tensor | NDArray | number
  ? Tensor
  : T extends object
    ? { readonly [K in keyof T]: Traced<T[K]> }
    : T;

/** The type of a tree of concrete values for a tree of tensors: what a compiled function is called with. */
export type Feed<T> = T extends Tensor
  ? NDArray | number
  : T extends object
    ? { readonly [K in keyof T]: Feed<T[K]> }
    : T;

/** The type of a tree whose tensors have become concrete arrays: what a compiled function returns. */
export type Concrete<T> = T extends Tensor
  ? NDArray
  : T extends object
    ? { readonly [K in keyof T]: Concrete<T[K]> }
    : T;

/** Leaves are tensors, arrays and numbers; everything else that is an object is a branch. */
function isLeaf(value: unknown): boolean {
  return value instanceof Tensor || isNDArray(value) || typeof value !== "object" || value === null;
}

/** Visits every leaf with its path (e.g. "layers/0/weight"), records in the order of their keys. */
export function treeEntries(tree: unknown, path = ""): [path: string, leaf: unknown][] {
  if (isLeaf(tree)) return tree === undefined ? [] : [[path, tree]];
  const join = (key: string | number): string => (path === "" ? String(key) : `${path}/${key}`);
  return Object.entries(tree as object).flatMap(([key, child]) => treeEntries(child, join(key)));
}

/** All leaves, in the order of `treeEntries`. */
export function treeLeaves<L>(tree: Tree<L>): L[] {
  return treeEntries(tree).map(([, leaf]) => leaf as L);
}

/** A tree of the same structure with every leaf replaced. */
export function treeMap<R>(tree: unknown, replace: (leaf: unknown, path: string) => R, path = ""): unknown {
  if (isLeaf(tree)) return tree === undefined ? undefined : replace(tree, path);
  const join = (key: string | number): string => (path === "" ? String(key) : `${path}/${key}`);
  if (Array.isArray(tree)) return tree.map((child, i) => treeMap(child, replace, join(i)));
  return Object.fromEntries(
    Object.entries(tree as object).map(([key, child]) => [key, treeMap(child, replace, join(key))]),
  );
}

/** A tree of tensors built from several trees of one structure, leaf by leaf. */
export function treeZip<T>(tree: T, others: readonly unknown[], combine: (...leaves: Tensor[]) => Tensor): T {
  const lists = others.map((other) => new Map(treeEntries(other)));
  return treeMap(tree, (leaf, path) => {
    const rest = lists.map((list) => {
      const match = list.get(path);
      if (!(match instanceof Tensor)) throw new TypeError(`trees differ in structure at '${path}'`);
      return match;
    });
    return combine(leaf as Tensor, ...rest);
  }) as T;
}

/** A description of structure, shapes and dtypes: equal for trees that one compiled graph can serve. */
export function treeSignature(tree: unknown): string {
  return treeEntries(tree)
    .map(([path, leaf]) => {
      if (leaf instanceof Tensor || isNDArray(leaf)) return `${path}:${leaf.dtype}[${leaf.shape.join(",")}]`;
      return `${path}:${typeof leaf === "number" ? "float32[]" : JSON.stringify(leaf)}`;
    })
    .join(";");
}
