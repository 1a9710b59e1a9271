import { bottomAxis, extentOf, leftAxis, linear, shareFormat } from "./axes.ts";
import { element, type TreeNode } from "./tree.ts";

export interface HistogramSeries {
  readonly label: string;
  /** [bins + 1] ascending. */
  readonly edges: readonly number[];
  /** [bins] */
  readonly counts: readonly number[];
}

export const HISTOGRAM_PLOT = { width: 420, height: 220, top: 12, right: 14, bottom: 40, left: 46 } as const;

/** Counts as a share of the histogram's own total, so that sets of different sizes compare. */
function sharesOf({ counts }: HistogramSeries): readonly number[] {
  const total = counts.reduce((sum, count) => sum + count, 0);
  return counts.map((count) => (total > 0 ? count / total : 0));
}

/**
 * Histograms over each other on common axes, as outlines with a light filling: where they overlap both stay visible.
 * Their edges may differ; heights are shares of each one's own total.
 *
 * @param axis   what the values are
 * @param label  what the plot shows, for those who do not see it
 */
export function histogramPlot(series: readonly HistogramSeries[], axis: string, label: string): TreeNode {
  const { width, height, top, right, bottom, left } = HISTOGRAM_PLOT;
  const frame = { left, right: width - right, y: height - bottom };
  const x = linear(extentOf(series.flatMap(({ edges }) => edges)) ?? [0, 1], [left, frame.right]);
  const shares = series.map(sharesOf);
  const highest = extentOf(shares.flat())?.[1] ?? 0;
  const y = linear([0, highest > 0 ? highest * 1.05 : 1], [frame.y, top]);
  const at = (value: number) => String(Math.round(value * 10) / 10);
  const outlines = series.map(({ edges }, index) => {
    const steps = (shares[index] as readonly number[]).map(
      (share, bin) => `V${at(y(share))}H${at(x(edges[bin + 1] as number))}`,
    );
    const d = `M${at(x(edges[0] as number))} ${at(frame.y)}${steps.join("")}V${at(frame.y)}`;
    return element("path", { class: `histogram outline-${index} series-${index}`, d });
  });
  return element(
    "svg",
    { class: "chart histogram-plot", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label },
    leftAxis(y, frame, 4, shareFormat),
    ...outlines,
    bottomAxis(x, frame, x.ticks(6), x.tickFormat(6)),
    element("text", { class: "axis-label", x: frame.right, y: height - 6, "text-anchor": "end" }, axis),
  );
}
