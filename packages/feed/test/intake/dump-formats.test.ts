import { describe, expect, it } from "vitest";
import { dumpItem } from "../../src/intake/formats/dump.ts";
import { localId } from "../../src/record.ts";
import * as fixtures from "./fixtures.ts";
import { recordsOf, refusalsOf } from "./support.ts";

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
