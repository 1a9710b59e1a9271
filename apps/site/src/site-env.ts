import type { Account, Session } from "@concord/feed";
import type { Context } from "hono";
import { html } from "hono/html";
import type { Html } from "./pages/layout.ts";

/** Whoever is signed in. */
export interface Viewer {
  readonly id: string;
  /** The name that others see. */
  readonly name: string;
  readonly role: "owner" | "moderator" | "member";
}

/** What middleware puts on a request for the routes behind it. */
export interface SiteEnv {
  readonly Variables: {
    viewer: Viewer | null;
    /** The viewer's account and session, on pages; null on the API, where a key says who somebody is. */
    account: Account | null;
    session: Session | null;
    /** Makes the token that goes into every form and is checked on every change; `csrfField` calls it. */
    csrf: () => string;
    /** Address of the client, behind proxies only as far as they are trusted. */
    client: string;
    /** Whether the request came through a proxy that the settings do not name: nothing is known of its sender then. */
    passedOn: boolean;
    /** Whether the browser reached the site by HTTPS. */
    secure: boolean;
    requestId: string;
    /** Whether the answer is a page that says what went wrong: it gets stricter headers. */
    failed: boolean;
    /** What the key of an API request may do; empty elsewhere. */
    scopes: readonly string[];
  };
}

export type SiteContext = Context<SiteEnv>;

/** The hidden field that every form which changes something must carry. */
export function csrfField(context: SiteContext): Html {
  return html`<input type="hidden" name="_csrf" value="${context.var.csrf()}">`;
}
