import { Writable } from "node:stream";
import { IN_MEMORY, openSqliteStore, type Store, syncCatalogue, wordSearch } from "@concord/feed";
import { RunStore } from "@concord/papers";
import type { Hono } from "hono";
import { createApp } from "../src/app.ts";
import { Catalogue, catalogueEntries, type PaperSource } from "../src/catalogue.ts";
import { siteSettings } from "../src/config/settings.ts";
import { buildAssets } from "../src/http/assets.ts";
import { createLog } from "../src/ops/log.ts";
import { Metrics } from "../src/ops/metrics.ts";
import { RunEvents } from "../src/runs/events.ts";
import { Journals } from "../src/runs/journal.ts";
import { RunQueue } from "../src/runs/queue.ts";
import { RunIndex } from "../src/runs/run-index.ts";
import type { SiteEnv } from "../src/site-env.ts";
import { toyPapers } from "./support.ts";

export interface TestApp {
  readonly app: Hono<SiteEnv>;
  readonly store: RunStore;
  readonly feed: Store;
  readonly queue: RunQueue;
  /** Errors that were logged, as JSON lines. */
  readonly logged: readonly string[];
}

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
  options: { papers?: PaperSource; host?: string; hosts?: string[] } = {},
): Promise<TestApp> {
  const store = new RunStore(folder);
  const logged: string[] = [];
  const papers = options.papers ?? toyPapers;
  const feed = openSqliteStore(IN_MEMORY);
  await syncCatalogue(feed, await catalogueEntries(papers));
  const index = new RunIndex(store);
  const queue = new RunQueue({ store, index, command: ["unused"] });
  const app = createApp({
    assets: await buildAssets(),
    catalogue: await Catalogue.load(papers),
    store: feed,
    search: wordSearch(feed),
    runStore: store,
    log: createLog({ level: "error", output: collector(logged) }),
    metrics: new Metrics(feed),
    publicUrl: () => "http://papers.test",
    index,
    queue,
    events: new RunEvents({ store, pollMs: 20 }),
    journals: new Journals(),
    settings: siteSettings.parse({
      server: { host: options.host ?? "127.0.0.1", allowHosts: options.hosts ?? [] },
    }),
  });
  return { app, store, feed, queue, logged };
}

/** A form as a page of the site sends it. */
export function ownForm(fields: Readonly<Record<string, string>> = {}): RequestInit {
  return {
    method: "POST",
    headers: { "sec-fetch-site": "same-origin", "content-type": "application/x-www-form-urlencoded" },
    body: new URLSearchParams(fields).toString(),
  };
}
