import type { NDArray } from "./ndarray.ts";
import { isNDArray } from "./ndarray.ts";
import { currentOrigin, withOrigin } from "./origin.ts";
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

/**
 * The path of a child. As in JSON pointers (RFC 6901) `~` and `/` of a key are written `~0` and `~1`, so that no two
 * leaves share a path; the empty key is written `~`.
 */
function childPath(parent: string, key: string | number): string {
  const step = key === "" ? "~" : String(key).replaceAll("~", "~0").replaceAll("/", "~1");
  return parent === "" ? step : `${parent}/${step}`;
}

/**
 * Visits every leaf with its path (e.g. "layers/0/weight"), records in the order of their keys. In keys, `~` and `/`
 * become `~0` and `~1`.
 */
export function treeEntries(tree: unknown, path = ""): [path: string, leaf: unknown][] {
  if (isLeaf(tree)) return tree === undefined ? [] : [[path, tree]];
  return Object.entries(tree as object).flatMap(([key, child]) => treeEntries(child, childPath(path, key)));
}

/** All leaves, in the order of `treeEntries`. */
export function treeLeaves<L>(tree: Tree<L>): L[] {
  return treeEntries(tree).map(([, leaf]) => leaf as L);
}

/** A tree of the same structure with every leaf replaced. */
export function treeMap<R>(tree: unknown, replace: (leaf: unknown, path: string) => R, path = ""): unknown {
  if (isLeaf(tree)) return tree === undefined ? undefined : replace(tree, path);
  if (Array.isArray(tree)) return tree.map((child, i) => treeMap(child, replace, childPath(path, i)));
  return Object.fromEntries(
    Object.entries(tree as object).map(([key, child]) => [
      key,
      treeMap(child, replace, childPath(path, key)),
    ]),
  );
}

/**
 * A tree of tensors built from several trees of one structure, leaf by leaf. To errors all operations of `combine`
 * were applied where this was called.
 */
export function treeZip<T>(tree: T, others: readonly unknown[], combine: (...leaves: Tensor[]) => Tensor): T {
  const lists = others.map((other) => new Map(treeEntries(other)));
  const perLeaf = (leaf: unknown, path: string): Tensor => {
    const rest = lists.map((list) => {
      const match = list.get(path);
      if (!(match instanceof Tensor)) throw new TypeError(`trees differ in structure at '${path}'`);
      return match;
    });
    return combine(leaf as Tensor, ...rest);
  };
  return withOrigin(currentOrigin(treeZip), () => treeMap(tree, perLeaf)) as T;
}

/** A description of structure, shapes and dtypes: equal for trees that one compiled graph can serve. */
export function treeSignature(tree: unknown): string {
  if (tree instanceof Tensor || isNDArray(tree)) return `${tree.dtype}[${tree.shape.join(",")}]`;
  if (typeof tree === "number") return "float32[]";
  if (isLeaf(tree)) return JSON.stringify(tree) ?? "-";
  if (Array.isArray(tree)) return `[${tree.map(treeSignature).join(";")}]`;
  const children = Object.entries(tree as object);
  return `{${children.map(([key, child]) => `${JSON.stringify(key)}:${treeSignature(child)}`).join(";")}}`;
}
