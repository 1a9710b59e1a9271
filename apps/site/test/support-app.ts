import { Writable } from "node:stream";
import { IN_MEMORY, openSqliteStore, type Store, syncCatalogue } from "@concord/feed";
import type { Mailer, MailMessage } from "@concord/feed/mail";
import { keyedMark } from "@concord/feed/people";
import { RunStore } from "@concord/papers";
import type { Hono } from "hono";
import { createApp } from "../src/app.ts";
import { Catalogue, catalogueEntries, type PaperSource } from "../src/catalogue.ts";
import { siteSettings } from "../src/config/settings.ts";
import { buildAssets } from "../src/http/assets.ts";
import { maskToken } from "../src/http/csrf.ts";
import { createLog } from "../src/ops/log.ts";
import { Metrics } from "../src/ops/metrics.ts";
import { createPeople, type People, SECRET_SETTING } from "../src/people/service.ts";
import { RunEvents } from "../src/runs/events.ts";
import { Journals } from "../src/runs/journal.ts";
import { RunQueue } from "../src/runs/queue.ts";
import { RunIndex } from "../src/runs/run-index.ts";
import type { SiteEnv } from "../src/site-env.ts";
import { createDigest, type Digest } from "../src/subscribe/service.ts";
import { toyPapers } from "./support.ts";
import { wordSearch } from "./word-search.ts";

export interface TestApp {
  readonly app: Hono<SiteEnv>;
  readonly people: People;
  readonly digest: Digest;
  /** Messages about accounts that were sent. */
  readonly mails: readonly MailMessage[];
  readonly store: RunStore;
  readonly feed: Store;
  readonly queue: RunQueue;
  /** Errors that were logged, as JSON lines. */
  readonly logged: readonly string[];
}

/** Key of the marks of every test's store, so that tests can make what pages make. */
const TEST_SECRET = "a-secret-of-tests-that-is-long-enough-to-be-one";
/** Hashing a password takes a millisecond. */
const LOW_COST = { logN: 8, r: 8, p: 1 };

function collector(lines: string[]): Writable {
  return new Writable({
    decodeStrings: false,
    write(chunk, _encoding, done) {
      lines.push(String(chunk));
      done();
    },
  });
}

/** The routes over a folder of runs, without a server; its queue does not work unless it is started. */
export async function testApp(
  folder: string,
  options: {
    papers?: PaperSource;
    host?: string;
    hosts?: string[];
    proxies?: string[];
    clock?: () => number;
    signUp?: "open" | "closed";
    runs?: "anyone" | "members" | "owner";
    logLevel?: string;
    /** File of the store; default: memory. */
    storeFile?: string;
    delivers?: boolean;
  } = {},
): Promise<TestApp> {
  const store = new RunStore(folder);
  const logged: string[] = [];
  const papers = options.papers ?? toyPapers;
  const { clock = Date.now } = options;
  const feed = openSqliteStore(options.storeFile ?? IN_MEMORY, { clock });
  await feed.settings.set(SECRET_SETTING, TEST_SECRET);
  await syncCatalogue(feed, await catalogueEntries(papers));
  const index = new RunIndex(store);
  const queue = new RunQueue({ store, index, command: ["unused"] });
  const settings = siteSettings.parse({
    server: {
      host: options.host ?? "127.0.0.1",
      allowHosts: options.hosts ?? [],
      trustedProxies: options.proxies ?? [],
    },
    people: { signUp: options.signUp, runs: options.runs },
  });
  const log = createLog({ level: options.logLevel ?? "error", output: collector(logged) });
  const publicUrl = () => "http://papers.test";
  const mails: MailMessage[] = [];
  const mailer: Mailer = {
    delivers: options.delivers ?? true,
    async send(message) {
      mails.push(message);
      return { messageId: `<${mails.length}@papers.test>`, response: "250 ok" };
    },
    async close() {},
  };
  const people = await createPeople({ store: feed, settings, log, publicUrl, clock, mailer, cost: LOW_COST });
  const digest = await createDigest({ store: feed, people, settings, publicUrl });
  const app = createApp({
    assets: await buildAssets(),
    catalogue: await Catalogue.load(papers),
    store: feed,
    search: wordSearch(feed),
    runStore: store,
    people,
    digest,
    log,
    metrics: new Metrics(feed),
    publicUrl,
    index,
    queue,
    events: new RunEvents({ store, pollMs: 20 }),
    journals: new Journals(),
    settings,
  });
  return { app, store, feed, people, digest, mails, queue, logged };
}

const HOUR_S = 3600;

/** A form as a page of the site sends it for a visitor: with the cookie and the token that the page would have set. */
export function ownForm(fields: Readonly<Record<string, string>> = {}): RequestInit {
  const body = `${(Math.floor(Date.now() / 1000) + HOUR_S).toString(36)}.visitor-of-a-test`;
  const visitor = `${body}.${keyedMark(TEST_SECRET, "visitor", body)}`;
  const token = maskToken(keyedMark(TEST_SECRET, "visitor-form", visitor));
  return {
    method: "POST",
    headers: {
      "sec-fetch-site": "same-origin",
      "content-type": "application/x-www-form-urlencoded",
      cookie: `visitor=${visitor}`,
    },
    body: new URLSearchParams({ ...fields, _csrf: token }).toString(),
  };
}

/** A browser without scripts: keeps cookies, and sends forms with the token of the page that it looked at last. */
export class Visitor {
  readonly cookies = new Map<string, string>();
  /** Hidden fields of the page's forms that are the same in all of them. */
  readonly hidden = new Map<string, string>();
  readonly #request: (path: string, init?: RequestInit) => Response | Promise<Response>;
  readonly #headers: Readonly<Record<string, string>>;

  constructor(
    request: (path: string, init?: RequestInit) => Response | Promise<Response>,
    headers: Readonly<Record<string, string>> = {},
  ) {
    this.#request = request;
    this.#headers = headers;
  }

  async send(path: string, init: RequestInit = {}): Promise<Response> {
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const headers = { ...this.#headers, ...(cookie !== "" && { cookie }), ...init.headers };
    const answer = await this.#request(path, { ...init, headers });
    for (const line of answer.headers.getSetCookie()) {
      const [pair = ""] = line.split(";");
      const name = pair.slice(0, pair.indexOf("="));
      if (/max-age=0/i.test(line)) this.cookies.delete(name);
      else this.cookies.set(name, pair.slice(name.length + 1));
    }
    return answer;
  }

  /** The text of a page; its token is kept. */
  async get(path: string, status = 200): Promise<string> {
    const answer = await this.send(path);
    const text = await answer.text();
    if (answer.status !== status)
      throw new Error(`GET ${path}: status ${answer.status}, expected ${status}\n${text}`);
    for (const [, name = "", value = ""] of text.matchAll(/name="(_csrf|_at)" value="([^"]+)"/g))
      this.hidden.set(name, value);
    return text;
  }

  async post(
    path: string,
    fields: Readonly<Record<string, string>> = {},
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Response> {
    return this.send(path, {
      method: "POST",
      headers: {
        "sec-fetch-site": "same-origin",
        "content-type": "application/x-www-form-urlencoded",
        ...headers,
      },
      body: new URLSearchParams({ ...Object.fromEntries(this.hidden), ...fields }).toString(),
    });
  }
}
