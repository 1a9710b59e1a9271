import { loadCatalogue } from "@concord/papers";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  filterRecords,
  fromCard,
  groupByDay,
  MAX_QUERY_LENGTH,
  newestFirst,
  type PaperRecord,
  type PaperRecordInput,
  paperRecord,
  searchRecords,
} from "./index.ts";

function record(over: Partial<PaperRecordInput> & { id: string }): PaperRecord {
  return paperRecord.parse({
    title: "A title",
    abstract: "An abstract.",
    authors: [],
    authorCount: 1,
    published: "2025-01-01",
    links: { abstract: `https://arxiv.org/abs/${over.id}`, pdf: `https://arxiv.org/pdf/${over.id}` },
    topics: [],
    runnable: false,
    ...over,
  });
}

const ids = (records: readonly PaperRecord[]) => records.map(({ id }) => id);

describe("paperRecord", () => {
  const good = record({ id: "2504.12717" });

  it.each([
    ["an id with version", { id: "2504.12717v2" }],
    ["a link that is no https", { links: { ...good.links, code: "javascript:alert(1)" } }],
    ["a slug that is a path", { slug: "../swav" }],
    ["a day that does not exist", { published: "2025-02-30" }],
    ["more names than authors", { authors: [{ name: "A" }, { name: "B" }] }],
    ["a title of white space", { title: "  " }],
    ["an unknown field", { votes: 3 }],
    ["an abstract without bound", { abstract: "x".repeat(20_001) }],
  ])("refuses %s", (_, wrong) => {
    expect(paperRecord.safeParse(good).success).toBe(true);
    expect(paperRecord.safeParse({ ...good, ...wrong }).success).toBe(false);
  });

  it("accepts old arXiv ids", () => {
    expect(record({ id: "cond-mat/0207270" }).id).toBe("cond-mat/0207270");
  });
});

describe("fromCard", () => {
  it("turns every card of the catalogue into a record with its links", async () => {
    for (const card of await loadCatalogue()) {
      const made = fromCard(card, { runnable: true });
      expect(made).toMatchObject({
        id: card.arxivId,
        slug: card.slug,
        title: card.title,
        authors: card.authors.map((name) => ({ name })),
        published: card.published,
        topics: card.topics,
        runnable: true,
      });
      expect(made.links.abstract).toBe(`https://arxiv.org/abs/${card.arxivId}`);
      expect(made.links.pdf).toBe(`https://arxiv.org/pdf/${card.arxivId}`);
      expect(made.links.code).toBe(card.code?.url);
    }
  });
});

describe("lists", () => {
  const records = [
    record({ id: "2301.00001", published: "2023-01-05", topics: ["video"] }),
    record({ id: "2503.00002", published: "2025-03-20", topics: ["image-text", "video"] }),
    record({ id: "2301.00003", published: "2023-01-05", topics: ["image-text"] }),
  ];

  it("sorts newest first without touching the input", () => {
    const before = ids(records);
    expect(ids(newestFirst(records))).toEqual(["2503.00002", "2301.00003", "2301.00001"]);
    expect(ids(records)).toEqual(before);
  });

  it("sorts the same whatever the order of the input", () => {
    fc.assert(
      fc.property(fc.shuffledSubarray(records, { minLength: records.length }), (shuffled) => {
        expect(newestFirst(shuffled)).toEqual(newestFirst(records));
      }),
    );
  });

  it("groups by day, newest day first", () => {
    expect(groupByDay(records).map(({ day, records }) => [day, ids(records)])).toEqual([
      ["2025-03-20", ["2503.00002"]],
      ["2023-01-05", ["2301.00003", "2301.00001"]],
    ]);
    expect(groupByDay([])).toEqual([]);
  });

  it("filters by topic, by year and by both", () => {
    expect(ids(filterRecords(records, { topic: "video" }))).toEqual(["2301.00001", "2503.00002"]);
    expect(ids(filterRecords(records, { year: 2023 }))).toEqual(["2301.00001", "2301.00003"]);
    expect(ids(filterRecords(records, { topic: "image-text", year: 2023 }))).toEqual(["2301.00003"]);
    expect(filterRecords(records, { topic: "vid" })).toEqual([]);
    expect(filterRecords(records, {})).toEqual(records);
  });
});

describe("searchRecords", () => {
  const records = [
    record({
      id: "2504.12717",
      title: "Post-pre-training for Modality Alignment",
      abstract: "Images and captions move together.",
      authors: [{ name: "José Müller" }],
      topics: ["image-text"],
    }),
    record({ id: "2006.09882", title: "Contrasting Cluster Assignments", abstract: "Clusters of images." }),
  ];

  it.each([
    ["modality", ["2504.12717"]],
    ["captions", ["2504.12717"]],
    ["jose muller", ["2504.12717"]],
    ["MÜLLER josé", ["2504.12717"]],
    ["image-text", ["2504.12717"]],
    ["images", ["2504.12717", "2006.09882"]],
    ["clusters images", ["2006.09882"]],
    ["images clus", ["2006.09882"]],
    ["clus images", []],
    ["lusters", []],
    ["modality cluster", []],
    ["post-pre-train", ["2504.12717"]],
    ["?!", ["2504.12717", "2006.09882"]],
    ["", ["2504.12717", "2006.09882"]],
  ])("finds for %j", (query, expected) => {
    expect(ids(searchRecords(records, query))).toEqual(expected);
  });

  it("accepts any text up to the limit and says when it is too long", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: MAX_QUERY_LENGTH / 2 }), (query) => {
        expect(searchRecords(records, query).length).toBeLessThanOrEqual(records.length);
      }),
    );
    expect(() => searchRecords(records, "x".repeat(MAX_QUERY_LENGTH + 1))).toThrow(/200 characters.*201/);
  });

  it("finds each paper of the catalogue by its own title", async () => {
    const catalogue = (await loadCatalogue()).map((card) => fromCard(card, { runnable: false }));
    for (const { id, title } of catalogue) expect(ids(searchRecords(catalogue, title))).toEqual([id]);
  });
});
