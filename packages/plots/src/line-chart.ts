import { line } from "d3-shape";
import { bottomAxis, extentOf, leftAxis, linear, paddedDomain, stepFormat, stepTicks } from "./axes.ts";
import { type ChartData, meanCurve, type Point } from "./curves.ts";
import type { ArmStyle } from "./series.ts";
import { element, type TreeNode } from "./tree.ts";

/** Which arm and seed a unit of work belongs to; `arm` is null for the preparation that all arms of a seed share. */
export interface UnitPlace {
  readonly seed: number;
  readonly arm: string | null;
}

/** All seeds of one arm in one chart. */
export interface Series {
  readonly label: string;
  readonly style: ArmStyle | null;
  readonly seeds: readonly { readonly seed: number; readonly points: readonly Point[] }[];
}

/** Groups the curves of a chart by arm, in the order of the arms; preparation comes first. */
export function seriesOf(
  chart: ChartData,
  units: Readonly<Record<string, UnitPlace>>,
  arms: readonly ArmStyle[],
): readonly Series[] {
  const curves = chart.curves.flatMap(({ unit, points }) => {
    const place = units[unit];
    return place ? [{ ...place, points }] : [];
  });
  const seedsOf = (arm: string | null) =>
    curves.filter((curve) => curve.arm === arm).map(({ seed, points }) => ({ seed, points }));
  return [
    { label: "preparation", style: null, seeds: seedsOf(null) },
    ...arms.map((style) => ({ label: style.label, style, seeds: seedsOf(style.id) })),
  ].filter(({ seeds }) => seeds.length > 0);
}

export const LINE_CHART = { width: 360, height: 228, top: 12, right: 12, bottom: 38, left: 46 } as const;

/** Classes that carry a series' colour and weight; dashes are attributes. */
function strokeOf(style: ArmStyle | null): Record<string, string> {
  if (!style) return { class: "series series-prepare" };
  const dash = style.dash === "none" ? {} : { "stroke-dasharray": style.dash };
  return { class: `series series-${style.colour} role-${style.role}`, ...dash };
}

/** A short stroke in the look of a series, for legends. */
export function swatch(style: ArmStyle | null): TreeNode {
  return element(
    "svg",
    { class: "swatch", viewBox: "0 0 28 10", width: 28, height: 10, "aria-hidden": "true" },
    element("path", { ...strokeOf(style), d: "M1 5H27" }),
  );
}

/** The scales of a chart: steps from left to right, values upwards. Null while there is nothing to draw. */
export function lineScales(series: readonly Series[]) {
  const points = series.flatMap(({ seeds }) => seeds.flatMap((seed) => seed.points));
  const steps = extentOf(points.map(([step]) => step));
  const values = extentOf(points.map(([, value]) => value));
  if (!steps || !values) return null;
  const { width, height, top, right, bottom, left } = LINE_CHART;
  const x = linear(steps[0] === steps[1] ? [steps[0] - 1, steps[1] + 1] : steps, [left, width - right]);
  const y = linear(paddedDomain(values, 0.04), [height - bottom, top]);
  return { x, y };
}

/** `3 seeds, mean 0.42 at step 400` for every series: what a reader who cannot see the lines needs. */
export function describeSeries(series: readonly Series[]): string {
  return series
    .map(({ label, seeds }) => {
      const ends = seeds.flatMap(({ points }) => points.slice(-1));
      const mean = ends.reduce((sum, [, value]) => sum + value, 0) / ends.length;
      const step = Math.max(...ends.map(([at]) => at));
      return `${label}: ${Number(mean.toPrecision(4))} at step ${step}`;
    })
    .join("; ");
}

/**
 * Curves of one logged value: an arm is a colour, a seed a thin line, the mean over seeds a thick one.
 * The drawing has a fixed size of its own and is scaled to its place by the page.
 */
export function lineChart(name: string, series: readonly Series[]): TreeNode {
  const { width, height, top, right, bottom, left } = LINE_CHART;
  const root = {
    class: "chart line-chart",
    viewBox: `0 0 ${width} ${height}`,
    role: "img",
    "aria-label": `Curves of ${name} by step. ${describeSeries(series)}`,
  };
  const scales = lineScales(series);
  if (!scales) return element("svg", root);
  const { x, y } = scales;
  const path = line<Point>(
    ([step]) => x(step),
    ([, value]) => y(value),
  ).digits(1);
  const frame = { left, right: width - right };
  const draw = (points: readonly Point[], style: ArmStyle | null, weight: string): TreeNode => {
    const stroke = strokeOf(style);
    if (points.length === 1) {
      const [step, value] = points[0]!;
      return element("circle", { class: `${stroke.class} dot`, cx: x(step), cy: y(value), r: 2.5 });
    }
    return element("path", { ...stroke, class: `${stroke.class} ${weight}`, d: path(points) ?? "" });
  };
  const thin = series.flatMap(({ style, seeds }) =>
    seeds.length > 1 ? seeds.map(({ points }) => draw(points, style, "seed")) : [],
  );
  const thick = series.flatMap(({ style, seeds }) => {
    const mean = seeds.length > 1 ? meanCurve(seeds.map(({ points }) => points)) : seeds[0]!.points;
    return mean.length > 0 ? [draw(mean, style, "mean")] : [];
  });
  return element(
    "svg",
    root,
    leftAxis(y, frame, 5),
    bottomAxis(x, { ...frame, y: height - bottom }, stepTicks(x, 5), stepFormat(x, 5)),
    element("text", { class: "axis-label", x: frame.right, y: height - 4, "text-anchor": "end" }, "step"),
    ...thin,
    // The method is drawn last, on top.
    ...thick.reverse(),
    element("rect", {
      class: "hover-area",
      x: left,
      y: top,
      width: frame.right - left,
      height: height - top - bottom,
    }),
  );
}
