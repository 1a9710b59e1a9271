/**
 * Why a request has no answer that can be used:
 * - `url`: no absolute http(s) URL, or one with user name or password
 * - `blocked`: the address, port or redirect is not allowed
 * - `dns`, `connect`, `reset`: the name is unknown, nobody answers, the connection broke
 * - `timeout`: connecting, a pause in the answer, or the whole took too long
 * - `too-large`: more bytes than allowed, before or after decompression
 * - `content-type`, `encoding`: not what the caller can read
 * - `truncated`: the answer ends before its end
 * - `redirect`: too many, or without target
 * - `status`: an HTTP status that the caller does not take
 */
export type FetchFailure =
  | "url"
  | "blocked"
  | "dns"
  | "connect"
  | "reset"
  | "timeout"
  | "too-large"
  | "content-type"
  | "encoding"
  | "truncated"
  | "redirect"
  | "status";

export interface FetchErrorDetails {
  readonly url: string;
  readonly status?: number;
  /** What the server asked for, in milliseconds. */
  readonly retryAfterMs?: number;
  readonly cause?: unknown;
}

/** A request that failed. The message names the URL and says what was expected and what came. */
export class FetchError extends Error {
  override readonly name = "FetchError";
  readonly failure: FetchFailure;
  readonly url: string;
  readonly status: number | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(failure: FetchFailure, reason: string, details: FetchErrorDetails) {
    super(`${details.url}: ${reason}`, details.cause === undefined ? {} : { cause: details.cause });
    this.failure = failure;
    this.url = details.url;
    this.status = details.status;
    this.retryAfterMs = details.retryAfterMs;
  }
}

const TRANSIENT_FAILURES: ReadonlySet<FetchFailure> = new Set([
  "dns",
  "connect",
  "reset",
  "timeout",
  "truncated",
]);
const TRANSIENT_STATUSES: ReadonlySet<number> = new Set([408, 425, 429, 500, 502, 503, 504]);

/** Whether the same request may succeed a little later. */
export function isTransient(error: unknown): error is FetchError {
  if (!(error instanceof FetchError)) return false;
  if (error.failure === "status") return TRANSIENT_STATUSES.has(error.status ?? 0);
  return TRANSIENT_FAILURES.has(error.failure);
}

const MAX_SHOWN_URL = 300;

/** A URL for messages and logs: without user name, password and fragment, and not endless. */
export function shownUrl(url: URL): string {
  const text = `${url.origin === "null" ? url.protocol : url.origin}${url.pathname}${url.search}`;
  return text.length <= MAX_SHOWN_URL ? text : `${text.slice(0, MAX_SHOWN_URL - 1)}…`;
}
