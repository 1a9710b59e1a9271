import type { Account } from "@concord/feed";
import { deviceLabel, keyedMark, SESSION_MS, type Sessions, type Whence } from "@concord/feed/people";
import type { MiddlewareHandler } from "hono";
import type { SiteContext, SiteEnv } from "../site-env.ts";
import { networkOf } from "./client-block.ts";
import { dropCookie, readCookie, writeCookie } from "./cookies.ts";

const TOKEN = /^[\w-]{43}$/;
/** Nobody needs to be known for these; the API knows people by keys alone. */
const ANONYMOUS = /^\/(?:assets\/|api\/|healthz$|metrics$)/;

/** Finds out who is signed in. Pages that know their reader are nobody else's. */
export function findViewer(sessions: Sessions): MiddlewareHandler<SiteEnv> {
  return async (context, next) => {
    context.set("viewer", null);
    context.set("account", null);
    context.set("session", null);
    const token = ANONYMOUS.test(context.req.path) ? undefined : readCookie(context, "session");
    if (token !== undefined) {
      const found = TOKEN.test(token) ? await sessions.find(token) : null;
      if (found !== null) {
        const { id, name, role } = found.account;
        context.set("viewer", { id, name, role });
        context.set("account", found.account);
        context.set("session", found.session);
      }
    }
    await next();
    if (context.var.viewer !== null && !ANONYMOUS.test(context.req.path)) {
      const set = context.res.headers.get("cache-control") ?? "";
      if (!set.includes("no-store")) context.header("Cache-Control", "private, no-cache");
      context.header("Vary", "Cookie", { append: true });
    }
  };
}

/** Signs an account in on this browser: a fresh session under a fresh token. */
export async function signIn(context: SiteContext, sessions: Sessions, account: Account): Promise<void> {
  const before = readCookie(context, "session") ?? null;
  const { token } = await sessions.open(account, deviceLabel(context.req.header("user-agent")), before);
  writeCookie(context, "session", token, SESSION_MS / 1000);
  dropCookie(context, "visitor");
}

export async function signOut(context: SiteContext, sessions: Sessions): Promise<void> {
  const token = readCookie(context, "session");
  if (token !== undefined && TOKEN.test(token)) await sessions.close(token);
  dropCookie(context, "session");
}

/** Where a request comes from, as marks that only this server can make: addresses themselves are not kept. */
export function whenceOf(context: SiteContext, secret: string): Whence {
  const mark = (size: "subscriber" | "block") =>
    keyedMark(secret, "network", networkOf(context.var.client, size)).slice(0, 22);
  return { address: mark("subscriber"), block: mark("block") };
}
