import { scaleLog } from "d3-scale";
import { line } from "d3-shape";
import { bottomAxis, linear } from "./axes.ts";
import { element, type TreeNode } from "./tree.ts";

export interface SpectrumSeries {
  readonly label: string;
  /** Share of the variance of each direction, largest first. */
  readonly shares: readonly number[];
}

export const SPECTRUM_PLOT = { width: 420, height: 220, top: 12, right: 14, bottom: 40, left: 58 } as const;

/** Smaller shares are drawn at the bottom: they are rounding. */
const LEAST = 1e-6;

function percentText(share: number): string {
  return `${Number((100 * share).toPrecision(1))} %`;
}

/** Share of the variance by direction, on a logarithmic scale, one line a set, dashed from the second on. */
export function spectrumPlot(series: readonly SpectrumSeries[], label: string): TreeNode {
  const { width, height, top, right, bottom, left } = SPECTRUM_PLOT;
  const frame = { left, right: width - right, y: height - bottom };
  const longest = Math.max(2, ...series.map(({ shares }) => shares.length));
  const all = series.flatMap(({ shares }) => shares).filter((share) => share > LEAST);
  const highest = all.reduce((most, share) => Math.max(most, share), LEAST * 10);
  const lowest = all.reduce((least, share) => Math.min(least, share), highest / 10);
  const x = linear([1, longest], [left, frame.right]);
  const y = scaleLog([Math.max(LEAST, lowest / 1.5), Math.min(1, highest * 1.5)], [frame.y, top]);
  const powers = y.ticks(5).filter((tick) => Number.isInteger(Math.round(Math.log10(tick) * 1e6) / 1e6));
  const ticks = powers.length >= 2 ? powers : y.ticks(3);
  const path = line<number>()
    .x((_, index) => x(index + 1))
    .y((share) => y(Math.max(y.domain()[0] as number, share)))
    .digits(1);
  return element(
    "svg",
    { class: "chart spectrum-plot", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label },
    element(
      "g",
      { class: "axis axis-y" },
      ...ticks.flatMap((tick) => {
        const place = Math.round(y(tick)) + 0.5;
        return [
          element("line", { class: "grid", x1: left, x2: frame.right, y1: place, y2: place }),
          element("text", { x: left - 8, y: place + 3.5, "text-anchor": "end" }, percentText(tick)),
        ];
      }),
    ),
    ...series.map(({ shares }, index) =>
      element("path", {
        class: `series series-${index}`,
        ...(index > 0 ? { "stroke-dasharray": "5 3" } : {}),
        d: path([...shares]) ?? "",
      }),
    ),
    bottomAxis(x, frame, [1, ...x.ticks(5).filter((tick) => Number.isInteger(tick) && tick > 1)], (tick) =>
      tick.toLocaleString("en-GB"),
    ),
    element(
      "text",
      { class: "axis-label", x: frame.right, y: height - 6, "text-anchor": "end" },
      "direction, strongest first",
    ),
  );
}
