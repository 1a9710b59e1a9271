import { XMLParser, XMLValidator } from "fast-xml-parser";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { temporaryFolder } from "./support.ts";
import { type TestApp, testApp } from "./support-app.ts";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let site: TestApp;

beforeAll(async () => {
  folder = await temporaryFolder();
  site = await testApp(folder.path);
});
afterAll(() => folder.remove());

const parser = new XMLParser({
  ignoreAttributes: false,
  isArray: (name) => ["item", "entry"].includes(name),
});

describe("feeds", () => {
  it.each([
    ["", 24],
    ["?topic=retrieval", 6],
    ["?runs=1", 1],
    ["?list=day&at=2025-05-06", 1],
    ["?list=month", 1],
    ["?list=trending", 0],
  ])("of the list %s come as RSS, Atom and JSON with the same papers", async (query, papers) => {
    const [rss, atom, json] = await Promise.all(
      ["/rss", "/atom", "/feed.json"].map(async (path) => (await site.app.request(path + query)).text()),
    );
    expect(XMLValidator.validate(rss!)).toBe(true);
    expect(XMLValidator.validate(atom!)).toBe(true);
    const ids = (parser.parse(atom!).feed.entry ?? []).map(({ id }: { id: string }) => id);
    expect(ids).toHaveLength(papers);
    expect(
      (parser.parse(rss!).rss.channel.item ?? []).map(
        (item: { guid: { "#text": string } }) => item.guid["#text"],
      ),
    ).toEqual(ids);
    expect(JSON.parse(json!).items.map(({ id }: { id: string }) => id)).toEqual(ids);
  });

  it("of a search are newest first, and of a public collection alone", async () => {
    const found = JSON.parse(await (await site.app.request("/feed.json?q=contrastive+learning")).text());
    const dates = found.items.map(({ date_published }: { date_published: string }) => date_published);
    expect(dates.length).toBeGreaterThan(1);
    expect(dates).toEqual([...dates].sort().reverse());
    const account = await site.feed.people.create({ name: "lin" });
    const make = (name: string, open: boolean) =>
      site.feed.activity.createCollection({ accountId: account.id, name, public: open });
    const [open, closed] = [await make("Open", true), await make("Closed", false)];
    await site.feed.activity.collect(open.id, "2006.09882", true);
    expect(
      JSON.parse(await (await site.app.request(`/feed.json?collection=${open.id}`)).text()).items,
    ).toHaveLength(1);
    for (const id of [closed.id, "none"]) {
      expect((await site.app.request(`/rss?collection=${id}`)).status).toBe(404);
    }
  });

  it("are sent again only when they changed", async () => {
    const first = await site.app.request("/atom");
    const etag = first.headers.get("etag")!;
    expect(first.headers.get("cache-control")).toBe("max-age=900");
    const again = await site.app.request("/atom", { headers: { "if-none-match": `"other", W/${etag}` } });
    expect(again.status).toBe(304);
    expect(await again.text()).toBe("");
  });

  it("refuse nonsense", async () => {
    for (const query of ["?list=best", "?after=x", "?topic=%3Cb%3E", `?q=${"a".repeat(251)}`]) {
      expect((await site.app.request(`/rss${query}`)).status, query).toBe(400);
    }
  });

  it("are offered by the page of each list", async () => {
    const page = await (await site.app.request("/?topic=retrieval")).text();
    expect(page).toContain('type="application/rss+xml" title="RSS of this list" href="/rss?topic=retrieval"');
    expect(await (await site.app.request("/trending")).text()).toContain('href="/feed.json?list=trending"');
  });
});
