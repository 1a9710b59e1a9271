import type { TreeNode } from "../src/tree.ts";

/** All elements of a tree that have this class. */
export function withClass(node: TreeNode, name: string): TreeNode[] {
  const own = String(node.attributes.class ?? "")
    .split(" ")
    .includes(name);
  const below = node.children.flatMap((child) => (typeof child === "string" ? [] : withClass(child, name)));
  return own ? [node, ...below] : below;
}

/** All elements of a tree that have this name. */
export function named(node: TreeNode, name: string): TreeNode[] {
  const below = node.children.flatMap((child) => (typeof child === "string" ? [] : named(child, name)));
  return node.name === name ? [node, ...below] : below;
}

/** All text within an element. */
export const textOf = (node: TreeNode): string =>
  node.children.map((child) => (typeof child === "string" ? child : textOf(child))).join("");
