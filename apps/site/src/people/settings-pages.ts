import type { Account, ApiKey, Session } from "@concord/feed";
import { isNewcomer, PASSWORD_LENGTH } from "@concord/feed/people";
import { html } from "hono/html";
import { KEY_SCOPES } from "../api/keys.ts";
import type { Html } from "../pages/layout.ts";
import { csrfField, type SiteContext } from "../site-env.ts";
import { atTime } from "./comment-section.ts";
import { type FormState, field, formError, notice } from "./forms.ts";
import type { People } from "./service.ts";
import { outboxNote } from "./sign-in-pages.ts";

/** Which form of the page came back, and how. */
export interface SettingsState extends FormState {
  readonly form?: "profile" | "email" | "password" | "keys" | "delete";
}

export interface SettingsView {
  readonly account: Account;
  readonly session: Session;
  readonly sessions: readonly Session[];
  readonly keys: readonly ApiKey[];
  readonly hasPassword: boolean;
  /** What was just done. */
  readonly done: string | null;
  /** A key that was just made: shown this once. */
  readonly newKey: string | null;
  readonly state: SettingsState;
}

const scopeNames: Readonly<Record<(typeof KEY_SCOPES)[number], string>> = {
  read: "read: papers, search, your lists",
  write: "write: vote, keep, comment in your name",
};

function section(id: string, title: string, body: Html): Html {
  return html`<section class="panel settings-section" aria-labelledby="${id}"><h2 id="${id}" class="panel-title">${title}</h2>
${body}</section>`;
}

function profile(context: SiteContext, { account, state }: SettingsView): Html {
  const own = state.form === "profile" ? state : {};
  return section(
    "profile",
    "Profile",
    html`<form class="stack" method="post" action="/settings/profile">${csrfField(context)}
${formError(own, ["name", "displayName"])}
${field({ name: "displayName", label: "Name that others see", maxlength: 60, autocomplete: "name", value: account.displayName }, own)}
${field({ name: "name", label: "Name to sign in with", maxlength: 32, autocomplete: "username", value: account.name, help: html`Your page is <a href="/people/${account.name}">/people/${account.name}</a>.` }, own)}
<div class="form-foot"><button class="button">Save</button></div></form>`,
  );
}

function email(context: SiteContext, people: People, { account, hasPassword, state }: SettingsView): Html {
  const own = state.form === "email" ? state : {};
  const now =
    account.email === null
      ? html`<p>You have no address here, so there is no way back when you forget your password.</p>`
      : html`<p><strong>${account.email}</strong> ${account.emailVerified ? html`<span class="badge status-done">confirmed</span>` : html`<span class="badge outcome-inconclusive">not confirmed</span>`}</p>`;
  return section(
    "email",
    "E-mail address",
    html`${now}
${isNewcomer(account, people.clock()) ? html`<p class="help">New accounts, and those without a confirmed address, may write a few comments a day.</p>` : ""}
${
  account.email !== null && !account.emailVerified
    ? html`<form method="post" action="/settings/email">${csrfField(context)}<input type="hidden" name="email" value="${account.email}"><input type="hidden" name="again" value="1"><button class="button button-quiet">Send the confirmation again</button></form>`
    : ""
}
<form class="stack" method="post" action="/settings/email">${csrfField(context)}
${formError(own, ["email", "current"])}
${field({ name: "email", label: "New address", type: "email", autocomplete: "email", prefix: "new-", help: "It counts once you open the link that we send there." }, own)}
${hasPassword ? field({ name: "current", label: "Your password", type: "password", autocomplete: "current-password", maxlength: 1000, prefix: "email-" }, own) : ""}
${outboxNote(people)}
<div class="form-foot"><button class="button">Change the address</button></div></form>`,
  );
}

function password(context: SiteContext, { hasPassword, state }: SettingsView): Html {
  const own = state.form === "password" ? state : {};
  return section(
    "password",
    "Password",
    html`<form class="stack" method="post" action="/settings/password">${csrfField(context)}
${hasPassword ? "" : html`<p>You sign in by links to your address. With a password you can do without them.</p>`}
${formError(own, ["current", "password"])}
${hasPassword ? field({ name: "current", label: "Your password now", type: "password", autocomplete: "current-password", maxlength: 1000 }, own) : ""}
${field({ name: "password", label: "New password", type: "password", autocomplete: "new-password", maxlength: 400, minlength: PASSWORD_LENGTH.least, prefix: "new-", help: `At least ${PASSWORD_LENGTH.least} characters. All other devices are signed out.` }, own)}
<div class="form-foot"><button class="button">${hasPassword ? "Change" : "Set"} the password</button></div></form>`,
  );
}

function sessions(context: SiteContext, { session, sessions: all }: SettingsView): Html {
  return section(
    "sessions",
    "Where you are signed in",
    html`<ul class="rows">${all.map(
      (
        other,
      ) => html`<li><div><strong>${other.label}</strong>${other.tokenHash === session.tokenHash ? html` <span class="badge runs-here">this one</span>` : ""}
<div class="quiet small">since ${atTime(other.createdAt)}</div></div>
${
  other.tokenHash === session.tokenHash
    ? ""
    : html`<form method="post" action="/settings/sessions/end">${csrfField(context)}<input type="hidden" name="session" value="${other.tokenHash}"><button class="button button-quiet">Sign out<span class="visually-hidden"> ${other.label}</span></button></form>`
}</li>`,
    )}</ul>
${all.length > 1 ? html`<form method="post" action="/settings/sessions/end">${csrfField(context)}<button class="button button-quiet">Sign out everywhere else</button></form>` : ""}`,
  );
}

function keys(context: SiteContext, { keys: all, newKey, state }: SettingsView): Html {
  const own = state.form === "keys" ? state : {};
  const live = all.filter(({ revokedAt }) => revokedAt === null);
  return section(
    "keys",
    "API keys",
    html`<p>Programs that act for you carry a key; <a href="/api">the API</a> explains how.</p>
${
  newKey === null
    ? ""
    : html`<div class="notice" role="status"><p>Your new key. It is shown this once: copy it now.</p>
<pre tabindex="0" aria-label="New key"><code id="new-key">${newKey}</code></pre><button type="button" class="button button-quiet needs-script" data-copy="new-key">Copy</button></div>`
}
${
  live.length === 0
    ? ""
    : html`<ul class="rows">${live.map(
        ({
          id,
          name,
          prefix,
          scopes,
          createdAt,
          usedAt,
        }) => html`<li><div><strong>${name}</strong> <code>${prefix}…</code>
<div class="quiet small">${scopes.join(", ")}; made ${atTime(createdAt)}${usedAt === null ? ", never used" : html`, used ${atTime(usedAt)}`}</div></div>
<form method="post" action="/settings/keys/revoke">${csrfField(context)}<input type="hidden" name="key" value="${id}"><button class="button button-quiet button-danger">Revoke<span class="visually-hidden"> ${name}</span></button></form></li>`,
      )}</ul>`
}
<form class="stack" method="post" action="/settings/keys">${csrfField(context)}
${formError(own, ["keyName"])}
${field({ name: "keyName", label: "What is the key for?", maxlength: 100 }, own)}
<fieldset class="checks"><legend>It may</legend>${KEY_SCOPES.map(
      (scope) =>
        html`<label class="field-check"><input type="checkbox" name="scope-${scope}" value="1" ${scope === "read" ? "checked" : ""}> ${scopeNames[scope]}</label>`,
    )}</fieldset>
<div class="form-foot"><button class="button">Make a key</button></div></form>`,
  );
}

function data(): Html {
  return section(
    "data",
    "Your data",
    html`<p>Everything that this site has of you, to keep or to take elsewhere.</p>
<ul class="link-row">
<li><a class="button button-quiet" href="/settings/export/data.json" download>All of it, JSON</a></li>
<li><a class="button button-quiet" href="/settings/export/papers.csv" download>Your papers, CSV</a></li>
<li><a class="button button-quiet" href="/settings/export/papers.bib" download>Kept papers, BibTeX</a></li>
</ul>`,
  );
}

function removal(context: SiteContext, { account, hasPassword, state }: SettingsView): Html {
  const own = state.form === "delete" ? state : {};
  return section(
    "delete",
    "Delete the account",
    html`<details ${state.form === "delete" ? "open" : ""}><summary>Delete everything</summary>
<p class="stack-text">Votes, kept papers, collections, saved searches, keys and sessions go for good. Your comments lose their text and your name; what others answered stays. A digest that comes to your address goes on until you end it by the link in it.</p>
<form class="stack" method="post" action="/settings/delete">${csrfField(context)}
${formError(own, ["name", "current"])}
${field({ name: "name", label: `Type ${account.name} to confirm`, prefix: "delete-", maxlength: 32, value: "" }, { ...own, values: {} })}
${hasPassword ? field({ name: "current", label: "Your password", type: "password", autocomplete: "current-password", maxlength: 1000, prefix: "delete-" }, own) : ""}
<div class="form-foot"><button class="button button-danger">Delete my account</button></div></form></details>`,
  );
}

export function settingsPage(context: SiteContext, people: People, view: SettingsView): Html {
  const places = [
    ["profile", "Profile"],
    ["email", "E-mail address"],
    ["password", "Password"],
    ["sessions", "Devices"],
    ["keys", "API keys"],
    ["data", "Your data"],
    ["delete", "Delete the account"],
  ] as const;
  return html`<div class="column settings"><div class="masthead"><h1>Settings</h1></div>
${view.done === null ? "" : notice(view.done)}
<div class="settings-grid"><nav class="settings-nav" aria-label="Settings"><ul>${places.map(
    ([id, name]) => html`<li><a href="#${id}">${name}</a></li>`,
  )}</ul></nav>
<div class="settings-sections">
${profile(context, view)}
${email(context, people, view)}
${password(context, view)}
${sessions(context, view)}
${keys(context, view)}
${data()}
${removal(context, view)}
</div></div></div>`;
}
