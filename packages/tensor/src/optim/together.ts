import { sizeOf } from "../core/ndarray.ts";
import { Tensor } from "../core/tensor.ts";
import { treeEntries, treeMap } from "../core/tree.ts";
import { concat, split } from "../ops/shape.ts";
import { reshape } from "../ops/structure.ts";

/** Up to this many numbers the cost of starting a kernel outweighs that of copying the numbers. */
const SMALL = 4096;

/**
 * Applies an elementwise update to all leaves of several trees of one structure. Small leaves of one kind (biases,
 * gains) are laid end to end and updated as one vector: a model has many of them, and each would start a dozen
 * kernels of its own. The numbers are the same.
 *
 * @param trees   such as parameters, gradients and moments, of the same structure and shapes
 * @param kindOf  leaves of different kinds are kept apart
 * @param update  leaves of one place (one of each tree) to as many new trees' leaves
 * @returns the new trees
 */
export function updateTogether(
  trees: readonly unknown[],
  kindOf: (path: string) => string,
  update: (leaves: readonly Tensor[], kind: string) => readonly Tensor[],
): unknown[] {
  const lists = trees.map((tree) => new Map(treeEntries(tree)));
  const leavesAt = (path: string): Tensor[] =>
    lists.map((list) => {
      const leaf = list.get(path);
      if (!(leaf instanceof Tensor)) throw new TypeError(`trees differ in structure at '${path}'`);
      return leaf;
    });
  const groups = new Map<string, string[]>();
  for (const [path, leaf] of lists[0] ?? []) {
    const { shape, dtype } = leaf as Tensor;
    const kind = kindOf(path);
    const size = sizeOf(shape);
    const group = size > 0 && size <= SMALL ? JSON.stringify([kind, dtype]) : path;
    groups.set(group, [...(groups.get(group) ?? []), path]);
  }
  const updated = new Map<string, readonly Tensor[]>();
  for (const paths of groups.values()) {
    const kind = kindOf(paths[0] as string);
    const members = paths.map(leavesAt);
    const [only] = members;
    if (only && members.length === 1) {
      updated.set(paths[0] as string, update(only, kind));
      continue;
    }
    const packed = lists.map((_, i) => concat(members.map((leaves) => reshape(leaves[i] as Tensor, [-1]))));
    const shapes = members.map(([leaf]) => (leaf as Tensor).shape);
    const results = update(packed, kind).map((result) => split(result, shapes.map(sizeOf)));
    paths.forEach((path, place) => {
      const shape = shapes[place] as readonly number[];
      updated.set(
        path,
        results.map((parts) => reshape(parts[place] as Tensor, shape)),
      );
    });
  }
  const count = [...updated.values()][0]?.length ?? 0;
  return Array.from({ length: count }, (_, i) => treeMap(trees[0], (_leaf, path) => updated.get(path)?.[i]));
}
