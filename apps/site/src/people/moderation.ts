import type { Account, Comment, ModerationEntry, Report } from "@concord/feed";
import { moderates, PeopleError } from "@concord/feed/people";
import { Hono } from "hono";
import { html } from "hono/html";
import { HTTPException } from "hono/http-exception";
import { address, paperPath } from "../daily/query.ts";
import type { Html } from "../pages/layout.ts";
import { csrfField, type SiteContext, type SiteEnv } from "../site-env.ts";
import type { Render, SiteParts } from "../site-parts.ts";
import { accountsOf, atTime, personLink } from "./comment-section.ts";
import { attempt, type FormState, field, formError, keepPrivate, readForm, signedIn } from "./forms.ts";
import { commentMarkup } from "./markdown.ts";
import { outboxNote } from "./sign-in-pages.ts";

const REPORTS_SHOWN = 50;
const LOG_SHOWN = 50;
const PEOPLE_SHOWN = 50;

type People = ReadonlyMap<string, Account>;

function decisionForm(context: SiteContext, comment: Comment): Html {
  const hide = comment.state === "visible";
  const id = `reason-${comment.id}`;
  const button = (value: "hide" | "show", label: string, kind: string) =>
    html`<button class="button ${kind}" name="decision" value="${value}">${label}</button>`;
  return html`<form class="decision" method="post" action="/moderation/comments/${comment.id}">${csrfField(context)}
<div class="field"><label for="${id}">Reason, for the log</label><input id="${id}" name="reason" type="text" maxlength="1000"></div>
<div class="form-foot">${hide ? html`${button("hide", "Hide the comment", "button-danger")}${button("show", "It may stay", "")}` : button("show", "Show it again", "")}</div></form>`;
}

function reported(
  context: SiteContext,
  { comment, reports, people }: { comment: Comment; reports: readonly Report[]; people: People },
): Html {
  return html`<li class="panel report">
<p class="small">On <a href="/moderation/comments/${comment.id}">a comment</a> of ${personLink(people.get(comment.accountId ?? ""))}, ${atTime(comment.createdAt)}${comment.state === "hidden" ? html` <span class="badge">hidden</span>` : ""}</p>
<blockquote class="quoted comment-text">${comment.state === "removed" ? html`<p class="quiet">Its author removed it.</p>` : commentMarkup(comment.text)}</blockquote>
${reports.length === 0 ? "" : html`<ul class="reasons">${reports.map((report) => html`<li>${personLink(people.get(report.reporterId ?? ""))}: ${report.reason} <span class="quiet small">${atTime(report.createdAt)}</span></li>`)}</ul>`}
${comment.state === "removed" ? "" : decisionForm(context, comment)}</li>`;
}

const actionNames: Readonly<Record<string, string>> = {
  "hide-comment": "hid a comment",
  "show-comment": "let a comment stand",
  "suspend-account": "suspended",
  "restore-account": "let in again",
  "make-moderator": "made a moderator of",
  "make-member": "took the rights back from",
  "make-owner": "made an owner of",
};

function logLine(entry: ModerationEntry, people: People): Html {
  const [kind, id = ""] = entry.subject.split(":");
  const subject =
    kind === "account"
      ? personLink(people.get(id))
      : kind === "comment"
        ? html`<a href="/moderation/comments/${id}">${id.slice(0, 6)}</a>`
        : entry.subject;
  return html`<li><span class="quiet small">${atTime(entry.at)}</span> ${personLink(people.get(entry.moderatorId ?? ""))} ${actionNames[entry.action] ?? entry.action} ${subject}${entry.reason === "" ? "" : html`: ${entry.reason}`}</li>`;
}

function accountRow(context: SiteContext, me: Account, other: Account): Html {
  const suspended = other.state === "suspended";
  const mine = other.id === me.id;
  const may = !mine && (me.role === "owner" || other.role === "member");
  const roles = (["member", "moderator", "owner"] as const).filter((role) => role !== other.role);
  const of = html`<span class="visually-hidden"> ${other.name}</span>`;
  return html`<li><div>${personLink(other)} <span class="quiet small">@${other.name}, since ${atTime(other.createdAt)}</span>
${other.role === "member" ? "" : html`<span class="badge">${other.role}</span>`}${suspended ? html` <span class="badge status-failed">suspended</span>` : ""}</div>
${
  may
    ? html`<div class="row-acts"><form method="post" action="/moderation/accounts/${other.name}">${csrfField(context)}<button class="button button-quiet ${suspended ? "" : "button-danger"}" name="act" value="${suspended ? "restore" : "suspend"}">${suspended ? "Let in again" : "Suspend"}${of}</button></form>
${me.role === "owner" ? html`<form class="role-form" method="post" action="/moderation/accounts/${other.name}">${csrfField(context)}<label class="visually-hidden" for="role-${other.id}">Role of ${other.name}</label><select id="role-${other.id}" name="act">${roles.map((role) => html`<option value="${role}">${role}</option>`)}</select><button class="button button-quiet">Make${of}</button></form>` : ""}</div>`
    : ""
}</li>`;
}

/** Open reports, decisions, accounts and the log; for owners and moderators. */
export function moderationRoutes({ store, people }: SiteParts, render: Render): Hono<SiteEnv> {
  const app = new Hono<SiteEnv>();
  const { discussion, accounts } = people;

  /** Others are told what they would be told of a page that does not exist. */
  function moderator(context: SiteContext): Account {
    const account = signedIn(context);
    if (!moderates(account)) throw new HTTPException(404, { message: "There is no such page." });
    return account;
  }

  const show = (context: SiteContext, title: string, body: Html, status: 200 | 400 = 200) => {
    keepPrivate(context);
    return context.html(render(context, { title, section: "none", body }), status);
  };

  async function showAll(
    context: SiteContext,
    more: { link?: string; email?: string; state?: FormState } = {},
    status: 200 | 400 = 200,
  ) {
    const me = moderator(context);
    const wanted = context.req.query("name")?.slice(0, 64) ?? "";
    const [open, log] = await Promise.all([
      store.comments.reports({ state: "open", limit: REPORTS_SHOWN }),
      store.comments
        .moderationLog({ limit: LOG_SHOWN, cursor: context.req.query("log") })
        .catch(() => store.comments.moderationLog({ limit: LOG_SHOWN })),
    ]);
    const listed =
      wanted === ""
        ? (await store.people.list({ limit: PEOPLE_SHOWN })).items
        : [await store.people.byName(wanted)].filter((account) => account !== null);
    const ids = [...new Set(open.items.map(({ commentId }) => commentId))];
    const comments = (await Promise.all(ids.map((id) => store.comments.get(id)))).filter(
      (found) => found !== null,
    );
    const known = await accountsOf(store, [
      ...comments.map(({ accountId }) => accountId),
      ...open.items.map(({ reporterId }) => reporterId),
      ...log.items.flatMap(({ moderatorId, subject }) => [
        moderatorId,
        subject.startsWith("account:") ? subject.slice(8) : null,
      ]),
    ]);
    const body = html`<div class="column"><div class="masthead"><h1>Moderation</h1></div>
<section aria-labelledby="reports"><h2 id="reports">Open reports</h2>
${comments.length === 0 ? html`<p class="quiet">Nothing waits.</p>` : html`<ol class="reports">${comments.map((comment) => reported(context, { comment, reports: open.items.filter(({ commentId }) => commentId === comment.id), people: known }))}</ol>`}</section>
<section aria-labelledby="accounts"><h2 id="accounts">Accounts</h2>
<form class="find-person" action="/moderation" aria-label="Find an account"><label for="find-name">Name</label><input id="find-name" name="name" type="search" maxlength="64" value="${wanted}"><button class="button button-quiet">Find</button></form>
${listed.length === 0 ? html`<p class="quiet">There is nobody of this name.</p>` : html`<ul class="rows">${listed.map((other) => accountRow(context, me, other))}</ul>`}
${wanted === "" && listed.length === PEOPLE_SHOWN ? html`<p class="help">The first ${PEOPLE_SHOWN}; look for others by name.</p>` : ""}</section>
${
  me.role === "owner"
    ? html`<section aria-labelledby="invite"><h2 id="invite">Invite somebody</h2>
<p class="section-lead">You get a link with which the holder of this address makes an account, within 24 hours, also where sign-up is closed. Hand it over in a way that you trust.</p>
${more.link === undefined ? "" : html`<div class="notice" role="status"><p>For ${more.email}. The link is shown this once.</p><pre tabindex="0" aria-label="Link"><code id="invite-link">${more.link}</code></pre><button type="button" class="button button-quiet needs-script" data-copy="invite-link">Copy</button></div>`}
<form class="stack narrow" method="post" action="/moderation/invite">${csrfField(context)}${formError(more.state ?? {}, ["email"])}
${field({ name: "email", label: "E-mail address", type: "email" }, more.state)}
<div class="form-foot"><button class="button">Make a link</button></div></form>${outboxNote(people)}</section>`
    : ""
}
<section aria-labelledby="log"><h2 id="log">Log</h2>
${log.items.length === 0 ? html`<p class="quiet">Nothing has been decided yet.</p>` : html`<ol class="log">${log.items.map((entry) => logLine(entry, known))}</ol>`}
${log.next === null ? "" : html`<p class="small"><a href="${address("/moderation", { log: log.next })}#log">Earlier decisions</a></p>`}</section></div>`;
    return show(context, "Moderation", body, status);
  }

  app.get("/moderation", (context) => showAll(context));

  app.post("/moderation/invite", async (context) => {
    if (moderator(context).role !== "owner")
      throw new HTTPException(403, { message: "Only owners can do this." });
    const values = await readForm(context);
    const tried = await attempt(() => accounts.invite(values.email ?? ""));
    if ("error" in tried) return showAll(context, { state: { values, error: tried.error } }, 400);
    return showAll(context, tried.value);
  });

  app.get("/moderation/comments/:id", async (context) => {
    moderator(context);
    const comment = await store.comments.get(context.req.param("id"));
    if (comment === null) throw new HTTPException(404, { message: "There is no such comment." });
    const known = await accountsOf(store, [comment.accountId]);
    const paper = await store.papers.get(comment.paperId);
    const body = html`<div class="column narrow"><h1>A comment</h1>
<p class="lead">${paper ? html`<a href="${paperPath(paper)}#comment-${comment.id}">On the page of its paper</a> · ` : ""}<a href="/moderation">All of moderation</a></p>
<ul class="reports">${reported(context, { comment, reports: [], people: known })}</ul></div>`;
    return show(context, "A comment", body);
  });

  app.post("/moderation/comments/:id", async (context) => {
    const account = moderator(context);
    const { decision, reason = "" } = await readForm(context);
    if (decision !== "hide" && decision !== "show")
      throw new HTTPException(400, { message: "Expected to hide it or to let it stand." });
    const id = context.req.param("id");
    await discussion.moderate(account, id, decision === "hide", reason);
    return context.redirect("/moderation", 303);
  });

  app.post("/moderation/accounts/:name", async (context) => {
    const account = moderator(context);
    const other = await store.people.byName(context.req.param("name"));
    if (other === null) throw new HTTPException(404, { message: "There is nobody of this name here." });
    const { act = "", reason = "" } = await readForm(context);
    if (act === "suspend" || act === "restore")
      await discussion.suspend(account, other, act === "suspend", reason);
    else if (act === "member" || act === "moderator" || act === "owner")
      await discussion.appoint(account, other, act);
    else throw new PeopleError("fault", "Expected to suspend, to let in, or a role.");
    return context.redirect(address("/moderation", { name: other.name }), 303);
  });

  return app;
}
