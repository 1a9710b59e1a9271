import type { StoredPaper, Why } from "@concord/feed";
import { html } from "hono/html";
import type { Html } from "../pages/layout.ts";
import { dayElement } from "../pages/parts.ts";
import { herePath } from "../people/forms.ts";
import { backTo, bookmarkForm, paperAnchor } from "../people/paper-acts.ts";
import { csrfField, type SiteContext } from "../site-env.ts";
import { countText } from "../text.ts";
import { address, paperPath } from "./query.ts";
import { plainTex, texMarkup } from "./tex.ts";

/** A paper with what a card shows beside it. */
export interface ShownPaper {
  readonly paper: StoredPaper;
  /** Whether the viewer voted for it, and keeps it. */
  readonly voted: boolean;
  readonly bookmarked: boolean;
  /** Where it appeared, as far as known. */
  readonly venue?: string | undefined;
  /** Why it is where it is; shown where the order is made of it. */
  readonly why?: Why | undefined;
  /** What stands below everything else. */
  readonly note?: Html | undefined;
  /** Title and abstract with the words that were looked for marked; absent: as they are. */
  readonly highlighted?: { readonly title: Html; readonly abstract: Html } | undefined;
}

const SHOWN_AUTHORS = 4;
const rel = "external noopener";

/** `A, B, C and 12 others`: names that are known, the number of all. */
export function authorLine(paper: StoredPaper): Html {
  const { authors, authorCount } = paper;
  if (authors.length === 0) {
    return authorCount === null ? html`` : html`<p class="authors">${countText(authorCount, "author")}</p>`;
  }
  const total = authorCount ?? authors.length;
  const name = (author: { readonly name: string }) =>
    html`<a href="${address("/search", { author: author.name })}">${plainTex(author.name)}</a>`;
  const list = (some: typeof authors) =>
    some.map((author, index) => html`${index > 0 ? ", " : ""}${name(author)}`);
  if (total <= SHOWN_AUTHORS + 1 && authors.length === total)
    return html`<p class="authors">${list(authors)}</p>`;
  const unknown = total - authors.length;
  return html`<details class="authors"><summary>${authors
    .slice(0, SHOWN_AUTHORS)
    .map(({ name }) => plainTex(name))
    .join(
      ", ",
    )} <span class="authors-more">and ${countText(total - Math.min(SHOWN_AUTHORS, authors.length), "other")}</span></summary>
<p>${list(authors)}${unknown > 0 ? ` and ${countText(unknown, "other")}` : ""}</p></details>`;
}

/** arXiv page, PDF, code and project of a paper, as far as known. */
export function externalLinks({ id, title, links }: StoredPaper): Html {
  const of = html`<span class="visually-hidden"> of ${plainTex(title)}</span>`;
  const entries = [
    [links.abstract, "arXiv"],
    [links.pdf, "PDF"],
    [links.code, "Code"],
    [links.project, "Project"],
  ] as const;
  return html`<ul class="links" aria-label="Links">${entries.map(([href, label]) =>
    href
      ? html`<li><a href="${href}" rel="${rel}" data-link="${label.toLowerCase()}">${label}${label === "arXiv" ? html`<span class="visually-hidden"> ${id}</span>` : of}</a></li>`
      : "",
  )}</ul>`;
}

/** The vote: a form that works without scripts; for visitors a way to sign in. */
export function voteForm(context: SiteContext, { paper, voted }: ShownPaper): Html {
  const count = html`<span class="vote-count" data-count>${paper.upvotes}</span>`;
  const sign = html`<svg viewBox="0 0 12 8" width="12" height="8" aria-hidden="true"><path d="M6 0.8 11.2 7.2H0.8Z"/></svg>`;
  const label = html`<span class="visually-hidden">Vote for ${plainTex(paper.title)}: </span>`;
  if (context.var.viewer === null) {
    return html`<a class="vote" href="${address("/sign-in", { next: herePath(context) })}" rel="nofollow">${sign}${label}${count}<span class="visually-hidden"> so far; sign in first</span></a>`;
  }
  return html`<form class="vote-form" method="post" action="${paperPath(paper)}/vote" data-vote>${csrfField(context)}
<input type="hidden" name="back" value="${backTo(context, paper)}">
<button class="vote" name="up" value="${voted ? "0" : "1"}" aria-pressed="${String(voted)}">${sign}${label}${count}</button></form>`;
}

function whyText(why: Why): string {
  const parts = [
    why.upvotes > 0 && countText(why.upvotes, "vote"),
    why.bookmarks > 0 && countText(why.bookmarks, "reader kept it", "readers kept it"),
    why.commenters > 0 && countText(why.commenters, "person commented", "people commented"),
    why.runs > 0 && countText(why.runs, "person ran its method", "people ran its method"),
  ].filter(Boolean);
  return parts.length === 0 ? "Nothing in the last 7 days; it fades." : `Last 7 days: ${parts.join(", ")}.`;
}

/** A paper in a list. */
export function paperCard(
  context: SiteContext,
  shown: ShownPaper,
  options: { readonly dated: boolean },
): Html {
  const { paper, venue, why, highlighted } = shown;
  const path = paperPath(paper);
  const [category] = paper.primaryCategory ? [paper.primaryCategory] : paper.categories;
  return html`<article class="card" id="${paperAnchor(paper)}" data-card>
<div class="card-acts">${voteForm(context, shown)}${context.var.viewer ? bookmarkForm(context, shown) : ""}</div>
<div class="card-main">
<h3 class="paper-title"><a href="${path}">${highlighted?.title ?? texMarkup(paper.title, { links: false })}</a></h3>
${authorLine(paper)}
<div class="abstract" data-fold><p>${highlighted?.abstract ?? texMarkup(paper.abstract)}</p></div>
<p class="card-foot">
${paper.runnable ? html`<a class="badge runs-here" href="${path}#run">Runs here<span class="visually-hidden">: ${plainTex(paper.title)}</span></a>` : ""}
${paper.withdrawn ? html`<span class="badge withdrawn">Withdrawn</span>` : ""}
${options.dated && paper.day ? dayElement(paper.day) : ""}
${venue ? html`<span>${venue}</span>` : ""}
${category ? html`<a class="plain" href="${address("/", { category })}">${category}</a>` : ""}
${paper.topics.slice(0, 4).map((topic) => html`<a class="topic" href="${address("/", { topic })}">${topic}</a>`)}
${paper.comments > 0 ? html`<a class="plain" href="${path}#comments">${countText(paper.comments, "comment")}</a>` : ""}
</p>
${why ? html`<p class="why">${whyText(why)}</p>` : ""}
${shown.note ?? ""}
</div>
${externalLinks(paper)}
</article>`;
}
