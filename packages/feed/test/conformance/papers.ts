import { describe, expect, it } from "vitest";
import { localId } from "../../src/index.ts";
import { account, all, fixture, ids, type OpenStore, paper, papers, refused } from "./support.ts";

export function papersConformance(openStore: OpenStore): void {
  const using = fixture(openStore);

  describe("upsert", () => {
    it("keeps a record as it came", () =>
      using(async ({ store, clock }) => {
        const record = paper({
          id: "2504.12717",
          title: "Gap",
          authors: [{ name: "Ada", affiliation: "X" }, { name: "Bo" }],
          authorCount: 5,
          published: "2025-04-17",
          version: 2,
          versions: [
            { version: 1, date: "2025-04-17" },
            { version: 2, date: null },
          ],
          categories: ["cs.CV"],
          topics: ["image-text"],
          links: { code: "https://example.org/code" },
          doi: "10.1/x",
        });
        expect(await store.papers.upsert([record])).toEqual([{ id: "2504.12717", outcome: "inserted" }]);
        expect(await store.papers.get("2504.12717")).toEqual({
          ...record,
          day: "2026-11-20",
          upvotes: 0,
          comments: 0,
          bookmarks: 0,
          trend: null,
          addedAt: clock.time,
          revision: 1,
          textHash: expect.stringMatching(/^[0-9a-f]{64}$/),
        });
      }));

    it("changes nothing the second time", () =>
      using(async ({ store }) => {
        const records = papers(70);
        await store.papers.upsert(records);
        const revision = await store.papers.revision();
        const again = await store.papers.upsert(records);
        expect(new Set(again.map(({ outcome }) => outcome))).toEqual(new Set(["unchanged"]));
        expect(await store.papers.revision()).toBe(revision);
        expect(await store.papers.count()).toBe(70);
      }));

    it("takes the same record several times in one call", () =>
      using(async ({ store }) => {
        const record = paper({ id: "2601.00001" });
        const results = await store.papers.upsert([record, record, { ...record, title: "Other" }]);
        expect(results.map(({ outcome }) => outcome)).toEqual(["inserted", "unchanged", "updated"]);
        expect((await store.papers.get("2601.00001"))?.title).toBe("Other");
      }));

    it("updates, with a new revision, lists and search", () =>
      using(async ({ store }) => {
        await store.papers.upsert([paper({ id: "2601.00001", title: "Alpha", categories: ["cs.CV"] })]);
        const before = await store.papers.get("2601.00001");
        await store.papers.upsert([paper({ id: "2601.00001", title: "Beta", categories: ["cs.LG"] })]);
        const after = await store.papers.get("2601.00001");
        expect(after?.revision).toBeGreaterThan(before?.revision ?? 0);
        expect(after?.textHash).not.toBe(before?.textHash);
        expect(await store.papers.count({ category: "cs.CV" })).toBe(0);
        expect(await store.papers.count({ category: "cs.LG" })).toBe(1);
        expect((await store.text.search("alpha")).hits).toEqual([]);
        expect(ids((await store.text.search("beta")).hits)).toEqual(["2601.00001"]);
      }));

    it("never loses what a later record leaves open", () =>
      using(async ({ store }) => {
        await store.papers.upsert([
          paper({ id: "2601.00001", comment: "8 pages", links: { pdf: "https://a.b/c" } }),
        ]);
        await store.papers.upsert([paper({ id: "2601.00001", doi: "10.1/x", sources: ["other"] })]);
        expect(await store.papers.get("2601.00001")).toMatchObject({
          comment: "8 pages",
          doi: "10.1/x",
          links: { pdf: "https://a.b/c" },
          sources: ["other", "test"],
        });
      }));

    it("does not go back to an older version", () =>
      using(async ({ store }) => {
        await store.papers.upsert([paper({ id: "2601.00001", title: "Second", version: 2 })]);
        await store.papers.upsert([paper({ id: "2601.00001", title: "First", version: 1 })]);
        expect(await store.papers.get("2601.00001")).toMatchObject({ title: "Second", version: 2 });
      }));

    it("keeps the first announcement", () =>
      using(async ({ store }) => {
        await store.papers.upsert([paper({ id: "2601.00001", announced: "2026-01-05" })]);
        await store.papers.upsert([paper({ id: "2601.00001", announced: "2026-03-01" })]);
        expect((await store.papers.get("2601.00001"))?.day).toBe("2026-01-05");
      }));

    it("names the record and the field of what it refuses, and writes nothing", () =>
      using(async ({ store }) => {
        const bad = { ...paper({ id: "2601.00002" }), title: " " };
        await refused(
          "invalid",
          () => store.papers.upsert([paper({ id: "2601.00001" }), bad]),
          /records\[1\]\.title/,
        );
        expect(await store.papers.count()).toBe(0);
      }));

    it("keeps any text", () =>
      using(async ({ store }) => {
        const title = "Ünï — 深度學習 \u{1f600} $x_i$ <b>'\"; drop table papers; --";
        await store.papers.upsert([paper({ id: "2601.00001", title })]);
        expect((await store.papers.get("2601.00001"))?.title).toBe(title);
      }));

    it("accepts an empty list", () =>
      using(async ({ store }) => {
        expect(await store.papers.upsert([])).toEqual([]);
      }));
  });

  describe("papers without arXiv id", () => {
    const title = "Contrast and Mix: Temporal Things";
    const local = paper({ id: localId(title), title, announced: null, authorCount: 5 });

    it("join the arXiv id that comes later, with all that hangs on them", () =>
      using(async ({ store }) => {
        const ada = await account(store, "ada");
        await store.papers.upsert([local]);
        await store.activity.vote(local.id, { accountId: ada }, true);
        const made = await store.papers.upsert([paper({ id: "2110.15128", title: title.toUpperCase() })]);
        expect(made).toEqual([{ id: "2110.15128", outcome: "updated", merged: local.id }]);
        expect(await store.papers.count()).toBe(1);
        expect(await store.papers.get(local.id)).toMatchObject({
          id: "2110.15128",
          upvotes: 1,
          authorCount: 5,
        });
        expect(await store.activity.voted(ada, ["2110.15128"])).toEqual(new Set(["2110.15128"]));
      }));

    it("join the paper that is there already, and only fill its gaps", () =>
      using(async ({ store }) => {
        await store.papers.upsert([paper({ id: "2110.15128", title, abstract: "Real." })]);
        expect(await store.papers.upsert([local])).toEqual([{ id: "2110.15128", outcome: "updated" }]);
        expect(await store.papers.get("2110.15128")).toMatchObject({ abstract: "Real.", authorCount: 5 });
        expect(await store.papers.upsert([local])).toEqual([{ id: "2110.15128", outcome: "unchanged" }]);
      }));

    it("stay merged when they come again under the old id", () =>
      using(async ({ store }) => {
        await store.papers.upsert([local]);
        await store.papers.upsert([paper({ id: "2110.15128", title })]);
        const again = await store.papers.upsert([local]);
        expect(again.map(({ id }) => id)).toEqual(["2110.15128"]);
        expect(await store.papers.count()).toBe(1);
        expect(ids(await store.papers.getMany([local.id]))).toEqual(["2110.15128"]);
      }));

    it("merge within one call, in either order", () =>
      using(async ({ store }) => {
        const real = paper({ id: "2110.15128", title });
        const other = "Another One Entirely";
        await store.papers.upsert([
          local,
          real,
          paper({ id: "2110.00001", title: other }),
          paper({ id: localId(other), title: other }),
        ]);
        expect(ids(await all((page) => store.papers.list(page))).sort()).toEqual([
          "2110.00001",
          "2110.15128",
        ]);
      }));

    it("unite votes and comments of two rows of one paper", () =>
      using(async ({ store }) => {
        const [ada, bo] = [await account(store, "ada"), await account(store, "bo")];
        // The same paper under two titles: the second one becomes the first's later.
        await store.papers.upsert([local, paper({ id: "2110.15128", title: "Old title" })]);
        await store.activity.vote(local.id, { accountId: ada }, true);
        await store.activity.vote("2110.15128", { accountId: ada }, true);
        await store.activity.vote("2110.15128", { accountId: bo }, true);
        await store.comments.add({ paperId: local.id, parentId: null, text: "hi", accountId: ada });
        const [result] = await store.papers.upsert([paper({ id: "2110.15128", title })]);
        expect(result).toEqual({ id: "2110.15128", outcome: "updated", merged: local.id });
        expect(await store.papers.get(local.id)).toMatchObject({ id: "2110.15128", upvotes: 2, comments: 1 });
        expect(await store.papers.count()).toBe(1);
        expect((await store.text.search("temporal things")).hits).toHaveLength(1);
      }));

    it("leave papers of one title and different arXiv ids apart", () =>
      using(async ({ store }) => {
        await store.papers.upsert([paper({ id: "2110.00001", title }), paper({ id: "2110.00002", title })]);
        expect(await store.papers.count()).toBe(2);
      }));
  });

  describe("reading", () => {
    it("gives null for what is not there", () =>
      using(async ({ store }) => {
        expect(await store.papers.get("2601.99999")).toBeNull();
        expect(await store.papers.bySlug("none")).toBeNull();
        expect(await store.papers.getMany([])).toEqual([]);
      }));

    it("gives many in the order asked for", () =>
      using(async ({ store }) => {
        await store.papers.upsert(papers(5));
        const found = await store.papers.getMany(["2601.00003", "2601.77777", "2601.00000"]);
        expect(ids(found)).toEqual(["2601.00003", "2601.00000"]);
        await refused("invalid", () => store.papers.getMany(Array.from({ length: 501 }, String)));
      }));
  });

  describe("changes, marks and removal", () => {
    it("gives changes in their order, so that a copy misses none", () =>
      using(async ({ store }) => {
        await store.papers.upsert(papers(7));
        await store.papers.upsert([paper({ id: "2601.00002", announced: "2026-01-01", title: "New" })]);
        const copied = new Map<string, string>();
        for (let after = 0; ; ) {
          const some = await store.papers.changes({ after, limit: 3 });
          if (some.length === 0) break;
          for (const { id, title, revision } of some) {
            expect(revision).toBeGreaterThan(after);
            after = revision;
            copied.set(id, title);
          }
        }
        expect(copied.size).toBe(7);
        expect(copied.get("2601.00002")).toBe("New");
        expect(await store.papers.revision()).toBe(8);
      }));

    it("marks papers of the catalogue, and unmarks the others", () =>
      using(async ({ store }) => {
        await store.papers.upsert(papers(3));
        const mark = (id: string, slug: string, runnable: boolean) => ({ id, slug, runnable });
        expect(
          await store.papers.markCatalogue([mark("2601.00000", "a", true), mark("2601.00001", "b", false)]),
        ).toBe(2);
        expect(await store.papers.bySlug("a")).toMatchObject({ id: "2601.00000", runnable: true });
        // The slug moves to another paper.
        expect(await store.papers.markCatalogue([mark("2601.00001", "a", true)])).toBe(2);
        expect(await store.papers.bySlug("a")).toMatchObject({ id: "2601.00001", runnable: true });
        expect(await store.papers.get("2601.00000")).not.toHaveProperty("slug");
        expect(await store.papers.count({ runnable: true })).toBe(1);
        expect(await store.papers.markCatalogue([mark("2601.00001", "a", true)])).toBe(0);
      }));

    it("removes a paper with everything that hangs on it", () =>
      using(async ({ store }) => {
        const ada = await account(store, "ada");
        await store.papers.upsert(papers(2, 3, { topics: ["video"], authors: [{ name: "Grace Hopper" }] }));
        await store.activity.vote("2601.00000", { accountId: ada }, true);
        await store.comments.add({ paperId: "2601.00000", parentId: null, text: "hi", accountId: ada });
        const collection = await store.activity.createCollection({
          accountId: ada,
          name: "c",
          public: false,
        });
        await store.activity.collect(collection.id, "2601.00000", true);
        expect(await store.papers.remove("2601.00000")).toBe(true);
        expect(await store.papers.remove("2601.00000")).toBe(false);
        expect(await store.papers.count({ topic: "video" })).toBe(1);
        expect((await store.text.search("title")).hits).toHaveLength(1);
        expect((await store.comments.latest()).items).toEqual([]);
        expect((await store.activity.collection(collection.id))?.papers).toBe(0);
        expect(await store.text.authors("Grace Hopper")).toMatchObject([{ papers: 1 }]);
      }));
  });
}
