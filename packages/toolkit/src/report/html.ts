import { element, type TreeNode } from "@concord/plots";

export type Child = TreeNode | string;

export function p(text: string, className?: string): TreeNode {
  return element("p", className ? { class: className } : {}, text);
}

export interface Cell {
  readonly text: string;
  readonly number?: boolean;
}

/** A table whose first column names the rows. */
export function table(
  caption: string,
  heads: readonly Cell[],
  rows: readonly (readonly (Cell | TreeNode)[])[],
): TreeNode {
  const attributes = (cell: Cell) => (cell.number ? { class: "number" } : {});
  const isNode = (cell: Cell | TreeNode): cell is TreeNode => "name" in cell;
  return element(
    "div",
    { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
    element(
      "table",
      {},
      element("caption", {}, caption),
      element(
        "thead",
        {},
        element(
          "tr",
          {},
          ...heads.map((head) => element("th", { scope: "col", ...attributes(head) }, head.text)),
        ),
      ),
      element(
        "tbody",
        {},
        ...rows.map((cells) =>
          element(
            "tr",
            {},
            ...cells.map((cell, place) => {
              if (isNode(cell)) return element("td", {}, cell);
              return place === 0
                ? element("th", { scope: "row" }, cell.text)
                : element("td", attributes(cell), cell.text);
            }),
          ),
        ),
      ),
    ),
  );
}

export function section(id: string, title: string, ...children: readonly TreeNode[]): TreeNode {
  return element("section", { "aria-labelledby": id }, element("h2", { id }, title), ...children);
}
