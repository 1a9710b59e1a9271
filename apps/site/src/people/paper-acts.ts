import type { Collection, StoredPaper } from "@concord/feed";
import { html } from "hono/html";
import type { ShownPaper } from "../daily/card.ts";
import { address, paperPath } from "../daily/query.ts";
import { plainTex } from "../daily/tex.ts";
import type { Html } from "../pages/layout.ts";
import { csrfField, type SiteContext } from "../site-env.ts";
import { herePath } from "./forms.ts";

/** A name for the paper's place on a page, for the way back after a vote. */
export function paperAnchor({ id }: Pick<StoredPaper, "id">): string {
  return `paper-${id.replace(/[^a-zA-Z0-9.]/g, "-")}`;
}

/** The way back to a paper on the page that is being shown. */
export function backTo(context: SiteContext, paper: Pick<StoredPaper, "id">): string {
  return `${herePath(context)}#${paperAnchor(paper)}`;
}

/** Keeping a paper for later: a form that works without scripts; for visitors a way to sign in. */
export function bookmarkForm(context: SiteContext, { paper, bookmarked }: ShownPaper): Html {
  const sign = html`<svg viewBox="0 0 12 14" width="12" height="14" aria-hidden="true"><path d="M2 1h8v11.5L6 9.4l-4 3.1z"/></svg>`;
  const of = html`<span class="visually-hidden"> ${plainTex(paper.title)}</span>`;
  if (context.var.viewer === null) {
    return html`<a class="keep" href="${address("/sign-in", { next: herePath(context) })}" rel="nofollow">${sign}<span class="keep-label">Keep</span>${of}<span class="visually-hidden">; sign in first</span></a>`;
  }
  return html`<form class="keep-form" method="post" action="${paperPath(paper)}/bookmark" data-bookmark>${csrfField(context)}
<input type="hidden" name="back" value="${backTo(context, paper)}">
<button class="keep" name="on" value="${bookmarked ? "0" : "1"}" aria-pressed="${String(bookmarked)}">${sign}<span class="keep-label" data-label data-on="Kept" data-off="Keep">${bookmarked ? "Kept" : "Keep"}</span>${of}</button></form>`;
}

/** Which of the viewer's collections hold the paper, and a place for a new one. */
export function collectMenu(
  context: SiteContext,
  paper: StoredPaper,
  collections: readonly { readonly collection: Collection; readonly holds: boolean }[],
): Html {
  if (context.var.viewer === null) return html``;
  const action = `${paperPath(paper)}/collect`;
  return html`<details class="collect"><summary class="button button-quiet">Collect</summary>
<div class="collect-box">
${
  collections.length === 0
    ? html`<p class="help">Collections hold papers that belong together, for you or for everybody.</p>`
    : html`<ul>${collections.map(
        ({ collection, holds }) => html`<li><form method="post" action="${action}">${csrfField(context)}
<input type="hidden" name="collection" value="${collection.id}">
<button class="collect-item" name="on" value="${holds ? "0" : "1"}" aria-pressed="${String(holds)}"><span class="collect-mark" aria-hidden="true">${holds ? "\u2713" : "+"}</span>${collection.name}</button></form></li>`,
      )}</ul>`
}
<form class="collect-new" method="post" action="${action}">${csrfField(context)}
<label class="visually-hidden" for="new-collection">Name of a new collection</label>
<input id="new-collection" name="name" type="text" maxlength="100" placeholder="New collection" required>
<button class="button button-quiet">Add</button></form>
</div></details>`;
}
