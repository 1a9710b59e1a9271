import type { Point } from "./curves.ts";
import { drawEndLabels } from "./end-labels.ts";
import {
  CHARACTER,
  coordinate,
  drawBelow,
  drawLeft,
  type FigureAxisSpec,
  onAxis,
  type PlotArea,
} from "./figure-axes.ts";
import { figureDrawing, placeAxes } from "./figure-frame.ts";
import { armStroke, namedEntries } from "./lines-plot.ts";
import type { ArmStyle } from "./series.ts";
import { element, type TreeNode } from "./tree.ts";

/** Points that belong together: a place or the way of one arm. */
export interface FigurePoints {
  readonly label: string;
  readonly style: ArmStyle;
  readonly className: string;
  /** Whether the page shows it on request only. */
  readonly folded?: boolean;
  /** Which form the marks have; forms repeat after six. */
  readonly mark: number;
  readonly points: readonly Point[];
  /** One for each point. */
  readonly labels?: readonly string[];
  readonly joined?: boolean;
}

export interface PointsPlotData {
  readonly x: FigureAxisSpec;
  readonly y: FigureAxisSpec;
  readonly series: readonly FigurePoints[];
  /** What the plot shows, for those who do not see it. */
  readonly label: string;
}

/** Disc, square, triangle, diamond, triangle on its tip, plus: told apart without colour, and about equally large. */
const forms: readonly ((r: number) => string)[] = [
  (r) => `m${coordinate(-r)} 0a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0z`,
  (r) => `m${coordinate(-0.9 * r)} ${coordinate(-0.9 * r)}h${1.8 * r}v${1.8 * r}h${-1.8 * r}z`,
  (r) => `m0 ${coordinate(-1.2 * r)}l${coordinate(1.15 * r)} ${coordinate(2.1 * r)}h${coordinate(-2.3 * r)}z`,
  (r) => `m0 ${coordinate(-1.3 * r)}l${1.3 * r} ${1.3 * r}l${-1.3 * r} ${1.3 * r}l${-1.3 * r} ${-1.3 * r}z`,
  (r) => `m0 ${coordinate(1.2 * r)}l${coordinate(1.15 * r)} ${coordinate(-2.1 * r)}h${coordinate(-2.3 * r)}z`,
  (r) =>
    `m${coordinate(-0.4 * r)} ${coordinate(-1.2 * r)}h${0.8 * r}v${0.8 * r}h${0.8 * r}v${0.8 * r}h${-0.8 * r}v${0.8 * r}h${-0.8 * r}v${-0.8 * r}h${-0.8 * r}v${-0.8 * r}h${0.8 * r}z`,
];

function markAt(form: number, x: number, y: number, r: number): string {
  return `M${coordinate(x)} ${coordinate(y)}${forms[form % forms.length]!(r)}`;
}

/** From so many points on they are smaller, and lie over each other as one light surface. */
const MANY = 120;
/** So many names of points find room. */
const MAX_NAMES = 40;

interface Box {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

const overlap = (a: Box, b: Box) =>
  a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;

/** Names beside their points where they touch neither a mark nor another name; the others are left out. */
function placeNames(
  names: readonly {
    readonly x: number;
    readonly y: number;
    readonly text: string;
    readonly className: string;
  }[],
  marks: readonly Point[],
  area: PlotArea,
): readonly TreeNode[] {
  const taken: Box[] = marks.map(([x, y]) => ({ left: x - 4, right: x + 4, top: y - 4, bottom: y + 4 }));
  return names.slice(0, MAX_NAMES).flatMap(({ x, y, text, className }) => {
    const width = [...text].length * CHARACTER;
    const boxes = [
      { left: x + 7, top: y - 6 },
      { left: x - 7 - width, top: y - 6 },
      { left: x - width / 2, top: y - 18 },
      { left: x - width / 2, top: y + 7 },
      { left: x + 6, top: y - 16 },
      { left: x + 6, top: y + 5 },
    ].map(({ left, top }) => ({ left, top, right: left + width, bottom: top + 12 }));
    const box = boxes.find(
      (one) =>
        one.left >= area.left &&
        one.right <= area.right + 8 &&
        one.top >= area.top - 4 &&
        one.bottom <= area.bottom &&
        !taken.some((other) => overlap(one, other)),
    );
    if (!box) return [];
    taken.push(box);
    return [element("text", { class: `point-name ${className}`, x: box.left, y: box.top + 10 }, text)];
  });
}

/** Points over each other on common axes, ways joined in their order; what each mark stands for is on the right, or below. */
export function pointsPlot({ x: xAxis, y: yAxis, series, label }: PointsPlotData): TreeNode {
  const all = series.flatMap(({ points }) => points);
  const named = namedEntries(series);
  const { x, y, area, height, scales } = placeAxes(
    { x: xAxis, y: yAxis },
    all,
    named.map((entry) => entry.label),
  );
  const r = all.length > MANY ? 2 : 4;
  const names: { x: number; y: number; text: string; className: string }[] = [];
  const places: Point[] = [];
  const drawings = series.map(({ style, className, mark, points, labels, joined }) => {
    const stroke = armStroke(style);
    const seen = new Set<string>();
    const placed = points.flatMap((point, index) => {
      if (!onAxis(x, point[0]) || !onAxis(y, point[1])) return [];
      const [px, py] = [x.scale(point[0]), y.scale(point[1])];
      const text = labels?.[index] ?? "";
      if (text !== "") names.push({ x: px, y: py, text, className });
      return [{ px, py, text }];
    });
    const marks = placed.flatMap(({ px, py, text }) => {
      const key = `${Math.round(px)} ${Math.round(py)}`;
      // Marks on the same pixel look like one.
      if (text === "" && seen.has(key)) return [];
      seen.add(key);
      places.push([px, py]);
      return [{ d: markAt(mark, px, py, r), text }];
    });
    const withText = marks.filter(({ text }) => text !== "");
    const way = placed.map(({ px, py }) => `${coordinate(px)} ${coordinate(py)}`).join("L");
    return element(
      "g",
      { class: className },
      ...(joined && placed.length > 1
        ? [element("path", { ...stroke, class: `${stroke.class} way`, d: `M${way}` })]
        : []),
      element("path", {
        class: `point series-${style.colour} ${all.length > MANY ? "point-small" : ""}`.trimEnd(),
        d: marks.flatMap(({ d, text }) => (text === "" ? [d] : [])).join(""),
      }),
      ...withText.map(({ d, text }) =>
        element("path", { class: `point series-${style.colour}`, d }, element("title", {}, text)),
      ),
    );
  });
  const labels = named.map(({ label: text, style, className, mark, joined }) => ({
    text,
    y: null,
    className,
    swatch: (at: number, middle: number) =>
      element(
        "g",
        {},
        ...(joined
          ? [element("path", { ...armStroke(style), d: `M${coordinate(at)} ${coordinate(middle)}h18` })]
          : []),
        element("path", { class: `point series-${style.colour}`, d: markAt(mark, at + 9, middle, 4) }),
      ),
  }));
  return figureDrawing(
    { kind: "points-plot", label, height, scales },
    drawLeft(y, area),
    drawBelow(x, area, true),
    ...drawings,
    ...placeNames(names, places, area),
    ...drawEndLabels(labels, area),
  );
}
