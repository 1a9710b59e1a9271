import type { AuthorMatch, Facet, SearchMode } from "@concord/feed";
import { html } from "hono/html";
import { paperCard, type ShownPaper } from "../daily/card.ts";
import { checkFields, facetFields } from "../daily/filter-fields.ts";
import { plainTex } from "../daily/tex.ts";
import type { Html } from "../pages/layout.ts";
import type { SiteContext } from "../site-env.ts";
import { saveSearchForm } from "../subscribe/searches-page.ts";
import { countText } from "../text.ts";
import { isFiltered, type SearchQuery, searchAddress } from "./query.ts";

export interface SearchView {
  readonly query: SearchQuery;
  /** How it was searched; null where nothing was looked for by words or meaning. */
  readonly mode: SearchMode | null;
  readonly papers: readonly ShownPaper[];
  /** Papers that were ranked, or that pass the filters where nothing was looked for. */
  readonly found: number;
  readonly next: string | null;
  readonly authors: readonly AuthorMatch[];
  readonly categories: readonly Facet[];
  readonly topics: readonly Facet[];
  /** Papers of the store. */
  readonly total: number;
  /** Whether papers can be found by meaning. */
  readonly meaning: boolean;
  /** Whether the words themselves found some of the papers shown. */
  readonly byWords: boolean;
}

/** Less resemblance than this is chance. */
const LEAST_SIMILARITY = 0.5;
const modes: readonly { readonly mode: SearchMode; readonly label: string; readonly hint: string }[] = [
  { mode: "hybrid", label: "Both", hint: "words and meaning, ranks fused" },
  { mode: "words", label: "Words", hint: "papers that have these words" },
  { mode: "meaning", label: "Meaning", hint: "papers on the same thing in other words" },
];

function form({ query, categories, topics, meaning }: SearchView): Html {
  const chosen = query.mode ?? "hybrid";
  return html`<form class="search-form" method="get" action="/search" role="search" aria-label="Papers">
<div class="search-line">
<label for="q" class="visually-hidden">Search the papers</label>
<input id="q" name="q" type="search" maxlength="250" value="${query.q}" placeholder="A title, a name, or what you are looking for" autocomplete="off" spellcheck="false" enterkeyhint="search">
<button class="button button-primary">Search</button>
</div>
<div class="search-options">
<fieldset class="segments" ${meaning ? "" : "hidden"}><legend class="visually-hidden">Search by</legend>${modes.map(
    ({ mode, label, hint }) =>
      html`<label title="${hint}"><input type="radio" name="mode" value="${mode}" ${mode === chosen ? "checked" : ""}><span>${label}</span></label>`,
  )}</fieldset>
${facetFields(query, { categories, topics })}
<div class="field"><label for="from">From</label><input id="from" name="from" type="date" value="${query.from ?? ""}"></div>
<div class="field"><label for="to">To</label><input id="to" name="to" type="date" value="${query.to ?? ""}"></div>
${checkFields(query)}
</div>
${query.author ? html`<p class="search-author"><input type="hidden" name="author" value="${query.author}">By <strong>${query.author}</strong> <a href="${searchAddress({ ...query, author: undefined })}">All authors</a></p>` : ""}
</form>`;
}

function authorNames({ authors, query }: SearchView): Html {
  const near = authors.filter(({ similarity }) => similarity >= LEAST_SIMILARITY);
  if (near.length === 0 || query.author !== undefined) return html``;
  const exact = (near[0]?.similarity ?? 0) >= 0.999;
  return html`<p class="search-names">${exact ? "Papers by" : "Did you mean papers by"} ${near.map(
    ({ name, papers }, i) =>
      html`${i === 0 ? "" : i === near.length - 1 ? " or " : ", "}<a href="${searchAddress({ author: name })}">${plainTex(name)}</a> <span class="count">(${papers.toLocaleString("en-GB")})</span>`,
  )}${exact ? "." : "?"}</p>`;
}

function lead(view: SearchView): Html {
  const { query, mode, found, total } = view;
  if (mode === null) {
    return isFiltered(query)
      ? html`<p class="search-found" role="status">${countText(found, "paper")}, newest first.</p>`
      : html`<p class="lead">${countText(total, "paper")}, found by their words, by what they mean, or by whom they are from.</p>`;
  }
  const ways = {
    hybrid: "words and meaning",
    words: "words",
    meaning: "meaning",
  } as const;
  const asked = query.mode ?? "hybrid";
  const instead =
    asked !== mode && view.meaning
      ? " Search by meaning is starting up; these were found by their words."
      : "";
  if (mode === "hybrid" && found > 0 && !view.byWords)
    return html`<p class="search-found" role="status">No paper has these words. These come nearest in meaning.</p>`;
  return html`<p class="search-found" role="status">${found === 0 ? "No paper" : `The ${countText(found, "paper")} that fit best`}, by ${ways[mode]}.${instead}</p>`;
}

function nothing({ query }: SearchView): Html {
  return html`<div class="empty"><h2>No paper matches</h2><p>${
    isFiltered(query)
      ? html`Loosen the filters, or <a href="${searchAddress({ q: query.q, mode: query.mode })}">search everywhere</a>.`
      : html`Try fewer or other words, or look at the <a href="/">newest papers</a>.`
  }</p></div>`;
}

/** What one may ask for, where nothing was asked yet. */
function hints(): Html {
  const example = (q: string) => html`<a href="${searchAddress({ q })}">${q}</a>`;
  return html`<div class="search-hints">
<section><h2>By what it is about</h2><p>Say it in your own words: ${example("how to align images and text without pairs")}</p></section>
<section><h2>By title or words</h2><p>Papers with all the words come first: ${example("whitening sentence embeddings")}</p></section>
<section><h2>By name</h2><p>Spelling is forgiven: who is meant is suggested above the papers.</p></section>
<section><h2>By example</h2><p>Every paper’s page shows what is similar; <a href="/recommended">more like these</a> starts from papers that you like.</p></section>
</div>`;
}

/** The search: its form, whose names resemble the words, and what was found. */
export function searchPage(context: SiteContext, view: SearchView): Html {
  const { query, papers, mode, next } = view;
  const asked = mode !== null || isFiltered(query);
  return html`<div class="column">
<header class="search-head">
<h1>${query.author !== undefined && query.q === "" ? html`Papers by ${plainTex(query.author)}` : "Search"}</h1>
${form(view)}
${query.after === undefined ? lead(view) : html`<p class="search-found">Further down the list. <a href="${searchAddress(query)}">Back to its beginning</a></p>`}
${authorNames(view)}
${asked ? saveSearchForm(context, { q: query.q, category: query.category, topic: query.topic, author: query.author, code: query.code, runs: query.runs }) : ""}
</header>
${
  papers.length === 0
    ? asked
      ? nothing(view)
      : hints()
    : html`<h2 class="visually-hidden">Papers</h2><div class="paper-list" data-papers><div class="cards">${papers.map((shown) => paperCard(context, shown, { dated: true }))}</div></div>
${next ? html`<nav class="more" aria-label="More papers" data-more><a class="button" rel="next nofollow" href="${next}">More papers</a></nav>` : ""}`
}
</div>`;
}
