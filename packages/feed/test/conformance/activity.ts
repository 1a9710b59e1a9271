import { describe, expect, it } from "vitest";
import { decay, HALF_LIFE_MS, trendingKey } from "../../src/index.ts";
import { account, all, DAY, fixture, HOUR, type OpenStore, papers, refused } from "./support.ts";

const [P0, P1] = ["2601.00000", "2601.00001"];

export function activityConformance(openStore: OpenStore): void {
  const using = fixture(openStore);

  describe("votes", () => {
    it("count once for a person, and can be taken back", () =>
      using(async ({ store }) => {
        await store.papers.upsert(papers(2));
        const actor = { accountId: await account(store, "ada") };
        expect(await store.activity.vote(P0, actor, true)).toEqual({ changed: true, upvotes: 1 });
        expect(await store.activity.vote(P0, actor, true)).toEqual({ changed: false, upvotes: 1 });
        expect(await store.activity.voted(actor.accountId, [P0, P1])).toEqual(new Set([P0]));
        expect(await store.activity.vote(P0, actor, false)).toEqual({ changed: true, upvotes: 0 });
        expect(await store.activity.vote(P0, actor, false)).toEqual({ changed: false, upvotes: 0 });
        expect((await store.papers.get(P0))?.trend).toBeNull();
      }));

    it("of many people at once all count", () =>
      using(async ({ store }) => {
        await store.papers.upsert(papers(1));
        const people = await Promise.all(Array.from({ length: 12 }, (_, n) => account(store, `user-${n}`)));
        await Promise.all(people.map((accountId) => store.activity.vote(P0, { accountId }, true)));
        expect((await store.papers.get(P0))?.upvotes).toBe(12);
      }));

    it("need a paper and an account", () =>
      using(async ({ store }) => {
        await store.papers.upsert(papers(1));
        const ada = await account(store, "ada");
        await refused("not-found", () => store.activity.vote("2601.99999", { accountId: ada }, true));
        await refused("not-found", () => store.activity.vote(P0, { accountId: "nobody" }, true));
      }));

    it("page newest first", () =>
      using(async ({ store, clock }) => {
        const records = papers(7);
        await store.papers.upsert(records);
        const ada = await account(store, "ada");
        for (const { id } of records) {
          await store.activity.vote(id, { accountId: ada }, true);
          clock.pass(1000);
        }
        const votes = await all((page) => store.activity.votes(ada, page));
        expect(votes.map(({ paper }) => paper.id)).toEqual(records.map(({ id }) => id).toReversed());
        expect(await all((page) => store.activity.bookmarks(ada, page))).toEqual([]);
      }));
  });

  describe("trend", () => {
    it("is the key of the decayed sum of weighted events", () =>
      using(async ({ store, clock }) => {
        await store.papers.upsert(papers(1));
        const [ada, bo] = [await account(store, "ada"), await account(store, "bo")];
        clock.pass(2 * DAY);
        const first = clock.time;
        await store.activity.vote(P0, { accountId: ada }, true);
        clock.pass(DAY);
        await store.activity.ran(P0, { accountId: bo });
        // At the second event one other person is active: log2(2 + 1).
        const value = decay(first, clock.time) + 1.5 / Math.log2(3);
        expect((await store.papers.get(P0))?.trend).toBeCloseTo(trendingKey({ value, at: clock.time }), 9);
      }));

    it("counts young accounts for a quarter", () =>
      using(async ({ store, clock }) => {
        await store.papers.upsert(papers(1));
        const ada = await account(store, "ada");
        await store.activity.vote(P0, { accountId: ada }, true);
        expect((await store.papers.get(P0))?.trend).toBeCloseTo(-2 + clock.time / HALF_LIFE_MS, 9);
      }));

    it("counts one vote of an address block and hour", () =>
      using(async ({ store, clock }) => {
        await store.papers.upsert(papers(1));
        const people = [await account(store, "ada"), await account(store, "bo"), await account(store, "cy")];
        clock.pass(2 * DAY);
        await store.activity.vote(P0, { accountId: people[0] as string, block: "b1" }, true);
        const before = await store.papers.get(P0);
        await store.activity.vote(P0, { accountId: people[1] as string, block: "b1" }, true);
        expect(await store.papers.get(P0)).toMatchObject({ upvotes: 2, trend: before?.trend });
        clock.pass(HOUR + 1);
        await store.activity.vote(P0, { accountId: people[2] as string, block: "b1" }, true);
        expect((await store.papers.get(P0))?.trend).toBeGreaterThan(before?.trend as number);
      }));

    it("falls back exactly when a vote is taken back", () =>
      using(async ({ store, clock }) => {
        await store.papers.upsert(papers(1));
        const [ada, bo] = [await account(store, "ada"), await account(store, "bo")];
        await store.activity.vote(P0, { accountId: ada }, true);
        const before = (await store.papers.get(P0))?.trend as number;
        clock.pass(HOUR);
        await store.activity.vote(P0, { accountId: bo }, true);
        clock.pass(DAY);
        await store.activity.vote(P0, { accountId: bo }, false);
        expect((await store.papers.get(P0))?.trend).toBeCloseTo(before, 9);
      }));

    it("says why by the counts of the last 7 days", () =>
      using(async ({ store, clock }) => {
        await store.papers.upsert(papers(2));
        const [ada, bo] = [await account(store, "ada"), await account(store, "bo")];
        await store.activity.vote(P0, { accountId: ada }, true);
        clock.pass(6 * DAY);
        await store.activity.vote(P0, { accountId: bo }, true);
        await store.activity.bookmark(P0, { accountId: bo }, true);
        await store.activity.ran(P0, { accountId: bo });
        await store.activity.ran(P0, { accountId: bo });
        for (const text of ["a", "b"])
          await store.comments.add({ paperId: P0, parentId: null, text, accountId: bo });
        const none = { upvotes: 0, bookmarks: 0, commenters: 0, runs: 0 };
        const why = { upvotes: 2, bookmarks: 1, commenters: 1, runs: 1 };
        expect(await store.activity.why([P0, P1])).toEqual(
          new Map([
            [P0, why],
            [P1, none],
          ]),
        );
        clock.pass(DAY + 1);
        expect((await store.activity.why([P0])).get(P0)).toEqual({ ...why, upvotes: 1 });
      }));
  });

  describe("bookmarks and collections", () => {
    it("keep bookmarks apart from votes", () =>
      using(async ({ store }) => {
        await store.papers.upsert(papers(2));
        const actor = { accountId: await account(store, "ada") };
        expect(await store.activity.bookmark(P0, actor, true)).toEqual({ changed: true });
        expect(await store.activity.bookmark(P0, actor, true)).toEqual({ changed: false });
        expect(await store.papers.get(P0)).toMatchObject({ upvotes: 0, bookmarks: 1 });
        expect(await store.activity.bookmarked(actor.accountId, [P0, P1])).toEqual(new Set([P0]));
      }));

    it("collect papers", () =>
      using(async ({ store, clock }) => {
        await store.papers.upsert(papers(5));
        const ada = await account(store, "ada");
        const made = await store.activity.createCollection({
          accountId: ada,
          name: "To read",
          public: false,
        });
        for (const { id } of papers(5)) {
          clock.pass(1);
          expect(await store.activity.collect(made.id, id, true)).toEqual({ changed: true });
        }
        expect(await store.activity.collect(made.id, P0, true)).toEqual({ changed: false });
        expect(await store.activity.collect(made.id, P1, false)).toEqual({ changed: true });
        expect((await store.activity.collection(made.id))?.papers).toBe(4);
        const listed = await all((page) => store.activity.collected(made.id, page));
        expect(listed.map(({ paper }) => paper.id)).toEqual(["2601.00004", "2601.00003", "2601.00002", P0]);
        expect(await store.activity.removeCollection(made.id)).toBe(true);
        expect(await store.activity.collection(made.id)).toBeNull();
      }));

    it("say which of an account's collections hold a paper", () =>
      using(async ({ store }) => {
        await store.papers.upsert(papers(2));
        const [ada, bo] = [await account(store, "ada"), await account(store, "bo")];
        const make = async (accountId: string, name: string) =>
          (await store.activity.createCollection({ accountId, name, public: true })).id;
        const [one, two, his] = [await make(ada, "one"), await make(ada, "two"), await make(bo, "his")];
        for (const id of [one, his]) await store.activity.collect(id, P0, true);
        await store.activity.collect(two, P1, true);
        expect(await store.activity.collectionsHolding(ada, P0)).toEqual(new Set([one]));
        expect(await store.activity.collectionsHolding(ada, P1)).toEqual(new Set([two]));
        expect(await store.activity.collectionsHolding(bo, P1)).toEqual(new Set());
        expect(await store.activity.collectionsHolding(ada, "2601.99999")).toEqual(new Set());
        await store.activity.collect(one, P0, false);
        expect(await store.activity.collectionsHolding(ada, P0)).toEqual(new Set());
      }));

    it("keep names apart within an account", () =>
      using(async ({ store }) => {
        const [ada, bo] = [await account(store, "ada"), await account(store, "bo")];
        const one = await store.activity.createCollection({ accountId: ada, name: "b", public: false });
        await store.activity.createCollection({ accountId: bo, name: "b", public: true });
        const two = await store.activity.createCollection({ accountId: ada, name: "a", public: false });
        await refused("conflict", () =>
          store.activity.createCollection({ accountId: ada, name: "a", public: true }),
        );
        await refused("conflict", () => store.activity.updateCollection(one.id, { name: "a" }));
        expect(await store.activity.updateCollection(one.id, { name: "c", public: true })).toMatchObject({
          name: "c",
          public: true,
        });
        expect((await store.activity.collections(ada)).map(({ id }) => id)).toEqual([two.id, one.id]);
        await refused("invalid", () =>
          store.activity.createCollection({ accountId: ada, name: "", public: true }),
        );
        await refused("not-found", () => store.activity.collect("none", P0, true));
      }));
  });

  describe("comments", () => {
    const text = "A **comment**.";
    async function thread({ store }: Parameters<Parameters<typeof using>[0]>[0]) {
      await store.papers.upsert(papers(2));
      const ada = await account(store, "ada");
      const first = await store.comments.add({ paperId: P0, parentId: null, text, accountId: ada });
      return { ada, first };
    }

    it("answer one level deep", () =>
      using(async (given) => {
        const { store, clock } = given;
        const { ada, first } = await thread(given);
        clock.pass(1);
        const second = await store.comments.add({
          paperId: P0,
          parentId: first.id,
          text: "yes",
          accountId: ada,
        });
        clock.pass(1);
        const third = await store.comments.add({
          paperId: P0,
          parentId: second.id,
          text: "no",
          accountId: ada,
        });
        expect([second.parentId, third.parentId]).toEqual([first.id, first.id]);
        expect(await all((page) => store.comments.ofPaper(P0, page), 2)).toEqual([first, second, third]);
        expect((await store.papers.get(P0))?.comments).toBe(3);
        expect((await store.comments.latest({ limit: 1 })).items).toEqual([third]);
        await refused(
          "invalid",
          () => store.comments.add({ paperId: P1, parentId: first.id, text, accountId: ada }),
          /another paper/,
        );
      }));

    it.each(["", "  \n ", "x".repeat(65_537), "\ud800"])("refuse a text like %.5j", (wrong) =>
      using(async (given) => {
        const { ada, first } = await thread(given);
        await refused("invalid", () =>
          given.store.comments.add({ paperId: P0, parentId: null, text: wrong, accountId: ada }),
        );
        await refused("invalid", () => given.store.comments.edit(first.id, wrong));
      }),
    );

    it("keep their history until they are removed", () =>
      using(async (given) => {
        const { store, clock } = given;
        const { ada, first } = await thread(given);
        clock.pass(1000);
        expect(await store.comments.edit(first.id, "two")).toMatchObject({
          text: "two",
          edits: 1,
          editedAt: clock.time,
        });
        clock.pass(1000);
        await store.comments.edit(first.id, "three");
        expect(await store.comments.edit(first.id, "three")).toMatchObject({ edits: 2 });
        expect((await store.comments.history(first.id)).map((version) => version.text)).toEqual([
          text,
          "two",
        ]);
        expect(await store.comments.remove(first.id)).toBe(true);
        expect(await store.comments.remove(first.id)).toBe(false);
        expect(await store.comments.history(first.id)).toEqual([]);
        expect(await store.comments.get(first.id)).toMatchObject({
          text: "",
          state: "removed",
          accountId: ada,
        });
        expect((await store.papers.get(P0))?.comments).toBe(0);
        expect((await store.comments.ofPaper(P0)).items).toHaveLength(1);
        expect((await store.comments.ofAccount(ada)).items).toEqual([]);
        await refused("conflict", () => store.comments.edit(first.id, "four"));
      }));

    it("are reported once for a person, and settled by moderation", () =>
      using(async (given) => {
        const { store } = given;
        const { ada, first } = await thread(given);
        const bo = await account(store, "bo");
        const report = await store.comments.report({ commentId: first.id, reporterId: bo, reason: "spam" });
        expect(await store.comments.report({ commentId: first.id, reporterId: bo, reason: "again" })).toEqual(
          report,
        );
        expect((await store.comments.reports({ state: "open" })).items).toEqual([report]);
        const hidden = await store.comments.moderate({
          commentId: first.id,
          moderatorId: ada,
          hide: true,
          reason: "spam",
        });
        expect(hidden).toMatchObject({ state: "hidden", text });
        expect((await store.papers.get(P0))?.comments).toBe(0);
        expect((await store.comments.reports()).items).toMatchObject([{ state: "upheld" }]);
        await store.comments.moderate({ commentId: first.id, moderatorId: ada, hide: false, reason: "" });
        expect((await store.papers.get(P0))?.comments).toBe(1);
        const log = (await store.comments.moderationLog()).items;
        expect(new Set(log.map(({ action }) => action))).toEqual(new Set(["hide-comment", "show-comment"]));
        expect(log[0]).toMatchObject({ moderatorId: ada, subject: `comment:${first.id}` });
      }));

    it("stay removed whatever moderation does", () =>
      using(async (given) => {
        const { ada, first } = await thread(given);
        await given.store.comments.remove(first.id);
        await refused("conflict", () =>
          given.store.comments.moderate({ commentId: first.id, moderatorId: ada, hide: false, reason: "" }),
        );
      }));
  });
}
