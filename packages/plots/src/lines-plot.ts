import { line } from "d3-shape";
import { boundedCurve, type Point } from "./curves.ts";
import { drawEndLabels, type EndLabel, fitBeside } from "./end-labels.ts";
import { clipped, coordinate, drawBelow, drawLeft, type FigureAxisSpec, onAxis } from "./figure-axes.ts";
import { FIGURE_PLOT, figureDrawing, placeAxes } from "./figure-frame.ts";
import type { ArmStyle } from "./series.ts";
import { element, type TreeNode } from "./tree.ts";

/** One curve of a figure. */
export interface FigureLine {
  readonly label: string;
  /** Look of the arm; null for a guide, which is grey. */
  readonly style: ArmStyle | null;
  /** Further classes of everything that is drawn of it, e.g. for switches of the page. */
  readonly className: string;
  /** Whether the page shows it on request only: then the other names have places of their own until it does. */
  readonly folded?: boolean;
  readonly points: readonly Point[];
}

export interface LinesPlotData {
  readonly x: FigureAxisSpec;
  readonly y: FigureAxisSpec;
  readonly lines: readonly FigureLine[];
  /** What the plot shows, for those who do not see it. */
  readonly label: string;
}

/** Class and dashes of an arm's strokes. */
export function armStroke(style: ArmStyle | null): Readonly<Record<string, string>> {
  if (!style) return { class: "guide-line" };
  const dash = style.dash === "none" ? {} : { "stroke-dasharray": style.dash };
  return { class: `series series-${style.colour} role-${style.role}`, ...dash };
}

/** A short stroke in the look of guides, for legends. */
export function guideSwatch(): TreeNode {
  return element(
    "svg",
    { class: "swatch", viewBox: "0 0 28 10", width: 28, height: 10, "aria-hidden": "true" },
    element("path", { ...armStroke(null), d: "M1 5H27" }),
  );
}

/**
 * What of a plot is named in it: all, where there is room for so many names beside it. Else what waits for a switch is
 * not: the switch itself names it.
 */
export function namedEntries<E extends { readonly label: string; readonly folded?: boolean }>(
  entries: readonly E[],
): readonly E[] {
  const { height, top, bottom } = FIGURE_PLOT;
  const all = entries.map(({ label }) => label);
  return fitBeside(all, { top, bottom: height - bottom }) ? entries : entries.filter(({ folded }) => !folded);
}

/** Pieces of a curve between points that cannot be drawn on these axes. */
function pieces(points: readonly Point[], isDrawn: (point: Point) => boolean): readonly (readonly Point[])[] {
  const found: Point[][] = [[]];
  for (const point of points) {
    if (isDrawn(point)) found.at(-1)?.push(point);
    else if (found.at(-1)?.length) found.push([]);
  }
  return found.filter((piece) => piece.length > 0);
}

/**
 * Curves over each other on common axes, each with its name where it ends. The method is drawn last, on top; guides
 * first, below everything.
 */
export function linesPlot({ x: xAxis, y: yAxis, lines, label }: LinesPlotData): TreeNode {
  const named = namedEntries(lines);
  const { x, y, area, height, scales } = placeAxes(
    { x: xAxis, y: yAxis },
    lines.flatMap(({ points }) => points),
    named.map((entry) => entry.label),
  );
  const isLog = { x: xAxis.scale === "log", y: yAxis.scale === "log" };
  const isDrawn = ([px, py]: Point) => (!isLog.x || px > 0) && (!isLog.y || py > 0);
  const path = line<Point>(
    ([px]) => x.scale(px),
    ([, py]) => y.scale(py),
  ).digits(1);

  const drawings: TreeNode[] = [];
  const labels: EndLabel[] = [];
  const shownLabels: EndLabel[] = [];
  const rank = ({ style }: FigureLine) => (style === null ? 0 : style.role === "method" ? 2 : 1);
  for (const entry of lines.toSorted((a, b) => rank(a) - rank(b))) {
    const stroke = armStroke(entry.style);
    const found = pieces(entry.points, isDrawn);
    for (const piece of found) {
      const [only, ...others] = boundedCurve(piece);
      drawings.push(
        only && others.length === 0
          ? element("circle", {
              class: `${stroke.class} dot ${entry.className}`,
              cx: x.scale(only[0]),
              cy: y.scale(only[1]),
              r: 2.5,
            })
          : element("path", {
              ...stroke,
              class: `${stroke.class} ${entry.className}`,
              d: path([...boundedCurve(piece)]) ?? "",
            }),
      );
    }
    const end = found.flat().findLast(([px, py]) => onAxis(x, px) && onAxis(y, py));
    const name: EndLabel = {
      text: entry.label,
      y: end ? y.scale(end[1]) : area.bottom,
      className: entry.className,
      swatch: (at, middle) =>
        element("path", { ...stroke, d: `M${coordinate(at)} ${coordinate(middle)}h18` }),
      ...(end && { leader: { x: x.scale(end[0]), y: y.scale(end[1]), stroke } }),
    };
    if (!named.includes(entry)) continue;
    labels.push(name);
    if (!entry.folded) shownLabels.push(name);
  }
  return figureDrawing(
    { kind: "lines-plot", label, height, scales },
    drawLeft(y, area),
    drawBelow(x, area),
    clipped(area, drawings),
    ...(shownLabels.length < labels.length
      ? [
          element("g", { class: "labels-shown" }, ...drawEndLabels(shownLabels, area)),
          element("g", { class: "labels-all" }, ...drawEndLabels(labels, area)),
        ]
      : drawEndLabels(labels, area)),
  );
}
