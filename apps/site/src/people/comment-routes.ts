import { type Comment, StoreError } from "@concord/feed";
import { PeopleError } from "@concord/feed/people";
import { Hono } from "hono";
import { html } from "hono/html";
import { HTTPException } from "hono/http-exception";
import { paperPath, paperRoutes } from "../daily/query.ts";
import type { Html } from "../pages/layout.ts";
import { csrfField, type SiteContext, type SiteEnv } from "../site-env.ts";
import type { Render, SiteParts } from "../site-parts.ts";
import { accountsOf, atTime, commentForm, personLink } from "./comment-section.ts";
import { attempt, formError, keepPrivate, readForm, signedIn, statusOf } from "./forms.ts";
import { commentMarkup } from "./markdown.ts";
import { paperOf } from "./paper-act-routes.ts";
import { gatePage } from "./sign-in-pages.ts";

/** Writing, editing, deleting and reporting comments, and what they said before. */
export function commentRoutes({ store, people }: SiteParts, render: Render): Hono<SiteEnv> {
  const app = new Hono<SiteEnv>();
  const { discussion } = people;

  async function place({ paperId, id, parentId }: Comment, after = false): Promise<string> {
    const paper = await store.papers.get(paperId);
    if (!paper) return "/";
    const anchor = after ? (parentId === null ? "comments" : `comment-${parentId}`) : `comment-${id}`;
    return `${paperPath(paper)}#${anchor}`;
  }

  async function found(context: SiteContext): Promise<Comment> {
    const comment = await store.comments.get(context.req.param("id") ?? "");
    if (comment?.state !== "visible")
      throw new HTTPException(404, { message: "There is no such comment, or no longer." });
    return comment;
  }

  const show = (context: SiteContext, title: string, body: Html, status: 200 | 400 | 403 | 429 = 200) =>
    context.html(render(context, { title, section: "papers", body }), status);

  /** What is being written as readers would see it, and the form again; nothing is kept. */
  function previewPage(context: SiteContext, text: string, form: Html): Response | Promise<Response> {
    keepPrivate(context);
    const body = html`<div class="column narrow"><h1>Preview</h1>
<p class="lead">So it will look. It is not kept yet.</p>
<div class="comment comment-text comment-preview">${text.trim() === "" ? html`<p class="quiet">Nothing is written yet.</p>` : commentMarkup(text)}</div>
${form}</div>`;
    return show(context, "Preview", body);
  }

  app.on("POST", paperRoutes("/comments"), async (context) => {
    const account = signedIn(context);
    const paper = await paperOf(context, store);
    const { text = "", parent, preview } = await readForm(context);
    const again = () =>
      commentForm(context, {
        action: `${paperPath(paper)}/comments`,
        id: "comment-text",
        label: "Your comment",
        button: "Comment",
        value: text,
        rows: 10,
        ...(parent !== undefined && { parent }),
      });
    if (preview !== undefined) return previewPage(context, text, again());
    const tried = await attempt(() =>
      discussion
        .write(account, { paperId: paper.id, parentId: parent ?? null, text })
        .catch((error: unknown) => {
          if (error instanceof StoreError && error.code === "not-found")
            throw new PeopleError("refused", "The comment that you answer is no longer there.");
          throw error;
        }),
    );
    if ("value" in tried) return context.redirect(await place(tried.value), 303);
    const body = html`<div class="column narrow"><h1>Your comment was not taken</h1>
${formError({ error: tried.error }, [])}
${again()}</div>`;
    return show(context, "Your comment", body, statusOf(tried.error));
  });

  const editForm = (context: SiteContext, id: string, text: string) =>
    commentForm(context, {
      action: `/comments/${id}/edit`,
      id: "comment-text",
      label: "Your comment",
      button: "Save",
      value: text,
      rows: 10,
    });

  function editPage(context: SiteContext, id: string, text: string, error: PeopleError | null): Html {
    return html`<div class="column narrow"><h1>Edit your comment</h1>
<p class="lead">Readers see that it was edited, and what it said before.</p>
${formError({ error }, [])}
${editForm(context, id, text)}</div>`;
  }

  app.get("/comments/:id/edit", async (context) => {
    const account = signedIn(context);
    const tried = await attempt(() => discussion.own(account, context.req.param("id")));
    if ("error" in tried) throw new HTTPException(404, { message: tried.error.message });
    return show(context, "Edit your comment", editPage(context, tried.value.id, tried.value.text, null));
  });

  app.post("/comments/:id/edit", async (context) => {
    const account = signedIn(context);
    const id = context.req.param("id");
    const { text = "", preview } = await readForm(context);
    if (preview !== undefined) return previewPage(context, text, editForm(context, id, text));
    const tried = await attempt(() => discussion.edit(account, id, text));
    if ("value" in tried) return context.redirect(await place(tried.value), 303);
    if (tried.error.kind === "refused") throw new HTTPException(403, { message: tried.error.message });
    return show(
      context,
      "Edit your comment",
      editPage(context, id, text, tried.error),
      statusOf(tried.error),
    );
  });

  app.post("/comments/:id/delete", async (context) => {
    const account = signedIn(context);
    const tried = await attempt(() => discussion.remove(account, context.req.param("id")));
    if ("error" in tried) throw new HTTPException(403, { message: tried.error.message });
    return context.redirect(await place(tried.value, true), 303);
  });

  app.get("/comments/:id/history", async (context) => {
    const comment = await found(context);
    const versions = await store.comments.history(comment.id);
    const authors = await accountsOf(store, [comment.accountId]);
    const all = [
      ...versions,
      { text: comment.text, writtenAt: comment.editedAt ?? comment.createdAt },
    ].reverse();
    const body = html`<div class="column narrow"><h1>What it said</h1>
<p class="lead">A comment of ${personLink(authors.get(comment.accountId ?? ""))}, newest version first. <a href="${await place(comment)}">Back to it</a></p>
<ol class="comments">${all.map(
      ({ text, writtenAt }) =>
        html`<li><article class="comment"><header class="comment-head"><span class="comment-time">${atTime(writtenAt)}</span></header><div class="comment-text">${commentMarkup(text)}</div></article></li>`,
    )}</ol></div>`;
    return show(context, "What a comment said", body);
  });

  function reportPage(context: SiteContext, comment: Comment, error: PeopleError | null): Html {
    return gatePage(
      "Report a comment",
      "Moderators look at it. Whoever wrote it does not learn who reported it.",
      html`<blockquote class="quoted">${commentMarkup(comment.text)}</blockquote>
<form class="stack" method="post" action="/comments/${comment.id}/report">${csrfField(context)}
${formError({ error }, [])}
<div class="field"><label for="reason">What is wrong with it?</label><textarea id="reason" name="reason" rows="3" maxlength="1000" required></textarea></div>
<div class="form-foot"><button class="button button-primary">Report</button></div></form>`,
    );
  }

  app.get("/comments/:id/report", async (context) => {
    signedIn(context);
    return show(context, "Report a comment", reportPage(context, await found(context), null));
  });

  app.post("/comments/:id/report", async (context) => {
    const account = signedIn(context);
    const comment = await found(context);
    const { reason = "" } = await readForm(context);
    const tried = await attempt(() => discussion.report(account, comment.id, reason));
    if ("error" in tried)
      return show(
        context,
        "Report a comment",
        reportPage(context, comment, tried.error),
        statusOf(tried.error),
      );
    const body = gatePage(
      "Thank you",
      "The moderators will look at it.",
      html`<ul class="link-row"><li><a class="button" href="${await place(comment)}">Back to the paper</a></li></ul>`,
    );
    return show(context, "Thank you", body);
  });

  return app;
}
