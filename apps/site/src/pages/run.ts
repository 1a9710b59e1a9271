import type { ArmFigures, EmbeddingMap, PaperCard, RunRecord } from "@concord/papers";
import { type CurvesData, curvesView, markup } from "@concord/plots";
import { html, raw } from "hono/html";
import type { Journal } from "../runs/journal.ts";
import { positionText } from "../runs/log-file.ts";
import { armStyles, type ExperimentInfo, metricsOf } from "../runs/summary.ts";
import type { SiteContext } from "../site-env.ts";
import { countText } from "../text.ts";
import type { Html } from "./layout.ts";
import { timeElement } from "./parts.ts";
import { runDetails } from "./run-details.ts";
import { figuresSection } from "./run-figures.ts";
import { embeddingSection } from "./run-map.ts";
import { publishedSection, resultsSection, verdictSection } from "./run-results.ts";
import { doneUnits, runStatusSection } from "./run-status.ts";

/** What the arms of one seed left to be shown. */
export interface SeedFigures {
  readonly seed: number;
  readonly arms: readonly ArmFigures[];
  /** Arms whose figures cannot be read. */
  readonly broken: readonly string[];
}

export interface RunView {
  readonly context: SiteContext;
  /** Whether the viewer may stop, resume and delete runs. */
  readonly mayAct: boolean;
  readonly run: RunRecord;
  /** The paper and its experiment; null where this catalogue has them no more. */
  readonly card: PaperCard | null;
  readonly experiment: ExperimentInfo | null;
  readonly journal: Journal;
  /** When run.json was written, as the event stream knows it. */
  readonly changed: number;
  /** 1 for the run that comes next; null when it does not wait. */
  readonly queuePosition: number | null;
  readonly map: EmbeddingMap | null;
  /** Seeds of which there is a map. */
  readonly mapSeeds: readonly number[];
  readonly figures: SeedFigures | null;
  /** Seeds of which there are figures. */
  readonly figureSeeds: readonly number[];
  /** The figure of which all arms are asked for, where not all are shown at first. */
  readonly allOf: string | undefined;
}

export function isLive(run: RunRecord): boolean {
  return run.status === "queued" || run.status === "running";
}

/** What the curves of a run are drawn from, on the server and in the browser. */
export function curvesData({ run, experiment, journal }: RunView): CurvesData {
  return {
    charts: journal.charts,
    units: Object.fromEntries(run.units.map(({ id, seed, arm }) => [id, { seed, arm }])),
    arms: armStyles(run, experiment),
    names: Object.fromEntries(
      metricsOf(run, experiment).map(({ id, label, unit }) => [id, unit ? `${label}, ${unit}` : label]),
    ),
  };
}

/** JSON for a script element: `<` is written as an escape, so that no text in it can end the element. */
function jsonData(value: unknown): Html {
  return raw(JSON.stringify(value).replaceAll("<", "\\u003c"));
}

/**
 * A run. Everything is drawn on the server; the page's script adds curve points as they are logged and fetches the
 * parts marked `data-live` again when the state of the run changes.
 */
export function runPage(view: RunView): Html {
  const { run, card } = view;
  const data = curvesData(view);
  return html`<div class="column run-page">
<header id="head" class="paper-head" data-live>
<p class="overline">Run of</p>
<h1>${card ? html`<a href="/papers/${card.slug}">${card.title}</a>` : run.paper}</h1>
<p class="byline"><span>${run.preset} size</span><span>${countText(run.arms.length, "arm")}</span><span>${countText(run.seeds.length, "paired seed")}</span>${run.startedAt ? html`<span>started ${timeElement(run.startedAt)}</span>` : html`<span>created ${timeElement(run.createdAt)}</span>`}</p>
</header>
<div id="status" data-live>${runStatusSection(view)}</div>
<div id="verdicts" data-live>${verdictSection(view)}</div>
<div id="results" data-live>${resultsSection(view)}</div>
<div id="figures" data-live>${figuresSection(view)}</div>
<section aria-labelledby="curves-title">
<h2 id="curves-title">Curves</h2>
<div id="curves">${raw(markup(curvesView(data)))}</div>
</section>
<div id="published">${publishedSection(view)}</div>
<div id="maps" data-live>${embeddingSection(view)}</div>
<div id="details" data-live>${runDetails(view)}</div>
<script type="application/json" id="run-data">${jsonData({
    events: isLive(run)
      ? `/runs/${run.id}/events?from=${positionText(view.journal.position)}&seen=${view.changed}`
      : null,
    units: { total: run.units.length, done: doneUnits(run) },
    curves: data,
  })}</script>
</div>`;
}
