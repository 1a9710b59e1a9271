import { drawEndLabels, endLabelsWidth, fitBeside, heightBelow } from "./end-labels.ts";
import {
  CHARACTER,
  coordinate,
  drawLeft,
  type FigureAxisSpec,
  type PlotArea,
  placeAxis,
  shortened,
  ticksWidth,
  wrapped,
} from "./figure-axes.ts";
import { FIGURE_PLOT, figureDrawing } from "./figure-frame.ts";
import type { ArmStyle } from "./series.ts";
import { element, type TreeNode } from "./tree.ts";

/** The bars of one arm. */
export interface FigureBars {
  readonly label: string;
  readonly style: ArmStyle;
  readonly className: string;
  /** One for each category. */
  readonly values: readonly number[];
}

export interface BarsPlotData {
  readonly categories: readonly string[];
  readonly y: FigureAxisSpec;
  readonly groups: readonly FigureBars[];
  /** What the plot shows, for those who do not see it. */
  readonly label: string;
}

/** More bars than these in one plot are too thin to be told apart. */
export const MAX_GROUPED_BARS = 72;
/** Names of categories: longer ones are broken or shortened, and shorter ones are no names any more. */
const WRAPPED_CHARACTERS = 8;
const LEAST_CHARACTERS = 4;

/** Below the bars: one or two lines of names. */
const BOTTOM = 36;
/** Names that do not fit below their bars are slanted, unless they are numbers: of those, every few are enough. */
const SLANT_DEGREES = 40;
const SLANTED_CHARACTERS = 18;
const ROUND_STEPS = [1, 2, 4, 5, 8, 10, 16, 20, 32, 50, 100];
/** A slanted line of type takes that much of the axis. */
const LEAST_SLANTED_BAND = 11;

/** Of how many categories one is named, when names stand upright. */
function namedEvery(categories: readonly string[], band: number): number {
  const longest = Math.max(...categories.map((name) => [...name].length));
  const word = Math.max(...categories.flatMap((name) => name.split(" ").map((part) => [...part].length)));
  const enough = Math.min(longest, WRAPPED_CHARACTERS, word);
  return Math.floor(band / CHARACTER) >= enough ? 1 : Math.ceil(((enough + 1) * CHARACTER) / band);
}

/** How far slanted names reach below the axis; 0 where names stand upright. */
function slantedDepth(categories: readonly string[], band: number): number {
  const words = categories.some((name) => /\p{L}/u.test(name));
  if (!words || band < LEAST_SLANTED_BAND || namedEvery(categories, band) === 1) return 0;
  const longest = Math.max(...categories.map((name) => [...shortened(name, SLANTED_CHARACTERS)].length));
  return Math.ceil(longest * CHARACTER * Math.sin((SLANT_DEGREES * Math.PI) / 180)) + 16;
}

/** `bit 1`, `bit 2` ... as their numbers and what these count; null for other names. */
function counted(categories: readonly string[]): { readonly of: string; readonly numbers: string[] } | null {
  const parts = categories.map((name) => /^(\D*?)\s*(\d+)$/.exec(name));
  const of = parts[0]?.[1] ?? "";
  if (of === "" || parts.some((part) => part?.[1] !== of)) return null;
  return { of, numbers: parts.map((part) => part?.[2] ?? "") };
}

/** Numbers below the categories that they count, those that a round step goes over, and what they count at the end. */
function drawCounted(
  { of, numbers }: { readonly of: string; readonly numbers: readonly string[] },
  band: number,
  { left, right, bottom }: PlotArea,
): TreeNode {
  const room = (Math.max(...numbers.map((number) => number.length)) + 1) * CHARACTER;
  const step = ROUND_STEPS.find((steps) => steps * band >= room) ?? numbers.length;
  const y = Math.round(bottom) + 0.5;
  return element(
    "g",
    { class: "axis axis-x" },
    ...numbers.flatMap((number, index) =>
      Number(number) % step === 0
        ? [element("text", { x: left + (index + 0.5) * band, y: y + 15, "text-anchor": "middle" }, number)]
        : [],
    ),
    element("line", { class: "base", x1: left, x2: right, y1: y, y2: y }),
    element("text", { class: "axis-label", x: right, y: y + 30.5, "text-anchor": "end" }, of),
  );
}

/** Names below their categories, slanted. */
function drawSlanted(
  categories: readonly string[],
  band: number,
  { left, right, bottom }: PlotArea,
): TreeNode {
  const y = Math.round(bottom) + 0.5;
  return element(
    "g",
    { class: "axis axis-x" },
    ...categories.map((name, index) =>
      element(
        "text",
        {
          transform: `translate(${coordinate(left + (index + 0.5) * band + 3)} ${y + 11}) rotate(-${SLANT_DEGREES})`,
          "text-anchor": "end",
        },
        shortened(name, SLANTED_CHARACTERS),
      ),
    ),
    element("line", { class: "base", x1: left, x2: right, y1: y, y2: y }),
  );
}

/** Names below their categories, in up to two lines; where there is no room for all, every few of them. */
function drawCategories(
  categories: readonly string[],
  band: number,
  { left, right, bottom }: PlotArea,
): TreeNode {
  const step = namedEvery(categories, band);
  const room = Math.max(LEAST_CHARACTERS, Math.floor((band * step) / CHARACTER) - 1);
  const y = Math.round(bottom) + 0.5;
  return element(
    "g",
    { class: "axis axis-x" },
    ...categories.flatMap((name, index) => {
      if (index % step !== 0 || name === "") return [];
      const x = left + (index + 0.5) * band;
      const lines = step === 1 ? wrapped(name, room, 2) : [shortened(name, room)];
      return [
        element(
          "text",
          { x, y: y + 15, "text-anchor": "middle" },
          ...lines.map((line, at) => element("tspan", { x, dy: at === 0 ? 0 : 12 }, line)),
        ),
      ];
    }),
    element("line", { class: "base", x1: left, x2: right, y1: y, y2: y }),
  );
}

/** Upright bars, those of a category beside each other in the order of the arms. */
export function barsPlot({ categories: names, y: yAxis, groups, label }: BarsPlotData): TreeNode {
  const { width, top } = FIGURE_PLOT;
  const base = FIGURE_PLOT.height - BOTTOM;
  const y = placeAxis(
    yAxis,
    groups.flatMap(({ values }) => values),
    [base, top],
    6,
    yAxis.scale !== "log",
  );
  const arms = groups.length > 1 ? groups.map((group) => group.label) : [];
  const beside = fitBeside(arms, { top, bottom: base });
  const area: PlotArea = {
    left: ticksWidth(y.ticks),
    right: width - endLabelsWidth(beside ? arms : []),
    top,
    bottom: base,
  };
  const band = (area.right - area.left) / names.length;
  const count = namedEvery(names, band) > 1 ? counted(names) : null;
  const depth = count ? 0 : slantedDepth(names, band);
  const under = Math.max(BOTTOM, depth);
  const height = base + under + (beside ? 0 : heightBelow(arms));
  const inner = band * (groups.length > 1 ? 0.8 : 0.84);
  const bar = inner / groups.length;
  const [low, high] = y.scale.domain() as [number, number];
  const within = (value: number) => Math.min(Math.max(value, low), high);
  const foot = y.scale(within(0));
  const drawings = groups.map(({ style, className, values }, place) => {
    const d = values.map((value, index) => {
      const x = area.left + index * band + (band - inner) / 2 + place * bar;
      const edge = y.scale(within(value));
      return `M${coordinate(x)} ${coordinate(foot)}V${coordinate(edge)}h${coordinate(Math.max(0.6, bar * 0.94))}V${coordinate(foot)}z`;
    });
    return element("path", { class: `bars series-${style.colour} ${className}`, d: d.join("") });
  });
  const labels = groups.map(({ label: text, style, className }) => ({
    text,
    y: null,
    className,
    swatch: (x: number, middle: number) =>
      element("rect", {
        class: `bars series-${style.colour}`,
        x: x + 4,
        y: middle - 5,
        width: 10,
        height: 10,
      }),
  }));
  return figureDrawing(
    { kind: "bars-plot", label, height },
    drawLeft(y, area),
    ...drawings,
    ...(low < 0 && high > 0
      ? [element("line", { class: "base", x1: area.left, x2: area.right, y1: foot, y2: foot })]
      : []),
    count
      ? drawCounted(count, band, area)
      : depth > 0
        ? drawSlanted(names, band, area)
        : drawCategories(names, band, area),
    ...(arms.length > 0 ? drawEndLabels(labels, area, under) : []),
  );
}
