import type { Facet, Period } from "@concord/feed";
import { html } from "hono/html";
import type { Html } from "../pages/layout.ts";
import type { SiteContext } from "../site-env.ts";
import { countText, dayText } from "../text.ts";
import { paperCard, type ShownPaper } from "./card.ts";
import { periodText } from "./dates.ts";
import { checkFields, facetFields } from "./filter-fields.ts";
import { type FilterQuery, isNarrowed, type ListPlace, listAddress, placePath } from "./query.ts";

export interface ListView {
  readonly place: ListPlace;
  readonly query: FilterQuery;
  readonly papers: readonly ShownPaper[];
  /** How many papers the list has. */
  readonly total: number;
  /** The address of the next page, if there is one. */
  readonly next: string | null;
  /** Whether this is a later page of the list. */
  readonly later: boolean;
  /** The day, week or month that is shown, with its neighbours. */
  readonly period: Period | null;
  /** What was asked for, where its day had no papers and another is shown. */
  readonly asked: string | null;
  /** Periods around the newest day, for the tabs. */
  readonly newest: { readonly day: string; readonly week: string; readonly month: string } | null;
  readonly categories: readonly Facet[];
  readonly topics: readonly Facet[];
}

function heading({ place, period }: ListView): Html {
  if (place.list === "trending") return html`Trending papers`;
  if (period) return html`<time datetime="${period.from}">${periodText(period)}</time>`;
  return html`Daily Papers`;
}

function lead(view: ListView): Html {
  const { place, total, asked, period } = view;
  if (asked !== null && period) {
    return html`<p class="lead">Nothing was listed on ${/^\d{4}-\d\d-\d\d$/.test(asked) ? dayText(asked) : asked}. This is the nearest ${period.kind} with papers.</p>`;
  }
  if (place.list === "trending") {
    return html`<p class="lead">What readers vote for, keep, discuss and run, with a half-life of two and a half days. <a href="/about/ranking">How it is computed</a></p>`;
  }
  if (place.list === "latest") {
    if (isNarrowed(view.query)) return html`<p class="lead">${countText(total, "paper")}, newest first.</p>`;
    return html`<p class="lead">${countText(total, "paper")}, newest first. Where it says <em>Runs here</em>, press Run and watch the claim tested.</p>`;
  }
  return html`<p class="lead">${countText(total, "paper")}, most votes first.</p>`;
}

/** Latest, day, week, month, trending: the current one is marked; filters stay. */
function tabs({ place, query, newest, period }: ListView): Html {
  const within = period ?? null;
  const at = (kind: "day" | "week" | "month") =>
    within && within.kind === kind ? within.key : (newest?.[kind] ?? "");
  const entries: readonly { readonly label: string; readonly to: ListPlace }[] = [
    { label: "Latest", to: { list: "latest" } },
    ...(newest
      ? ([
          { label: "Day", to: { list: "day", at: at("day") } },
          { label: "Week", to: { list: "week", at: at("week") } },
          { label: "Month", to: { list: "month", at: at("month") } },
        ] as const)
      : []),
    { label: "Trending", to: { list: "trending" } },
  ];
  return html`<nav class="tabs" aria-label="Lists"><ul>${entries.map(
    ({ label, to }) =>
      html`<li><a href="${listAddress(to, query)}" ${to.list === place.list ? html`aria-current="page"` : ""}>${label}</a></li>`,
  )}</ul></nav>`;
}

function neighbours({ place, query, period }: ListView): Html {
  if (!period || place.list === "latest" || place.list === "trending") return html``;
  const { kind, previous, next } = period;
  const link = (at: string | null, name: "previous" | "next", sign: string) =>
    at === null
      ? html`<span class="step step-off" aria-hidden="true">${sign}</span>`
      : html`<a class="step" rel="${name === "previous" ? "prev" : "next"}" href="${listAddress({ list: kind, at }, query)}"><span aria-hidden="true">${sign}</span><span class="visually-hidden">${name} ${kind} with papers</span></a>`;
  return html`<nav class="steps" aria-label="Neighbouring ${kind}s">${link(previous, "previous", "←")}${link(next, "next", "→")}</nav>`;
}

function filters({ place, query, categories, topics }: ListView): Html {
  return html`<form class="filters" method="get" action="${placePath(place)}" aria-label="Filters" data-filters>
${facetFields(query, { categories, topics })}
${checkFields(query)}
${query.author ? html`<input type="hidden" name="author" value="${query.author}">` : ""}
<button class="button button-quiet">Apply</button>
${isNarrowed(query) ? html`<a class="clear" href="${placePath(place)}">Clear</a>` : ""}
</form>`;
}

/** Cards under the days to which they belong; one heading for each run of papers with the same day. */
function byDay(context: SiteContext, papers: readonly ShownPaper[]): Html {
  const days = Map.groupBy(papers, ({ paper }) => paper.day);
  return html`${[...days].map(
    ([
      day,
      shown,
    ]) => html`<section class="day" data-day="${day ?? ""}" aria-labelledby="day-${day ?? "none"}">
<h2 id="day-${day ?? "none"}">${day ? html`<a href="/day/${day}"><time datetime="${day}">${dayText(day)}</time></a>` : "Without a date"}</h2>
<div class="cards">${shown.map((one) => paperCard(context, one, { dated: false }))}</div>
</section>`,
  )}`;
}

function emptyNotice({ place, query }: ListView): Html {
  if (isNarrowed(query)) {
    return html`<div class="empty"><h2>No paper matches</h2><p>Loosen the filters, or <a href="${placePath(place)}">show all</a>.</p></div>`;
  }
  if (place.list === "trending") {
    return html`<div class="empty"><h2>Nothing is trending yet</h2><p>Votes, bookmarks, comments and runs move papers up here. <a href="/">See the newest</a>.</p></div>`;
  }
  return html`<div class="empty"><h2>There are no papers yet</h2><p>Papers come in by <code>concord ingest</code>, or every working day when the intake is switched on.</p></div>`;
}

/** The list of papers and its end: what a script appends when the reader comes near it. */
export function paperList(context: SiteContext, view: ListView): Html {
  const { papers, next, place } = view;
  const grouped = place.list === "latest";
  const dated = place.list !== "day";
  return html`${grouped ? "" : html`<h2 class="visually-hidden">Papers</h2>`}<div class="paper-list" data-papers>
${grouped ? byDay(context, papers) : html`<div class="cards">${papers.map((shown) => paperCard(context, shown, { dated }))}</div>`}
</div>
${next ? html`<nav class="more" aria-label="More papers" data-more><a class="button" rel="next nofollow" href="${next}">More papers</a></nav>` : ""}`;
}

/** A page of a list, with the ways to other lists. */
export function listPage(context: SiteContext, view: ListView, subscribe: Html): Html {
  return html`<div class="column">
<header class="list-head">
<div class="list-title"><h1>${heading(view)}</h1>${neighbours(view)}</div>
${view.later ? html`<p class="lead">Further down the list. <a href="${listAddress(view.place, view.query)}">Back to its beginning</a></p>` : lead(view)}
${subscribe}
</header>
<div class="list-bar">${tabs(view)}${filters(view)}</div>
${view.papers.length === 0 ? emptyNotice(view) : paperList(context, view)}
</div>`;
}
