import { createHash } from "node:crypto";
import type { MiddlewareHandler } from "hono";
import type { SiteEnv } from "../site-env.ts";

/** What is the same for every visitor: lists, papers, the catalogue, explanations. */
const SHARED = /^\/(?:$|trending$|(?:day|week|month)\/|papers\/|catalogue$|about(?:$|\/)|api$)/;
/** A proxy may answer for so long by itself; browsers always ask. */
const SHARED_S = 30;
const TAGGED_TYPE = /^(?:text\/(?:html|markdown)|application\/json)/;

/** Whether a header `If-None-Match` names the tag; weak and strong tags are the same here (RFC 9110, 13.1.2). */
function names(header: string | undefined, tag: string): boolean {
  if (header === undefined) return false;
  const bare = (text: string) => text.trim().replace(/^W\//, "");
  return header.split(",").some((one) => one.trim() === "*" || bare(one) === bare(tag));
}

/**
 * What caches may keep. Pages that are the same for all visitors may be kept by proxies for half a minute and have a
 * tag, so that asking again costs no bytes; everything else is asked for anew each time. Whoever is signed in, or gets
 * a form with its cookie, has pages that are nobody else's: those set their own header and are left alone.
 */
export const pageCaching: MiddlewareHandler<SiteEnv> = async (context, next) => {
  await next();
  const { headers, status } = context.res;
  if (headers.has("cache-control")) return;
  const { method, path } = context.req;
  const asked = method === "GET" || method === "HEAD";
  const own = context.var.viewer !== null || headers.has("set-cookie");
  if (!asked || own || status !== 200 || !SHARED.test(path)) {
    context.header("Cache-Control", own ? "private, no-cache" : "no-cache");
    return;
  }
  context.header("Cache-Control", `public, max-age=0, must-revalidate, s-maxage=${SHARED_S}`);
  context.header("Vary", path.startsWith("/papers/") ? "Cookie, Accept" : "Cookie", { append: true });
  if (headers.has("etag") || !TAGGED_TYPE.test(headers.get("content-type") ?? "")) return;
  const answer = context.res;
  const body = new Uint8Array(await answer.arrayBuffer());
  const tag = `W/"${createHash("sha256").update(body).digest("base64url").slice(0, 22)}"`;
  const tagged = new Headers(answer.headers);
  tagged.set("ETag", tag);
  const known = names(context.req.header("if-none-match"), tag);
  if (known) tagged.delete("content-type");
  context.res = undefined;
  context.res = new Response(known ? null : body, { status: known ? 304 : 200, headers: tagged });
};
