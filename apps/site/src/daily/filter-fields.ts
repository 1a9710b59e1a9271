import type { Facet } from "@concord/feed";
import { html } from "hono/html";
import type { Html } from "../pages/layout.ts";
import type { FilterQuery } from "./query.ts";

const SHOWN_CATEGORIES = 60;

function facetSelect(
  name: "category" | "topic",
  label: string,
  facets: readonly Facet[],
  chosen: string | undefined,
): Html {
  if (facets.length === 0) return html``;
  return html`<div class="field"><label for="${name}">${label}</label><select id="${name}" name="${name}"><option value="">All</option>${facets.map(
    ({ value, papers }) =>
      html`<option value="${value}" ${value === chosen ? "selected" : ""}>${value} (${papers.toLocaleString("en-GB")})</option>`,
  )}</select></div>`;
}

/** Category and topic, each only where the store has some. */
export function facetFields(
  query: FilterQuery,
  { categories, topics }: { readonly categories: readonly Facet[]; readonly topics: readonly Facet[] },
): Html {
  return html`${facetSelect("category", "Category", categories.slice(0, SHOWN_CATEGORIES), query.category)}
${facetSelect("topic", "Topic", topics, query.topic)}`;
}

/** Has code, and runs here. */
export function checkFields({ code, runs }: FilterQuery): Html {
  return html`<div class="field-check"><input id="code" name="code" type="checkbox" value="1" ${code ? "checked" : ""}><label for="code">Has code</label></div>
<div class="field-check"><input id="runs" name="runs" type="checkbox" value="1" ${runs ? "checked" : ""}><label for="runs">Runs here</label></div>`;
}
