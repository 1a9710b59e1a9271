import { extentOf, leftAxis, linear, shareFormat } from "./axes.ts";
import { element, type TreeNode } from "./tree.ts";

export interface Bar {
  readonly label: string;
  readonly value: number;
}

export const BAR_PLOT = { width: 420, height: 220, top: 12, right: 14, bottom: 40, left: 46 } as const;

/** Labels that fit below the bars beside each other. */
const LABELS = 9;

/**
 * Shares as upright bars from 0, with every few of their labels.
 *
 * @param axis   what the labels are
 * @param label  what the plot shows, for those who do not see it
 */
export function barPlot(bars: readonly Bar[], axis: string, label: string): TreeNode {
  const { width, height, top, right, bottom, left } = BAR_PLOT;
  const frame = { left, right: width - right, y: height - bottom };
  const highest = Math.max(0, extentOf(bars.map(({ value }) => value))?.[1] ?? 0);
  const y = linear([0, highest > 0 ? highest * 1.05 : 1], [frame.y, top]);
  const room = (frame.right - left) / Math.max(1, bars.length);
  const every = Math.max(1, Math.ceil(bars.length / LABELS));
  return element(
    "svg",
    { class: "chart bar-plot", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label },
    leftAxis(y, frame, 4, shareFormat),
    ...bars.map(({ value }, index) =>
      element("rect", {
        class: "bar",
        x: left + index * room + Math.min(1, room * 0.1),
        y: y(value),
        width: Math.max(0.5, room - 2 * Math.min(1, room * 0.1)),
        height: Math.max(0, frame.y - y(value)),
      }),
    ),
    element("line", { class: "base", x1: left, x2: frame.right, y1: frame.y + 0.5, y2: frame.y + 0.5 }),
    element(
      "g",
      { class: "axis axis-x" },
      ...bars.flatMap((bar, index) =>
        index % every === 0
          ? [
              element(
                "text",
                { x: left + (index + 0.5) * room, y: frame.y + 16, "text-anchor": "middle" },
                bar.label,
              ),
            ]
          : [],
      ),
    ),
    element("text", { class: "axis-label", x: frame.right, y: height - 6, "text-anchor": "end" }, axis),
  );
}
