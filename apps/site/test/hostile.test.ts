import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { realRecords } from "./real-records.ts";
import { temporaryFolder } from "./support.ts";
import { type TestApp, testApp } from "./support-app.ts";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let site: TestApp;

beforeAll(async () => {
  folder = await temporaryFolder();
  site = await testApp(folder.path);
  await site.feed.papers.upsert(realRecords());
});
afterAll(() => folder.remove());

/** Values as they stand in an address: some are no UTF-8, some no percent-encoding. */
const VALUES = [
  "%00",
  "a%00b",
  "%",
  "%zz",
  "%c0%ae%c0%ae%c0%af",
  "%ed%a0%80",
  "%ff%fe",
  "%f0%9f%92%a9",
  "%e2%80%ae%e2%80%8b",
  "..%2f..%2f..%2fetc%2fpasswd",
  "..%5c..%5cwindows",
  "%2e%2e/%2e%2e/",
  "%2500",
  "'%20or%201=1--",
  "%22%20OR%20NEAR(",
  "%22unbalanced",
  "*",
  "a*",
  "%3Cscript%3Ealert(1)%3C/script%3E",
  "%0d%0aset-cookie:%20a=b",
  "__proto__",
  "constructor",
  "-1",
  "0",
  "1e309",
  "NaN",
  "9".repeat(40),
  "99999999999999999999-W99",
  "2026-02-30",
  "0000-00-00",
  "x".repeat(5000),
  "%F0%9F%98%80".repeat(300),
  "%28".repeat(400),
  "eyJhIjoxfQ",
] as const;
/** Names that some route reads, and some that none does. */
const NAMES = [
  "q",
  "after",
  "cursor",
  "category",
  "topic",
  "author",
  "code",
  "runs",
  "date",
  "week",
  "month",
  "p",
  "limit",
  "sort",
  "mode",
  "list",
  "at",
  "collection",
  "next",
  "token",
  "like",
  "from",
  "to",
  "__proto__",
  "a[b]",
] as const;

/** Every pattern that a GET can reach, as the application itself lists them. */
function patterns(): string[] {
  const found = site.app.routes
    .filter(({ method, path }) => method === "GET" && !path.includes("*"))
    .map(({ path }) => path);
  return [...new Set(found)];
}

/** A path of the pattern whose parameters are all this value. */
const filled = (pattern: string, value: string) =>
  pattern.replace(/:[A-Za-z]+(\{[^}]*\}(?:\+\)?\?\})?)?/g, (_, choice: string | undefined) =>
    choice?.startsWith("{day|") ? "day" : value,
  );

/** Of the processor: what else the machine does is not the fault of an address. */
const SLOW_MS = 500;
/** Requests go through the same handler as those of the network, so that what URLs cannot hold is refused there. */
async function ask(path: string): Promise<{ status: number; ms: number; body: string; headers: Headers }> {
  const start = process.cpuUsage();
  const answer = await site.app.request(`http://127.0.0.1${path}`);
  const body = answer.headers.get("content-type")?.includes("event-stream") ? "" : await answer.text();
  await answer.body?.cancel().catch(() => {});
  const { user, system } = process.cpuUsage(start);
  return { status: answer.status, ms: (user + system) / 1000, body, headers: answer.headers };
}

function check(path: string, { status, ms, headers }: Awaited<ReturnType<typeof ask>>): void {
  const shown = path.slice(0, 200);
  expect(status, shown).toBeLessThan(500);
  expect(ms, `${shown} is slow`).toBeLessThan(SLOW_MS);
  expect(headers.get("set-cookie") ?? "", shown).not.toContain("a=b");
}

describe("hostile addresses", () => {
  it("cover the routes of all areas", () => {
    const known = patterns();
    expect(known.length).toBeGreaterThan(30);
    for (const path of ["/", "/trending", "/search", "/rss", "/api/daily_papers", "/runs", "/subscribe"])
      expect(known).toContain(path);
  });

  it("with odd values for every parameter of a path are answered with less than 500", async () => {
    for (const pattern of patterns()) {
      if (!pattern.includes(":")) continue;
      for (const value of VALUES) {
        const path = filled(pattern, value);
        check(path, await ask(path));
      }
    }
  });

  it("with odd values in every known field are answered with less than 500", async () => {
    for (const pattern of patterns()) {
      if (pattern.includes(":")) continue;
      // Names and values take turns over the routes, so that all of them together see all pairs.
      for (const [at, value] of VALUES.entries()) {
        const names = NAMES.filter((_, index) => (index + at + pattern.length) % 4 === 0);
        if ((at + pattern.length) % 3 !== 0) continue;
        const path = `${pattern}?${names.map((name) => `${name}=${value}`).join("&")}`;
        check(path, await ask(path));
      }
    }
  });

  it.each([
    "/",
    "/trending",
    "/search",
    "/rss",
    "/catalogue",
    "/api/daily_papers",
    "/api/v1/search",
    "/day/2026-11-20",
  ])("of %s with one field at a time, repeated, empty, or a thousand of them", async (route) => {
    // Pairs take turns over the routes, so that all of them together see all pairs.
    for (const [n, name] of NAMES.entries())
      for (const [v, value] of VALUES.entries())
        if ((n + v + route.length) % 6 === 0) {
          const path = `${route}?${name}=${value}`;
          check(path, await ask(path));
        }
    for (const query of [
      "q=a&q=b&q=c",
      "after=&after=&category=cs.CV&category=cs.LG",
      "?",
      "&&&==&=",
      "q",
      "=1",
      Array.from({ length: 1000 }, (_, at) => `q${at}=${at}`).join("&"),
      Array.from({ length: 1000 }, () => "q=a").join("&"),
    ])
      check(`${route}?${query}`, await ask(`${route}?${query}`));
  });

  it("do not lead out of a folder", async () => {
    for (const start of ["/assets/", "/papers/", "/runs/", "/day/", "/"]) {
      for (const path of [
        "..%2f..%2fpackage.json",
        "%2e%2e%2f%2e%2e%2fpackage.json",
        "..%5c..%5cpackage.json",
        "....//....//package.json",
        "%252e%252e%252fpackage.json",
        "%c0%ae%c0%ae/package.json",
        "/etc/passwd",
        "file:///etc/passwd",
        "style%00.css",
      ]) {
        const answer = await ask(start + path);
        check(start + path, answer);
        expect(answer.status, start + path).not.toBe(200);
        expect(answer.body).not.toMatch(/"private"|root:x:/);
      }
    }
  });

  it("never come back as markup", async () => {
    const nasty = encodeURIComponent('"><img src=x onerror=alert(1)>');
    for (const path of [
      `/?author=${nasty}`,
      `/search?q=${nasty}`,
      `/catalogue?q=${nasty}`,
      `/day/${nasty}`,
      `/papers/${nasty}`,
    ]) {
      expect((await ask(path)).body, path).not.toContain("<img src=x");
    }
  });
});

it("nothing of it was a failure that the log would tell of", () => {
  expect(site.logged).toEqual([]);
});
