import { type Day, MAX_QUERY_LENGTH, type PaperRecord } from "@concord/feed";
import { html } from "hono/html";
import { countText, dayText } from "../text.ts";
import type { Html } from "./layout.ts";
import { paperLinks, topicLinks } from "./parts.ts";

/** What the reader asked for, as it came in the address. */
export interface CatalogueQuery {
  readonly q: string;
  readonly topic: string;
  readonly runs: boolean;
}

export interface CatalogueView {
  readonly query: CatalogueQuery;
  /** All topics with the number of their papers. */
  readonly topics: readonly { readonly topic: string; readonly papers: number }[];
  /** What matches, by day, newest first. */
  readonly days: readonly Day[];
  /** How many papers match, and how many there are. */
  readonly found: number;
  readonly total: number;
  /** Where a paper appeared, by slug, as far as known. */
  readonly venues: ReadonlyMap<string, string>;
}

function filterForm({ query, topics }: CatalogueView): Html {
  return html`<form class="filters" method="get" action="/catalogue" role="search" aria-label="Papers">
<div class="field field-grow">
<label for="q">Search</label>
<input id="q" name="q" type="search" maxlength="${MAX_QUERY_LENGTH}" value="${query.q}" placeholder="modality gap, hashing, voice ..." autocomplete="off" spellcheck="false">
</div>
<div class="field">
<label for="topic">Topic</label>
<select id="topic" name="topic">
<option value="">All topics</option>
${topics.map(
  ({ topic, papers }) =>
    html`<option value="${topic}" ${topic === query.topic ? "selected" : ""}>${topic} (${papers})</option>`,
)}
</select>
</div>
<div class="field-check">
<input id="runs" name="runs" type="checkbox" value="1" ${query.runs ? "checked" : ""}>
<label for="runs">Runs here</label>
</div>
<button class="button">Show</button>
</form>`;
}

function paperCard(record: PaperRecord, venue: string | undefined): Html {
  const page = record.slug ? `/papers/${record.slug}` : (record.links.abstract ?? "/");
  return html`<article class="card card-plain" data-card>
<div class="card-main">
<h3 class="paper-title"><a href="${page}">${record.title}</a></h3>
${record.authorCount === null ? "" : html`<p class="authors">${countText(record.authorCount, "author")}</p>`}
<div class="abstract" data-fold><p>${record.abstract}</p></div>
<div class="card-foot">
${record.runnable ? html`<a class="badge runs-here" href="${page}#run">Runs here<span class="visually-hidden">: ${record.title}</span></a>` : ""}
${venue ? html`<span>${venue}</span>` : ""}
${topicLinks(record.topics)}
</div>
</div>
${paperLinks(record)}
</article>`;
}

function resultLine({ query, found, total }: CatalogueView): Html {
  const filtered = query.q !== "" || query.topic !== "" || query.runs;
  if (!filtered)
    return html`<p class="result-count" role="status">${countText(total, "paper")}, newest first</p>`;
  return html`<p class="result-count" role="status">${found} of ${countText(total, "paper")} <a href="/catalogue">Show all</a></p>`;
}

/** The front page: all papers as cards, grouped by the day of their first submission, newest first. */
export function cataloguePage(view: CatalogueView): Html {
  return html`<div class="column">
<div class="masthead">
<h1>Catalogue</h1>
<p class="lead">${countText(view.total, "paper")} on making embeddings agree. Where it says <em>Runs here</em>, press Run and watch
the claim tested: baseline, method and ablations side by side, and a verdict with its uncertainty.</p>
</div>
${filterForm(view)}
${resultLine(view)}
${
  view.found === 0
    ? html`<div class="empty"><h2>No paper matches</h2><p>Try fewer words, another topic, or <a href="/catalogue">show all ${view.total}</a>.</p></div>`
    : ""
}
<div class="days">
${view.days.map(
  ({ day, records }) => html`<section class="day" aria-labelledby="day-${day}">
<h2 id="day-${day}"><time datetime="${day}">${dayText(day)}</time></h2>
<div class="cards">${records.map((record) => paperCard(record, view.venues.get(record.slug ?? "")))}</div>
</section>`,
)}
</div>
</div>`;
}
