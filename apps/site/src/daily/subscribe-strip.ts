import { html } from "hono/html";
import type { Html } from "../pages/layout.ts";
import { trap } from "../people/forms.ts";
import type { People } from "../people/service.ts";
import { csrfField, type SiteContext } from "../site-env.ts";

/** The way to the digest, above the newest papers; nothing where the context is null. */
export function subscribeStrip(context: SiteContext | null, people: People): Html {
  if (context === null) return html``;
  return html`<form class="subscribe-strip" method="post" action="/subscribe" aria-labelledby="subscribe-strip-title">
${csrfField(context)}${trap(people)}
<p id="subscribe-strip-title">Trending papers in your inbox</p>
<div class="subscribe-fields">
<label class="visually-hidden" for="subscribe-email">Your e-mail address</label>
<input id="subscribe-email" name="email" type="email" autocomplete="email" placeholder="you@example.org" maxlength="254" required>
<button class="button button-primary">Subscribe</button>
</div>
<p class="help"><a href="/subscribe">Daily or weekly, all papers or your topics.</a> One click ends it.</p>
</form>`;
}
