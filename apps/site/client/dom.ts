import { attributeText, type TreeNode } from "@concord/plots";

const SVG = "http://www.w3.org/2000/svg";

/** Makes the elements of a tree; everything inside an `svg` element is SVG. */
export function build(node: TreeNode, insideSvg = false): Element {
  const isSvg = insideSvg || node.name === "svg";
  const made = isSvg ? document.createElementNS(SVG, node.name) : document.createElement(node.name);
  for (const [name, value] of Object.entries(node.attributes)) made.setAttribute(name, attributeText(value));
  made.append(...node.children.map((child) => (typeof child === "string" ? child : build(child, isSvg))));
  return made;
}

/** Position of a pointer in the units of a drawing's view box. */
export function drawingPoint(drawing: SVGSVGElement, event: PointerEvent): { x: number; y: number } | null {
  const matrix = drawing.getScreenCTM();
  if (!matrix) return null;
  const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix.inverse());
  return { x, y };
}

/** Position in the window of a place in a drawing's view box. */
export function windowPoint(
  drawing: SVGSVGElement,
  place: { readonly x: number; readonly y: number },
): { x: number; y: number } | null {
  const matrix = drawing.getScreenCTM();
  if (!matrix) return null;
  const { x, y } = new DOMPoint(place.x, place.y).matrixTransform(matrix);
  return { x, y };
}

/** Follows a mouse over an element, and fingers: what one has touched stays until another place is touched. */
export function followPointers(
  root: HTMLElement,
  point: (event: PointerEvent) => void,
  clear: () => void,
): void {
  root.addEventListener("pointermove", point);
  root.addEventListener("pointerdown", point);
  root.addEventListener("pointercancel", clear);
  root.addEventListener("pointerleave", (event) => {
    if (event.pointerType === "mouse") clear();
  });
  document.addEventListener("pointerdown", (event) => {
    if (event.target instanceof Node && !root.contains(event.target)) clear();
  });
}
