import type { LoginToken } from "@concord/feed";
import { PASSWORD_LENGTH } from "@concord/feed/people";
import { html } from "hono/html";
import { address } from "../daily/query.ts";
import type { Html } from "../pages/layout.ts";
import { csrfField, type SiteContext } from "../site-env.ts";
import { type FormState, field, formError, trap } from "./forms.ts";
import type { People } from "./service.ts";

const passwordHelp = `At least ${PASSWORD_LENGTH.least} characters. A few words that do not belong together are easy to keep in mind.`;

/** A narrow page with one thing to do. */
export function gatePage(title: string, lead: Html | string, body: Html): Html {
  return html`<div class="gate"><h1>${title}</h1>${lead === "" ? "" : html`<p class="lead">${lead}</p>`}
${body}</div>`;
}

/** Says where messages go on a server that sends none. */
export function outboxNote(people: People): Html {
  if (people.office.delivers) return html``;
  return html`<p class="banner">This server sends no mail. Messages are kept in the folder <code>outbox</code> of its data folder, where whoever runs it can read them.</p>`;
}

export function signInPage(
  context: SiteContext,
  people: People,
  options: {
    readonly next: string;
    readonly signUp: boolean;
    readonly password: FormState;
    readonly link: FormState;
  },
): Html {
  const { next, signUp, password, link } = options;
  return gatePage(
    "Sign in",
    signUp ? html`New here? <a href="${address("/sign-up", { next })}">Make an account</a>.` : "",
    html`<form class="stack" method="post" action="/sign-in" aria-labelledby="by-password">${csrfField(context)}
<input type="hidden" name="next" value="${next}">
<h2 id="by-password">With your password</h2>
${formError(password, ["login", "password"])}
${field({ name: "login", label: "Name or e-mail address", autocomplete: "username" }, password)}
${field({ name: "password", label: "Password", type: "password", autocomplete: "current-password", maxlength: 1000 }, password)}
<div class="form-foot"><button class="button button-primary">Sign in</button><a class="small" href="/forgot">Forgotten?</a></div>
</form>
<form class="stack" method="post" action="/sign-in/link" aria-labelledby="by-link">${csrfField(context)}
<h2 id="by-link">With a link by e-mail</h2>
${formError(link, ["email"])}
${field({ name: "email", label: "E-mail address", type: "email", autocomplete: "email", help: "The link works once, within 15 minutes." }, link)}
${outboxNote(people)}
<div class="form-foot"><button class="button">Send me a link</button></div>
</form>`,
  );
}

export function firstAccountPage(context: SiteContext, state: FormState): Html {
  return gatePage(
    "Make the owner’s account",
    "Nobody has an account here yet. The first one is the owner’s: it moderates, appoints moderators, and decides who may run papers.",
    html`<form class="stack" method="post" action="/sign-up">${csrfField(context)}
${formError(state, ["name", "email", "password"])}
${field({ name: "name", label: "Name", autocomplete: "username", maxlength: 32, help: "Letters a to z, digits, hyphens and underscores. Others see it." }, state)}
${field({ name: "email", label: "E-mail address", type: "email", autocomplete: "email", required: false, help: "For links to sign in and for a new password." }, state)}
${field({ name: "password", label: "Password", type: "password", autocomplete: "new-password", maxlength: 400, minlength: PASSWORD_LENGTH.least, help: passwordHelp }, state)}
<div class="form-foot"><button class="button button-primary">Make the account</button></div>
</form>`,
  );
}

export function signUpPage(context: SiteContext, people: People, state: FormState): Html {
  return gatePage(
    "Make an account",
    html`To vote, keep papers, comment and run. You have one? <a href="/sign-in">Sign in</a>.`,
    html`<form class="stack" method="post" action="/sign-up">${csrfField(context)}${trap(people)}
${formError(state, ["email"])}
${field({ name: "email", label: "E-mail address", type: "email", autocomplete: "email", help: "We send you a link; behind it you choose your name. The address is shown to nobody." }, state)}
${outboxNote(people)}
<div class="form-foot"><button class="button button-primary">Send me a link</button></div>
</form>`,
  );
}

export function closedPage(): Html {
  return gatePage(
    "Make an account",
    "",
    html`<p>Sign-up is closed here: whoever runs this site invites people. Papers, search, feeds and digests need no account.</p>
<ul class="link-row"><li><a class="button" href="/sign-in">Sign in</a></li><li><a class="button button-quiet" href="/">All papers</a></li></ul>`,
  );
}

/** The same words for every address. */
export function sentPage(people: People, what: "sign-in" | "sign-up" | "reset"): Html {
  const words = {
    "sign-in":
      "If this address can sign in here, a message with a link is on its way. The link works once, within 15 minutes.",
    "sign-up":
      "If this address can be used here, a message with a link is on its way. The link works once, within 24 hours.",
    reset:
      "If an account has this address, a message with a link to a new password is on its way. The link works once, within 15 minutes.",
  };
  return gatePage(
    "Look into your mailbox",
    words[what],
    html`${outboxNote(people)}<p class="quiet small">Nothing there after some minutes? Look among unwanted mail. To protect mailboxes, no address gets more than a few messages.</p>
<ul class="link-row"><li><a class="button button-quiet" href="/">All papers</a></li></ul>`,
  );
}

export function forgotPage(context: SiteContext, people: People, state: FormState): Html {
  return gatePage(
    "Choose a new password",
    "We send a link to the address of your account.",
    html`<form class="stack" method="post" action="/forgot">${csrfField(context)}
${formError(state, ["email"])}
${field({ name: "email", label: "E-mail address", type: "email", autocomplete: "email" }, state)}
${outboxNote(people)}
<div class="form-foot"><button class="button button-primary">Send me a link</button><a class="small" href="/sign-in">Back to sign-in</a></div>
</form>`,
  );
}

export function deadLinkPage(): Html {
  return gatePage(
    "This link is over",
    "It was used already, or its time has passed. Nothing has happened.",
    html`<ul class="link-row"><li><a class="button" href="/sign-in">Ask for a new one</a></li></ul>`,
  );
}

/** The page behind a link in a message. It only shows: programs that look at mail open every link. */
export function linkPage(
  context: SiteContext,
  options: { readonly token: LoginToken; readonly name: string | null; readonly state: FormState },
): Html {
  const { token, name, state } = options;
  const form = (body: Html, button: string) =>
    html`<form class="stack" method="post" action="">${csrfField(context)}${body}
<div class="form-foot"><button class="button button-primary">${button}</button></div></form>`;
  const newPassword = (required: boolean) =>
    field(
      {
        name: "password",
        label: "Password",
        type: "password",
        autocomplete: "new-password",
        maxlength: 400,
        required,
        help: required ? passwordHelp : `${passwordHelp} Without one you sign in by links to your address.`,
      },
      state,
    );
  if (token.purpose === "verify-email") {
    return gatePage(
      "Is this your address?",
      html`<strong>${token.email}</strong> becomes the confirmed address of the account <strong>${name}</strong>.`,
      form(formError(state, []), "Yes, it is mine"),
    );
  }
  if (token.purpose === "reset-password") {
    return gatePage(
      "Choose a new password",
      html`For the account <strong>${name}</strong>. All other devices are signed out.`,
      form(html`${formError(state, ["password"])}${newPassword(true)}`, "Set the password"),
    );
  }
  if (name !== null) {
    return gatePage(
      "Welcome back",
      html`You sign in as <strong>${name}</strong>.`,
      form(formError(state, []), "Sign in"),
    );
  }
  return gatePage(
    "One more step",
    html`Your address <strong>${token.email}</strong> is confirmed once you choose a name.`,
    form(
      html`${formError(state, ["name", "password"])}
${field({ name: "name", label: "Name", autocomplete: "username", maxlength: 32, help: "Letters a to z, digits, hyphens and underscores. Others see it." }, state)}
${newPassword(false)}`,
      "Make the account",
    ),
  );
}

export function confirmedPage(email: string): Html {
  return gatePage(
    "Thank you",
    html`<strong>${email}</strong> is confirmed.`,
    html`<ul class="link-row"><li><a class="button" href="/settings">Your settings</a></li><li><a class="button button-quiet" href="/">All papers</a></li></ul>`,
  );
}
