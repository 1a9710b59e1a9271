import { randomBytes, timingSafeEqual } from "node:crypto";
import { keyedMark, sameText } from "@concord/feed/people";
import type { MiddlewareHandler } from "hono";
import { HTTPException } from "hono/http-exception";
import type { SiteContext, SiteEnv } from "../site-env.ts";
import { readCookie, writeCookie } from "./cookies.ts";
import { actsWithoutPage } from "./security.ts";

/** A visitor's form may stay open so long. */
const VISITOR_S = 12 * 3600;
const TOKEN_BYTES = 32;

/** A token, different at every use: compressed pages must not tell by their length what it is. */
export function maskToken(token: string): string {
  const bytes = Buffer.from(token, "base64url");
  const pad = randomBytes(bytes.length);
  return Buffer.concat([pad, bytes.map((byte, at) => byte ^ (pad[at] ?? 0))]).toString("base64url");
}

/** Whether a masked token stands for this one; in constant time. */
export function isToken(masked: string, token: string): boolean {
  const bytes = Buffer.from(masked.slice(0, 200), "base64url");
  const expected = Buffer.from(token, "base64url");
  if (bytes.length !== 2 * TOKEN_BYTES || expected.length !== TOKEN_BYTES) return false;
  const unmasked = bytes.subarray(TOKEN_BYTES).map((byte, at) => byte ^ (bytes[at] ?? 0));
  return timingSafeEqual(unmasked, expected);
}

/** Cookies of visitors: `EXPIRY.NONCE.MARK`, good for nothing but their forms. */
class Visitors {
  readonly #secret: string;
  readonly #clock: () => number;

  constructor(secret: string, clock: () => number) {
    this.#secret = secret;
    this.#clock = clock;
  }

  #mark(body: string): string {
    return keyedMark(this.#secret, "visitor", body);
  }

  make(): string {
    const expires = Math.floor(this.#clock() / 1000) + VISITOR_S;
    const body = `${expires.toString(36)}.${randomBytes(16).toString("base64url")}`;
    return `${body}.${this.#mark(body)}`;
  }

  /** Seconds for which a cookie is still good; 0 for one that is not ours. */
  left(cookie: string): number {
    const [expires = "", nonce = "", mark = "", ...more] = cookie.slice(0, 200).split(".");
    if (more.length > 0 || !sameText(mark, this.#mark(`${expires}.${nonce}`))) return 0;
    return Math.max(0, Number.parseInt(expires, 36) - Math.floor(this.#clock() / 1000));
  }

  token(cookie: string): string {
    return keyedMark(this.#secret, "visitor-form", cookie);
  }
}

/**
 * Gives forms their token and checks it on every change, in addition to where the request comes from: the session's for
 * people who are signed in; for visitors one that is bound to a short-lived cookie, set only by pages that have a form.
 *
 * @param options.secret  key of the marks
 */
export function formTokens(options: {
  readonly secret: string;
  readonly clock: () => number;
}): MiddlewareHandler<SiteEnv> {
  const visitors = new Visitors(options.secret, options.clock);

  return async (context, next) => {
    const cookie = readCookie(context, "visitor") ?? "";
    const left = cookie === "" ? 0 : visitors.left(cookie);
    let given: string | null = null;
    context.set("csrf", () => {
      const { session } = context.var;
      if (session !== null) return maskToken(session.csrf);
      given ??= left > VISITOR_S / 2 ? cookie : visitors.make();
      return maskToken(visitors.token(given));
    });

    const { method, path } = context.req;
    if (method !== "GET" && method !== "HEAD" && !actsWithoutPage(method, path)) {
      const { session } = context.var;
      const expected = session?.csrf ?? (left > 0 ? visitors.token(cookie) : null);
      const sent = await sentToken(context);
      if (expected === null || sent === null || !isToken(sent, expected)) {
        throw new HTTPException(403, {
          message:
            "This page was open for too long, or your browser keeps no cookies. Go back, load the page anew, and send the form again.",
        });
      }
    }
    await next();
    if (given === null) return;
    // The token belongs to this browser's cookie: no shared cache may hand the page to others.
    if (!context.res.headers.get("cache-control")?.includes("no-store"))
      context.header("Cache-Control", "private, no-cache");
    if (given !== cookie) writeCookie(context, "visitor", given, VISITOR_S);
  };
}

async function sentToken(context: SiteContext): Promise<string | null> {
  const header = context.req.header("x-csrf-token");
  if (header !== undefined) return header;
  const type = context.req.header("content-type") ?? "";
  if (!/^(?:application\/x-www-form-urlencoded|multipart\/form-data)\b/i.test(type)) return null;
  const body = await context.req.parseBody().catch(() => {
    throw new HTTPException(400, { message: "The form cannot be read." });
  });
  return typeof body._csrf === "string" ? body._csrf : null;
}
