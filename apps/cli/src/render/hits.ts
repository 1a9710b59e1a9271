import type { SearchHit } from "@concord/toolkit";
import type { Colours } from "../context.ts";
import { COLUMN_GAP, renderTable } from "./table.ts";
import { numberText, printable } from "./text.ts";

const MAX_FIELDS = 4;
const MIN_WIDTH = 8;

/** Widths of columns that need some: narrow ones get what they need, the others share the rest. */
function shareRoom(needed: readonly number[], room: number): number[] {
  const widths = needed.map(() => 0);
  let left = room;
  const order = needed.map((_, i) => i).sort((i, j) => (needed[i] as number) - (needed[j] as number));
  for (const [done, column] of order.entries()) {
    const share = Math.max(MIN_WIDTH, Math.floor(left / (needed.length - done)));
    widths[column] = Math.min(needed[column] as number, share);
    left -= widths[column] as number;
  }
  return widths;
}

function oneLine(text: string): string {
  return printable(text).replaceAll(/\s+/g, " ");
}

function shorten(text: string, width: number): string {
  return text.length > width ? `${text.slice(0, width - 1)}…` : text;
}

/** What was found for one query: place, score, and the columns that came with the vectors, as far as there is room. */
export function renderHits(
  hits: readonly SearchHit[],
  {
    columns,
    colours,
    distances,
  }: { readonly columns: number; readonly colours: Colours; readonly distances: boolean },
): string {
  if (hits.length === 0) return "Nothing found.";
  const names = Object.keys(hits[0]?.fields ?? {}).slice(0, MAX_FIELDS);
  const whole = hits.every(({ score }) => Number.isInteger(score));
  const rows = hits.map(({ score, index }, place) => [
    String(place + 1),
    numberText(score, whole ? 0 : 4),
    String(index),
  ]);
  const heads = ["", distances ? "Distance" : "Similarity", "Row"];
  const used = heads.reduce(
    (sum, head, i) =>
      sum + Math.max(head.length, ...rows.map((row) => (row[i] as string).length)) + COLUMN_GAP,
    0,
  );
  const cells = hits.map(({ fields }) => names.map((name) => oneLine(String(fields[name] ?? ""))));
  const needed = names.map((name, i) =>
    Math.max(name.length, ...cells.map((row) => (row[i] as string).length)),
  );
  const widths = shareRoom(needed, columns - used - COLUMN_GAP * Math.max(0, names.length - 1));
  const cut = (text: string, i: number) => shorten(text, widths[i] as number);
  return renderTable(
    [
      ...heads.map((head) => ({ head, align: "right" as const })),
      ...names.map((head, i) => ({ head: cut(oneLine(head), i) })),
    ],
    rows.map((row, place) => [...row, ...(cells[place] as string[]).map(cut)]),
    colours,
  );
}
