import type { ChartData } from "./curves.ts";
import { lineChart, type Series, seriesOf, swatch, type UnitPlace } from "./line-chart.ts";
import type { ArmStyle } from "./series.ts";
import { element, type TreeNode } from "./tree.ts";

/** Everything that the curves of a run are drawn from. Plain data: the page carries it for its scripts. */
export interface CurvesData {
  readonly charts: readonly ChartData[];
  readonly units: Readonly<Record<string, UnitPlace>>;
  readonly arms: readonly ArmStyle[];
  /** Full names of logged values that are metrics of the experiment, e.g. `gap` as `Modality gap`. */
  readonly names: Readonly<Record<string, string>>;
}

/** One chart ready to be drawn. */
export interface CurveChart {
  readonly phase: string;
  readonly title: string;
  readonly series: readonly Series[];
}

/** The charts that have something to show, in their order. */
export function curveCharts({ charts, units, arms, names }: CurvesData): readonly CurveChart[] {
  return charts
    .map(({ phase, name, curves }) => ({
      phase,
      title: names[name] ?? name,
      series: seriesOf({ phase, name, curves }, units, arms),
    }))
    .filter(({ series }) => series.length > 0);
}

/** The drawing as one that takes the focus: keys read values from it. */
export function readable(drawing: TreeNode): TreeNode {
  return { ...drawing, attributes: { ...drawing.attributes, tabindex: 0 } };
}

function chartFigure({ phase, title, series }: CurveChart, index: number): TreeNode {
  return element(
    "figure",
    { class: "chart-figure", "data-chart": index },
    element(
      "figcaption",
      {},
      element("span", {}, title, " ", element("span", { class: "chart-phase" }, phase)),
      element(
        "button",
        { type: "button", class: "save needs-script", "data-save": `${phase} ${title}` },
        "SVG",
        element("span", { class: "visually-hidden" }, ` of ${title}, ${phase}`),
      ),
    ),
    readable(lineChart(`${title}, ${phase}`, series)),
  );
}

/** Legend and charts of a run. */
export function curvesView(data: CurvesData): TreeNode {
  const charts = curveCharts(data);
  if (charts.length === 0) {
    return element("p", { class: "quiet" }, "No curve yet: they appear with the first logged step.");
  }
  const used = new Set(charts.flatMap(({ series }) => series.map(({ style }) => style?.id ?? null)));
  const entries = [null, ...data.arms].filter((style) => used.has(style?.id ?? null));
  const several = charts.some(({ series }) => series.some(({ seeds }) => seeds.length > 1));
  return element(
    "div",
    { class: "curves" },
    element(
      "ul",
      { class: "legend" },
      ...entries.map((style) => element("li", {}, swatch(style), style?.label ?? "preparation")),
      ...(several ? [element("li", { class: "quiet" }, "thick: mean over seeds, thin: one seed")] : []),
    ),
    element("div", { class: "chart-grid" }, ...charts.map(chartFigure)),
  );
}
