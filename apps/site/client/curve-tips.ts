import { type CurveChart, LINE_CHART, lineScales, meanCurve, swatch, valueAt } from "@concord/plots";
import { build, drawingPoint } from "./dom.ts";
import type { Tip } from "./tip.ts";

const SVG = "http://www.w3.org/2000/svg";

/** A figure with four significant digits, the typographic minus sign included. */
function figure(value: number): string {
  return String(Number(value.toPrecision(4))).replace("-", "\u2212");
}

/** The logged step that is nearest to a place on the axis. */
function nearestStep(chart: CurveChart, place: number): number | null {
  let best: number | null = null;
  for (const { seeds } of chart.series) {
    for (const { points } of seeds) {
      for (const [step] of points) {
        if (best === null || Math.abs(step - place) < Math.abs(best - place)) best = step;
      }
    }
  }
  return best;
}

function row(chart: CurveChart, step: number): HTMLElement[] {
  return chart.series.flatMap(({ label, style, seeds }) => {
    const mean = seeds.length > 1 ? meanCurve(seeds.map(({ points }) => points)) : (seeds[0]?.points ?? []);
    const value = valueAt(mean, step);
    if (value === null) return [];
    const line = document.createElement("div");
    line.className = "tip-row";
    const number = document.createElement("span");
    number.className = "tip-value";
    number.textContent = figure(value);
    line.append(build(swatch(style)), label, number);
    return [line];
  });
}

/** Values under the pointer, for every chart of the page. */
export function showCurveTips(root: HTMLElement, tip: Tip, charts: () => readonly CurveChart[]): void {
  const hide = () => {
    tip.hide();
    for (const line of root.querySelectorAll(".hover-line")) line.remove();
  };
  root.addEventListener("pointerleave", hide);
  root.addEventListener("pointermove", (event) => {
    hide();
    const drawing =
      event.target instanceof Element ? event.target.closest<SVGSVGElement>(".line-chart") : null;
    const chart = charts()[Number(drawing?.closest<HTMLElement>("[data-chart]")?.dataset.chart)];
    const scales = chart && lineScales(chart.series);
    const point = drawing && drawingPoint(drawing, event);
    if (!drawing || !chart || !scales || !point) return;
    const { left, right, width, top, height, bottom } = LINE_CHART;
    if (point.x < left || point.x > width - right) return;
    const step = nearestStep(chart, scales.x.invert(point.x));
    if (step === null) return;
    const line = document.createElementNS(SVG, "line");
    const x = String(scales.x(step));
    line.setAttribute("class", "hover-line");
    line.setAttribute("x1", x);
    line.setAttribute("x2", x);
    line.setAttribute("y1", String(top));
    line.setAttribute("y2", String(height - bottom));
    drawing.append(line);
    const head = document.createElement("div");
    head.className = "tip-head";
    head.textContent = `step ${step.toLocaleString("en-GB")}`;
    tip.show(event, head, ...row(chart, step));
  });
}
