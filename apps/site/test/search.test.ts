import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { paperRecord, StoreError } from "@concord/feed";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { siteSettings } from "../src/config/settings.ts";
import { encoderWork } from "../src/search/encoder-service.ts";
import { SimilarSections } from "../src/search/similar-section.ts";
import { type TestApp, testApp } from "./support-app.ts";

let folder = "";
let site: TestApp;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "concord-site-search-"));
  site = await testApp(folder);
  await site.feed.papers.upsert(
    Array.from({ length: 60 }, (_, i) =>
      paperRecord.parse({
        id: `2603.${String(10_001 + i)}`,
        title: i === 7 ? "Cost of $O(n^2)$ marmots" : `Marmots in winter, valley${i % 12} part ${i} <b>&`,
        abstract: `We watch marmots sleep. Paper ${i} is about ${i % 2 ? "burrows" : "meadows"} <script>alert(1)</script>.`,
        authors: [{ name: i % 3 === 0 ? "Åse Bjørnsdóttir" : "Bo Li" }],
        announced: i < 30 ? "2026-03-02" : "2026-03-03",
        categories: [i % 2 ? "cs.CV" : "cs.CL"],
        sources: ["test"],
      }),
    ),
  );
});
afterAll(async () => {
  await site.feed.close();
  await rm(folder, { recursive: true, force: true });
});

async function get(path: string): Promise<{ readonly status: number; readonly text: string }> {
  const response = await site.app.request(`http://127.0.0.1${path}`);
  return { status: response.status, text: await response.text() };
}

const titles = (text: string) => [...text.matchAll(/href="\/papers\/(2603\.\d{5})">/g)].map(([, id]) => id);

describe("the search page", () => {
  it("marks the words, escapes everything, and keeps formulas as formulas", async () => {
    const { status, text } = await get("/search?q=MARMOTS+winter");
    expect(status).toBe(200);
    expect(text).toContain("<mark>Marmots</mark> in <mark>winter</mark>, valley");
    expect(text).toContain("&lt;b&gt;&amp;");
    expect(text).not.toContain("<script>alert");
    const { text: formula } = await get("/search?q=cost");
    expect(formula).toContain("<math");
    expect(formula).not.toMatch(/<mark>Cost/);
  });

  it("pages follow each other without repeating, and end", async () => {
    const seen: string[] = [];
    let path: string | undefined = "/search?q=marmots";
    for (let page = 0; path !== undefined && page < 10; page++) {
      const { text } = await get(path);
      seen.push(...(titles(text) as string[]));
      path = /rel="next nofollow" href="([^"]+)"/.exec(text)?.[1]?.replaceAll("&amp;", "&");
    }
    expect(path).toBeUndefined();
    expect(seen).toHaveLength(60);
    expect(new Set(seen).size).toBe(60);
  });

  it("filters, also without words; the form keeps them", async () => {
    const { text } = await get("/search?q=marmots&category=cs.CV&from=2026-03-03&to=2026-03-03");
    expect(titles(text)).toHaveLength(15);
    expect(text).toMatch(/<option value="cs.CV" selected/);
    expect(text).toContain('value="2026-03-03"');
    const author = await get(`/search?author=${encodeURIComponent("Åse Bjørnsdóttir")}`);
    expect(author.text).toContain("20 papers, newest first.");
    expect(author.text).toContain("Papers by Åse Bjørnsdóttir");
    expect(titles(author.text)).toHaveLength(20);
  });

  it("suggests who may be meant", async () => {
    const { text } = await get("/search?q=Ase+Bjornsdotir");
    expect(text).toContain("Did you mean papers by");
    expect(text).toContain("Åse Bjørnsdóttir");
    expect((await get(`/search?q=${encodeURIComponent("åse bjørnsdóttir")}`)).text).toContain("Papers by <a");
  });

  it("says what is wrong with an address", async () => {
    expect((await get(`/search?q=${"a".repeat(251)}`)).status).toBe(400);
    expect((await get("/search?q=a&from=yesterday")).status).toBe(400);
    expect((await get("/search?q=a&mode=telepathy")).status).toBe(400);
    expect((await get("/search?q=marmots&after=nonsense")).status).toBe(400);
    const empty = await get("/search?q=zzzzqqqq");
    expect(empty.status).toBe(200);
    expect(empty.text).toContain("No paper matches");
    expect((await get("/search")).text).toContain("By example");
  });

  it("offers the search as a feed", async () => {
    const { text } = await get("/search?q=marmots&category=cs.CV");
    expect(text).toMatch(/type="application\/rss\+xml"[^>]*href="\/rss\?[^"]*q=marmots/);
  });
});

describe("papers like others", () => {
  it("recommends, leaves out what is chosen, and links to more and fewer", async () => {
    const { status, text } = await get("/recommended?like=2603.10001,2603.10003&unlike=2603.10002");
    expect(status).toBe(200);
    const cards = text.slice(text.indexOf('class="paper-list"'));
    expect(titles(cards).length).toBeGreaterThan(5);
    for (const id of ["2603.10001", "2603.10002", "2603.10003"])
      expect(cards).not.toContain(`<h3 class="paper-title"><a href="/papers/${id}"`);
    expect(text).toContain("More like this");
    expect(text).toContain("/recommended?like=2603.10001%2C2603.10003");
    expect((await get("/recommended")).text).toContain("No paper is chosen yet");
    expect((await get("/recommended?like=../../etc,2603.99999")).text).toContain("No paper is chosen yet");
    expect((await get(`/recommended?like=${"1,".repeat(5000)}`)).status).toBe(400);
  });

  it("stand beside a paper; a busy search costs the page nothing but the panel", async () => {
    const { text } = await get("/papers/2603.10005");
    expect(text).toContain("Similar papers");
    expect(text).toContain("/recommended?like=2603.10005");
    const never = new SimilarSections({ similar: () => new Promise(() => {}) });
    expect(String(await never.of({ id: "x" }))).toBe("");
    const busy = new SimilarSections({ similar: () => Promise.reject(new StoreError("busy", "no")) });
    expect(String(await busy.of({ id: "x" }))).toBe("");
  });

  it("are asked for once in a while", async () => {
    let asked = 0;
    const [paper] = await site.feed.papers.getMany(["2603.10006"]);
    const sections = new SimilarSections({
      similar: async () => {
        asked++;
        return paper ? [paper] : [];
      },
    });
    expect(String(await sections.of({ id: "a" }))).toContain("Marmots in winter");
    await sections.of({ id: "a" });
    expect(asked).toBe(1);
  });
});

describe("what the encoder needs", () => {
  it("is trained from 500 papers on, unless the owner says no", async () => {
    const settings = siteSettings.parse({});
    expect(await encoderWork(site.feed, folder, settings)).toBeNull();
    await site.feed.papers.upsert(
      Array.from({ length: 500 }, (_, i) =>
        paperRecord.parse({
          id: `2604.${10_000 + i}`,
          title: `Filler ${i}`,
          abstract: "Filler.",
          sources: ["test"],
        }),
      ),
    );
    expect(await encoderWork(site.feed, folder, settings)).toBe("train-encoder");
    expect(await encoderWork(site.feed, folder, siteSettings.parse({ search: { train: "0" } }))).toBeNull();
    const outside = siteSettings.parse({ search: { encoder: "/models/mine" } });
    expect(await encoderWork(site.feed, folder, outside)).toBe("index-papers");
  });
});
