import { deleteCookie, getCookie, setCookie } from "hono/cookie";
import type { SiteContext } from "../site-env.ts";

export type CookieName = "session" | "visitor";

/**
 * Over HTTPS the names begin with `__Host-`: browsers then take them from this host alone, over HTTPS alone and for the
 * whole site, so that a neighbouring host cannot plant one.
 */
export function readCookie(context: SiteContext, name: CookieName): string | undefined {
  return context.var.secure ? getCookie(context, name, "host") : getCookie(context, name);
}

export function writeCookie(context: SiteContext, name: CookieName, value: string, seconds: number): void {
  setCookie(context, name, value, {
    httpOnly: true,
    sameSite: "Lax",
    path: "/",
    maxAge: seconds,
    secure: context.var.secure,
    ...(context.var.secure && { prefix: "host" as const }),
  });
}

export function dropCookie(context: SiteContext, name: CookieName): void {
  deleteCookie(context, context.var.secure ? `__Host-${name}` : name, {
    path: "/",
    secure: context.var.secure,
  });
}
