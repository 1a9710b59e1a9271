import type { SavedFigure } from "@concord/papers";
import { type Point, valueAt } from "@concord/plots";
import { html } from "hono/html";
import { type FigureBlock, isKind } from "../runs/figures.ts";
import { numberText } from "../text.ts";
import type { Html } from "./layout.ts";
import { scrollingTable } from "./tables.ts";

type Kind<K extends SavedFigure["kind"]> = FigureBlock<Extract<SavedFigure, { kind: K }>>;

const SAMPLES = 7;
const MAX_ROWS = 60;
const MAX_CATEGORIES = 24;
const MAX_CELLS = 600;

const short = (value: number) => String(Number(value.toPrecision(4))).replace("-", "\u2212");

/** Heads that are empty are numbers. */
function table(caption: string, heads: readonly string[], rows: readonly (readonly string[])[]): Html {
  return scrollingTable(
    caption,
    html`<table class="data"><caption>${caption}</caption>
<thead><tr>${heads.map((head, index) => html`<th scope="col">${head || index}</th>`)}</tr></thead>
<tbody>${rows.map(
      ([first, ...cells], index) =>
        html`<tr><th scope="row">${first || index + 1}</th>${cells.map((cell) => html`<td>${cell}</td>`)}</tr>`,
    )}</tbody></table>`,
  );
}

const nameOf = (arm: string, series: string) => (series === "" ? arm : `${arm}, ${series}`);

const extremes = (name: string, values: readonly number[]) => [
  name,
  short(values.reduce((least, value) => Math.min(least, value), Number.POSITIVE_INFINITY)),
  short(values.reduce((sum, value) => sum + value, 0) / values.length),
  short(values.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY)),
];
const EXTREMES = ["smallest", "mean", "largest"];

const ascends = (points: readonly Point[]) =>
  points.every(([x], index) => index === 0 || x >= (points[index - 1] as Point)[0]);

function linesTable({ first, arms }: Kind<"lines">): Html {
  const series = arms.flatMap(({ style, figure }) =>
    figure.series
      .filter(({ guide, points }) => guide !== true && points.length > 0)
      .map(({ label, points }) => ({ name: nameOf(style.label, label), points })),
  );
  const xs = series.flatMap(({ points }) => points.map(([x]) => x));
  if (xs.length === 0) return html``;
  if (!series.every(({ points }) => ascends(points))) {
    const rows = series.map(({ name, points }) =>
      extremes(
        name,
        points.map(([, y]) => y),
      ),
    );
    return table(first.y.label, ["Arm", ...EXTREMES], rows);
  }
  const sorted = [...new Set(xs)].sort((a, b) => a - b);
  const columns = [
    ...new Set(
      Array.from(
        { length: SAMPLES },
        (_, i) => sorted[Math.round((i * (sorted.length - 1)) / (SAMPLES - 1))]!,
      ),
    ),
  ];
  const rows = series.map(({ name, points }) => [
    name,
    ...columns.map((x) => {
      const value = valueAt(points, x);
      return value === null ? "\u2013" : short(value);
    }),
  ]);
  return table(
    `${first.y.label} at some places of ${first.x.label}`,
    [first.x.label, ...columns.map(short)],
    rows,
  );
}

function pointsTable({ first, arms }: Kind<"points">): Html {
  const series = arms.flatMap(({ style, figure }) =>
    figure.series.map(({ label, points, labels }) => ({ name: nameOf(style.label, label), points, labels })),
  );
  const count = series.reduce((sum, { points }) => sum + points.length, 0);
  const heads = [first.x.label, first.y.label];
  if (count <= MAX_ROWS) {
    const rows = series.flatMap(({ name, points, labels }) =>
      points.map(([x, y], index) => [nameOf(name, labels?.[index] ?? ""), short(x), short(y)]),
    );
    return table("All points", ["Point", ...heads], rows);
  }
  const mean = (values: readonly number[]) =>
    values.length === 0 ? "\u2013" : short(values.reduce((sum, value) => sum + value, 0) / values.length);
  const rows = series.map(({ name, points }) => [
    name,
    String(points.length),
    mean(points.map(([x]) => x)),
    mean(points.map(([, y]) => y)),
  ]);
  return table("Means of the points", ["Arm", "points", ...heads], rows);
}

function barsTable({ first, arms }: Kind<"bars">): Html {
  const series = arms.flatMap(({ style, figure }) =>
    figure.series.map(({ label, values }) => ({ name: nameOf(style.label, label), values })),
  );
  return first.categories.length <= MAX_CATEGORIES
    ? table(
        first.y.label,
        ["Arm", ...first.categories],
        series.map(({ name, values }) => [name, ...values.map(short)]),
      )
    : table(
        first.y.label,
        ["Arm", ...EXTREMES],
        series.map(({ name, values }) => extremes(name, values)),
      );
}

function matrixTables({ first, arms }: Kind<"matrix">): Html {
  const cells = arms.reduce((sum, { figure }) => sum + figure.rows.length * figure.columns.length, 0);
  if (cells > MAX_CELLS) {
    const rows = arms.map(({ style, figure }) => {
      const values = figure.values.flat().filter((value) => value !== null);
      return values.length === 0
        ? [style.label, "\u2013", "\u2013", "\u2013"]
        : extremes(style.label, values);
    });
    return table(first.label, ["Arm", ...EXTREMES], rows);
  }
  return html`${arms.map(({ style, figure: { rows, columns, values, digits, label } }) =>
    table(
      `${style.label}: ${label}`,
      ["Row", ...columns],
      rows.map((row, index) => [
        row,
        ...(values[index] ?? []).map((value) => (value === null ? "\u2013" : numberText(value, digits))),
      ]),
    ),
  )}`;
}

function galleryTables({ arms }: Kind<"gallery">): Html {
  return html`${arms.map(({ style, figure }) =>
    table(
      style.label,
      ["Row", "Pictures, from left to right"],
      figure.rows.map(({ label, items }) => [label, items.map(({ caption }) => caption).join(" \u00b7 ")]),
    ),
  )}`;
}

/** What a figure shows, as numbers and words: all of them where they are few, else what is typical of them. */
export function figureTables(block: FigureBlock): Html {
  if (isKind(block, "lines")) return linesTable(block);
  if (isKind(block, "points")) return pointsTable(block);
  if (isKind(block, "bars")) return barsTable(block);
  if (isKind(block, "matrix")) return matrixTables(block);
  if (isKind(block, "gallery")) return galleryTables(block);
  return html``;
}
