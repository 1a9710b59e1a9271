import type { SavedSearch } from "@concord/feed";
import { html } from "hono/html";
import { address } from "../daily/query.ts";
import type { Html } from "../pages/layout.ts";
import { searchAddress } from "../search/query.ts";
import { csrfField, type SiteContext } from "../site-env.ts";
import { feedAddress } from "./feed-routes.ts";

/** A saved search in the words of addresses. */
function inAddress({ query, filter }: SavedSearch) {
  const of =
    filter !== null && typeof filter === "object" && !Array.isArray(filter)
      ? (filter as Record<string, unknown>)
      : {};
  const text = (value: unknown) => (typeof value === "string" ? value : undefined);
  return {
    q: query === "" ? undefined : query,
    category: text(of.category),
    topic: text(of.topic),
    author: text(of.author),
    code: of.hasCode === true ? ("1" as const) : undefined,
    runs: of.runnable === true ? ("1" as const) : undefined,
  };
}

/** The searches that an account keeps, with the ways to them: results, feed, digest. */
export function searchesPage(context: SiteContext, searches: readonly SavedSearch[]): Html {
  const row = (search: SavedSearch) => {
    const query = inAddress(search);
    const of = html`<span class="visually-hidden"> of ${search.name}</span>`;
    return html`<li><a href="${searchAddress({ ...query, q: query.q ?? "" })}">${search.name}</a>
<span class="saved-ways"><a href="${feedAddress("/rss", query)}">RSS${of}</a><a href="${address("/subscribe", { search: search.id })}">By e-mail${of}</a>
<form method="post" action="/searches/${search.id}/delete">${csrfField(context)}<button class="button button-quiet">Delete${of}</button></form></span></li>`;
  };
  return html`<div class="column subscribe"><div class="masthead"><h1>Saved searches</h1>
<p class="lead">Each has a feed, and can come by e-mail.</p></div>
${
  searches.length === 0
    ? html`<div class="empty"><h2>No saved searches yet</h2><p><a href="/search">Search for something</a>, and save it there.</p></div>`
    : html`<ul class="saved-searches">${searches.map(row)}</ul>`
}</div>`;
}

/** Saves the search of a page: for people with an account; others get it by e-mail or as a feed. */
export function saveSearchForm(
  context: SiteContext,
  fields: Readonly<Record<string, string | undefined>>,
): Html {
  const given = Object.entries(fields).filter((entry): entry is [string, string] => Boolean(entry[1]));
  if (given.length === 0) return html``;
  return html`<div class="keep-search">${
    context.var.viewer === null
      ? ""
      : html`<form method="post" action="/searches">${csrfField(context)}${given.map(
          ([name, value]) => html`<input type="hidden" name="${name}" value="${value}">`,
        )}<button class="button button-quiet">Save this search</button></form>`
  }<a class="button button-quiet" href="${address("/subscribe", Object.fromEntries(given))}" rel="nofollow">By e-mail</a><a class="button button-quiet" href="${address("/rss", Object.fromEntries(given))}" rel="nofollow">RSS</a></div>`;
}
