import type { Account, Comment, Page, Store, StoredPaper } from "@concord/feed";
import { MAX_COMMENT, moderates } from "@concord/feed/people";
import { html } from "hono/html";
import { address, paperPath } from "../daily/query.ts";
import type { Html } from "../pages/layout.ts";
import { timeElement } from "../pages/parts.ts";
import { csrfField, type SiteContext } from "../site-env.ts";
import { countText } from "../text.ts";
import { herePath } from "./forms.ts";
import { commentMarkup } from "./markdown.ts";

const COMMENTS_SHOWN = 100;

export const atTime = (ms: number): Html => timeElement(new Date(ms).toISOString());

export function personLink(account: Pick<Account, "name" | "displayName"> | undefined): Html {
  return account
    ? html`<a class="person" href="/people/${account.name}">${account.displayName}</a>`
    : html`<span class="person quiet">Somebody who left</span>`;
}

export function markdownHelp(id: string): Html {
  return html`<p class="help" id="${id}">Markdown: *emphasis*, **strong**, \`code\`, lists, &gt; quotations, links. At most ${MAX_COMMENT.toLocaleString("en-GB")} characters.</p>`;
}

export function commentForm(
  context: SiteContext,
  options: {
    readonly action: string;
    readonly id: string;
    readonly label: string;
    readonly button: string;
    readonly parent?: string;
    readonly value?: string;
    readonly rows?: number;
  },
): Html {
  const { action, id, label, button, parent, value = "", rows = 4 } = options;
  return html`<form class="comment-form" method="post" action="${action}">${csrfField(context)}
${parent === undefined ? "" : html`<input type="hidden" name="parent" value="${parent}">`}
<div class="field"><label for="${id}">${label}</label>
<textarea id="${id}" name="text" rows="${rows}" maxlength="${MAX_COMMENT}" required aria-describedby="${id}-help">${value}</textarea>
${markdownHelp(`${id}-help`)}</div>
<div class="comment-buttons"><button class="button button-primary">${button}</button>
<button class="button button-quiet" name="preview" value="1">Preview</button></div></form>`;
}

interface Section {
  readonly context: SiteContext;
  readonly paper: StoredPaper;
  readonly authors: ReadonlyMap<string, Account>;
}

function actions({ context, paper, authors }: Section, comment: Comment): Html {
  const { account } = context.var;
  if (account === null) return html``;
  const own = comment.accountId === account.id;
  const author = comment.accountId === null ? undefined : authors.get(comment.accountId);
  const to = html`<span class="visually-hidden"> the comment of ${author?.displayName ?? "somebody who left"}</span>`;
  const path = `/comments/${comment.id}`;
  return html`<div class="comment-acts">
<details class="answer"><summary>Answer${to}</summary>${commentForm(context, {
    action: `${paperPath(paper)}/comments`,
    id: `answer-${comment.id}`,
    label: "Your answer",
    button: "Answer",
    parent: comment.id,
    rows: 3,
  })}</details>
${
  own
    ? html`<a href="${path}/edit">Edit${to}</a>
<details class="confirm"><summary>Delete${to}</summary><div class="confirm-box"><p>Its text and earlier versions are erased for good.</p>
<form method="post" action="${path}/delete">${csrfField(context)}<button class="button button-quiet button-danger">Delete the comment</button></form></div></details>`
    : html`<a href="${path}/report">Report${to}</a>`
}
${moderates(account) ? html`<a href="/moderation/comments/${comment.id}">Moderate${to}</a>` : ""}
</div>`;
}

function one(section: Section, comment: Comment, answers: readonly Comment[]): Html {
  const { context, authors } = section;
  const author = comment.accountId === null ? undefined : authors.get(comment.accountId);
  const thread =
    answers.length === 0
      ? ""
      : html`<ol class="comments answers">${answers.map((answer) => one(section, answer, []))}</ol>`;
  if (comment.state !== "visible") {
    // A place-holder is worth showing only where something answers it.
    if (answers.length === 0 && !moderates(context.var.account)) return html``;
    const words = comment.state === "hidden" ? "Hidden by a moderator." : "Removed by its author.";
    return html`<li id="comment-${comment.id}"><p class="comment-gone">${words}${comment.state === "hidden" && moderates(context.var.account) ? html` <a href="/moderation/comments/${comment.id}">Look at it</a>` : ""}</p>${thread}</li>`;
  }
  return html`<li id="comment-${comment.id}"><article class="comment">
<header class="comment-head">${personLink(author)} ${author && author.role !== "member" ? html`<span class="badge">${author.role}</span>` : ""}
<a class="comment-time" href="#comment-${comment.id}">${atTime(comment.createdAt)}</a>
${comment.edits > 0 ? html`<a class="comment-time" href="/comments/${comment.id}/history">edited</a>` : ""}</header>
<div class="comment-text">${commentMarkup(comment.text)}</div>
${actions(section, comment)}
</article>${thread}</li>`;
}

/** Comments under their parents; answers whose parent is on an earlier page stand for themselves. */
function threads({ items }: Page<Comment>): { root: Comment; answers: Comment[] }[] {
  const found: { root: Comment; answers: Comment[] }[] = [];
  const byId = new Map<string, { answers: Comment[] }>();
  for (const comment of items) {
    const thread = comment.parentId === null ? undefined : byId.get(comment.parentId);
    if (thread) thread.answers.push(comment);
    else {
      const made = { root: comment, answers: [] };
      found.push(made);
      byId.set(comment.id, made);
    }
  }
  return found;
}

export async function accountsOf(
  store: Store,
  ids: readonly (string | null)[],
): Promise<ReadonlyMap<string, Account>> {
  const known = [...new Set(ids.filter((id) => id !== null))];
  return new Map((await store.people.getMany(known)).map((account) => [account.id, account]));
}

/** What readers say about a paper, and where to say something. */
export async function commentSection(context: SiteContext, store: Store, paper: StoredPaper): Promise<Html> {
  const cursor = context.req.query("comments");
  const page = await store.comments
    .ofPaper(paper.id, { limit: COMMENTS_SHOWN, cursor })
    .catch(() => store.comments.ofPaper(paper.id, { limit: COMMENTS_SHOWN }));
  const authors = await accountsOf(
    store,
    page.items.map(({ accountId }) => accountId),
  );
  const section: Section = { context, paper, authors };
  const found = threads(page);
  return html`<section class="discussion" aria-labelledby="comments"><h2 id="comments">${paper.comments > 0 ? countText(paper.comments, "comment") : "Comments"}</h2>
${found.length === 0 ? html`<p class="quiet">Nobody has said anything yet.</p>` : html`<ol class="comments">${found.map(({ root, answers }) => one(section, root, answers))}</ol>`}
${page.next === null ? "" : html`<p><a href="${address(paperPath(paper), { comments: page.next })}#comments">Later comments</a></p>`}
${
  context.var.account === null
    ? html`<p class="comment-invite"><a class="button button-quiet" href="${address("/sign-in", { next: `${herePath(context)}#comments` })}" rel="nofollow">Sign in to comment</a></p>`
    : commentForm(context, {
        action: `${paperPath(paper)}/comments`,
        id: "comment-text",
        label: "Say something about this paper",
        button: "Comment",
      })
}
</section>`;
}
