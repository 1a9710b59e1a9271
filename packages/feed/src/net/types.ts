import type { Dispatcher } from "undici";
import type { Clock } from "./clock.ts";
import type { Resolve } from "./guarded-agent.ts";
import type { PolitenessGate, PolitenessRule } from "./politeness.ts";

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

/** What a `SafeFetch` was made with. */
export interface Context
  extends Required<Omit<SafeFetchSettings, "contact" | "reroute" | "ports" | "idleMs" | "connectMs">> {
  readonly ports: readonly string[];
  readonly userAgent: string;
  readonly reroute: Readonly<Record<string, string>>;
  readonly guarded: Dispatcher;
  readonly open: Dispatcher;
}

/** What goes on from one redirect to the next. */
export interface Hop {
  readonly url: URL;
  readonly method: "GET" | "HEAD" | "POST";
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array | undefined;
}

/** An answer that leads on. */
export interface Redirect {
  readonly status: number;
  readonly location: string;
}
