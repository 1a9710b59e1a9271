/**
 * An element as plain data. Charts and the frames around them are built as such trees, so that one drawing function
 * serves the server, which writes markup, and the browser, which makes elements. Elements without an end tag are not used.
 */
export interface TreeNode {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string | number>>;
  readonly children: readonly (TreeNode | string)[];
}

/** Builds an element. Numbers in attributes are written with at most two decimals. */
export function element(
  name: string,
  attributes: Readonly<Record<string, string | number>> = {},
  ...children: readonly (TreeNode | string)[]
): TreeNode {
  return { name, attributes, children };
}

/** The text of an attribute. */
export function attributeText(value: string | number): string {
  return typeof value === "number" ? String(Math.round(value * 100) / 100) : value;
}

const escapes: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

function escapeMarkup(text: string): string {
  return text.replace(/[&<>"']/g, (character) => escapes[character] ?? character);
}

/** The tree as escaped markup. */
export function markup(node: TreeNode): string {
  let attributes = "";
  for (const [name, value] of Object.entries(node.attributes)) {
    attributes += ` ${name}="${escapeMarkup(attributeText(value))}"`;
  }
  const children = node.children
    .map((child) => (typeof child === "string" ? escapeMarkup(child) : markup(child)))
    .join("");
  return `<${node.name}${attributes}>${children}</${node.name}>`;
}
