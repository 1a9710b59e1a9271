import type { Delivery, Issue, Reader } from "@concord/feed";
import { issueTitle, readContent } from "@concord/feed/digest";
import { html } from "hono/html";
import type { Html } from "../pages/layout.ts";
import { type FormState, field, formError, notice, trap } from "../people/forms.ts";
import type { People } from "../people/service.ts";
import { gatePage, outboxNote } from "../people/sign-in-pages.ts";
import { csrfField, type SiteContext } from "../site-env.ts";
import { timeText } from "../text.ts";
import { type WishFields, wishFieldsets } from "./wish-form.ts";

type Offered = Parameters<typeof wishFieldsets>[1];

const ways = html`<ul class="link-row"><li><a class="button button-quiet" href="/">All papers</a></li></ul>`;

/** The form of somebody who wants the digest. */
export function subscribePage(
  context: SiteContext,
  people: People,
  options: {
    readonly state: FormState;
    readonly wish: WishFields;
    readonly offered: Offered;
    /** A search that the digest is to be about, with the fields that carry it. */
    readonly search: { readonly label: string; readonly fields: Readonly<Record<string, string>> } | null;
  },
): Html {
  const { state, wish, offered, search } = options;
  return html`<div class="column subscribe"><div class="masthead"><h1>Papers in your inbox</h1>
<p class="lead">The papers of the day or of the week, most votes first, with their authors and first sentences. No account, no pictures, no tracking; one click ends it.</p></div>
<form class="panel subscribe-form" method="post" action="/subscribe">${csrfField(context)}${trap(people)}
${formError(state, ["email"])}
${field({ name: "email", label: "E-mail address", type: "email", autocomplete: "email", help: "We send one message with a link, to be sure that it is yours. Nothing else comes before you confirm." }, state)}
${
  search === null
    ? ""
    : html`<p class="subscribe-search">${Object.entries(search.fields).map(
        ([name, value]) => html`<input type="hidden" name="${name}" value="${value}">`,
      )}Papers found by <strong>${search.label}</strong>. <a href="/subscribe">All papers instead</a></p>`
}
${wishFieldsets(wish, offered)}
${outboxNote(people)}
<div class="form-foot"><button class="button button-primary">Subscribe</button></div>
<p class="help">We keep your address, your choices, and when and how you agreed. You can delete all of it at any time. Prefer a feed? Every list has <a href="/rss">RSS</a>, <a href="/atom">Atom</a> and <a href="/feed.json">JSON</a>.</p>
</form></div>`;
}

/** The same words for every address. */
export function requestedPage(people: People): Html {
  return gatePage(
    "Look into your mailbox",
    "If digests can be sent to this address, a message with a link is on its way. Nothing comes before you follow it, within seven days.",
    html`${outboxNote(people)}<p class="quiet small">Nothing there after some minutes? Look among unwanted mail. To protect mailboxes, an address gets at most one such message a day.</p>
${ways}`,
  );
}

export function confirmPage(context: SiteContext, reader: Reader): Html {
  const { cadence } = reader;
  return gatePage(
    `Your ${cadence} digest`,
    html`It will go to <strong class="address">${reader.email}</strong>.`,
    html`<form class="stack" method="post" action="">${csrfField(context)}<div class="form-foot"><button class="button button-primary">Yes, send it to me</button></div></form>`,
  );
}

export function confirmedPage(reader: Reader, manage: string, next: string): Html {
  return gatePage(
    reader.state === "confirmed" ? "You are subscribed" : "This address gets no mail from us",
    reader.state === "confirmed"
      ? `The next digest comes ${next}, if there are papers for you.`
      : "Messages to it came back, or were reported. Whoever runs this site can lift that.",
    html`<ul class="link-row">${reader.state === "confirmed" ? html`<li><a class="button" href="${manage}">Change what you get</a></li>` : ""}<li><a class="button button-quiet" href="/">All papers</a></li></ul>`,
  );
}

export function deadLinkPage(): Html {
  return gatePage(
    "This link is over",
    "It is unknown, or its seven days have passed. Nothing has happened.",
    html`<ul class="link-row"><li><a class="button" href="/subscribe">Subscribe anew</a></li></ul>`,
  );
}

/** What the address of List-Unsubscribe shows. It changes nothing: programs that look at mail open every link. */
export function leavePage(): Html {
  return gatePage(
    "End the digest?",
    "No further message will come to you.",
    html`<form class="stack" method="post" action=""><div class="form-foot"><button class="button button-primary">Unsubscribe</button><a class="small" href="/">Keep it</a></div></form>`,
  );
}

export function leftPage(manage: string | null): Html {
  return gatePage(
    "You are unsubscribed",
    "No further digest will come. Thank you for having read along.",
    html`<ul class="link-row"><li><a class="button button-quiet" href="/">All papers</a></li><li><a class="button button-quiet" href="/rss">Feed</a></li>${manage === null ? "" : html`<li><a class="button button-quiet" href="${manage}">Delete my data</a></li>`}</ul>`,
  );
}

const states: Readonly<Record<Reader["state"], string>> = {
  pending: "not confirmed yet",
  confirmed: "active",
  paused: "paused",
  unsubscribed: "ended",
  suppressed: "blocked",
};
const deliveries: Readonly<Record<Delivery["state"], string>> = {
  queued: "waits",
  sending: "on its way",
  sent: "sent",
  failed: "not taken",
  skipped: "not sent",
  unknown: "no answer",
};

/** An issue that went to a reader, or did not. */
export interface Sent {
  readonly issue: Issue;
  readonly delivery: Delivery;
}

function history(sent: readonly Sent[]): Html {
  if (sent.length === 0) return html`<p class="quiet">Nothing was sent yet.</p>`;
  return html`<table class="history"><caption class="visually-hidden">Digests, newest first</caption><thead><tr><th scope="col">Digest</th><th scope="col">Time</th><th scope="col">State</th></tr></thead><tbody>${sent.map(
    ({ issue, delivery }) =>
      html`<tr><th scope="row">${issueTitle(readContent(issue.content))}</th><td>${timeText(new Date(delivery.sentAt ?? delivery.runAt).toISOString())}</td><td>${deliveries[delivery.state]}</td></tr>`,
  )}</tbody></table>`;
}

function act(context: SiteContext, action: string, label: string, look = ""): Html {
  return html`<form method="post" action="">${csrfField(context)}<input type="hidden" name="action" value="${action}"><button class="button ${look}">${label}</button></form>`;
}

/** Everything about one reader's digest, behind the link of every message. */
export function managePage(
  context: SiteContext,
  options: {
    readonly reader: Reader;
    readonly wish: WishFields;
    readonly offered: Offered;
    readonly sent: readonly Sent[];
    readonly done: string | null;
    readonly next: string;
  },
): Html {
  const { reader, wish, offered, sent, done, next } = options;
  const { state } = reader;
  const words: Readonly<Record<Reader["state"], Html | string>> = {
    confirmed: `The next one comes ${next}, if there are papers for you.`,
    paused: "Nothing comes until you go on with it.",
    pending: "Nothing comes before you follow the link in the first message.",
    unsubscribed: html`Nothing comes any more. <a href="/subscribe">Subscribe again</a>`,
    suppressed:
      "Messages to this address came back, or one was reported as unwanted. Nothing is sent any more; whoever runs this site can lift that.",
  };
  const active = state === "confirmed" || state === "paused";
  return html`<div class="column subscribe"><div class="masthead"><h1>Your digest</h1>
<p class="lead"><strong class="address">${reader.email}</strong> <span class="badge ${state === "confirmed" ? "status-done" : ""}">${states[state]}</span></p></div>
${done === null ? "" : notice(done)}
<p class="subscribe-state">${words[state]}</p>
${
  active
    ? html`<form class="panel subscribe-form" method="post" action="">${csrfField(context)}<input type="hidden" name="action" value="save">
${wishFieldsets(wish, offered)}
<div class="form-foot"><button class="button button-primary">Save</button></div></form>
<div class="subscribe-acts">${state === "confirmed" ? act(context, "pause", "Pause") : act(context, "resume", "Go on with it", "button-primary")}${act(context, "unsubscribe", "Unsubscribe")}</div>`
    : ""
}
<section aria-labelledby="history"><h2 id="history">What was sent</h2>${history(sent)}</section>
<section aria-labelledby="data"><h2 id="data">Your data</h2>
<p>You asked for the digest on ${timeText(new Date(reader.consent.at).toISOString())} by ${reader.consent.form.startsWith("api") ? "the API" : "the form"}${reader.confirmedAt === null ? "" : html` and confirmed on ${timeText(new Date(reader.confirmedAt).toISOString())}`}. We keep that, your address, your choices and the list above.</p>
<details class="confirm subscribe-delete"><summary class="button button-danger">Delete my data</summary><div class="confirm-box"><p>Your address and everything about it goes for good. No digest comes any more.</p>${act(context, "delete", "Delete it", "button-danger")}</div></details></section></div>`;
}

export function deletedPage(): Html {
  return gatePage("Your data is deleted", "We know nothing about your address any more.", ways);
}
