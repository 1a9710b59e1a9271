import { errors as undiciErrors } from "undici";
import { ACCEPT_ENCODING, decodeText, readBody } from "./body.ts";
import { FetchError, shownUrl } from "./errors.ts";
import { retryAfterMs } from "./retry.ts";
import type { Context, Hop, Redirect, SafeFetchOptions, SafeResponse } from "./types.ts";

const DEFAULT_MAX_BYTES = 15 * 2 ** 20;

/**
 * One request and its answer, without waiting, redirects and retries.
 *
 * @throws FetchError; errors of the connection as `translated` takes them
 */
export async function exchange(
  context: Context,
  hop: Hop,
  options: SafeFetchOptions,
  signal: AbortSignal,
): Promise<SafeResponse | Redirect> {
  const { url } = hop;
  const rerouted = Object.hasOwn(context.reroute, url.origin) ? context.reroute[url.origin] : undefined;
  const {
    statusCode: status,
    headers,
    body,
  } = await (rerouted === undefined ? context.guarded : context.open).request({
    origin: rerouted ?? url.origin,
    path: `${url.pathname}${url.search}`,
    method: hop.method,
    headers: {
      "user-agent": context.userAgent,
      accept: options.accept.join(", "),
      "accept-encoding": ACCEPT_ENCODING,
      ...hop.headers,
      host: url.host,
    },
    body: hop.body ?? null,
    signal,
  });
  // A body that is dropped half-read may fail afterwards, which concerns nobody.
  body.on("error", () => {});
  const shown = shownUrl(url);
  const one = (name: string) => {
    const value = headers[name];
    return Array.isArray(value) ? value[0] : value;
  };
  const validators = { etag: one("etag"), lastModified: one("last-modified") };
  const location = one("location");
  if ([301, 302, 303, 307, 308].includes(status)) {
    body.destroy();
    if (location === undefined)
      throw new FetchError("redirect", `status ${status} without Location`, { url: shown });
    return { status, location };
  }
  const contentType = one("content-type") ?? "";
  const answer = (bytes: Uint8Array): SafeResponse => ({
    url: url.href,
    status,
    notModified: status === 304,
    contentType,
    validators,
    bytes,
    text: () => decodeText(bytes, contentType, shown),
  });
  if (status === 304) {
    body.destroy();
    return answer(new Uint8Array());
  }
  if ((status < 200 || status > 299) && !options.statuses?.includes(status)) {
    body.destroy();
    const pause = retryAfterMs(one("retry-after"), context.clock.now());
    throw new FetchError("status", statusMessage(status, pause), {
      url: shown,
      status,
      ...(pause === null ? {} : { retryAfterMs: pause }),
    });
  }
  const media = contentType.split(";", 1)[0]?.trim().toLowerCase() ?? "";
  if (hop.method !== "HEAD" && !options.accept.includes(media)) {
    body.destroy();
    throw new FetchError(
      "content-type",
      `expected ${options.accept.join(" or ")}, got ${media === "" ? "no content type" : media} (status ${status})`,
      { url: shown, status },
    );
  }
  const bytes = await readBody(body, {
    url: shown,
    contentEncoding: one("content-encoding"),
    contentLength: one("content-length"),
    maxBytes: options.maxBytes ?? DEFAULT_MAX_BYTES,
  });
  return answer(bytes);
}

function statusMessage(status: number, pauseMs: number | null): string {
  const wait = pauseMs === null ? "" : `, asked to wait ${Math.ceil(pauseMs / 1000)} seconds`;
  return `answered with status ${status}${wait}`;
}

/** What undici and the sockets throw, as a FetchError. */
export function translated(error: unknown, url: URL): FetchError {
  const details = { url: shownUrl(url), cause: error };
  const { code = "", message } = error as NodeJS.ErrnoException;
  if (code === "CONCORD_BLOCKED") return new FetchError("blocked", message, details);
  if (code === "CONCORD_UNRESOLVED") return new FetchError("dns", message, details);
  if (error instanceof undiciErrors.ConnectTimeoutError) {
    return new FetchError("timeout", "the connection took too long", details);
  }
  if (error instanceof undiciErrors.HeadersTimeoutError || error instanceof undiciErrors.BodyTimeoutError) {
    return new FetchError("timeout", "the answer paused for too long", details);
  }
  if (error instanceof undiciErrors.ResponseContentLengthMismatchError) {
    return new FetchError("truncated", "the answer has not the length that it announced", details);
  }
  if (error instanceof undiciErrors.SocketError || code === "ECONNRESET" || code === "EPIPE") {
    return new FetchError("reset", `the connection broke (${message})`, details);
  }
  return new FetchError("connect", message === "" ? code : message, details);
}
