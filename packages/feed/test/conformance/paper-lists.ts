import { describe, expect, it } from "vitest";
import { account, all, fixture, ids, type OpenStore, paper, papers, refused } from "./support.ts";

export function paperListsConformance(openStore: OpenStore): void {
  const using = fixture(openStore);

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

    it("leaves papers out at the beginning, in every order and behind a cursor", () =>
      using(async ({ store, clock }) => {
        await store.papers.upsert(papers(12));
        const ada = await account(store, "ada");
        for (const id of ["2601.00003", "2601.00008"]) {
          await store.activity.vote(id, { accountId: ada }, true);
          clock.pass(60_000);
        }
        for (const order of ["newest", "top", "trending"] as const) {
          const whole = ids((await store.papers.list({ order, limit: 50 })).items);
          for (const skip of [0, 1, 5, 12, 20_000]) {
            expect(ids((await store.papers.list({ order, skip, limit: 50 })).items)).toEqual(
              whole.slice(skip),
            );
          }
        }
        const { next, items } = await store.papers.list({ skip: 2, limit: 3 });
        const after = await store.papers.list({ cursor: next as string, skip: 4 });
        expect(ids([...items, ...after.items])).toEqual(
          ids([...papers(12).toReversed().slice(2, 5), ...papers(12).toReversed().slice(9)]),
        );
      }));

    it.each([-1, 1.5, 20_001, Number.NaN])("refuses to leave out %j", (skip) =>
      using(async ({ store }) => {
        await refused("invalid", () => store.papers.list({ skip }), /skip/);
      }),
    );

    it("tells papers with events from those without", () =>
      using(async ({ store }) => {
        await store.papers.upsert(papers(6));
        const ada = await account(store, "ada");
        await store.activity.vote("2601.00002", { accountId: ada }, true);
        const listed = async (hasEvents: boolean) =>
          ids((await store.papers.list({ filter: { hasEvents } })).items);
        expect(await listed(true)).toEqual(["2601.00002"]);
        expect(await listed(false)).toEqual(ids(papers(6).toReversed()).filter((id) => id !== "2601.00002"));
        expect(await store.papers.count({ hasEvents: false })).toBe(5);
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
}
