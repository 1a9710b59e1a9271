import { linear } from "./axes.ts";
import { element, type TreeNode } from "./tree.ts";

/** A share with its interval. */
export interface EstimateRow {
  readonly label: string;
  readonly value: number;
  readonly low: number;
  readonly high: number;
  /** Rows with one number have one colour and mark; default 0. */
  readonly series?: number;
}

export const ESTIMATE_PLOT = { width: 420, left: 170, right: 54, top: 8, row: 26, bottom: 26 } as const;

function percentText(share: number): string {
  return `${(100 * share).toFixed(share < 0.0995 ? 1 : 0)} %`;
}

/**
 * Shares between 0 and 1 as dots with intervals, one row each, the numbers at the right.
 *
 * @param label  what the plot shows, for those who do not see it
 */
export function estimatePlot(rows: readonly EstimateRow[], label: string): TreeNode {
  const { width, left, right, top, row, bottom } = ESTIMATE_PLOT;
  const height = top + rows.length * row + bottom;
  const x = linear([0, 1], [left, width - right]);
  const base = height - bottom;
  const ticks = [0, 0.25, 0.5, 0.75, 1];
  return element(
    "svg",
    { class: "chart estimate-plot", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label },
    element(
      "g",
      { class: "axis axis-x" },
      ...ticks.flatMap((tick) => [
        element("line", { class: "grid", x1: x(tick), x2: x(tick), y1: top, y2: base }),
        element("text", { x: x(tick), y: base + 16, "text-anchor": "middle" }, `${100 * tick} %`),
      ]),
    ),
    ...rows.flatMap(({ label: name, value, low, high, series = 0 }, index) => {
      const y = top + (index + 0.5) * row;
      const mark =
        series % 2 === 0
          ? element("circle", { class: `estimate series-${series}`, cx: x(value), cy: y, r: 4.5 })
          : element("rect", {
              class: `estimate series-${series}`,
              x: x(value) - 4,
              y: y - 4,
              width: 8,
              height: 8,
            });
      return [
        element("text", { class: "row-label", x: left - 10, y: y + 4, "text-anchor": "end" }, name),
        element("line", { class: `interval series-${series}`, x1: x(low), x2: x(high), y1: y, y2: y }),
        mark,
        element(
          "text",
          { class: "row-value", x: width - 4, y: y + 4, "text-anchor": "end" },
          percentText(value),
        ),
      ];
    }),
  );
}
