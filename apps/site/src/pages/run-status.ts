import type { RunRecord } from "@concord/papers";
import { html } from "hono/html";
import { doneShare, progressText } from "../runs/progress.ts";
import { csrfField } from "../site-env.ts";
import { countText, durationText } from "../text.ts";
import type { Html } from "./layout.ts";
import { outcomeCounts, statusBadge, timeElement } from "./parts.ts";
import type { RunView } from "./run.ts";

/** Ids of the units that are done. */
export function doneUnits(run: RunRecord): readonly string[] {
  return run.units.filter(({ status }) => status === "done").map(({ id }) => id);
}

function statusText(view: RunView): Html {
  const { run, queuePosition, journal } = view;
  const ids = doneUnits(run);
  const done = ids.length;
  const units = `${done} of ${countText(run.units.length, "unit")} done`;
  switch (run.status) {
    case "queued":
      return html`${queuePosition === null || queuePosition === 1 ? "Next in the queue." : `Number ${queuePosition} in the queue.`} ${done > 0 ? `${units}; it goes on from there.` : ""}`;
    case "running":
      return html`${units}. <span id="progress-text">${progressText(ids, journal.progress)}</span>`;
    case "done":
      return html`Finished ${run.finishedAt ? timeElement(run.finishedAt) : ""} after ${durationText(run.seconds)} of computing.`;
    case "failed":
      return html`Failed with ${units}.`;
    case "cancelled":
      return html`Cancelled with ${units}.`;
  }
}

function actions({ run, context, mayAct }: RunView): Html {
  if (!mayAct) return html``;
  const post = (action: string, label: string, look: string) =>
    html`<form method="post" action="/runs/${run.id}/${action}">${csrfField(context)}<button class="button ${look}">${label}</button></form>`;
  if (run.status === "queued" || run.status === "running") {
    return html`<div class="actions">${post("cancel", "Cancel", "button-quiet")}</div>`;
  }
  return html`<div class="actions">
${run.status === "failed" || run.status === "cancelled" ? post("resume", "Resume", "button-primary") : ""}
<details class="confirm"><summary class="button button-quiet">Delete</summary>
<div class="confirm-box"><p>The run's results, log and files are removed for good.</p>${post("delete", "Delete this run", "button-danger")}</div>
</details>
</div>`;
}

/** Status, progress and what can be done about it. */
export function runStatusSection(view: RunView): Html {
  const { run } = view;
  const share = doneShare(run.units.length, doneUnits(run), view.journal.progress);
  const percent = Math.floor(share * 100);
  return html`<section class="status-panel" aria-label="Status">
<div class="status-line">
${statusBadge(run.status)}
<p class="status-text" role="status">${statusText(view)}</p>
${actions(view)}
</div>
${
  run.status === "done"
    ? outcomeCounts(run)
    : html`<progress max="100" value="${percent}" aria-label="Progress of the run">${percent} %</progress>`
}
${run.error ? html`<div class="error-box"><h2>What went wrong</h2><pre tabindex="0">${run.error}</pre></div>` : ""}
</section>`;
}
