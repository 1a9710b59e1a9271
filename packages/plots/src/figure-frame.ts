import type { Point } from "./curves.ts";
import { endLabelsWidth, fitBeside, heightBelow } from "./end-labels.ts";
import { type FigureAxisSpec, type PlacedAxis, type PlotArea, placeAxis, ticksWidth } from "./figure-axes.ts";
import { scaleText } from "./plot-scale.ts";
import { element, type TreeNode } from "./tree.ts";

/** Plots of figures have one width, so that their type has one size. */
export const FIGURE_PLOT = { width: 440, height: 285, top: 24, bottom: 40 } as const;

/** A plot with its axes laid out. */
export interface PlacedPlot {
  readonly x: PlacedAxis;
  readonly y: PlacedAxis;
  readonly area: PlotArea;
  /** Height of the whole drawing. */
  readonly height: number;
  /** Both scales as attributes of the drawing, for those who read values from it. */
  readonly scales: Readonly<Record<string, string>>;
}

/**
 * Both axes of a plot of these points, with room for the numbers on the left and the names on the right; names that are
 * too many for that get their room below.
 */
export function placeAxes(
  specs: { readonly x: FigureAxisSpec; readonly y: FigureAxisSpec },
  points: readonly Point[],
  names: readonly string[],
): PlacedPlot {
  const { width, height, top, bottom } = FIGURE_PLOT;
  const base = height - bottom;
  const y = placeAxis(
    specs.y,
    points.map(([, value]) => value),
    [base, top],
    6,
  );
  const beside = fitBeside(names, { top, bottom: base });
  const margin = beside ? endLabelsWidth(names) : endLabelsWidth([]);
  const area = { left: ticksWidth(y.ticks), right: width - margin, top, bottom: base };
  const x = placeAxis(
    specs.x,
    points.map(([value]) => value),
    [area.left, area.right],
    6,
  );
  const scaleOf = ({ scale }: PlacedAxis, spec: FigureAxisSpec, pixels: readonly [number, number]) =>
    scaleText({ log: spec.scale === "log", domain: scale.domain() as [number, number], pixels });
  return {
    x,
    y,
    area,
    height: beside ? height : height + heightBelow(names),
    scales: {
      "data-x": scaleOf(x, specs.x, [area.left, area.right]),
      "data-y": scaleOf(y, specs.y, [base, top]),
    },
  };
}

/** The drawing of a figure; `label` says what it shows, for those who do not see it. */
export function figureDrawing(
  {
    kind,
    label,
    height = FIGURE_PLOT.height,
    scales = {},
  }: { kind: string; label: string; height?: number; scales?: PlacedPlot["scales"] },
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
      ...scales,
    },
    ...children,
  );
}
