import type { RunRecord } from "@concord/papers";
import { html } from "hono/html";
import { countText, durationText } from "../text.ts";
import type { Html } from "./layout.ts";
import { outcomeCounts, statusBadge, timeElement } from "./parts.ts";
import { scrollingTable } from "./tables.ts";

export interface RunsView {
  /** Newest first. */
  readonly runs: readonly RunRecord[];
  /** Titles of the papers by slug. */
  readonly titles: ReadonlyMap<string, string>;
  /** How many runs there are in all, when only the newest are listed. */
  readonly total: number;
  /** False where another server on the same folder does the computing. */
  readonly executesHere: boolean;
}

/** All runs of this folder. */
export function runsPage({ runs, titles, total, executesHere }: RunsView): Html {
  const waiting = runs.filter(({ status }) => status === "queued").length;
  return html`<div class="column">
<div class="masthead"><h1>Runs</h1>
<p class="lead">${total === 0 ? "Nothing has been run yet." : `${countText(total, "run")}${waiting > 0 ? `, ${waiting} waiting` : ""}. One computes at a time, oldest first.`}</p>
${executesHere ? "" : html`<p class="banner">Another server on the same folder executes the runs; this one shows them.</p>`}
</div>
${
  runs.length === 0
    ? html`<div class="empty"><h2>No runs</h2><p>Pick a paper that <a href="/?runs=1">runs here</a> and press Run.</p></div>`
    : scrollingTable(
        "Runs",
        html`<table class="data runs" role="table">
<caption class="visually-hidden">All runs, newest first</caption>
<thead role="rowgroup"><tr role="row">${[
          ["Paper", ""],
          ["Status", "text"],
          ["Size", "text"],
          ["Seeds", ""],
          ["Outcome", "text"],
          ["Time", ""],
          ["Created", "text"],
        ].map(
          ([name, kind]) => html`<th scope="col" role="columnheader" class="${kind}">${name}</th>`,
        )}</tr></thead>
<tbody role="rowgroup">${runs.map(
          (run) => html`<tr role="row">
<th scope="row" role="rowheader"><a href="/runs/${run.id}">${titles.get(run.paper) ?? run.paper}</a></th>
<td class="text" role="cell">${statusBadge(run.status)}</td>
<td class="text" role="cell">${run.preset}</td>
<td role="cell">${run.seeds.length}<span class="phone-word"> ${run.seeds.length === 1 ? "seed" : "seeds"}</span></td>
<td class="text run-outcome" role="cell">${outcomeCounts(run)}</td>
<td class="run-time nowrap" role="cell">${run.seconds > 0 ? durationText(run.seconds) : ""}</td>
<td class="text nowrap run-created" role="cell">${timeElement(run.createdAt)}</td>
</tr>`,
        )}</tbody>
</table>`,
      )
}
${total > runs.length ? html`<p class="quiet">The newest ${runs.length} of ${total} are listed.</p>` : ""}
</div>`;
}
