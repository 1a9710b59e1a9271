import { readFileSync } from "node:fs";
import { isPublicAddress, literalAddress } from "./address.ts";
import { systemClock } from "./clock.ts";
import { FetchError, isTransient, shownUrl } from "./errors.ts";
import { exchange, translated } from "./exchange.ts";
import { guardedAgent, openAgent, systemResolve } from "./guarded-agent.ts";
import { memoryGate, PauseTooLongError, politenessRule } from "./politeness.ts";
import { backoffMs } from "./retry.ts";
import type {
  Context,
  Hop,
  Redirect,
  SafeFetch,
  SafeFetchOptions,
  SafeFetchSettings,
  SafeResponse,
} from "./types.ts";

const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
  readonly version: string;
};

const DEFAULTS = {
  deadlineMs: 60_000,
  idleMs: 20_000,
  connectMs: 10_000,
  maxRedirects: 5,
  attempts: 4,
  maxPauseMs: 10 * 60_000,
  backoff: { baseMs: 3000, maxMs: 60_000 },
} as const;

const WEB_PORTS: readonly string[] = ["", "80", "443"];

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
