import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach } from "vitest";
import {
  type IngestOptions,
  type IngestReport,
  type IngestSource,
  type Item,
  ingest,
} from "../../src/intake/index.ts";
import { createSafeFetch, type SafeFetch } from "../../src/net/index.ts";
import type { PaperRecord } from "../../src/record.ts";
import { IN_MEMORY, openSqliteStore, type SqliteStore } from "../../src/store/index.ts";
import { JumpingClock, ReplayServer } from "../net/replay-server.ts";

export const ATOM = { type: "application/atom+xml; charset=utf-8" };
export const RSS = { type: "application/rss+xml" };
export const listing: IngestSource = { kind: "arxiv-rss", categories: ["cs.LG"] };

export const recordsOf = (items: Iterable<Item>): PaperRecord[] =>
  [...items].flatMap((item) => (item.kind === "paper" ? [item.record] : []));
export const refusalsOf = (items: Iterable<Item>) =>
  [...items].flatMap((item) => (item.kind === "rejected" ? [[item.position, item.id, item.reason]] : []));

export const counts = ({ inserted, updated, unchanged, rejected }: IngestReport) => [
  inserted,
  updated,
  unchanged,
  rejected,
];

/** A server in place of all sources, an empty store and an empty folder, fresh for each test of the file that calls it. */
export function replayedSources() {
  let clock: JumpingClock;
  let server: ReplayServer;
  let fetch: SafeFetch;
  let store: SqliteStore;
  let folder: string;

  beforeEach(async () => {
    clock = new JumpingClock();
    server = await ReplayServer.start(clock.now);
    const origins = ["export.arxiv.org", "rss.arxiv.org", "oaipmh.arxiv.org", "huggingface.co"];
    fetch = createSafeFetch({
      clock,
      random: () => 0.5,
      reroute: Object.fromEntries(origins.map((host) => [`https://${host}`, server.origin])),
    });
    store = openSqliteStore(IN_MEMORY);
    folder = await mkdtemp(join(tmpdir(), "concord-intake-"));
  });
  afterEach(async () => {
    await fetch.close();
    await server[Symbol.asyncDispose]();
    await store.close();
    await rm(folder, { recursive: true, force: true });
  });

  return {
    get clock() {
      return clock;
    },
    get server() {
      return server;
    },
    get store() {
      return store;
    },
    get folder() {
      return folder;
    },
    read: (source: IngestSource, options: Partial<IngestOptions> = {}): Promise<IngestReport> =>
      ingest(source, store, { fetch, now: clock.now, ...options }),
    /** What the n-th request asked for. */
    query: (index: number) => new URLSearchParams(server.requests[index]?.url.split("?")[1]),
    /** Everything that the store knows of papers. */
    async snapshot(): Promise<unknown> {
      const papers = await store.papers.changes({ after: 0, limit: 1000 });
      return papers.map(({ revision, addedAt, ...paper }) => paper).sort((a, b) => (a.id < b.id ? -1 : 1));
    },
  };
}
