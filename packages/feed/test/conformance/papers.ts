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

  describe("lists", () => {
    it("pages newest first, undated last, without gap or repetition", () =>
      using(async ({ store }) => {
        const records = [
          ...papers(20),
          paper({ id: "2512.00001", announced: null }),
          paper({ id: "2512.00002", announced: null }),
        ];
        await store.papers.upsert(records.toReversed());
        const expected = [...papers(20).toReversed(), { id: "2512.00002" }, { id: "2512.00001" }];
        for (const limit of [1, 3, 7, 200]) {
          expect(ids(await all((page) => store.papers.list(page), limit))).toEqual(ids(expected));
        }
      }));

    it("neither repeats nor hides when papers come in between pages", () =>
      using(async ({ store }) => {
        await store.papers.upsert(papers(10));
        const first = await store.papers.list({ limit: 4 });
        await store.papers.upsert([paper({ id: "2612.00001", announced: "2026-12-01" })]);
        const second = await store.papers.list({ limit: 10, cursor: first.next as string });
        expect(ids([...first.items, ...second.items])).toEqual(ids(papers(10).toReversed()));
      }));

    it("sorts days by votes, then trend, then id", () =>
      using(async ({ store, clock }) => {
        await store.papers.upsert(papers(5, 5));
        const [ada, bo] = [await account(store, "ada"), await account(store, "bo")];
        for (const id of ["2601.00001", "2601.00003"])
          await store.activity.vote(id, { accountId: ada }, true);
        clock.pass(1000);
        await store.activity.vote("2601.00001", { accountId: bo }, true);
        await store.activity.bookmark("2601.00000", { accountId: bo }, true);
        const day = { from: "2026-01-01", to: "2026-01-01" };
        const expected = ["2601.00001", "2601.00003", "2601.00000", "2601.00004", "2601.00002"];
        expect(
          ids(await all((page) => store.papers.list({ ...page, order: "top", filter: day }), 2)),
        ).toEqual(expected);
      }));

    it("lists as trending only what has events", () =>
      using(async ({ store, clock }) => {
        await store.papers.upsert(papers(9));
        const ada = await account(store, "ada");
        for (const id of ["2601.00002", "2601.00007", "2601.00004"]) {
          await store.activity.vote(id, { accountId: ada }, true);
          clock.pass(60_000);
        }
        const expected = ["2601.00004", "2601.00007", "2601.00002"];
        expect(ids(await all((page) => store.papers.list({ ...page, order: "trending" }), 2))).toEqual(
          expected,
        );
      }));

    it.each(["", "x", "bm9uc2Vuc2U", "W10", "WyJuZXdlc3QiLDFd"])("refuses the cursor %j", (cursor) =>
      using(async ({ store }) => {
        await refused("invalid", () => store.papers.list({ cursor }), /cursor/);
      }),
    );

    it("refuses the cursor of another list", () =>
      using(async ({ store }) => {
        await store.papers.upsert(papers(5));
        const { next } = await store.papers.list({ limit: 2 });
        await refused("invalid", () => store.papers.list({ order: "top", cursor: next as string }));
      }));

    it.each([0, -1, 1.5, 201, Number.NaN])("refuses the limit %j", (limit) =>
      using(async ({ store }) => {
        await refused("invalid", () => store.papers.list({ limit }), /limit/);
      }),
    );
  });

  describe("filters", () => {
    const records = [
      paper({
        id: "2601.00001",
        announced: "2026-01-01",
        categories: ["cs.CV", "cs.LG"],
        topics: ["video"],
        authors: [{ name: "José Müller" }],
      }),
      paper({
        id: "2601.00002",
        announced: "2026-01-02",
        categories: ["stat.ML"],
        links: { code: "https://a.b" },
        authors: [{ name: "Jose Muller" }],
      }),
      paper({
        id: "2601.00003",
        announced: "2026-01-03",
        categories: ["cs.LG"],
        topics: ["video", "text"],
        runnable: true,
        slug: "x",
      }),
      paper({ id: "2601.00004", announced: null, categories: ["math-ph"], topics: ["text"] }),
    ];
    it.each([
      [{}, [3, 2, 1, 4]],
      [{ category: "cs.LG" }, [3, 1]],
      [{ category: "cs" }, [3, 1]],
      [{ category: "math-ph" }, [4]],
      [{ category: "c" }, []],
      [{ topic: "video" }, [3, 1]],
      [{ topic: "video", category: "cs.CV" }, [1]],
      [{ author: "jose muller" }, [2, 1]],
      [{ author: "nobody" }, []],
      [{ hasCode: true }, [2]],
      [{ hasCode: false, category: "cs" }, [3, 1]],
      [{ runnable: true }, [3]],
      [{ runnable: false }, [2, 1, 4]],
      [{ from: "2026-01-02" }, [3, 2]],
      [{ to: "2026-01-02" }, [2, 1]],
      [{ from: "2026-01-02", to: "2026-01-02" }, [2]],
      [{ category: "cs", to: "2026-01-02", author: "José Müller" }, [1]],
      [{ topic: "'; drop table papers; --" }, []],
    ])("%j", (filter, expected) =>
      using(async ({ store }) => {
        await store.papers.upsert(records);
        const wanted = expected.map((n) => `2601.0000${n}`);
        expect(ids(await all((page) => store.papers.list({ ...page, filter }), 2))).toEqual(wanted);
        expect(await store.papers.count(filter)).toBe(wanted.length);
      }),
    );

    it.each(["2026-13-01", "2026-02-30", "today", "20260101"])("refuses the day %j", (from) =>
      using(async ({ store }) => {
        await refused("invalid", () => store.papers.list({ filter: { from } }), /from: expected a day/);
      }),
    );

    it("counts categories with their archives, and topics", () =>
      using(async ({ store }) => {
        await store.papers.upsert(records);
        expect(await store.papers.topics()).toEqual([
          { value: "text", papers: 2 },
          { value: "video", papers: 2 },
        ]);
        expect((await store.papers.categories()).slice(0, 2)).toEqual([
          { value: "cs", papers: 2 },
          { value: "cs.LG", papers: 2 },
        ]);
      }));
  });

  describe("periods", () => {
    const records = [
      paper({ id: "2601.00001", announced: "2026-01-02", categories: ["cs.CV"] }),
      paper({ id: "2601.00002", announced: "2026-01-09" }),
      paper({ id: "2601.00003", announced: "2026-01-09" }),
      paper({ id: "2603.00001", announced: "2026-03-31", categories: ["cs.CV"] }),
      paper({ id: "2603.00002", announced: null }),
    ];
    const day = {
      kind: "day",
      key: "2026-01-09",
      from: "2026-01-09",
      to: "2026-01-09",
      papers: 2,
      previous: "2026-01-02",
      next: "2026-03-31",
    };
    it.each([
      ["day", "2026-01-09", day],
      ["day", "2026-02-15", day],
      [
        "day",
        undefined,
        {
          ...day,
          key: "2026-03-31",
          from: "2026-03-31",
          to: "2026-03-31",
          papers: 1,
          previous: "2026-01-09",
          next: null,
        },
      ],
      [
        "day",
        "2025-01-01",
        {
          ...day,
          key: "2026-01-02",
          from: "2026-01-02",
          to: "2026-01-02",
          papers: 1,
          previous: null,
          next: "2026-01-09",
        },
      ],
      [
        "week",
        "2026-W01",
        {
          kind: "week",
          key: "2026-W01",
          from: "2025-12-29",
          to: "2026-01-04",
          papers: 1,
          previous: null,
          next: "2026-W02",
        },
      ],
      [
        "week",
        "2026-01-12",
        {
          kind: "week",
          key: "2026-W02",
          from: "2026-01-05",
          to: "2026-01-11",
          papers: 2,
          previous: "2026-W01",
          next: "2026-W14",
        },
      ],
      [
        "month",
        "2026-02",
        {
          kind: "month",
          key: "2026-01",
          from: "2026-01-01",
          to: "2026-01-31",
          papers: 3,
          previous: null,
          next: "2026-03",
        },
      ],
    ] as const)("%s at %j", (kind, at, expected) =>
      using(async ({ store }) => {
        await store.papers.upsert(records);
        expect(await store.papers.period(kind, { at })).toEqual(expected);
      }),
    );

    it("follow the filter", () =>
      using(async ({ store }) => {
        await store.papers.upsert(records);
        const filter = { category: "cs.CV" };
        expect(await store.papers.period("day", { at: "2026-01-09", filter })).toMatchObject({
          key: "2026-01-02",
          next: "2026-03-31",
        });
        expect(await store.papers.period("day", { filter: { category: "none" } })).toBeNull();
      }));

    it("are none in an empty store, and need a proper key", () =>
      using(async ({ store }) => {
        expect(await store.papers.period("month")).toBeNull();
        await refused("invalid", () => store.papers.period("week", { at: "2026-W54" }));
        await refused("invalid", () => store.papers.period("week", { at: "2026-W00" }));
        await refused("invalid", () => store.papers.period("day", { at: "2026-01" }));
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
