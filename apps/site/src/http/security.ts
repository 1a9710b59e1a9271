import { isIP } from "node:net";
import type { MiddlewareHandler } from "hono";
import { HTTPException } from "hono/http-exception";
import { secureHeaders } from "hono/secure-headers";

/** Nothing is loaded from elsewhere, nothing inline runs, nobody may frame the site. */
export const securityHeaders: MiddlewareHandler = secureHeaders({
  contentSecurityPolicy: {
    defaultSrc: ["'none'"],
    scriptSrc: ["'self'"],
    styleSrc: ["'self'"],
    imgSrc: ["'self'", "data:"],
    connectSrc: ["'self'"],
    formAction: ["'self'"],
    frameAncestors: ["'none'"],
    baseUri: ["'none'"],
  },
  // Nothing leaves the site. `no-referrer` would also blank the Origin of our own forms, which `sameOriginOnly` needs
  // where browsers send no Sec-Fetch-Site (plain HTTP on a network address).
  referrerPolicy: "same-origin",
  xFrameOptions: "DENY",
  // The site speaks plain HTTP; whoever puts TLS before it sets this header there.
  strictTransportSecurity: false,
  permissionsPolicy: { camera: [], microphone: [], geolocation: [], payment: [], usb: [] },
});

/** The name in a Host header without its port: `localhost`, `[::1]`, `papers.example.org`. */
function hostName(header: string): string {
  return header.replace(/:\d+$/, "").toLowerCase();
}

const isAddress = (name: string) => isIP(name.replace(/^\[|\]$/g, "")) !== 0;
const isLoopback = (name: string) =>
  name === "localhost" || name === "[::1]" || (isIP(name) === 4 && name.startsWith("127."));

/**
 * Refuses requests for a host name that is not ours. Without this a page elsewhere could point its own name at this
 * machine (DNS rebinding) and would then count as the same origin. A server that only this machine can reach answers
 * to loopback names; one that others can reach answers to addresses too; further names have to be given.
 */
export function hostCheck(listening: string, hosts: readonly string[]): MiddlewareHandler {
  const known = new Set(hosts.map((name) => name.toLowerCase()));
  const local = isLoopback(listening) || listening === "::1";
  return async (context, next) => {
    const name = hostName(context.req.header("host") ?? new URL(context.req.url).host);
    const ours = isLoopback(name) || known.has(name) || name === listening || (!local && isAddress(name));
    if (!ours) {
      throw new HTTPException(421, {
        message: `This server does not answer to the name '${name.slice(0, 100)}'. Its operator can allow it.`,
      });
    }
    await next();
  };
}

/**
 * Lets state-changing requests through only when a browser says that they come from a page of this site:
 * `Sec-Fetch-Site: same-origin`, or for browsers without it an `Origin` that equals the host.
 */
export const sameOriginOnly: MiddlewareHandler = async (context, next) => {
  const { method, path } = context.req;
  // The API knows its callers by keys, never by cookies: there is nothing that a page elsewhere could borrow.
  if (method !== "GET" && method !== "HEAD" && !path.startsWith("/api/")) {
    const site = context.req.header("sec-fetch-site");
    const origin = context.req.header("origin");
    const host = context.req.header("host") ?? new URL(context.req.url).host;
    const fromHere = site === undefined ? URL.parse(origin ?? "")?.host === host : site === "same-origin";
    if (!fromHere)
      throw new HTTPException(403, { message: "Changes are accepted from pages of this site only." });
  }
  await next();
};
