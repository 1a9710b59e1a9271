const INHERITED_STYLES = [
  "fill",
  "fill-opacity",
  "stroke",
  "stroke-width",
  "stroke-opacity",
  "stroke-linecap",
  "stroke-linejoin",
  "stroke-dasharray",
  "font-family",
  "font-size",
  "font-weight",
];

/** Writes the look that style sheets give to an element, and to all below it, into attributes of its own. */
function settleStyles(element: Element, outer: CSSStyleDeclaration | null): void {
  const style = getComputedStyle(element);
  for (const child of element.children) settleStyles(child, style);
  for (const name of INHERITED_STYLES) {
    const value = style.getPropertyValue(name);
    if (value !== outer?.getPropertyValue(name)) element.setAttribute(name, value);
    else element.removeAttribute(name);
  }
}

/** Downloads a drawing as an SVG file that stands alone, in the colours of the light theme, for slides and papers. */
export function saveDrawing(drawing: SVGSVGElement, name: string): void {
  const copy = drawing.cloneNode(true) as SVGSVGElement;
  const bench = document.createElement("div");
  bench.className = "export-bench";
  bench.append(copy);
  document.body.append(bench);
  for (const extra of copy.querySelectorAll(".hover-line, .hover-area, .ring")) extra.remove();
  settleStyles(copy, null);
  for (const element of [copy, ...copy.querySelectorAll("[class]")]) element.removeAttribute("class");
  const { width, height } = drawing.viewBox.baseVal;
  copy.setAttribute("width", String(width));
  copy.setAttribute("height", String(height));
  const file = new Blob([new XMLSerializer().serializeToString(copy)], { type: "image/svg+xml" });
  bench.remove();
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = `${name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-|-$/g, "")}.svg`;
  link.click();
  URL.revokeObjectURL(link.href);
}
