import type { Metric, Verdict } from "@concord/papers";
import { intervalPlot, markup, swatch } from "@concord/plots";
import { html, raw } from "hono/html";
import { armStyles, type Cell, metricsOf, resultRows } from "../runs/summary.ts";
import { countText, differenceUnit, numberText, signedText } from "../text.ts";
import type { Html } from "./layout.ts";
import { outcomeBadge } from "./parts.ts";
import type { RunView } from "./run.ts";
import { publishedTable, scrollingTable } from "./tables.ts";

interface ChangeFormat {
  readonly format: (change: number) => string;
  /** Without its unit, where another number with the unit follows. */
  readonly formatBare: (change: number) => string;
  readonly formatTick: (change: number) => string;
}

/** A tick's value with as many decimals as it has, so that neighbouring ticks never read the same. */
function plainNumber(value: number): string {
  return String(Number(value.toPrecision(6))).replace("-", "\u2212");
}

/** How the changes of a verdict are written: relative ones in per cent, absolute ones in the metric's own unit. */
function changeFormat(verdict: Verdict, metric: Metric | undefined): ChangeFormat {
  if (verdict.change === "relative") {
    return {
      format: (change) => `${signedText(change * 100, 1)}\u00a0%`,
      formatBare: (change) => signedText(change * 100, 1),
      formatTick: (change) => `${plainNumber(change * 100)}\u00a0%`,
    };
  }
  const digits = metric?.digits ?? 3;
  const unit = differenceUnit(metric?.unit);
  return {
    format: (change) => `${signedText(change, digits)}${unit}`,
    formatBare: (change) => signedText(change, digits),
    formatTick: plainNumber,
  };
}

function verdictCard(verdict: Verdict, view: RunView): Html {
  const metrics = metricsOf(view.run, view.experiment);
  const metric = metrics.find(({ id }) => id === verdict.metric);
  const arm = (id: string) => view.experiment?.arms.find((candidate) => candidate.id === id)?.label ?? id;
  const { format, formatBare, formatTick } = changeFormat(verdict, metric);
  const { mean, interval, margin, outcome, changes } = verdict;
  return html`<li class="verdict">
<div class="verdict-head">${outcomeBadge(outcome)}<p class="verdict-statement">${verdict.statement}</p><button type="button" class="save needs-script" data-save="${view.run.id} ${verdict.claim}">SVG<span class="visually-hidden"> of the interval plot: ${verdict.statement}</span></button></div>
<div class="verdict-plot">
${raw(markup(intervalPlot({ changes, mean, interval, margin, format, formatTick, outcome })))}
</div>
<p class="verdict-text"><span class="figure">${format(mean)}</span> ${metric?.label ?? verdict.metric}, <em>${arm(verdict.arm)}</em> against <em>${arm(verdict.against)}</em>${verdict.direction === "lower" ? ", lower counted as positive" : ""}.
${
  interval
    ? html`95 % interval ${formatBare(interval[0])} to ${format(interval[1])} over ${countText(changes.length, "paired seed")}; margin ${format(margin)}.`
    : html`One seed gives no interval; margin ${format(margin)}.`
}</p>
</li>`;
}

/** Every claim with its change, interval and margin. */
export function verdictSection(view: RunView): Html {
  const { verdicts } = view.run;
  if (verdicts.length === 0) return html``;
  return html`<section aria-labelledby="verdicts-title">
<h2 id="verdicts-title">Verdicts</h2>
${view.run.preset === "smoke" ? html`<p class="section-lead">A smoke run shows that everything works. It is too small to say anything about the paper.</p>` : ""}
<ol class="verdicts">${verdicts.map((verdict) => verdictCard(verdict, view))}</ol>
<p class="chart-key">Dot and bar: mean change over paired seeds and its 95 % interval. Rings: single seeds. Dashed line: the margin declared beforehand; a claim is reproduced when the whole bar lies in the shaded part.</p>
</section>`;
}

function resultCell(cell: Cell | null, metric: Metric): Html {
  if (!cell)
    return html`<td class="quiet"><span aria-hidden="true">–</span><span class="visually-hidden">no result yet</span></td>`;
  const mean = numberText(cell.mean, metric.digits);
  const spread =
    cell.deviation === null
      ? ""
      : html`<span class="spread"> ± ${numberText(cell.deviation, metric.digits)}</span>`;
  return cell.best
    ? html`<td class="best"><strong>${mean}</strong>${spread}<span class="visually-hidden">, best</span></td>`
    : html`<td>${mean}${spread}</td>`;
}

function directionText(metric: Metric): Html {
  if (metric.better === "neither") return html``;
  return metric.better === "higher"
    ? html`<span class="direction" title="higher is better"><span aria-hidden="true">↑</span><span class="visually-hidden">(higher is better)</span></span>`
    : html`<span class="direction" title="lower is better"><span aria-hidden="true">↓</span><span class="visually-hidden">(lower is better)</span></span>`;
}

/** The published tables that compare at least two of the run's arms, reduced to them. */
export function publishedSection(view: RunView): Html {
  const arms = new Map(armStyles(view.run, view.experiment).map((arm) => [arm.id, arm]));
  const tables = (view.card?.publishedResults ?? [])
    .map((table) => ({ ...table, rows: table.rows.filter(({ arm }) => arm !== undefined && arms.has(arm)) }))
    .filter(({ rows }) => rows.length > 1);
  if (tables.length === 0) return html``;
  return html`<section aria-labelledby="published-title">
<h2 id="published-title">What the paper printed for these arms</h2>
<p class="section-lead">Other data and other model sizes than this run: compare the direction and the order of the arms, not the figures.</p>
<div class="published-grid">${tables.map((table) => publishedTable(table, arms))}</div>
</section>`;
}

/** One table of results, of some of the metrics. */
function resultTable(view: RunView, caption: string, shown: (metric: Metric) => boolean): Html {
  const metrics = metricsOf(view.run, view.experiment);
  const columns = metrics.flatMap((metric, column) => (shown(metric) ? [{ metric, column }] : []));
  return scrollingTable(
    caption,
    html`<table class="data results">
<caption>${caption}</caption>
<thead><tr><th scope="col">Arm</th>${columns.map(
      ({ metric }) =>
        html`<th scope="col"><span class="metric-name">${metric.label}</span> <span class="nowrap">${metric.unit ? html`<span class="quiet">${metric.unit}</span> ` : ""}${directionText(metric)}</span></th>`,
    )}</tr></thead>
<tbody>${resultRows(view.run, view.experiment).map(
      ({ arm, cells }) => html`<tr class="arm-${arm.role}">
<th scope="row" class="arm-name">${raw(markup(swatch(arm)))} ${arm.label}${arm.role === "ablation" ? "" : html` <span class="role role-${arm.role}">${arm.role}</span>`}</th>
${columns.map(({ metric, column }) => resultCell(cells[column] ?? null, metric))}
</tr>`,
    )}</tbody>
</table>`,
  );
}

/** Arm by metric: the metrics that claims are about, and the others folded away. */
export function resultsSection(view: RunView): Html {
  const { run, experiment } = view;
  if (run.results.length === 0) return html``;
  const seeds = new Set(run.results.map(({ seed }) => seed)).size;
  const what = seeds > 1 ? `Mean ± standard deviation over ${seeds} seeds` : "One seed";
  const caption = `${what}${run.status === "done" ? "" : ", so far"}; best in bold`;
  const claimed = new Set(experiment?.claims.map(({ metric }) => metric));
  const metrics = metricsOf(run, experiment);
  const others = metrics.filter(({ id }) => !claimed.has(id));
  const folded = claimed.size > 0 && others.length > 0;
  return html`<section aria-labelledby="results-title">
<h2 id="results-title">Results</h2>
${resultTable(view, caption, ({ id }) => !folded || claimed.has(id))}
${
  folded
    ? html`<details class="unfold"><summary>${countText(others.length, "further metric")}</summary>${resultTable(view, `Further metrics. ${caption}`, ({ id }) => !claimed.has(id))}</details>`
    : ""
}
</section>`;
}
