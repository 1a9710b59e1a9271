import { extentOf, linear, paddedDomain } from "./axes.ts";
import { element, type TreeNode } from "./tree.ts";

export type PlanePoint = readonly [x: number, y: number];
/** Points of every kind ("image", "text") of one arm. */
export type PointSets = Readonly<Record<string, readonly PlanePoint[]>>;

export const MAP_PANEL = { width: 280, edge: 12, minHeight: 140, maxHeight: 280 } as const;

/** Marks by kind: the first eight differ in colour, neighbours in form too, and no two of the first 32 are alike. */
const MARKS = 4;
const COLOURS = 8;

/** Which form a kind has; eight kinds later, the next one in its colour. */
const formOf = (kind: number) => (kind + Math.floor(kind / COLOURS)) % MARKS;

function markClass(kind: number): string {
  return `mark mark-${formOf(kind)} mark-of-${kind % COLOURS}`;
}

/** The part of the plane that all panels of a map show, and how high they are. */
export interface MapFrame {
  readonly x: readonly [number, number];
  readonly y: readonly [number, number];
  readonly height: number;
}

/** A frame around the points of every arm with one scale for both axes, so that distances compare in every direction. */
export function commonFrame(arms: Readonly<Record<string, PointSets>>): MapFrame {
  const { width, edge, minHeight, maxHeight } = MAP_PANEL;
  const points = Object.values(arms).flatMap((sets) => Object.values(sets).flat());
  const [left, right] = paddedDomain(extentOf(points.map(([x]) => x)) ?? [0, 1], 0);
  const [bottom, top] = paddedDomain(extentOf(points.map(([, y]) => y)) ?? [0, 1], 0);
  // Data units per pixel: the axis that needs more decides.
  const scale = Math.max((right - left) / (width - 2 * edge), (top - bottom) / (maxHeight - 2 * edge));
  const height = Math.max(minHeight, Math.ceil((top - bottom) / scale) + 2 * edge);
  const around = (low: number, high: number, pixels: number): [number, number] => {
    const half = (scale * (pixels - 2 * edge)) / 2;
    return [(low + high) / 2 - half, (low + high) / 2 + half];
  };
  return { x: around(left, right, width), y: around(bottom, top, height), height };
}

export function mapScales({ x, y, height }: MapFrame) {
  const { width, edge } = MAP_PANEL;
  return { x: linear(x, [edge, width - edge]), y: linear(y, [height - edge, edge]) };
}

const coordinate = (value: number) => String(Math.round(value * 10) / 10);

/** Path data of one mark: disc, cross, ring of four, dash; a zero-length stroke with round caps is a disc. */
function markPath(kind: number, x: number, y: number): string {
  const at = `${coordinate(x)} ${coordinate(y)}`;
  switch (formOf(kind)) {
    case 0:
      return `M${at}h0`;
    case 1:
      return `M${coordinate(x - 2.2)} ${coordinate(y - 2.2)}l4.4 4.4m0-4.4l-4.4 4.4`;
    case 2:
      return `M${coordinate(x)} ${coordinate(y - 2.8)}l2.8 2.8l-2.8 2.8l-2.8-2.8z`;
    default:
      return `M${coordinate(x - 2.8)} ${coordinate(y)}h5.6m-2.8-2.8v5.6`;
  }
}

/** The mark of the kind with this index, for legends. */
export function mapMark(index: number): TreeNode {
  return element(
    "svg",
    { class: "swatch", viewBox: "0 0 12 12", width: 12, height: 12, "aria-hidden": "true" },
    element("path", { class: markClass(index), d: markPath(index, 6, 6) }),
  );
}

/** Whether rows of two kinds belong together one to one, so that a line can join each pair. */
export function pairedKinds(sets: PointSets): boolean {
  const [a, b, ...rest] = Object.values(sets);
  return a !== undefined && b !== undefined && rest.length === 0 && a.length === b.length;
}

/** Many lines over each other must not become a surface. */
function pairOpacity(lines: number): number {
  return Math.min(0.3, Math.max(0.07, 12 / lines));
}

/** One arm's points on axes that all arms of the seed share; lines join the two points of a pair. */
export function mapPanel(
  label: string,
  sets: PointSets,
  frame: MapFrame,
  colourKinds: readonly string[],
): TreeNode {
  const { width } = MAP_PANEL;
  const { height } = frame;
  const { x, y } = mapScales(frame);
  const kinds = Object.keys(sets);
  const counts = kinds.map((kind) => `${sets[kind]!.length} ${kind}`).join(", ");
  const lines: string[] = [];
  if (pairedKinds(sets)) {
    const [a, b] = Object.values(sets);
    for (const [index, from] of a!.entries()) {
      const to = b![index]!;
      lines.push(
        `M${coordinate(x(from[0]))} ${coordinate(y(from[1]))}L${coordinate(x(to[0]))} ${coordinate(y(to[1]))}`,
      );
    }
  }
  return element(
    "svg",
    {
      class: "chart map-panel",
      viewBox: `0 0 ${width} ${height}`,
      role: "img",
      "aria-label": `Embedding map of ${label}: ${counts} points on the first two principal axes.`,
    },
    element(
      "g",
      { class: "axis" },
      ...x
        .ticks(5)
        .map((tick) => element("line", { class: "grid", x1: x(tick), x2: x(tick), y1: 0, y2: height })),
      ...y
        .ticks(5)
        .map((tick) => element("line", { class: "grid", x1: 0, x2: width, y1: y(tick), y2: y(tick) })),
    ),
    ...(lines.length > 0
      ? [element("path", { class: "pair", "stroke-opacity": pairOpacity(lines.length), d: lines.join("") })]
      : []),
    ...kinds.map((kind) => {
      const index = Math.max(0, colourKinds.indexOf(kind));
      const marks = sets[kind]!.map(([px, py]) => markPath(index, x(px), y(py)));
      return element("path", { class: markClass(index), d: marks.join("") });
    }),
  );
}
