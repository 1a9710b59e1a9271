import { CHARACTER, shortened, wrapped } from "./figure-axes.ts";
import { element, type TreeNode } from "./tree.ts";

export interface GalleryPlotData {
  readonly rows: readonly {
    readonly label: string;
    readonly items: readonly { readonly width: number; readonly height: number; readonly caption: string }[];
  }[];
  /** Width and height of a cell of the sheet. */
  readonly cell: readonly [number, number];
  /** Address of one picture with all of them, that of row r and place c in the cell (r, c) of a grid. */
  readonly sheet: string;
  /** An id that nothing else on the page has. */
  readonly id: string;
  /** What the gallery shows, for those who do not see it. */
  readonly label: string;
}

/** Two galleries of this width stand beside each other on a page. */
export const GALLERY_HALF = 552;
/** And three of this one. */
export const GALLERY_THIRD = 352;
/** Pictures are enlarged by whole factors up to about this side, or made smaller to fit it. */
const SIDE = 60;
/** Pictures that are a little larger are shown as they are. */
const LEAST_FACTOR = 0.6;
const GAP = 3;
const CAPTION = 13;
const CAPTION_LINES = 3;
const LABEL_CHARACTERS = 12;
const LABEL_LINES = 4;

/** By how much the pictures are enlarged: a whole number, so that every sample is a square of the same size. */
export function enlargement([width, height]: readonly [number, number]): number {
  const factor = SIDE / Math.max(width, height);
  return factor < LEAST_FACTOR ? factor : Math.max(1, Math.floor(factor));
}

function captionLines(caption: string, characters: number): readonly string[] {
  // Numbers of one place stay together: `Overlap 3, 2`.
  const joined = caption.replace(/(?<=\d,) (?=\d)/g, "\u00a0");
  return caption === "" ? [] : wrapped(joined, characters, CAPTION_LINES);
}

/**
 * Rows of pictures, their names on the left, or above them where only that leaves room for two galleries beside each
 * other; captions below. All pictures come out of one sheet; each is cut out of it by
 * a nested drawing.
 */
export function galleryPlot({ rows, cell, sheet, id, label }: GalleryPlotData): TreeNode {
  const factor = enlargement(cell);
  const [wide, high] = [cell[0] * factor, cell[1] * factor];
  const columns = Math.max(1, ...rows.map(({ items }) => items.length));
  const characters = Math.max(0, ...rows.map((row) => [...row.label].length));
  const pictures = columns * (wide + GAP) - GAP;
  const beside = characters === 0 ? 0 : Math.min(characters, LABEL_CHARACTERS) * CHARACTER + 10;
  const above = characters > 0 && pictures <= GALLERY_HALF && beside + pictures > GALLERY_HALF;
  const left = above ? 0 : beside;
  const width = Math.ceil(left + pictures);
  const room = Math.max(3, Math.floor((wide + GAP - 2) / (CHARACTER * 0.92)));
  const parts: TreeNode[] = [];
  let top = 0;
  for (const [r, { label: name, items }] of rows.entries()) {
    const lines =
      name === ""
        ? []
        : above
          ? [shortened(name, Math.floor(width / CHARACTER))]
          : wrapped(name, LABEL_CHARACTERS, LABEL_LINES);
    const middle = above ? top + CAPTION - 3 : top + high / 2 - ((lines.length - 1) * CAPTION) / 2 + 4;
    parts.push(
      element(
        "text",
        { class: "row-label", x: 0, y: middle },
        ...lines.map((line, at) => element("tspan", { x: 0, dy: at === 0 ? 0 : CAPTION }, line)),
      ),
    );
    if (above && lines.length > 0) top += CAPTION + GAP;
    for (const [c, item] of items.entries()) {
      const x = left + c * (wide + GAP);
      const size = { width: item.width * factor, height: item.height * factor };
      const place = { x: x + (wide - size.width) / 2, y: top + (high - size.height) / 2 };
      const from = `${c * cell[0]} ${r * cell[1]} ${item.width} ${item.height}`;
      parts.push(
        element(
          "g",
          {},
          element("title", {}, item.caption),
          element("svg", { ...place, ...size, viewBox: from }, element("use", { href: `#${id}` })),
          element(
            "text",
            { class: "picture-caption", x: x + wide / 2, y: top + high + 11, "text-anchor": "middle" },
            ...captionLines(item.caption, room).map((line, at) =>
              element("tspan", { x: x + wide / 2, dy: at === 0 ? 0 : CAPTION - 1 }, line),
            ),
          ),
        ),
      );
    }
    const below = Math.max(0, ...items.map(({ caption }) => captionLines(caption, room).length));
    top +=
      Math.max(high, above ? 0 : lines.length * CAPTION) +
      (below > 0 ? below * CAPTION + 2 : 0) +
      GAP +
      (above ? 8 : 3);
  }
  const height = Math.ceil(top);
  return element(
    "svg",
    {
      class: factor > 1 ? "chart gallery-plot enlarged" : "chart gallery-plot",
      viewBox: `0 0 ${width} ${height}`,
      width,
      height,
      role: "img",
      "aria-label": label,
    },
    element(
      "defs",
      {},
      element("image", { id, href: sheet, width: columns * cell[0], height: rows.length * cell[1] }),
    ),
    ...parts,
  );
}
