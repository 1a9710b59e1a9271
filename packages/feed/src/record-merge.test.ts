import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { cleanText, localId, mergeRecords, type PaperRecord, paperRecord } from "./index.ts";

fc.configureGlobal({ seed: 20261120, numRuns: 500 });

const day = fc.constantFrom(null, "2025-01-01", "2025-02-01", "2025-03-01");
const record = fc
  .record({
    title: fc.constantFrom("A title", "Another title"),
    abstract: fc.constantFrom("One.", "Two."),
    authors: fc.array(fc.constantFrom({ name: "Ada" }, { name: "Bo", affiliation: "X" }), { maxLength: 3 }),
    authorCount: fc.constantFrom(null, 3, 7),
    published: day,
    updated: day,
    announced: day,
    version: fc.constantFrom(null, 1, 2),
    versions: fc.constantFrom(
      [],
      [{ version: 1, date: null }],
      [
        { version: 1, date: "2025-01-01" },
        { version: 2, date: null },
      ],
    ),
    categories: fc.constantFrom([], ["cs.CV"], ["cs.LG", "cs.CV"]),
    topics: fc.constantFrom([], ["video"], ["text", "video"]),
    comment: fc.constantFrom(null, "8 pages"),
    links: fc.constantFrom({}, { code: "https://a.b/c" }, { code: "https://d.e/f", pdf: "https://a.b/p" }),
    withdrawn: fc.boolean(),
    runnable: fc.boolean(),
    sources: fc.constantFrom(["catalogue"], ["arxiv"], ["arxiv", "list"]),
    local: fc.boolean(),
  })
  .map(
    ({ local, ...rest }): PaperRecord =>
      paperRecord.parse({ ...rest, id: local ? localId(rest.title) : "2501.00001" }),
  );

describe("merging records", () => {
  it("gives a valid record, and changes nothing the second time", () => {
    fc.assert(
      fc.property(record, record, (known, incoming) => {
        const merged = mergeRecords(known, incoming);
        expect(paperRecord.parse(merged)).toEqual(merged);
        expect(mergeRecords(merged, incoming)).toEqual(merged);
      }),
    );
  });

  it("loses nothing that is known", () => {
    fc.assert(
      fc.property(record, record, (known, incoming) => {
        const merged = mergeRecords(known, incoming);
        for (const name of [
          "authorCount",
          "published",
          "updated",
          "announced",
          "version",
          "comment",
        ] as const) {
          if (known[name] !== null || incoming[name] !== null) expect(merged[name]).not.toBeNull();
        }
        expect(merged.authors.length).toBe(Math.max(known.authors.length, incoming.authors.length));
        for (const topic of [...known.topics, ...incoming.topics]) expect(merged.topics).toContain(topic);
        for (const name of Object.keys({ ...known.links, ...incoming.links }))
          expect(merged.links).toHaveProperty(name);
        expect(merged.version ?? 0).toBeGreaterThanOrEqual(known.version ?? 0);
        expect(merged.id).toBe([known.id, incoming.id].find((id) => !id.startsWith("local:")) ?? known.id);
      }),
    );
  });
});

describe("withdrawals", () => {
  const base = { id: "2501.00001", title: "T", abstract: "A.", sources: ["arxiv"] };
  it.each([
    ["stay when a source does not say", { version: 2, withdrawn: true }, {}, true],
    ["come with the same version", { version: 2 }, { version: 2, withdrawn: true }, true],
    ["end with a newer version", { version: 2, withdrawn: true }, { version: 3 }, false],
    ["do not come from an older version", { version: 2 }, { version: 1, withdrawn: true }, false],
  ])("%s", (_, known, incoming, expected) => {
    const merged = mergeRecords(
      paperRecord.parse({ ...base, ...known }),
      paperRecord.parse({ ...base, ...incoming }),
    );
    expect(merged.withdrawn).toBe(expected);
  });
});

describe("texts", () => {
  it.each([
    ["  two\n\t words \r\n", "two words"],
    ["e\u0301", "\u00e9"],
    ["a\u0000b\u0007c", "abc"],
    ["a\u202eb\u2066c\ufeffd\u200be", "abcde"],
    ["\ud800x\uffff", "x"],
    ["a \u0007 b", "a b"],
    ["e\u200b\u0301", "\u00e9"],
    ["深度 學習", "深度 學習"],
  ])("%j become %j", (text, expected) => {
    expect(cleanText(text)).toBe(expected);
  });

  it("are clean once and for all, and hold nothing that XML forbids", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        const clean = cleanText(text);
        expect(cleanText(clean)).toBe(clean);
        expect(clean).toMatch(/^[\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]*$/u);
        expect(clean).not.toMatch(/^\s|\s$|\s\s|\p{Cc}/u);
      }),
      { numRuns: 500 },
    );
  });

  it("have one local id for every spelling", () => {
    expect(localId("  Naïve  Bayes! ")).toBe(localId("naive bayes"));
    expect(localId("深度學習")).toMatch(/^local:[0-9a-f]{12}$/);
    expect(localId("?!")).not.toBe(localId("??"));
  });
});
