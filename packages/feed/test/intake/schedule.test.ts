import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  arxivSchedule,
  IntakeSchedule,
  type IntakeScheduleOptions,
  type ScheduledSource,
} from "../../src/intake/index.ts";
import { createSafeFetch, type SafeFetch } from "../../src/net/index.ts";
import { IN_MEMORY, openSqliteStore, type SqliteStore } from "../../src/store/index.ts";
import { body, JumpingClock, ReplayServer } from "../net/replay-server.ts";
import { rss } from "./fixtures.ts";

const RSS = { type: "application/rss+xml" };
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** 12:00 UTC, 08:00 in New York, a Thursday. */
const START = Date.UTC(2026, 4, 14, 12);
const listing: ScheduledSource = {
  name: "listing",
  source: { kind: "arxiv-rss", categories: ["cs.LG"] },
  times: "20 0 * * 1-5",
  timezone: "America/New_York",
};

let clock: JumpingClock;
let server: ReplayServer;
let fetch: SafeFetch;
let store: SqliteStore;
let reports: [string, string][];

beforeEach(async () => {
  clock = new JumpingClock(START);
  server = await ReplayServer.start(clock.now);
  fetch = createSafeFetch({ clock, random: () => 0.5, reroute: { "https://rss.arxiv.org": server.origin } });
  store = openSqliteStore(IN_MEMORY, { clock: clock.now });
  reports = [];
});
afterEach(async () => {
  await fetch.close();
  await server[Symbol.asyncDispose]();
  await store.close();
});

function schedule(options: Partial<IntakeScheduleOptions> = {}): IntakeSchedule {
  return new IntakeSchedule({
    store,
    fetch,
    entries: [listing],
    now: clock.now,
    random: () => 0.5,
    onReport: (name, { status }) => reports.push([name, status]),
    onError: (error) => {
      throw error;
    },
    ...options,
  });
}

describe("a schedule", () => {
  it("knows its next times in the zone of their place", () => {
    expect(schedule().next()).toEqual([{ name: "listing", at: Date.UTC(2026, 4, 15, 4, 20) }]);
    const winter = new JumpingClock(Date.UTC(2026, 0, 15, 12));
    expect(schedule({ now: winter.now }).next()[0]?.at).toBe(Date.UTC(2026, 0, 16, 5, 20));
  });

  it("makes up for a missed reading once, after its spread", async () => {
    server.on("/rss/cs.LG", body(rss, RSS));
    const first = schedule();
    await first.step();
    expect(server.requests).toEqual([]);
    await clock.sleep(5 * MINUTE);
    await first.step();
    expect(reports).toEqual([["listing", "done"]]);
    expect(await store.papers.count()).toBe(3);
    // Started again, there is nothing to make up for.
    const second = schedule();
    await second.step();
    await clock.sleep(10 * MINUTE);
    await second.step();
    expect(server.requests).toHaveLength(1);
  });

  it("reads at each time once, whoever looks how often", async () => {
    server.on("/rss/cs.LG", body(rss, RSS));
    const [one, other] = [schedule(), schedule()];
    // Four days by the hour: Thursday's catch-up, Friday, then Monday.
    for (let hour = 0; hour < 96; hour++) {
      await Promise.all([one.step(), other.step()]);
      await clock.sleep(HOUR);
    }
    const days = server.requests.map(({ at }) => new Date(at).toISOString().slice(0, 10));
    expect(days).toEqual(["2026-05-14", "2026-05-15", "2026-05-18"]);
  });

  it("tries again later when a reading fails, and when the server says so", async () => {
    server.on(
      "/rss/cs.LG",
      body("", { status: 404 }),
      body("", { status: 429, headers: { "retry-after": String(5 * 3600) } }),
      body(rss, RSS),
    );
    const readings = schedule({ jitterMs: 0 });
    for (let minute = 0; minute < 8 * 60; minute += 10) {
      await readings.step();
      await clock.sleep(10 * MINUTE);
    }
    expect(reports).toEqual([
      ["listing", "failed"],
      ["listing", "failed"],
      ["listing", "done"],
    ]);
    const [first = 0, second = 0, third = 0] = server.requests.map(({ at }) => at);
    expect(second - first).toBeGreaterThanOrEqual(15 * MINUTE);
    expect(third - second).toBeGreaterThanOrEqual(5 * HOUR);
  });

  it("drops jobs of sources that are no longer there", async () => {
    await schedule({ jitterMs: 0, entries: [{ ...listing, name: "old" }] }).stop();
    await store.jobs.add({ queue: "intake", key: "old", runAt: START });
    const now = schedule({ entries: [] });
    await now.step();
    expect((await store.jobs.list()).items.map(({ state }) => state)).toEqual(["done"]);
    expect(server.requests).toEqual([]);
  });

  it("starts and stops by itself", async () => {
    server.on("/rss/cs.LG", body(rss, RSS));
    let reported = () => {};
    const done = new Promise<void>((resolve) => {
      reported = resolve;
    });
    const running = schedule({ jitterMs: 0, pollMs: 5, onReport: () => reported() });
    running.start();
    running.start();
    await done;
    await running.stop();
    const requests = server.requests.length;
    await clock.sleep(48 * HOUR);
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(server.requests).toHaveLength(requests);
    await expect(running.stop()).resolves.toBeUndefined();
  });

  it.each([
    [{ ...listing, times: "61 0 * * *" }, "Schedule of listing"],
    [{ ...listing, timezone: "Mars/Olympus" }, "Schedule of listing"],
    [{ ...listing, source: { kind: "arxiv-rss", categories: ["?"] } as const }, "Expected arXiv categories"],
  ])("refuses what it cannot do: %j", (entry, message) => {
    expect(() => schedule({ entries: [entry] })).toThrow(message);
    expect(() => schedule({ entries: [listing, listing] })).toThrow("same name");
  });
});

describe("arXiv's schedule", () => {
  it("looks for listings, fills holes and harvests each category", () => {
    const entries = arxivSchedule(["cs.LG", "math", "hep-th", "astro-ph.CO"]);
    expect(entries.map(({ name }) => name)).toEqual([
      "arxiv-rss",
      "arxiv-fill",
      "arxiv-oai-cs.LG",
      "arxiv-oai-math",
      "arxiv-oai-hep-th",
      "arxiv-oai-astro-ph.CO",
    ]);
    const sets = entries.flatMap(({ source }) => (source.kind === "arxiv-oai" ? [source.set] : []));
    expect(sets).toEqual(["cs:cs:LG", "math", "physics:hep-th", "physics:astro-ph:CO"]);
    expect(() => schedule({ entries })).not.toThrow();
  });
});
