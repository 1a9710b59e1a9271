import { isIP } from "node:net";
import type { MiddlewareHandler } from "hono";
import { bodyLimit } from "hono/body-limit";
import { HTTPException } from "hono/http-exception";
import { secureHeaders } from "hono/secure-headers";
import type { SiteEnv } from "../site-env.ts";

const policy = {
  defaultSrc: ["'none'"],
  scriptSrc: ["'self'"],
  styleSrc: ["'self'"],
  imgSrc: ["'self'", "data:"],
  connectSrc: ["'self'"],
  formAction: ["'self'"],
  frameAncestors: ["'none'"],
  baseUri: ["'none'"],
};
/** Pages that say what went wrong fetch nothing; the search of their header still works. */
const failurePolicy =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
const HSTS = "max-age=31536000";

const fixedHeaders = secureHeaders({
  contentSecurityPolicy: policy,
  // Nothing leaves the site. `no-referrer` would also blank the Origin of our own forms, which `sameOriginOnly` needs
  // where browsers send no Sec-Fetch-Site (plain HTTP on a network address).
  referrerPolicy: "same-origin",
  xFrameOptions: "DENY",
  strictTransportSecurity: false,
  permissionsPolicy: {
    camera: [],
    microphone: [],
    geolocation: [],
    payment: [],
    usb: [],
    serial: [],
    displayCapture: [],
    browsingTopics: [],
  },
});

/**
 * Nothing is loaded from elsewhere, nothing inline runs, nobody may frame the site. Readers who came by HTTPS are told to
 * stay with it.
 */
export const securityHeaders: MiddlewareHandler<SiteEnv> = async (context, next) => {
  await fixedHeaders(context, next);
  if (context.var.failed) context.header("Content-Security-Policy", failurePolicy);
  if (context.var.secure) context.header("Strict-Transport-Security", HSTS);
};

const KIB = 1024;
const MAX_BODY = 16 * KIB;
/** Ten thousand characters of any script, as forms encode them. */
const MAX_COMMENT_BODY = 128 * KIB;
const COMMENT_PATH = /^\/(?:papers\/.+\/comments|comments\/[^/]+(?:\/edit)?)$/;

const limitOf = (maxSize: number) =>
  bodyLimit({
    maxSize,
    onError: () => {
      throw new HTTPException(413, { message: `A request may have at most ${maxSize} bytes here.` });
    },
  });
const usualLimit = limitOf(MAX_BODY);
const commentLimit = limitOf(MAX_COMMENT_BODY);

/** Refuses bodies that are larger than the route can need, and methods that pages do not use. */
export const requestLimits: MiddlewareHandler<SiteEnv> = (context, next) => {
  const { method, path } = context.req;
  if (!path.startsWith("/api/") && method !== "GET" && method !== "HEAD" && method !== "POST")
    throw new HTTPException(405, { message: "Pages are read with GET and changed with POST." });
  return COMMENT_PATH.test(path) ? commentLimit(context, next) : usualLimit(context, next);
};

/** The name in a Host header without its port: `localhost`, `[::1]`, `papers.example.org`. */
function hostName(header: string): string {
  return header.replace(/:\d+$/, "").toLowerCase();
}

const isAddress = (name: string) => isIP(name.replace(/^\[|\]$/g, "")) !== 0;
const isLoopback = (name: string) =>
  name === "localhost" || name === "[::1]" || (isIP(name) === 4 && name.startsWith("127."));

/** Whether a server that listens on this address can be reached from its own machine only. */
export const isLoopbackHost = (host: string) => isLoopback(host) || host === "::1";

/**
 * Refuses requests for a host name that is not ours. Without this a page elsewhere could point its own name at this
 * machine (DNS rebinding) and would then count as the same origin. A server that only this machine can reach answers
 * to loopback names; one that others can reach answers to addresses too; further names have to be given.
 */
export function hostCheck(listening: string, hosts: readonly string[]): MiddlewareHandler {
  const known = new Set(hosts.map((name) => name.toLowerCase()));
  const local = isLoopbackHost(listening);
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
 * Changes that do not come from a page of ours: the API knows its callers by keys and never by cookies, so there is
 * nothing that a page elsewhere could borrow; mail programs unsubscribe with a POST of their own (RFC 8058), which the
 * token in the address permits.
 */
export function actsWithoutPage(method: string, path: string): boolean {
  return path.startsWith("/api/") || (method === "POST" && /^\/u\/[^/]+$/.test(path));
}

/**
 * Lets state-changing requests through only when a browser says that they come from a page of this site:
 * `Sec-Fetch-Site: same-origin`, or for browsers without it an `Origin` that equals the host.
 */
export const sameOriginOnly: MiddlewareHandler = async (context, next) => {
  const { method, path } = context.req;
  if (method !== "GET" && method !== "HEAD" && !actsWithoutPage(method, path)) {
    const site = context.req.header("sec-fetch-site");
    const origin = context.req.header("origin");
    const host = context.req.header("host") ?? new URL(context.req.url).host;
    const fromHere = site === undefined ? URL.parse(origin ?? "")?.host === host : site === "same-origin";
    if (!fromHere)
      throw new HTTPException(403, { message: "Changes are accepted from pages of this site only." });
  }
  await next();
};
