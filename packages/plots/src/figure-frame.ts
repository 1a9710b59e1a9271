import type { Point } from "./curves.ts";
import { endLabelsWidth } from "./end-labels.ts";
import { type FigureAxisSpec, type PlacedAxis, type PlotArea, placeAxis, ticksWidth } from "./figure-axes.ts";
import { element, type TreeNode } from "./tree.ts";

/** Plots of figures have one width, so that their type has one size. */
export const FIGURE_PLOT = { width: 440, height: 285, top: 24, bottom: 40 } as const;

/** Both axes of a plot of these points, with room for the numbers on the left and the names on the right. */
export function placeAxes(
  specs: { readonly x: FigureAxisSpec; readonly y: FigureAxisSpec },
  points: readonly Point[],
  names: readonly string[],
): { readonly x: PlacedAxis; readonly y: PlacedAxis; readonly area: PlotArea } {
  const { width, height, top, bottom } = FIGURE_PLOT;
  const base = height - bottom;
  const y = placeAxis(
    specs.y,
    points.map(([, value]) => value),
    [base, top],
    6,
  );
  const area = { left: ticksWidth(y.ticks), right: width - endLabelsWidth(names), top, bottom: base };
  const x = placeAxis(
    specs.x,
    points.map(([value]) => value),
    [area.left, area.right],
    6,
  );
  return { x, y, area };
}

/** The drawing of a figure; `label` says what it shows, for those who do not see it. */
export function figureDrawing(
  { kind, label, height = FIGURE_PLOT.height }: { kind: string; label: string; height?: number },
  ...children: readonly TreeNode[]
): TreeNode {
  const { width } = FIGURE_PLOT;
  return element(
    "svg",
    {
      class: `chart ${kind}`,
      viewBox: `0 0 ${width} ${height}`,
      width,
      height,
      role: "img",
      "aria-label": label,
    },
    ...children,
  );
}
