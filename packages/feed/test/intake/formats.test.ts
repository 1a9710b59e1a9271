import { describe, expect, it } from "vitest";
import {
  dayOfMoment,
  linksOf,
  repairedId,
  saysWithdrawn,
  splitAuthors,
  submittedThen,
} from "../../src/intake/formats/arxiv-text.ts";
import { dumpItem } from "../../src/intake/formats/dump.ts";
import { sliceXml } from "../../src/intake/formats/xml.ts";
import {
  type FormatError,
  type Item,
  parseArxivId,
  parseAtom,
  parseHfDaily,
  parseOai,
  parseRss,
  parseTextList,
} from "../../src/intake/index.ts";
import { localId, type PaperRecord } from "../../src/record.ts";
import * as fixtures from "./fixtures.ts";

const recordsOf = (items: Iterable<Item>): PaperRecord[] =>
  [...items].flatMap((item) => (item.kind === "paper" ? [item.record] : []));
const refusalsOf = (items: Iterable<Item>) =>
  [...items].flatMap((item) => (item.kind === "rejected" ? [[item.position, item.id, item.reason]] : []));

/** The line in which the RSS fixture's n-th item begins. */
const itemLine = (n: number) => fixtures.rss.split("<item>").slice(0, n).join("<item>").split("\n").length;

describe("identifiers", () => {
  it.each([
    ["2504.12717", "2504.12717", null],
    ["2504.12717v12", "2504.12717", 12],
    ["0704.0001v1", "0704.0001", 1],
    ["arXiv:1412.9999", "1412.9999", null],
    ["http://arxiv.org/abs/1501.00001v2", "1501.00001", 2],
    ["https://www.arxiv.org/pdf/1501.00001.pdf", "1501.00001", null],
    ["oai:arXiv.org:cond-mat/0207270v1", "cond-mat/0207270", 1],
    ["solv-int/9701001", "solv-int/9701001", null],
    ["math.CA/0611800v3", "math/0611800", 3],
    [" 2504.12717 ", "2504.12717", null],
  ])("%s is %s, version %s", (text, id, version) => {
    expect(parseArxivId(text)).toEqual({ id, version });
  });

  it.each([
    "",
    "abc",
    "2504.1271",
    "1412.99999",
    "2513.00001",
    "2500.00001",
    "2504.12717v0",
    "2504.12717v",
    "2504.12717v1v2",
    "Math/0611800",
    "math/061180",
    "math/0613800",
    "https://example.org/abs/2504.12717",
    "2504.12717\n2504.12718",
  ])("%j is none", (text) => {
    expect(parseArxivId(text)).toBeNull();
  });

  it("get their zeros back where the day of submission agrees", () => {
    expect(repairedId("901.161", "2009-01-12")).toBe("0901.1610");
    expect(repairedId("1501.0031099999999", "2015-01-01")).toBe("1501.00311");
    expect(repairedId("1206.578", "2012-04-24")).toBe("1206.5780");
    expect(repairedId("901.161", "2012-01-12")).toBeNull();
    expect(repairedId("901.161", null)).toBeNull();
    expect(repairedId("12.5", "2012-01-12")).toBeNull();
  });

  it("name the month of submission or a later one", () => {
    expect(submittedThen("2405.01234", "2024-05-31")).toBe(true);
    expect(submittedThen("2405.01234", "2024-04-30")).toBe(true);
    expect(submittedThen("2405.01234", "2024-06-01")).toBe(false);
    expect(submittedThen("2405.01234", "2023-04-30")).toBe(false);
    expect(submittedThen("cond-mat/9901001", "1998-12-31")).toBe(true);
  });
});

describe("texts of arXiv", () => {
  it.each([
    ["2026-05-14", "2026-05-14"],
    ["2026-05-14T23:30:00-04:00", "2026-05-15"],
    ["2026-05-14T00:00:00", "2026-05-14"],
    ["Thu, 14 May 2026 00:00:00 -0400", "2026-05-14"],
    ["Thu, 2 May 2024 23:30:00 GMT", "2024-05-02"],
    ["2026-02-30", null],
    ["2026-13-01T00:00:00Z", null],
    ["yesterday", null],
    ["2026", null],
    ["", null],
    [null, null],
  ])("the day of %j is %j", (text, day) => {
    expect(dayOfMoment(text)).toBe(day);
  });

  it.each([
    ["Ada Example, Bo Müller", ["Ada Example", "Bo Müller"]],
    ["Ada Example and Bo Müller", ["Ada Example", "Bo Müller"]],
    ["A. One, B. Two, and C. Three", ["A. One", "B. Two", "C. Three"]],
    ["Cy Old, Jr., Di New", ["Cy Old, Jr.", "Di New"]],
    ["A (X, Y (Z, W)), B ((1) V)", ["A", "B"]],
    ["Sand and Andrea Anders", ["Sand", "Andrea Anders"]],
    ["", []],
    [" , ; ", []],
  ])("the authors of %j are %j", (text, names) => {
    expect(splitAuthors(text).map(({ name }) => name)).toEqual(names);
  });

  it("name code and project pages", () => {
    expect(linksOf("2405.01234", "See https://github.com/a/b.git.", "https://x.github.io/y/ too")).toEqual({
      abstract: "https://arxiv.org/abs/2405.01234",
      pdf: "https://arxiv.org/pdf/2405.01234",
      code: "https://github.com/a/b",
      project: "https://x.github.io/y/",
    });
    expect(linksOf("2405.01234", "https://github.com/only-a-user", null)).not.toHaveProperty("code");
  });

  it.each([
    ["This paper has been withdrawn by the author", true],
    ["Withdrawn due to an error", true],
    ["withdrawn.", true],
    ["We correct a paper that was withdrawn", false],
    ["Students who have withdrawn", false],
  ])("%j says withdrawn: %s", (comment, expected) => {
    expect(saysWithdrawn(comment, "An abstract.")).toBe(expected);
  });
});

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

describe("Daily Papers", () => {
  it("are read from lists and from details, with the right one of two days", () => {
    const list = parseHfDaily(fixtures.hfDaily, "2024-05-07");
    expect(list.entries).toBe(4);
    const [toy] = recordsOf(list.items);
    expect(toy).toMatchObject({
      id: "2405.01234",
      title: "A Toy Problem, Solved",
      authors: [{ name: "Ada Example" }],
      published: "2024-05-02",
      announced: "2024-05-06",
      links: { code: "https://github.com/example/toy" },
    });
    expect(toy?.links).not.toHaveProperty("project");
    expect(recordsOf(parseHfDaily(fixtures.hfDetail, null).items)).toEqual([toy]);
    expect(refusalsOf(parseHfDaily(fixtures.hfDaily, null).items)).toEqual([
      ["item 2", "abc", 'paper.id: expected an arXiv identifier (got "abc")'],
      ["item 3", "2405.00002", 'abstract: expected text (got "")'],
      ["item 4", null, "expected an object, got string"],
    ]);
  });

  it("that do not say when they were listed get the day that was asked for", () => {
    const text = fixtures.hfDaily.replace("submittedOnDailyAt", "somethingElse");
    expect(recordsOf(parseHfDaily(text, "2024-05-07").items)[0]?.announced).toBe("2024-05-07");
    expect(recordsOf(parseHfDaily(text, null).items)[0]?.announced).toBeNull();
  });
});

describe("dumps", () => {
  const items = fixtures.dumpLines.map((line, index) => dumpItem(JSON.stringify(line), `line ${index + 1}`));

  it("are read in several people's field names", () => {
    const [listed, repaired, kaggle, untitled] = recordsOf(items);
    expect(listed).toMatchObject({
      id: "2405.01234",
      announced: "2024-05-06",
      published: null,
      authors: [{ name: "Ada Example" }, { name: "Cy Old, Jr." }],
    });
    expect(repaired).toMatchObject({
      id: "0901.1610",
      published: "2009-01-12",
      categories: ["cs.NE", "cs.AI"],
      authorCount: 2,
    });
    expect(kaggle).toMatchObject({
      id: "0704.0001",
      title: "Kaggle's form",
      authors: [{ name: "C. Balázs" }, { name: "P. M. Nadolsky Jr" }],
      published: "2007-04-02",
      updated: "2007-07-24",
      version: 2,
      journalRef: "Phys.Rev.D76:013009,2007",
    });
    expect(untitled).toMatchObject({ id: localId("without any ID"), links: {} });
    expect(refusalsOf(items)).toEqual([
      ["line 5", "hello", 'id: expected an arXiv identifier (got "hello")'],
      ["line 6", "2405.00005", 'abstract: expected text (got "")'],
    ]);
  });

  it("shorten what only accompanies a paper, and refuse what is too long to be one", () => {
    const [first] = fixtures.dumpLines;
    const long = dumpItem(
      JSON.stringify({ ...first, authors: ["x".repeat(500)], comment: "y".repeat(9000) }),
      "line 1",
    );
    expect(recordsOf([long])[0]?.authors[0]?.name).toHaveLength(300);
    expect(recordsOf([long])[0]?.comment).toHaveLength(2000);
    expect(
      refusalsOf([dumpItem(JSON.stringify({ ...first, abstract: "z".repeat(30_000) }), "line 1")])[0]?.[2],
    ).toContain("abstract: ");
  });

  it.each([
    ['{"id": {"toString": 1}, "title": "t", "abstract": "a"}', "id: expected text"],
    ['{"id": "2405.01234", "title": 3, "abstract": "a"}', "title: expected text"],
    ["[1]", "expected an object"],
    ["null", "expected an object"],
    ["{", "expected JSON"],
  ])("refuse %s", (text, reason) => {
    expect(refusalsOf([dumpItem(text, "line 1")])[0]?.[2]).toContain(reason);
  });

  it("survive fields of other kinds", () => {
    const text =
      '{"id":"2405.01234","title":"t","abstract":"a","authors":[1,{"name":{}},null],"versions":[{"version":{"toString":1}},3],"categories":[{}]}';
    expect(recordsOf([dumpItem(text, "line 1")])).toHaveLength(1);
  });
});

describe("the text of a Daily Papers page", () => {
  const list = parseTextList(fixtures.textList, { today: "2026-11-21" });

  it("gives papers by title, with days of the page's own year", () => {
    expect(list).toMatchObject({ day: "2025-12-10", yearGuessed: true, entries: 5 });
    expect(
      recordsOf(list.items).map(({ title, authorCount, published }) => [title, authorCount, published]),
    ).toEqual([
      ["A Toy Problem, Solved", 4, "2025-05-06"],
      ["From an Earlier Year", 1, "2023-09-20"],
      ["Without Count and Date", null, null],
      // 31 December would come after the page's day.
      ["Right After It", 1204, "2024-12-31"],
    ]);
    const last = recordsOf(parseTextList(fixtures.textList, { today: "2026-11-21" }).items).at(-1);
    expect(last?.abstract).toMatch(/Its second paragraph\.$/);
    expect(last?.id).toBe(localId("Right after it"));
    expect(refusalsOf(parseTextList(fixtures.textList, { today: "2026-11-21" }).items)).toEqual([
      [
        `line ${fixtures.textList.trimEnd().split("\n").length}`,
        null,
        "abstract: expected text after the title",
      ],
    ]);
  });

  it("takes the day that the caller gives", () => {
    const given = parseTextList(fixtures.textList, { day: "2027-12-10", today: "2026-11-21" });
    expect(given.yearGuessed).toBe(false);
    expect(recordsOf(given.items)[0]?.published).toBe("2027-05-06");
  });

  it("knows 29 February, one-line marks and CR LF", () => {
    const text = fixtures.textList
      .replace("May 6", "Feb 29")
      .replace("  • 1 author\n·\nSep 20, 2023", "  • 1 author · Sep 20, 2023");
    const read = parseTextList(text.replaceAll("\n", "\r\n"), { today: "2026-11-21" });
    expect(
      recordsOf(read.items)
        .slice(0, 2)
        .map(({ published, authorCount }) => [published, authorCount]),
    ).toEqual([
      ["2024-02-29", 4],
      ["2023-09-20", 1],
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
