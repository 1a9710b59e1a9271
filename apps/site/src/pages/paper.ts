import type { Claim, PaperCard, PresetName, RunRecord } from "@concord/papers";
import { html } from "hono/html";
import { address } from "../daily/query.ts";
import type { ExperimentInfo } from "../runs/summary.ts";
import { csrfField, type SiteContext } from "../site-env.ts";
import { countText, differenceUnit, numberText } from "../text.ts";
import type { Html } from "./layout.ts";
import { outcomeCounts, statusBadge, timeElement } from "./parts.ts";
import { publishedTable, scrollingTable } from "./tables.ts";

export interface PaperView {
  readonly card: PaperCard;
  readonly experiment: ExperimentInfo | null;
  /** Runs of this paper, newest first. */
  readonly runs: readonly RunRecord[];
  readonly maxSeeds: number;
  /** Why the viewer may not start runs; null when they may. */
  readonly refusal: string | null;
  /** Sizes that cannot be run without files of the user. */
  readonly needsFiles: ReadonlySet<PresetName>;
}

const presetNames: readonly PresetName[] = ["smoke", "default", "paper"];

/** Why there is no button here, and what can be done about it. */
function refusedRun(context: SiteContext, refusal: string): Html {
  const visitor = context.var.viewer === null;
  return html`<p class="quiet">${refusal}</p>
${visitor ? html`<p><a class="button button-quiet" href="${address("/sign-in", { next: context.req.path })}" rel="nofollow">Sign in</a></p>` : ""}`;
}

function startForm(
  context: SiteContext,
  card: PaperCard,
  experiment: ExperimentInfo,
  { maxSeeds, needsFiles }: Pick<PaperView, "maxSeeds" | "needsFiles">,
): Html {
  return html`<form method="post" action="/papers/${card.slug}/runs">${csrfField(context)}
<fieldset class="presets">
<legend>Size</legend>
${presetNames.map((name) => {
  const preset = experiment.presets[name];
  const state = needsFiles.has(name) ? "disabled" : name === "smoke" ? "checked" : "";
  return html`<label class="preset">
<input type="radio" name="preset" value="${name}" ${state}>
<span class="preset-name">${name}</span>
<span class="preset-cost">${preset.description}${needsFiles.has(name) ? html` <strong>Only in a terminal, with your own data.</strong>` : ""}</span>
</label>`;
})}
</fieldset>
<div class="field">
<label for="seeds">Paired seeds</label>
<input id="seeds" name="seeds" type="number" inputmode="numeric" min="1" max="${maxSeeds}" placeholder="as the size says" aria-describedby="seeds-help">
<p id="seeds-help" class="help">Two or more give an interval; empty keeps the number of the size.</p>
</div>
<button class="button button-primary">Run</button>
</form>`;
}

function runPanel(
  context: SiteContext,
  { card, experiment, maxSeeds, needsFiles, refusal }: PaperView,
): Html {
  if (!experiment) {
    return html`<section class="panel" aria-labelledby="run">
<h2 id="run" class="panel-title">Run</h2>
<p class="quiet">No experiment of this paper can be run here yet.</p>
</section>`;
  }
  const inputs = experiment.inputs ?? [];
  const flags = inputs
    .filter(({ kind }) => kind === "path")
    .map(({ name, placeholder }) => `--${name} ${placeholder ?? name.toUpperCase()}`);
  return html`<section class="panel" aria-labelledby="run">
<h2 id="run" class="panel-title">Run</h2>
${refusal === null ? startForm(context, card, experiment, { maxSeeds, needsFiles }) : refusedRun(context, refusal)}
${
  flags.length > 0
    ? html`<div class="own-data"><h3>On your own data</h3>
<p>Files are read by the command in a terminal, not through this page:</p>
<pre><code>${[`npm run concord -- run ${card.slug}`, ...flags].map((part, place) => html`${place === 0 ? "" : " "}<span class="nowrap">${part}</span>`)}</code></pre>
<details><summary>${countText(inputs.length, "option")}</summary><dl class="inputs">${inputs.map(
        (input) => html`<div><dt><code>--${input.name}</code></dt><dd>${input.description}</dd></div>`,
      )}</dl></details></div>`
    : ""
}
</section>`;
}

function pastRuns({ card, runs }: PaperView): Html {
  if (runs.length === 0) return html``;
  return html`<section class="panel" aria-labelledby="past-runs">
<h2 id="past-runs" class="panel-title">Runs of this paper</h2>
<ol class="run-list">
${runs.map(
  (run) => html`<li>
<div class="run-line"><a href="/runs/${run.id}"><span class="visually-hidden">Run of ${card.title}, </span>${run.preset}, ${countText(run.seeds.length, "seed")}</a>${statusBadge(run.status)}</div>
<div class="quiet small">${timeElement(run.createdAt)}</div>
${run.verdicts.length > 0 ? outcomeCounts(run) : ""}
</li>`,
)}
</ol>
</section>`;
}

/** What a claim asks for in words, e.g. `higher by at least 2.0 points`, `lower by at most 1.0 points`, `at least as high`. */
function demandText({ change, margin, metric, direction }: Claim, experiment: ExperimentInfo): string {
  const found = experiment.metrics.find(({ id }) => id === metric);
  const size = Math.abs(margin);
  const amount =
    change === "relative"
      ? `${Number((size * 100).toPrecision(4))}\u00a0% of its value`
      : numberText(size, found?.digits ?? 3) + differenceUnit(found?.unit);
  const opposite = direction === "higher" ? "lower" : "higher";
  if (margin === 0) return `at least as ${direction === "higher" ? "high" : "low"}`;
  return margin > 0 ? `${direction} by at least ${amount}` : `${opposite} by at most ${amount}`;
}

function claimList(experiment: ExperimentInfo): Html {
  const armLabel = (id: string) => experiment.arms.find((arm) => arm.id === id)?.label ?? id;
  const metricLabel = (id: string) => experiment.metrics.find((metric) => metric.id === id)?.label ?? id;
  return html`<section aria-labelledby="claims">
<h2 id="claims">Claims that a run tests</h2>
<p class="section-lead">Each margin was declared before any run. A claim counts as reproduced only when the whole 95 % interval of the change keeps to its margin.</p>
<ol class="claims">
${experiment.claims.map(
  (claim) => html`<li>
<p class="claim-statement">${claim.statement}</p>
<p class="claim-test">${metricLabel(claim.metric)}: <em>${armLabel(claim.arm)}</em> against <em>${armLabel(claim.against)}</em>: <span class="margin-value">${demandText(claim, experiment)}</span></p>
<p class="quiet small">${claim.source}</p>
</li>`,
)}
</ol>
</section>`;
}

function armsAndMetrics(experiment: ExperimentInfo): Html {
  return html`<section aria-labelledby="arms">
<h2 id="arms">Arms</h2>
<dl class="definitions">
${experiment.arms.map(
  (arm) =>
    html`<div><dt>${arm.label} <span class="role role-${arm.role}">${arm.role}</span></dt><dd>${arm.description}</dd></div>`,
)}
</dl>
</section>
<section aria-labelledby="metrics">
<h2 id="metrics">Metrics</h2>
${scrollingTable(
  "Metrics",
  html`<table class="data metrics">
<caption class="visually-hidden">Metrics of the experiment and their definitions</caption>
<thead><tr><th scope="col">Metric</th><th scope="col" class="text">Better</th><th scope="col" class="text">Definition</th></tr></thead>
<tbody>${experiment.metrics.map(
    (metric) =>
      html`<tr><th scope="row">${metric.label}${metric.unit ? html` <span class="quiet">${metric.unit}</span>` : ""}</th><td class="text">${metric.better === "neither" ? "" : metric.better}</td><td class="text wrap">${metric.description}</td></tr>`,
  )}</tbody>
</table>`,
)}
</section>`;
}

/** What the catalogue adds to the page of a paper: our summary, claims, arms, metrics, what the paper printed. */
export function catalogueSections(view: PaperView): Html {
  const { card, experiment } = view;
  return html`<section aria-labelledby="summary">
<h2 id="summary">In our words</h2>
<p>${card.summary}</p>
<p class="use-for"><span class="use-for-label">Use it for</span> ${card.useFor}</p>
${card.code ? html`<p class="quiet small">Licence of the official code: ${card.code.licence}.</p>` : ""}
</section>
${experiment ? claimList(experiment) : ""}
${experiment ? armsAndMetrics(experiment) : ""}
${
  card.publishedResults.length > 0
    ? html`<section aria-labelledby="published">
<h2 id="published">What the paper printed</h2>
${card.publishedResults.map((table) => publishedTable(table))}
</section>`
    : ""
}`;
}

/** The way to test a paper's claims, and the runs so far. */
export function runSections(context: SiteContext, view: PaperView): Html {
  return html`${runPanel(context, view)}
${pastRuns(view)}`;
}
