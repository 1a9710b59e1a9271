import { bottomAxis, extentOf, linear, paddedDomain } from "./axes.ts";
import { element, type TreeNode } from "./tree.ts";

export interface IntervalPlotData {
  /** Change per seed, positive in the claimed direction. */
  readonly changes: readonly number[];
  readonly mean: number;
  /** 95 % interval of the mean; null with a single seed. */
  readonly interval: readonly [number, number] | null;
  readonly margin: number;
  /** Writes a change with its sign and unit. */
  readonly format: (change: number) => string;
  /** Writes a tick value. */
  readonly formatTick: (change: number) => string;
  readonly outcome: string;
}

export const INTERVAL_PLOT = { width: 440, height: 104, left: 16, right: 16, base: 74 } as const;

/** Keeps a label's middle far enough from the edges for its text to fit. */
function labelX(x: number, text: string): number {
  const half = text.length * 3.2;
  return Math.min(Math.max(x, half + 2), INTERVAL_PLOT.width - half - 2);
}

/**
 * The change of one claim over paired seeds against its declared margin: the interval as a bar, the mean as a dot,
 * every seed as a small ring, the side of the margin on which the claim holds shaded.
 */
export function intervalPlot(data: IntervalPlotData): TreeNode {
  const { width, height, left, right, base } = INTERVAL_PLOT;
  const { changes, mean, interval, margin, format } = data;
  const extent = extentOf([0, margin, mean, ...changes, ...(interval ?? [])]) ?? [0, 1];
  const x = linear(paddedDomain(extent, 0.09), [left, width - right]);
  const frame = { left, right: width - right, y: base };
  const barY = 38;
  const seedY = 58;
  const marginLabel = margin === 0 ? "margin 0" : `margin ${format(margin)}`;
  const label = interval
    ? `Mean change ${format(mean)}, 95 % interval ${format(interval[0])} to ${format(interval[1])}, margin ${format(margin)}: ${data.outcome}.`
    : `Mean change ${format(mean)}, no interval, margin ${format(margin)}: ${data.outcome}.`;
  const marginX = x(margin);
  return element(
    "svg",
    { class: "chart interval-plot", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label },
    element("rect", {
      class: "zone-holds",
      x: marginX,
      y: 20,
      width: frame.right - marginX,
      height: base - 20,
    }),
    bottomAxis(x, frame, x.ticks(6), data.formatTick),
    element("line", { class: "zero", x1: x(0), x2: x(0), y1: 20, y2: base }),
    element("line", { class: "margin", x1: marginX, x2: marginX, y1: 16, y2: base }),
    element(
      "text",
      { class: "margin-label", x: labelX(marginX, marginLabel), y: 11, "text-anchor": "middle" },
      marginLabel,
    ),
    ...(interval
      ? [
          element("line", { class: "interval", x1: x(interval[0]), x2: x(interval[1]), y1: barY, y2: barY }),
          ...interval.map((end) =>
            element("line", { class: "interval", x1: x(end), x2: x(end), y1: barY - 5, y2: barY + 5 }),
          ),
        ]
      : []),
    element("circle", { class: "mean", cx: x(mean), cy: barY, r: 4.5 }),
    ...changes.map((change) => element("circle", { class: "seed", cx: x(change), cy: seedY, r: 3 })),
  );
}
