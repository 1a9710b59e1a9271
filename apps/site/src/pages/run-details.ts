import type { UnitRecord } from "@concord/papers";
import { markup, swatch } from "@concord/plots";
import { html, raw } from "hono/html";
import { armStyles } from "../runs/summary.ts";
import { countText, durationText } from "../text.ts";
import type { Html } from "./layout.ts";
import { timeElement } from "./parts.ts";
import type { RunView } from "./run.ts";
import { scrollingTable } from "./tables.ts";

function unitCell(unit: UnitRecord | undefined): Html {
  if (!unit) return html`<td></td>`;
  const text =
    unit.status === "done" && unit.seconds !== undefined ? durationText(unit.seconds) : unit.status;
  return html`<td class="unit unit-${unit.status}">${text}</td>`;
}

/** What was computed, seed by arm, with the time it took. */
function unitTable({ run, experiment }: RunView): Html {
  const rows = [
    { id: null, label: "preparation", style: null },
    ...armStyles(run, experiment).map((style) => ({ id: style.id, label: style.label, style })),
  ];
  return scrollingTable(
    "Units of work",
    html`<table class="data units">
<caption>Units of work, computing time</caption>
<thead><tr><th scope="col">Unit</th>${run.seeds.map((seed) => html`<th scope="col">seed ${seed}</th>`)}</tr></thead>
<tbody>${rows.map(
      ({ id, label, style }) =>
        html`<tr><th scope="row">${raw(markup(swatch(style)))} ${label}</th>${run.seeds.map((seed) =>
          unitCell(run.units.find((unit) => unit.seed === seed && unit.arm === id)),
        )}</tr>`,
    )}</tbody>
</table>`,
  );
}

function notes({ journal }: RunView): Html {
  if (journal.notes.length === 0) return html``;
  const dropped =
    journal.notesDropped > 0
      ? html`<p class="quiet">${countText(journal.notesDropped, "further note")} in the log.</p>`
      : "";
  return html`<section aria-labelledby="notes-title">
<h2 id="notes-title">Notes</h2>
<ul class="notes" tabindex="0" aria-labelledby="notes-title">${journal.notes.map(
    ({ level, message, unit }) =>
      html`<li class="note-${level}">${level === "warning" ? html`<strong>Warning:</strong> ` : ""}${message} <span class="quiet small">${unit}</span></li>`,
  )}</ul>
${dropped}
</section>`;
}

function facts({ run }: RunView): readonly (readonly [string, Html | string])[] {
  return [
    ["Run", html`<code>${run.id}</code>`],
    ["Size", run.preset],
    ["Seeds", run.seeds.join(", ")],
    ["Created", timeElement(run.createdAt)],
    ...(run.startedAt ? ([["Started", timeElement(run.startedAt)]] as const) : []),
    ...(run.finishedAt ? ([["Finished", timeElement(run.finishedAt)]] as const) : []),
    ["Computing time", durationText(run.seconds)],
    ["Taken up again", run.resumes === 0 ? "never" : countText(run.resumes, "time")],
    ...Object.entries(run.inputs).map(([name, value]) => [`Input ${name}`, String(value)] as const),
    ...Object.entries(run.environment),
  ];
}

/** Notes, units, machine, configuration and the files to take away. */
export function runDetails(view: RunView): Html {
  const { run } = view;
  return html`${notes(view)}
<section aria-labelledby="details-title">
<h2 id="details-title">Details</h2>
<div class="details-grid">
<div>${run.units.length > 0 ? unitTable(view) : ""}</div>
<dl class="facts">${facts(view).map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
</div>
<details class="config"><summary>Configuration</summary><pre tabindex="0"><code>${JSON.stringify(run.config, null, 2) ?? ""}</code></pre></details>
<ul class="link-row">
<li><a class="button button-quiet" href="/runs/${run.id}/run.json" download="${run.id}.run.json">run.json</a></li>
<li><a class="button button-quiet" href="/runs/${run.id}/log.jsonl" download="${run.id}.log.jsonl">log.jsonl</a></li>
</ul>
</section>`;
}
