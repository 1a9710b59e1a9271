import type { PublishedRow, PublishedTable } from "@concord/papers";
import { type ArmStyle, markup, swatch } from "@concord/plots";
import { html, raw } from "hono/html";
import type { Html } from "./layout.ts";

/** A table that scrolls sideways in its own frame on narrow screens; the frame can be reached by keyboard. */
export function scrollingTable(label: string, table: Html): Html {
  return html`<div class="table-scroll" role="group" aria-label="${label}" tabindex="0">${table}</div>`;
}

/** Heads of columns up to this length stay on one line: `Top-1`. */
const SHORT_HEAD = 10;

function publishedValue(value: number | string | null | undefined): Html {
  if (value === null || value === undefined) {
    return html`<td class="quiet"><span aria-hidden="true">–</span><span class="visually-hidden">not given</span></td>`;
  }
  return html`<td>${typeof value === "number" ? String(value).replace("-", "\u2212") : value}</td>`;
}

/**
 * A table as the paper printed it, with its source.
 * @param arms  arms of a run by id; rows that correspond to one of them are marked with its look
 */
export function publishedTable(table: PublishedTable, arms: ReadonlyMap<string, ArmStyle> = new Map()): Html {
  const rowHead = ({ label, arm: id }: PublishedRow) => {
    const arm = id === undefined ? undefined : arms.get(id);
    if (!arm) return html`<th scope="row">${label}</th>`;
    return html`<th scope="row">${raw(markup(swatch(arm)))} ${label}<span class="visually-hidden">, arm ${arm.label}</span></th>`;
  };
  return html`<figure class="published">
${scrollingTable(
  table.caption,
  html`<table class="data">
<caption>${table.caption}</caption>
<thead><tr><th scope="col"><span class="visually-hidden">Row</span></th>${table.columns.map(
    (column) =>
      html`<th scope="col" ${column.length <= SHORT_HEAD ? raw('class="nowrap"') : ""}>${column}</th>`,
  )}</tr></thead>
<tbody>
${table.rows.map(
  (row) => html`<tr>
${rowHead(row)}
${table.columns.map((_, index) => publishedValue(row.values[index]))}
</tr>`,
)}
</tbody>
</table>`,
)}
<figcaption>Source: ${table.source}. ${
    table.confirmed
      ? html`<span class="confirmed">Read in the paper.</span>`
      : html`<span class="unconfirmed">Not confirmed in the paper itself.</span>`
  }</figcaption>
</figure>`;
}
