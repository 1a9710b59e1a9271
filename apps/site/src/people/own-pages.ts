import type { Account, Collection, Comment, StoredPaper } from "@concord/feed";
import { html } from "hono/html";
import { paperCard, type ShownPaper } from "../daily/card.ts";
import { address, paperPath } from "../daily/query.ts";
import { plainTex } from "../daily/tex.ts";
import type { Html } from "../pages/layout.ts";
import { dayElement } from "../pages/parts.ts";
import { csrfField, type SiteContext } from "../site-env.ts";
import { feedAddress } from "../subscribe/feed-routes.ts";
import { countText } from "../text.ts";
import { atTime, personLink } from "./comment-section.ts";
import { commentMarkup } from "./markdown.ts";

const tabs = [
  ["bookmarks", "Kept"],
  ["votes", "Votes"],
  ["comments", "Comments"],
  ["collections", "Collections"],
  ["submissions", "Submitted"],
] as const;

export type OwnTab = (typeof tabs)[number][0];

/** The frame of one's own lists. */
export function ownPage(account: Account, tab: OwnTab, body: Html): Html {
  return html`<div class="column"><div class="masthead own-head"><h1>${account.displayName}</h1>
<p class="lead"><a href="/people/${account.name}">Your public page</a> · <a href="/settings">Settings</a></p></div>
<nav class="tabs own-tabs" aria-label="Your lists"><ul>${tabs.map(
    ([name, label]) =>
      html`<li><a href="/you/${name}" ${name === tab ? html`aria-current="page"` : ""}>${label}</a></li>`,
  )}</ul></nav>
${body}</div>`;
}

function nothing(title: string, words: Html | string): Html {
  return html`<div class="empty"><h2>${title}</h2><p>${words}</p></div>`;
}

/** Papers in the order of a list, with a way to the next page of it. */
export function paperList(
  context: SiteContext,
  papers: readonly ShownPaper[],
  options: { readonly next: string | null; readonly empty: Html },
): Html {
  if (papers.length === 0) return options.empty;
  return html`<h2 class="visually-hidden">Papers</h2>
<div class="paper-list" data-papers><div class="cards">${papers.map((shown) =>
    paperCard(context, shown, { dated: true }),
  )}</div></div>
${options.next === null ? "" : html`<p class="more" data-more><a class="button" href="${options.next}" rel="next">More papers</a></p>`}`;
}

export const emptyLists = {
  bookmarks: nothing("Nothing kept yet", "“Keep” beside a paper puts it here."),
  votes: nothing(
    "No votes yet",
    html`A vote moves a paper up: <a href="/about/ranking">how trending works</a>.`,
  ),
  collection: nothing("Empty", "“Collect” on the page of a paper puts it here."),
};

export function commentList(
  comments: readonly Comment[],
  papers: ReadonlyMap<string, StoredPaper>,
  next: string | null,
): Html {
  if (comments.length === 0) return nothing("No comments yet", "What you say about papers is listed here.");
  return html`<ol class="comments">${comments.map((comment) => {
    const paper = papers.get(comment.paperId);
    return html`<li><article class="comment"><header class="comment-head">${paper ? html`<a href="${paperPath(paper)}#comment-${comment.id}">${plainTex(paper.title)}</a>` : ""} <span class="comment-time">${atTime(comment.createdAt)}</span></header>
<div class="comment-text">${commentMarkup(comment.text)}</div></article></li>`;
  })}</ol>
${next === null ? "" : html`<p class="more"><a class="button" href="${next}" rel="next">Earlier comments</a></p>`}`;
}

export function collectionList(collections: readonly Collection[]): Html {
  return html`<ul class="rows collections">${collections.map(
    ({ id, name, papers, public: open }) =>
      html`<li><div><a href="/collections/${id}">${name}</a> <span class="quiet small">${countText(papers, "paper")}</span></div>${open ? html`<span class="badge">public</span>` : html`<span class="badge">private</span>`}</li>`,
  )}</ul>`;
}

export function ownCollections(
  context: SiteContext,
  collections: readonly Collection[],
  fault: string | null,
): Html {
  return html`${collections.length === 0 ? nothing("No collections yet", "Papers that belong together, for you or for everybody.") : collectionList(collections)}
<form class="panel stack collection-form" method="post" action="/collections" aria-labelledby="new-title">${csrfField(context)}
<h2 id="new-title" class="panel-title">New collection</h2>
${fault === null ? "" : html`<p class="form-error" role="alert">${fault}</p>`}
<div class="field"><label for="name">Name</label><input id="name" name="name" type="text" maxlength="100" required></div>
<label class="field-check"><input type="checkbox" name="public" value="1"> Everybody may see it</label>
<div class="form-foot"><button class="button button-primary">Make it</button></div></form>`;
}

export function collectionPage(
  context: SiteContext,
  options: {
    readonly collection: Collection;
    readonly owner: Account | undefined;
    readonly own: boolean;
    readonly papers: readonly ShownPaper[];
    readonly next: string | null;
    readonly fault: string | null;
  },
): Html {
  const { collection, owner, own, papers, next, fault } = options;
  const { id, name, public: open } = collection;
  return html`<div class="column"><div class="masthead"><h1>${name}</h1>
<p class="lead">${countText(collection.papers, "paper")}, collected by ${personLink(owner)}${own ? (open ? "; everybody may see it" : "; only you see it") : ""}.</p>
${open ? html`<ul class="links" aria-label="Feeds"><li><a href="${feedAddress("/rss", { collection: id })}">RSS</a></li><li><a href="${feedAddress("/atom", { collection: id })}">Atom</a></li><li><a href="${feedAddress("/feed.json", { collection: id })}">JSON Feed</a></li></ul>` : ""}</div>
${fault === null ? "" : html`<p class="form-error" role="alert">${fault}</p>`}
${paperList(context, papers, { next, empty: emptyLists.collection })}
${
  own
    ? html`<details class="panel collection-form"><summary>Change or delete the collection</summary>
<form class="stack" method="post" action="/collections/${id}">${csrfField(context)}
<div class="field"><label for="name">Name</label><input id="name" name="name" type="text" maxlength="100" value="${name}" required></div>
<label class="field-check"><input type="checkbox" name="public" value="1" ${open ? "checked" : ""}> Everybody may see it</label>
<div class="form-foot"><button class="button">Save</button></div></form>
<form class="collection-delete" method="post" action="/collections/${id}/delete">${csrfField(context)}<button class="button button-quiet button-danger">Delete the collection</button></form></details>`
    : ""
}</div>`;
}

/** What everybody may see of a person. */
export function personPage(
  context: SiteContext,
  options: {
    readonly account: Account;
    readonly collections: readonly Collection[];
    readonly comments: readonly Comment[];
    readonly papers: ReadonlyMap<string, StoredPaper>;
    readonly next: string | null;
  },
): Html {
  const { account, collections, comments, papers, next } = options;
  return html`<div class="column"><div class="masthead"><h1>${account.displayName}</h1>
<p class="lead">@${account.name}${account.role === "member" ? "" : `, ${account.role}`}. Here since ${dayElement(new Date(account.createdAt).toISOString().slice(0, 10))}.</p>
${context.var.viewer?.id === account.id ? html`<p class="small"><a href="/settings">Change it</a></p>` : ""}</div>
${collections.length > 0 ? html`<section aria-labelledby="collections"><h2 id="collections">Collections</h2>${collectionList(collections)}</section>` : ""}
<section aria-labelledby="comments"><h2 id="comments">Comments</h2>
${comments.length === 0 ? html`<p class="quiet">None yet.</p>` : commentList(comments, papers, next && address(`/people/${account.name}`, { after: next }))}</section></div>`;
}
