import { CHARACTER, coordinate, shortened } from "./figure-axes.ts";
import { element, type TreeNode } from "./tree.ts";

export interface MatrixPlotData {
  readonly rows: readonly string[];
  readonly columns: readonly string[];
  /** [row][column]; null is left blank. */
  readonly values: readonly (readonly (number | null)[])[];
  readonly range: readonly [number, number];
  /** What a value is, with its unit. */
  readonly unit: string;
  readonly digits: number;
  /** What the plot shows, for those who do not see it. */
  readonly label: string;
}

const WIDTH = 300;
const LEAST_CELL = 4.5;
const LARGEST_CELL = 46;
const LABEL_CHARACTERS = 15;
/** Shades that are told apart; cells of one shade are one path. */
const SHADES = 24;
const FAINTEST = 0.05;
/** From this opacity on, white on the shade is easier to read than black in light colours, and the other way in dark ones. */
const DEEP = 0.74;
const SCALE = { width: 150, height: 9 } as const;
const SLANT = 40 * (Math.PI / 180);

/** A number with the typographic minus sign. */
export function figureNumber(value: number, digits: number): string {
  const text = value.toFixed(digits);
  return (Number(text) === 0 ? text.replace("-", "") : text).replace("-", "\u2212");
}

/** Which of two colours a value has, and how much of it: one colour where the range has one sign, else one for each. */
interface Shade {
  readonly side: "low" | "high";
  readonly opacity: number;
}

/** The shade of a value: the lower end of the range, or zero inside of it, is the faintest. */
export function shadeOf(value: number, [low, high]: readonly [number, number]): Shade {
  const inside = Math.min(Math.max(value, low), high);
  const both = low < 0 && high > 0;
  const share = both ? Math.abs(inside) / Math.max(-low, high) : (inside - low) / (high - low);
  const step = Math.round(share * (SHADES - 1)) / (SHADES - 1);
  return { side: both && inside < 0 ? "low" : "high", opacity: FAINTEST + (1 - FAINTEST) * step };
}

const opacityText = (opacity: number) => String(Math.round(opacity * 1000) / 1000);

/** The shades from one end of the range to the other, with the numbers at its ends and what they are. */
function drawScale({ range, unit, digits }: MatrixPlotData, left: number, y: number, room: number): TreeNode {
  const width = Math.min(SCALE.width, room);
  const piece = width / SHADES;
  const [low, high] = range;
  const marks = low < 0 && high > 0 ? [low, 0, high] : [low, high];
  return element(
    "g",
    { class: "shade-scale" },
    ...Array.from({ length: SHADES }, (_, index) => {
      const { side, opacity } = shadeOf(low + ((high - low) * (index + 0.5)) / SHADES, range);
      return element("rect", {
        class: `shade shade-${side}`,
        "fill-opacity": opacityText(opacity),
        x: coordinate(left + index * piece),
        y,
        width: coordinate(piece + 0.15),
        height: SCALE.height,
      });
    }),
    ...marks.map((mark) => {
      const x = ((mark - low) / (high - low)) * width;
      const anchor = mark === low ? "start" : mark === high ? "end" : "middle";
      const tooNear = mark === 0 && low < 0 && high > 0 && (x < 45 || x > width - 45);
      return element(
        "text",
        { x: left + x, y: y + SCALE.height + 13, "text-anchor": anchor },
        tooNear ? "" : figureNumber(mark, digits),
      );
    }),
    element(
      "text",
      { x: left, y: y - 6, class: "axis-label" },
      shortened(unit, Math.floor(room / CHARACTER)),
    ),
  );
}

/** A table of shades; the numbers are in the cells where they fit. Blank cells have neither. */
export function matrixPlot(data: MatrixPlotData): TreeNode {
  const { rows, columns, values, range, digits, label } = data;
  const cell = Math.min(LARGEST_CELL, Math.max(LEAST_CELL, WIDTH / Math.max(columns.length, rows.length)));
  const short = (names: readonly string[]) => names.map((name) => shortened(name, LABEL_CHARACTERS));
  const [rowNames, columnNames] = [short(rows), short(columns)];
  const widthOf = (text: string) => [...text].length * CHARACTER;
  const left = 8 + Math.max(0, ...rowNames.map(widthOf));
  const widest = Math.max(0, ...columnNames.map(widthOf));
  // Numbers as names, and others that are short, stand upright over their columns.
  const every = Math.max(1, Math.ceil(13 / cell));
  const slanted = widest > cell * every - 2 && widest > 16;
  const top = slanted ? 10 + widest * Math.sin(SLANT) : 16;
  const everyColumn = slanted ? every : Math.max(1, Math.ceil((widest + 4) / cell));
  const overhang = slanted ? (widest + 6) * Math.cos(SLANT) : 0;
  const right = left + columns.length * cell;
  const bottom = top + rows.length * cell;
  const unit = Math.min(widthOf(data.unit), WIDTH - left);
  const width = Math.ceil(
    Math.max(right + Math.max(0, overhang - cell / 2), left + Math.max(SCALE.width, unit)) + 2,
  );
  const height = Math.ceil(bottom + 46);
  const gap = cell > 12 ? 1 : cell > 7 ? 0.5 : 0;

  const shades = new Map<string, { side: string; opacity: number; d: string }>();
  const numbers: TreeNode[] = [];
  const texts = values.map((row) => row.map((value) => (value === null ? "" : figureNumber(value, digits))));
  const longest = Math.max(0, ...texts.flat().map(widthOf));
  const hasNumbers = longest + 4 <= cell && cell >= 15;
  for (const [r, row] of values.entries()) {
    for (const [c, value] of row.entries()) {
      if (value === null) continue;
      const { side, opacity } = shadeOf(value, range);
      const key = `${side} ${opacity}`;
      const [x, y] = [left + c * cell, top + r * cell];
      const size = coordinate(cell - gap);
      const shade = shades.get(key) ?? { side, opacity, d: "" };
      shade.d += `M${coordinate(x)} ${coordinate(y)}h${size}v${size}h-${size}z`;
      shades.set(key, shade);
      if (!hasNumbers) continue;
      numbers.push(
        element(
          "text",
          {
            class: opacity > DEEP ? "cell-number on-deep" : "cell-number",
            x: x + (cell - gap) / 2,
            y: y + (cell - gap) / 2 + 4,
            "text-anchor": "middle",
          },
          texts[r]?.[c] ?? "",
        ),
      );
    }
  }
  return element(
    "svg",
    {
      class: "chart matrix-plot",
      viewBox: `0 0 ${width} ${height}`,
      width,
      height,
      role: "img",
      "aria-label": label,
    },
    ...rowNames.flatMap((name, index) =>
      index % every === 0
        ? [element("text", { x: left - 6, y: top + (index + 0.5) * cell + 3.5, "text-anchor": "end" }, name)]
        : [],
    ),
    ...columnNames.flatMap((name, index) => {
      if (index % everyColumn !== 0) return [];
      const x = coordinate(left + (index + 0.5) * cell);
      const place = slanted
        ? { transform: `translate(${x} ${coordinate(top - 5)}) rotate(-40)` }
        : { x, y: top - 6, "text-anchor": "middle" };
      return [element("text", place, name)];
    }),
    ...[...shades.values()].map(({ side, opacity, d }) =>
      element("path", { class: `shade shade-${side}`, "fill-opacity": opacityText(opacity), d }),
    ),
    ...numbers,
    drawScale(data, left, bottom + 24, width - left),
  );
}
