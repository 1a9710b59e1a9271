import { XMLParser, XMLValidator } from "fast-xml-parser";
import { describe, expect, it } from "vitest";
import { paperRecord } from "../record.ts";
import type { StoredPaper } from "../store/ports.ts";
import { atomFeed } from "./atom.ts";
import type { PublishedList } from "./content.ts";
import { jsonFeed } from "./json-feed.ts";
import { rssFeed } from "./rss.ts";

function stored(over: Partial<Parameters<typeof paperRecord.parse>[0] & object>): StoredPaper {
  const record = paperRecord.parse({
    id: "2504.12717",
    title: "A $k$-means <bound> & more",
    abstract: 'We show that ]]> \\textbf{a < b} & "c" hold at https://a.example/?x=1&y=2.',
    authors: [{ name: "Zoë <b>Müller</b>" }, { name: "A. Other" }],
    published: "2025-04-17",
    categories: ["cs.LG", "stat.ML"],
    topics: ["clustering"],
    links: { abstract: "https://arxiv.org/abs/2504.12717", pdf: "https://arxiv.org/pdf/2504.12717" },
    ...over,
  });
  return {
    ...record,
    ...{ day: record.announced ?? record.published, upvotes: 0, comments: 0, bookmarks: 0, trend: null },
    ...{ addedAt: Date.UTC(2026, 0, 2), revision: 1, textHash: "" },
  };
}

const list = (papers: readonly StoredPaper[], next: string | null = null): PublishedList => ({
  title: "Daily Papers & more",
  description: "Newest first",
  page: "https://papers.example/",
  self: "https://papers.example/feed.xml?a=1&b=2",
  next,
  icon: "https://papers.example/icon.svg",
  papers,
  pageOf: ({ id }) => `https://papers.example/papers/${id}`,
});

const papers = [
  stored({}),
  stored({ id: "local:0123456789ab", title: "Undated", authors: [], published: null, links: {} }),
];
const parser = new XMLParser({
  ignoreAttributes: false,
  isArray: (name) => ["item", "entry", "author"].includes(name),
});

describe("feeds of a list", () => {
  it("RSS 2.0 has what readers need, escaped once", () => {
    const text = rssFeed(list(papers, "https://papers.example/feed.xml?after=x"));
    expect(XMLValidator.validate(text)).toBe(true);
    const { channel } = parser.parse(text).rss;
    expect(channel.title).toBe("Daily Papers & more");
    expect(channel["atom:link"].map((link: Record<string, string>) => link["@_rel"])).toEqual([
      "self",
      "next",
    ]);
    const [item, undated] = channel.item;
    expect(item.guid).toEqual({ "#text": "tag:concord,2026:paper/2504.12717", "@_isPermaLink": "false" });
    expect(item.pubDate).toBe("Thu, 17 Apr 2025 00:00:00 GMT");
    expect(item["dc:creator"]).toEqual(["Zoë <b>Müller</b>", "A. Other"]);
    expect(text).toContain(
      "&lt;p&gt;We show that ]]&amp;gt; a &amp;lt; b &amp;amp; &amp;quot;c&amp;quot; hold",
    );
    expect(undated.pubDate).toBe("Fri, 02 Jan 2026 00:00:00 GMT");
    expect(channel.lastBuildDate).toBe("Fri, 02 Jan 2026 00:00:00 GMT");
  });

  it("Atom 1.0 has id, title, updated and an author in every entry", () => {
    const text = atomFeed(list(papers));
    expect(XMLValidator.validate(text)).toBe(true);
    const { feed } = parser.parse(text);
    expect(feed.updated).toBe("2026-01-02T00:00:00.000Z");
    for (const entry of feed.entry) {
      expect(entry.id).toMatch(/^tag:concord,2026:paper\//);
      expect(entry.updated).toMatch(/Z$/);
      expect(entry.author.length).toBeGreaterThan(0);
    }
    expect(feed.entry[0].title).toBe("A k-means <bound> & more");
  });

  it("JSON Feed 1.1 has the same papers under the same ids", () => {
    const feed = JSON.parse(jsonFeed(list(papers, "https://papers.example/feed.json?after=x")));
    expect(feed).toMatchObject({
      version: "https://jsonfeed.org/version/1.1",
      next_url: "https://papers.example/feed.json?after=x",
    });
    expect(feed.items[0]).toMatchObject({
      id: "tag:concord,2026:paper/2504.12717",
      external_url: "https://arxiv.org/abs/2504.12717",
      title: "A k-means <bound> & more",
      tags: ["cs.LG", "stat.ML", "clustering"],
    });
    expect(feed.items[1]).not.toHaveProperty("authors");
  });

  it("an empty list is still a document, and always the same one", () => {
    for (const write of [rssFeed, atomFeed, jsonFeed]) expect(write(list([]))).toBe(write(list([])));
    expect(XMLValidator.validate(atomFeed(list([])))).toBe(true);
  });

  it("no character that XML forbids gets through", () => {
    const hostile = { ...papers[0]!, title: "a\u0000\u0008\ud800b\uffff", comment: null };
    for (const write of [rssFeed, atomFeed]) {
      expect(write(list([hostile]))).toContain("<title>a\ufffdb</title>");
    }
  });
});
