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
    /** Goes into every form and is checked on every change. */
    csrf: string;
    /** Address of the client, behind proxies only as far as they are trusted. */
    client: string;
    /** Whether the browser reached the site by HTTPS. */
    secure: boolean;
    requestId: string;
    /** What the key of an API request may do; empty elsewhere. */
    scopes: readonly string[];
  };
}

export type SiteContext = Context<SiteEnv>;

/** The hidden field that every form which changes something must carry. */
export function csrfField(context: SiteContext): Html {
  return html`<input type="hidden" name="_csrf" value="${context.var.csrf}">`;
}
