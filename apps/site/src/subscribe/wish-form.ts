import type { Cadence, SavedSearch } from "@concord/feed";
import { html } from "hono/html";
import type { StoreSummary } from "../daily/summary.ts";
import type { Html } from "../pages/layout.ts";
import type { SiteContext } from "../site-env.ts";

/** What a form about the digest asks for. */
export interface WishFields {
  readonly cadence: Cadence;
  readonly topics: readonly string[];
  /** Ids of saved searches. */
  readonly searches: readonly string[];
}

const TOPIC = /^[A-Za-z0-9.-]{1,64}$/;
const MAX_CHOICES = 50;
const MAX_FIELDS = 200;

/** The fields of a form; those that are given several times, with all their values. */
export async function formLists(context: SiteContext): Promise<ReadonlyMap<string, readonly string[]>> {
  const body = await context.req.parseBody({ all: true });
  return new Map(
    Object.entries(body)
      .slice(0, MAX_FIELDS)
      .map(([name, value]) => [
        name,
        [value].flat().filter((item): item is string => typeof item === "string" && item.length <= 2000),
      ]),
  );
}

export function readWish(form: ReadonlyMap<string, readonly string[]>): WishFields {
  const chosen = (name: string) => [...new Set(form.get(name) ?? [])];
  return {
    cadence: form.get("cadence")?.[0] === "weekly" ? "weekly" : "daily",
    topics: chosen("topic")
      .filter((topic) => TOPIC.test(topic))
      .slice(0, MAX_CHOICES),
    searches: chosen("search")
      .filter((id) => id.length <= 64)
      .slice(0, 20),
  };
}

const SHOWN_CATEGORIES = 24;

function choice(name: string, value: string, label: Html | string, checked: boolean, count?: number): Html {
  return html`<label class="choice"><input type="checkbox" name="${name}" value="${value}" ${checked ? "checked" : ""}><span>${label}${count === undefined ? "" : html` <span class="count">${count.toLocaleString("en-GB")}</span>`}</span></label>`;
}

/** How often, and about what: the part that signing up and changing have in common. */
export function wishFieldsets(
  wish: WishFields,
  offered: Pick<StoreSummary, "categories" | "topics"> & {
    readonly searches: readonly Pick<SavedSearch, "id" | "name">[];
    /** When digests come, for each cadence. */
    readonly when: Readonly<Record<Cadence, string>>;
  },
): Html {
  const { categories, topics, searches, when } = offered;
  const known = new Set([...categories, ...topics].map(({ value }) => value));
  // What somebody chose stays on the list, however rare it has become.
  const gone = wish.topics.filter((topic) => !known.has(topic)).map((value) => ({ value, papers: 0 }));
  // Those of arXiv: classes of ACM and MSC begin with capitals and digits.
  const frequent = categories
    .filter(({ value }) => /^[a-z]/.test(value))
    .filter(({ value }, at) => at < SHOWN_CATEGORIES || wish.topics.includes(value));
  const group = (title: string, facets: readonly { readonly value: string; readonly papers: number }[]) =>
    facets.length === 0
      ? html``
      : html`<p class="choice-head" id="choices-${title.toLowerCase()}">${title}</p><div class="choices" role="group" aria-labelledby="choices-${title.toLowerCase()}">${facets.map(
          ({ value, papers }) => choice("topic", value, value, wish.topics.includes(value), papers),
        )}</div>`;
  const cadence = (value: Cadence, label: string) =>
    html`<label class="cadence"><input type="radio" name="cadence" value="${value}" ${wish.cadence === value ? "checked" : ""}><span><strong>${label}</strong> <span class="help">${when[value]}</span></span></label>`;
  return html`<fieldset><legend>How often</legend><div class="cadences">${cadence("daily", "Daily")}${cadence("weekly", "Weekly")}</div></fieldset>
<fieldset><legend>About what</legend><p class="help">Nothing chosen means all papers. Otherwise you get every paper that fits any of your choices, and no message when there is none.</p>
${
  searches.length === 0
    ? ""
    : html`<p class="choice-head" id="choices-searches">Your searches</p><div class="choices" role="group" aria-labelledby="choices-searches">${searches.map(
        ({ id, name }) => choice("search", id, name, wish.searches.includes(id)),
      )}</div>`
}
${group("Topics", [...topics, ...gone])}${group("Categories", frequent)}</fieldset>`;
}
