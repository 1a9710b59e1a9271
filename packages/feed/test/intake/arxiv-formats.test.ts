import { describe, expect, it } from "vitest";
import { sliceXml } from "../../src/intake/formats/xml.ts";
import { type FormatError, parseAtom, parseOai, parseRss } from "../../src/intake/index.ts";
import * as fixtures from "./fixtures.ts";
import { recordsOf, refusalsOf } from "./support.ts";

/** The line in which the RSS fixture's n-th item begins. */
const itemLine = (n: number) => fixtures.rss.split("<item>").slice(0, n).join("<item>").split("\n").length;

describe("Atom of the query interface", () => {
  const toy = {
    id: "2405.01234",
    title: "A Toy Problem, Solved",
    abstract:
      "We study a <toy> problem & solve it with $\\alpha < 1$. Code: https://github.com/example/toy. A second line.",
    authors: [{ name: "Ada Example", affiliation: "Example University" }, { name: "Bo Müller" }],
    authorCount: 2,
    published: "2024-05-02",
    updated: "2024-05-10",
    announced: null,
    version: 2,
    versions: [
      { version: 1, date: "2024-05-02" },
      { version: 2, date: "2024-05-10" },
    ],
    categories: ["cs.LG", "stat.ML", "68T05", "62H35"],
    primaryCategory: "cs.LG",
    comment: "12 pages, https://toy.github.io/page.",
    journalRef: "J. Toys 1 (2024) 1-12",
    doi: "10.1000/toy",
    links: {
      abstract: "https://arxiv.org/abs/2405.01234",
      pdf: "https://arxiv.org/pdf/2405.01234",
      code: "https://github.com/example/toy",
      project: "https://toy.github.io/page",
    },
    sources: ["arxiv-query"],
  };

  it("is read in both shapes alike", () => {
    const [old, oldStyle] = recordsOf(parseAtom(fixtures.atomOld).items);
    const [now] = recordsOf(parseAtom(fixtures.atomNew).items);
    expect(old).toMatchObject(toy);
    expect(now).toEqual(old);
    expect(oldStyle).toMatchObject({ id: "cond-mat/0207270", version: 1, primaryCategory: "cond-mat" });
    expect(parseAtom(fixtures.atomOld).totalResults).toBe(2);
  });

  it("is read whatever the order of its elements", () => {
    const [, start = "", inside = "", end = ""] =
      /^([\s\S]*?<entry>)([\s\S]*?)(<\/entry>[\s\S]*)$/.exec(fixtures.atomNew) ?? [];
    const parts = inside.trim().split(/\n {4}(?=<)/);
    // Authors and categories are ordered among themselves; everything around them may move.
    const moved = [
      ...parts.filter((part) => /^<(?:author|category)/.test(part)),
      ...parts.filter((part) => !/^<(?:author|category)/.test(part)).reverse(),
    ];
    expect(recordsOf(parseAtom(`${start}${moved.join("\n")}${end}`).items)).toEqual(
      recordsOf(parseAtom(fixtures.atomNew).items),
    );
  });

  it("may say that there is nothing, or what was wrong with the question", () => {
    expect(parseAtom(fixtures.atomEmpty)).toMatchObject({ totalResults: 0, errors: [], entries: 0 });
    const error = parseAtom(fixtures.atomError);
    expect(error.errors).toEqual(["incorrect id format for abc"]);
    expect([...error.items]).toEqual([]);
  });

  it("names entries that are no papers, and goes on", () => {
    const document = fixtures.atomOld
      .replace("http://arxiv.org/abs/2405.01234v2", "http://arxiv.org/abs/nonsense")
      .replace("<title>Old and Short</title>", "<title> </title>");
    expect(refusalsOf(parseAtom(document).items)).toEqual([
      [
        "entry 1 (line 10)",
        "http://arxiv.org/abs/nonsense",
        'id: expected an arXiv identifier (got "http://arxiv.org/abs/nonsense")',
      ],
      ["entry 2 (line 31)", "cond-mat/0207270", 'title: expected text (got "")'],
    ]);
  });
});

describe("daily listings", () => {
  it("in RSS bring new, crossed and replaced papers", () => {
    const listing = parseRss(fixtures.rss);
    expect(listing).toMatchObject({ day: "2026-05-14", entries: 5 });
    const [fresh, crossed, replaced] = recordsOf(listing.items);
    expect(fresh).toMatchObject({
      id: "2605.00001",
      title: "New & Shiny",
      abstract: "What is new, <b>truly</b>.",
      authors: [{ name: "Ada Example" }, { name: "Bo Müller" }, { name: "Cy Old, Jr." }],
      announced: "2026-05-14",
      published: null,
      version: 1,
      categories: ["cs.LG", "cs.AI"],
      licence: "http://creativecommons.org/licenses/by/4.0/",
      sources: ["arxiv-rss"],
    });
    expect(crossed).toMatchObject({
      id: "2605.00002",
      abstract: "From a & neighbour.",
      announced: "2026-05-14",
    });
    // A replacement is no announcement: the day on which the paper was new stays.
    expect(replaced).toMatchObject({
      id: "2405.01234",
      announced: null,
      version: 3,
      doi: "10.1000/toy",
      journalRef: "J. Toys 2",
    });
    expect(refusalsOf(parseRss(fixtures.rss).items)).toEqual([
      [
        `item 4 (line ${itemLine(4)})`,
        "2605.00003",
        'announce type: expected new, cross, replace, replace-cross (got "moved")',
      ],
      [`item 5 (line ${itemLine(5)})`, null, 'id: expected an arXiv identifier (got "")'],
    ]);
  });

  it("are empty on weekends", () => {
    expect(parseRss(fixtures.rssWeekend)).toMatchObject({ day: "2026-05-14", entries: 0 });
  });

  it("are the same in Atom", () => {
    expect(recordsOf(parseAtom(fixtures.atomListing).items)[0]).toEqual(
      recordsOf(parseRss(fixtures.rss).items)[0],
    );
  });
});

describe("OAI-PMH", () => {
  const base = {
    id: "2405.01234",
    title: "A Toy Problem, Solved",
    published: "2024-05-02",
    updated: "2024-05-10",
  };

  it("is read as arXivRaw, arXiv and oai_dc", () => {
    const page = parseOai(
      fixtures.oaiPage([fixtures.oaiRecords.raw, fixtures.oaiRecords.plain, fixtures.oaiRecords.dublinCore]),
    );
    const [raw, plain, dublinCore] = recordsOf(page.items);
    expect(raw).toMatchObject({
      ...base,
      abstract: "We study a toy & solve it.",
      authors: [{ name: "Ada Example" }, { name: "Bo Müller" }, { name: "Cy Old, Jr." }],
      version: 2,
      versions: [
        { version: 1, date: "2024-05-02" },
        { version: 2, date: "2024-05-10" },
      ],
      categories: ["cs.LG", "stat.ML"],
      journalRef: "J. Toys 1",
    });
    expect(plain).toMatchObject({
      ...base,
      authors: [{ name: "Ada Example", affiliation: "Example University" }, { name: "Cy Old Jr." }],
      licence: "http://example.org/l",
    });
    expect(dublinCore).toMatchObject({
      ...base,
      authors: [{ name: "Ada Example" }, { name: "Bo Müller" }],
      comment: "12 pages",
      doi: "10.1000/toy",
    });
  });

  it("gives the newest version's day as day of submission only where the id agrees", () => {
    const late = fixtures.oaiRecords.plain
      .replace("<created>2024-05-02", "<created>2025-01-09")
      .replace("<updated>2024-05-10</updated>", "");
    expect(recordsOf(parseOai(fixtures.oaiPage([late])).items)[0]).toMatchObject({
      published: null,
      updated: "2025-01-09",
    });
  });

  it("goes on by tokens, of which the last may be empty", () => {
    expect(parseOai(fixtures.oaiPage([], "a|1"))).toMatchObject({
      resumptionToken: "a|1",
      responseDate: "2026-05-14T02:40:11Z",
    });
    expect(parseOai(fixtures.oaiPage([], "")).resumptionToken).toBeNull();
    expect(parseOai(fixtures.oaiPage([])).resumptionToken).toBeNull();
  });

  it("names errors, deleted records and strange ones", () => {
    expect(parseOai(fixtures.oaiError("noRecordsMatch", "none"))).toMatchObject({
      errors: [{ code: "noRecordsMatch", message: "none" }],
      records: 0,
    });
    const { deleted, foreign, nameless } = fixtures.oaiRecords;
    const items = [...parseOai(fixtures.oaiPage([deleted, foreign, nameless])).items];
    expect(items[0]).toEqual({ kind: "deleted", position: "record 1 (line 6)", id: "2405.01234" });
    expect(refusalsOf(items)).toEqual([
      ["record 2 (line 7)", "2405.09999", "metadata: expected arXiv, arXivRaw or oai_dc"],
      [
        "record 3 (line 8)",
        "oai:example.org:1",
        'identifier: expected oai:arXiv.org:ID (got "oai:example.org:1")',
      ],
    ]);
  });
});

describe("XML", () => {
  const failure = (text: string) => {
    try {
      sliceXml(text, ["a"]);
      return "none";
    } catch (error) {
      return (error as FormatError).message;
    }
  };

  it.each([
    ['<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>', "document type declarations"],
    ["<!DOCTYPE html><html></html>", "document type declarations"],
    ["<a><b></a></b>", "expected </b>, got </a>"],
    ["<a>", "ends inside <a>"],
    ["<a", "broken"],
    ["<a/><b/>", "second root"],
    ["</a>", "without start"],
    ["<a x=1/>", "broken"],
    ['<a x="1/>', "broken"],
    ["<a>< b/></a>", "begins no tag"],
    ["<a><!-- </a>", "comment without its end"],
    ["<a><![CDATA[ </a>", "CDATA section without its end"],
    ["text", "expected an XML document"],
    ["", "expected an XML document"],
    ["{}", "expected an XML document"],
    ["<b>".repeat(100), "deeper than 32"],
    [`<r><a>${"x".repeat(2 ** 20)}</a></r>`, "more than 1 MiB"],
    [`<a ${"b='1' ".repeat(100)}/>`, "too many attributes"],
  ])("refuses %j", (text, reason) => {
    expect(failure(text)).toContain(reason);
  });

  it("leaves undeclared entities and forbidden references as they are", () => {
    const document = fixtures.atomOld.replace(
      "An old abstract.",
      "&nbsp; &lol; &#0; &#x110000; &#65; &amp;lt;",
    );
    expect(recordsOf(parseAtom(document).items)[1]?.abstract).toBe("&nbsp; &lol; A &lt;");
  });

  it("is not led astray by names of Object's own properties: their entry alone is refused", () => {
    const document = fixtures.atomOld.replace(
      "<title>A Toy",
      "<__proto__>x</__proto__><constructor/><title>A Toy",
    );
    const items = [...parseAtom(document).items];
    expect(items.map(({ kind }) => kind)).toEqual(["rejected", "paper"]);
    const harmless = fixtures.atomOld.replace("<title>A Toy", "<valueOf/><title>A Toy");
    expect(recordsOf(parseAtom(harmless).items)).toEqual(recordsOf(parseAtom(fixtures.atomOld).items));
  });
});
