import Table from "cli-table3";
import type { Colours } from "../context.ts";
import { wrapLines } from "./text.ts";

export interface Column {
  readonly head: string;
  readonly align?: "left" | "right";
  /** Longest line of a cell; longer text is wrapped. */
  readonly width?: number;
}

/** Spaces between columns. */
export const COLUMN_GAP = 2;

const none = {
  top: "",
  "top-mid": "",
  "top-left": "",
  "top-right": "",
  bottom: "",
  "bottom-mid": "",
  "bottom-left": "",
  "bottom-right": "",
  left: "",
  "left-mid": "",
  mid: "",
  "mid-mid": "",
  right: "",
  "right-mid": "",
  middle: " ".repeat(COLUMN_GAP),
};

/** A cell whose text is wrapped before it is styled, so that styles never span lines. */
export interface Cell {
  readonly text: string;
  readonly style?: (text: string) => string;
}

/** A table without lines: heads underlined by their style alone, columns apart by two spaces. */
export function renderTable(
  columns: readonly Column[],
  rows: readonly (readonly (Cell | string)[])[],
  colours: Colours,
): string {
  const table = new Table({
    chars: none,
    style: { "padding-left": 0, "padding-right": 0, head: [], border: [], compact: true },
    colAligns: columns.map(({ align }) => align ?? "left"),
  });
  const fit = (text: string, width: number | undefined, style: (line: string) => string) =>
    (width === undefined ? text.split("\n") : text.split("\n").flatMap((line) => wrapLines(line, width)))
      .map((line) => (line === "" ? "" : style(line)))
      .join("\n");
  table.push(columns.map(({ head, width }) => fit(head, width, (line) => colours.dim(line))));
  for (const row of rows) {
    table.push(
      row.map((cell, index) => {
        const { text, style } = typeof cell === "string" ? { text: cell, style: undefined } : cell;
        return fit(text, columns[index]?.width, style ?? ((line) => line));
      }),
    );
  }
  return table
    .toString()
    .split("\n")
    .map((line) => line.trimEnd())
    .join("\n");
}

/** A column of finished cells. */
export interface CellColumn {
  readonly head: string;
  readonly cells: readonly Cell[];
}

function widthOf({ head, cells }: CellColumn): number {
  const lines = [head, ...cells.map(({ text }) => text)].flatMap((text) => text.split("\n"));
  return Math.max(...lines.map((line) => line.length));
}

/** Columns that fit beside each other, group after group, in their order; every group has at least one. */
function splitColumns(columns: readonly CellColumn[], room: number): CellColumn[][] {
  const groups: CellColumn[][] = [];
  let left = 0;
  for (const column of columns) {
    const needed = widthOf(column) + COLUMN_GAP;
    const group = groups.at(-1);
    if (group && needed <= left) group.push(column);
    else {
      groups.push([column]);
      left = room;
    }
    left -= needed;
  }
  return groups;
}

/**
 * A table of numbers whose rows are named by its first column. Columns that do not fit beside each other go into
 * further tables below, each with the names again.
 */
export function renderSplitTable(
  names: CellColumn,
  values: readonly CellColumn[],
  { columns, colours }: { readonly columns: number; readonly colours: Colours },
): string {
  return splitColumns(values, columns - widthOf(names))
    .map((group) =>
      renderTable(
        [{ head: names.head }, ...group.map(({ head }) => ({ head, align: "right" as const }))],
        names.cells.map((name, row) => [name, ...group.map(({ cells }) => cells[row] ?? "")]),
        colours,
      ),
    )
    .join("\n\n");
}
