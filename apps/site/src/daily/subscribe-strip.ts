import { html } from "hono/html";
import type { Html } from "../pages/layout.ts";

/**
 * The way to the digest, above the newest papers. A link and no form: a form would set a cookie and keep the first page,
 * which everybody reads, out of every cache.
 */
export function subscribeStrip(): Html {
  return html`<aside class="subscribe-strip" aria-label="Subscribe">
<p>Get trending papers in your inbox</p>
<p class="help">Daily or weekly, all papers or your topics. One click ends it.</p>
<a class="button button-primary" href="/subscribe">Subscribe</a>
</aside>`;
}
