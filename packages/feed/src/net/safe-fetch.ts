import { readFileSync } from "node:fs";
import { type Dispatcher, errors as undiciErrors } from "undici";
import { isPublicAddress, literalAddress } from "./address.ts";
import { ACCEPT_ENCODING, decodeText, readBody } from "./body.ts";
import { type Clock, systemClock } from "./clock.ts";
import { FetchError, isTransient, shownUrl } from "./errors.ts";
import { guardedAgent, openAgent, type Resolve, systemResolve } from "./guarded-agent.ts";
import {
  memoryGate,
  PauseTooLongError,
  type PolitenessGate,
  type PolitenessRule,
  politenessRule,
} from "./politeness.ts";
import { backoffMs, retryAfterMs } from "./retry.ts";

const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
  readonly version: string;
};

const DEFAULTS = {
  maxBytes: 15 * 2 ** 20,
  deadlineMs: 60_000,
  idleMs: 20_000,
  connectMs: 10_000,
  maxRedirects: 5,
  attempts: 4,
  maxPauseMs: 10 * 60_000,
  backoff: { baseMs: 3000, maxMs: 60_000 },
} as const;

const WEB_PORTS: readonly string[] = ["", "80", "443"];

/** What all requests of a `SafeFetch` have in common. */
export interface SafeFetchSettings {
  /** Web or mail address of whoever runs this, told to the servers in User-Agent. */
  readonly contact?: string | undefined;
  /** Default: a gate for this process. Give `fileGate` where several processes fetch. */
  readonly gate?: PolitenessGate;
  /** Default: `politenessRule`. */
  readonly politeness?: (hostname: string) => PolitenessRule;
  readonly clock?: Clock;
  /** Numbers in [0, 1) that spread the waits. */
  readonly random?: () => number;
  readonly resolve?: Resolve;
  /** Ports beside 80 and 443. */
  readonly ports?: readonly number[];
  /** Longest pause before a piece of an answer, in milliseconds; default 20,000. */
  readonly idleMs?: number;
  /** Longest time for a connection to stand, in milliseconds; default 10,000. */
  readonly connectMs?: number;
  /**
   * Origins that are reached at another one, e.g. `{"https://export.arxiv.org": "http://127.0.0.1:8080"}`: a mirror,
   * or a test's own server. The origins on the right may have any address and port. Nothing else may.
   */
  readonly reroute?: Readonly<Record<string, string>>;
}

/** What the store knows of an earlier answer, so that an unchanged one need not be sent again. */
export interface Validators {
  readonly etag?: string | undefined;
  readonly lastModified?: string | undefined;
}

export interface SafeFetchOptions {
  readonly method?: "GET" | "HEAD" | "POST";
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** Media types that the caller can read, e.g. `application/atom+xml`. */
  readonly accept: readonly string[];
  /** Statuses beside 200 to 299 whose body the caller wants; default none. */
  readonly statuses?: readonly number[];
  readonly validators?: Validators | undefined;
  /** Most bytes of the body, after decompression; default 15 MiB. */
  readonly maxBytes?: number;
  /** For one attempt with its redirects, in milliseconds; default 60,000. */
  readonly deadlineMs?: number;
  /** Default 5. */
  readonly maxRedirects?: number;
  /** How often to try when the failure may pass; default 4. */
  readonly attempts?: number;
  /** Longest wait that a server may ask for, in milliseconds; default 10 minutes. */
  readonly maxPauseMs?: number;
  readonly signal?: AbortSignal | undefined;
}

export interface SafeResponse {
  /** After redirects. */
  readonly url: string;
  readonly status: number;
  /** The answer is what the validators stand for; the body is empty. */
  readonly notModified: boolean;
  readonly contentType: string;
  readonly validators: Validators;
  readonly bytes: Uint8Array;
  /** @throws FetchError `encoding` */
  text(): string;
}

/** The one way in which Concord asks other servers for something; see `createSafeFetch`. */
export interface SafeFetch {
  (url: string | URL, options: SafeFetchOptions): Promise<SafeResponse>;
  close(): Promise<void>;
}

interface Context
  extends Required<Omit<SafeFetchSettings, "contact" | "reroute" | "ports" | "idleMs" | "connectMs">> {
  readonly ports: readonly string[];
  readonly userAgent: string;
  readonly reroute: Readonly<Record<string, string>>;
  readonly guarded: Dispatcher;
  readonly open: Dispatcher;
}

/**
 * Makes the function through which all outgoing requests go.
 *
 * It speaks http and https, to ports 80 and 443, to addresses of the public Internet: literal addresses and every
 * answer of the name's lookup are judged when the connection is made, at each redirect again. Redirects (at most 5)
 * lose the caller's headers when they leave the origin, and may not lead from https to http. Answers are bounded in
 * time, pauses and size (after decompression), and have one of the media types that the caller takes. Requests wait
 * for their turn at the host's politeness gate; failures that may pass are tried again after what Retry-After asks,
 * else with growing waits.
 *
 * The function throws FetchError, or the signal's reason.
 *
 * @throws Error when `contact` cannot stand in a header
 */
export function createSafeFetch(settings: SafeFetchSettings = {}): SafeFetch {
  const clock = settings.clock ?? systemClock;
  const resolve = settings.resolve ?? systemResolve;
  const agents = {
    connectMs: settings.connectMs ?? DEFAULTS.connectMs,
    idleMs: settings.idleMs ?? DEFAULTS.idleMs,
  };
  const context: Context = {
    clock,
    resolve,
    gate: settings.gate ?? memoryGate(clock),
    politeness: settings.politeness ?? politenessRule,
    random: settings.random ?? Math.random,
    ports: [...WEB_PORTS, ...(settings.ports ?? []).map(String)],
    reroute: settings.reroute ?? {},
    userAgent: userAgent(settings.contact),
    guarded: guardedAgent(resolve, agents),
    open: openAgent(agents),
  };
  const safeFetch = (url: string | URL, options: SafeFetchOptions) => withRetries(context, url, options);
  return Object.assign(safeFetch, {
    async close() {
      await Promise.all([context.guarded.destroy(), context.open.destroy()]);
    },
  });
}

function userAgent(contact: string | undefined): string {
  if (contact === undefined || contact === "") return `Concord/${version}`;
  if (!/^[\x21-\x7e]{3,200}$/.test(contact) || /[()\\]/.test(contact)) {
    throw new Error(
      `The contact for User-Agent should be a web or mail address without spaces and brackets; it is ${JSON.stringify(contact)}.`,
    );
  }
  return `Concord/${version} (+${contact})`;
}

/** @throws FetchError `url` or `blocked` */
function checkedUrl(text: string | URL, { ports, reroute }: Context): URL {
  const given = String(text);
  if (given.length > 8000 || !URL.canParse(given)) {
    throw new FetchError("url", "expected an absolute URL of at most 8000 characters", {
      url: given.slice(0, 300),
    });
  }
  const url = new URL(given);
  const fail = (failure: "url" | "blocked", reason: string) =>
    new FetchError(failure, reason, { url: shownUrl(url) });
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw fail("url", `expected http: or https:, got ${url.protocol}`);
  }
  if (url.username !== "" || url.password !== "")
    throw fail("url", "a URL may not hold a user name or password");
  if (Object.hasOwn(reroute, url.origin)) return url;
  if (!ports.includes(url.port)) throw fail("blocked", `port ${url.port} is not allowed`);
  const literal = literalAddress(url.hostname);
  if (literal !== null && !isPublicAddress(literal)) {
    throw fail("blocked", `${literal} is not an address of the public Internet`);
  }
  return url;
}

async function withRetries(
  context: Context,
  target: string | URL,
  options: SafeFetchOptions,
): Promise<SafeResponse> {
  const attempts = options.attempts ?? DEFAULTS.attempts;
  const maxPauseMs = options.maxPauseMs ?? DEFAULTS.maxPauseMs;
  const url = checkedUrl(target, context);
  for (let attempt = 1; ; attempt++) {
    try {
      return await followRedirects(context, url, options);
    } catch (error) {
      options.signal?.throwIfAborted();
      if (error instanceof PauseTooLongError) {
        throw new FetchError("status", error.message, { url: shownUrl(url), retryAfterMs: error.pauseMs });
      }
      if (!isTransient(error) || attempt >= attempts) throw error;
      const waitMs = error.retryAfterMs ?? backoffMs(attempt, DEFAULTS.backoff, context.random());
      if (waitMs > maxPauseMs) throw error;
      await context.clock.sleep(waitMs, options.signal);
    }
  }
}

/** What goes on from one redirect to the next. */
interface Hop {
  readonly url: URL;
  readonly method: "GET" | "HEAD" | "POST";
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array | undefined;
}

async function followRedirects(
  context: Context,
  start: URL,
  options: SafeFetchOptions,
): Promise<SafeResponse> {
  const maxRedirects = options.maxRedirects ?? DEFAULTS.maxRedirects;
  const { etag, lastModified } = options.validators ?? {};
  let hop: Hop = {
    url: start,
    method: options.method ?? "GET",
    headers: {
      ...options.headers,
      ...(etag === undefined ? {} : { "if-none-match": etag }),
      ...(lastModified === undefined ? {} : { "if-modified-since": lastModified }),
    },
    body: options.body,
  };
  for (let redirects = 0; ; redirects++) {
    const answer = await requestOnce(context, hop, options);
    if (!("location" in answer)) return answer;
    if (redirects === maxRedirects) {
      throw new FetchError("redirect", `expected at most ${maxRedirects} redirects`, {
        url: shownUrl(start),
      });
    }
    hop = nextHop(context, hop, answer);
  }
}

/** @throws FetchError that names the page which leads there */
function checkedTarget(target: URL, from: string, context: Context): URL {
  try {
    return checkedUrl(target, context);
  } catch (error) {
    if (!(error instanceof FetchError)) throw error;
    throw new FetchError(error.failure, `leads to ${error.message}`, { url: from, cause: error });
  }
}

interface Redirect {
  readonly status: number;
  readonly location: string;
}

function nextHop(context: Context, hop: Hop, { status, location }: Redirect): Hop {
  const from = shownUrl(hop.url);
  if (!URL.canParse(location, hop.url.href)) {
    throw new FetchError("redirect", `leads to ${JSON.stringify(location.slice(0, 200))}, which is no URL`, {
      url: from,
    });
  }
  const url = checkedTarget(new URL(location, hop.url), from, context);
  if (hop.url.protocol === "https:" && url.protocol === "http:") {
    throw new FetchError("blocked", `leads from https to http, to ${shownUrl(url)}`, { url: from });
  }
  const sameOrigin = url.origin === hop.url.origin;
  const becomesGet = status === 303 || (status < 303 && hop.method === "POST");
  const method = becomesGet && hop.method !== "HEAD" ? "GET" : hop.method;
  if (method === "POST" && !sameOrigin) {
    throw new FetchError("blocked", `would send the request's body on to ${url.origin}`, { url: from });
  }
  return {
    url,
    method,
    headers: sameOrigin ? hop.headers : {},
    body: method === "POST" ? hop.body : undefined,
  };
}

async function requestOnce(
  context: Context,
  hop: Hop,
  options: SafeFetchOptions,
): Promise<SafeResponse | Redirect> {
  const deadlineMs = options.deadlineMs ?? DEFAULTS.deadlineMs;
  const turn = await context.gate.take(context.politeness(hop.url.hostname), {
    holdMs: deadlineMs + 1000,
    maxPauseMs: options.maxPauseMs ?? DEFAULTS.maxPauseMs,
    signal: options.signal,
  });
  // Of real time, whatever the clock: it bounds what a server can hold.
  const deadline = AbortSignal.timeout(deadlineMs);
  const signal = options.signal === undefined ? deadline : AbortSignal.any([deadline, options.signal]);
  let pauseMs = 0;
  try {
    return await exchange(context, hop, options, signal);
  } catch (error) {
    options.signal?.throwIfAborted();
    if (deadline.aborted) {
      throw new FetchError("timeout", `no whole answer within ${deadlineMs} ms`, {
        url: shownUrl(hop.url),
        cause: error,
      });
    }
    const known = error instanceof FetchError ? error : translated(error, hop.url);
    pauseMs = known.retryAfterMs ?? 0;
    throw known;
  } finally {
    turn.release(pauseMs);
  }
}

async function exchange(
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
    maxBytes: options.maxBytes ?? DEFAULTS.maxBytes,
  });
  return answer(bytes);
}

function statusMessage(status: number, pauseMs: number | null): string {
  const wait = pauseMs === null ? "" : `, asked to wait ${Math.ceil(pauseMs / 1000)} seconds`;
  return `answered with status ${status}${wait}`;
}

/** What undici and the sockets throw, as a FetchError. */
function translated(error: unknown, url: URL): FetchError {
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
