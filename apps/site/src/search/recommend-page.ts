import type { StoredPaper } from "@concord/feed";
import { html } from "hono/html";
import { paperCard, type ShownPaper } from "../daily/card.ts";
import { paperPath } from "../daily/query.ts";
import { plainTex, texMarkup } from "../daily/tex.ts";
import type { Html } from "../pages/layout.ts";
import type { SiteContext } from "../site-env.ts";
import { type TasteQuery, tasteAddress } from "./query.ts";

export interface RecommendView {
  readonly taste: TasteQuery;
  /** Where the liked papers come from: the address, or what the reader keeps. */
  readonly source: "chosen" | "bookmarks" | "none";
  readonly liked: readonly StoredPaper[];
  readonly unliked: readonly StoredPaper[];
  readonly papers: readonly ShownPaper[];
  readonly signedIn: boolean;
}

const SHOWN_LIKED = 12;

const without = (list: readonly string[], id: string) => list.filter((other) => other !== id);

/** Links that move a paper into the taste; they only change the address. */
export function tasteLinks({ id, title }: StoredPaper, taste: TasteQuery): Html {
  const of = html`<span class="visually-hidden">: ${plainTex(title)}</span>`;
  const more = tasteAddress({ like: [...without(taste.like, id), id], unlike: without(taste.unlike, id) });
  const fewer = tasteAddress({ like: without(taste.like, id), unlike: [...without(taste.unlike, id), id] });
  return html`<p class="taste-links"><a href="${more}" rel="nofollow">More like this${of}</a><a href="${fewer}" rel="nofollow">Not like this${of}</a></p>`;
}

function chosen(label: string, papers: readonly StoredPaper[], remove: (id: string) => string): Html {
  if (papers.length === 0) return html``;
  const item = (paper: StoredPaper) =>
    html`<li><a href="${paperPath(paper)}">${texMarkup(paper.title, { links: false })}</a> <a class="taste-remove" href="${remove(paper.id)}" rel="nofollow" title="Leave out"><span aria-hidden="true">×</span><span class="visually-hidden">Leave out ${plainTex(paper.title)}</span></a></li>`;
  return html`<section class="taste"><h2 class="panel-title">${label}</h2><ul>${papers.slice(0, SHOWN_LIKED).map(item)}</ul>${papers.length > SHOWN_LIKED ? html`<details><summary>and ${papers.length - SHOWN_LIKED} more</summary><ul>${papers.slice(SHOWN_LIKED).map(item)}</ul></details>` : ""}</section>`;
}

/** Papers like some, and not like others. */
export function recommendPage(context: SiteContext, view: RecommendView): Html {
  const { taste, source, liked, unliked, papers } = view;
  const leadText = {
    chosen:
      "Papers that are near these in meaning and in words. Say more or less of what comes up, and the list follows; its address keeps your choice.",
    bookmarks: "Papers near those that you keep. Say “not like this” where one is beside the point.",
    none: "Choose a paper and take it from there: every paper’s page leads here.",
  } as const;
  return html`<div class="column">
<header class="list-head">
<h1>More like these</h1>
<p class="lead">${leadText[source]}</p>
</header>
${
  source === "none"
    ? html`<div class="empty"><h2>No paper is chosen yet</h2><p>${view.signedIn ? "Keep papers by their bookmark, or begin" : "Begin"} with one of the <a href="/">newest</a> or <a href="/search">search for one</a>, and follow “More like this” on its page.</p></div>`
    : html`<div class="taste-bar">${chosen("Like", liked, (id) => tasteAddress({ ...taste, like: without(taste.like, id) }))}${chosen("Not like", unliked, (id) => tasteAddress({ ...taste, unlike: without(taste.unlike, id) }))}</div>
${
  papers.length === 0
    ? html`<div class="empty"><h2>Nothing else is like these</h2><p>Choose other papers.</p></div>`
    : html`<h2 class="visually-hidden">Papers</h2><div class="paper-list"><div class="cards">${papers.map((shown) => paperCard(context, { ...shown, note: tasteLinks(shown.paper, taste) }, { dated: true }))}</div></div>`
}`
}
</div>`;
}
