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
  "paint-order",
];

/** Side in pixels that small pictures get at least: what opens the file may blur the samples of smaller ones. */
const PICTURE_SIDE = 224;

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

/** The rectangle of a picture as a PNG file in an address, its samples enlarged to squares. */
function cutOut(picture: ImageBitmap, { x, y, width, height }: DOMRect): string {
  const factor = Math.max(1, Math.ceil(PICTURE_SIDE / Math.max(width, height)));
  const canvas = document.createElement("canvas");
  canvas.width = width * factor;
  canvas.height = height * factor;
  const context = canvas.getContext("2d");
  if (context) {
    context.imageSmoothingEnabled = false;
    context.drawImage(picture, x, y, width, height, 0, 0, canvas.width, canvas.height);
  }
  return canvas.toDataURL("image/png");
}

/** Puts pictures that are cut out of a sheet on the server into the drawing itself, one element each. */
async function settlePictures(drawing: SVGSVGElement): Promise<void> {
  for (const sheet of drawing.querySelectorAll("image[id]")) {
    const answer = await fetch(sheet.getAttribute("href") ?? "");
    const picture = await createImageBitmap(await answer.blob());
    for (const use of drawing.querySelectorAll(`use[href="#${sheet.id}"]`)) {
      const frame = use.parentElement;
      if (!(frame instanceof SVGSVGElement)) continue;
      const image = document.createElementNS(frame.namespaceURI, "image");
      for (const name of ["x", "y", "width", "height"]) {
        image.setAttribute(name, frame.getAttribute(name) ?? "0");
      }
      image.setAttribute("href", cutOut(picture, frame.viewBox.baseVal));
      frame.replaceWith(image);
    }
    sheet.closest("defs")?.remove();
  }
}

/** Downloads a drawing as an SVG file that stands alone, in the colours of the light theme, for slides and papers. */
export async function saveDrawing(drawing: SVGSVGElement, name: string): Promise<void> {
  const copy = drawing.cloneNode(true) as SVGSVGElement;
  const copies = [...copy.querySelectorAll("*")];
  for (const [index, element] of [...drawing.querySelectorAll("*")].entries()) {
    if (getComputedStyle(element).display === "none") copies[index]?.remove();
  }
  await settlePictures(copy);
  const bench = document.createElement("div");
  bench.className = "export-bench";
  bench.append(copy);
  document.body.append(bench);
  for (const extra of copy.querySelectorAll(".hover-line, .hover-area, .ring")) extra.remove();
  settleStyles(copy, null);
  for (const element of [copy, ...copy.querySelectorAll("[class]")]) element.removeAttribute("class");
  for (const name of ["data-x", "data-y", "tabindex"]) copy.removeAttribute(name);
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
