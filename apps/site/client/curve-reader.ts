import {
  type CurveChart,
  LINE_CHART,
  lineScales,
  meanCurve,
  swatch,
  valueAt,
  valueText,
} from "@concord/plots";
import type { ChartReader } from "./chart-tips.ts";

/** What a chart of curves says at every logged step: the mean over seeds of every arm. */
export function curveReader({ series }: CurveChart): ChartReader | null {
  const scales = lineScales(series);
  if (!scales) return null;
  const { left, right, width, top, height, bottom } = LINE_CHART;
  const logged = series.flatMap(({ seeds }) => seeds.flatMap(({ points }) => points.map(([step]) => step)));
  const steps = [...new Set(logged)].sort((a, b) => a - b);
  const means = series.map(({ label, style, seeds }) => ({
    label,
    style,
    points: seeds.length > 1 ? meanCurve(seeds.map(({ points }) => points)) : (seeds[0]?.points ?? []),
  }));
  return {
    stops: steps.map((step) => ({ x: scales.x(step) })),
    left,
    right: width - right,
    top,
    bottom: height - bottom,
    read(stop) {
      const step = steps[stop] ?? 0;
      return {
        head: `step ${step.toLocaleString("en-GB")}`,
        rows: means.flatMap(({ label, style, points }) => {
          const value = valueAt(points, step);
          return value === null ? [] : [{ swatch: swatch(style), label, value: valueText(value) }];
        }),
      };
    },
  };
}
