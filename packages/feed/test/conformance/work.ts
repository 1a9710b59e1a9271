import { loadCatalogue } from "@concord/papers";
import { describe, expect, it } from "vitest";
import { syncCatalogue } from "../../src/index.ts";
import { account, all, DAY, fixture, HOUR, ids, type OpenStore, paper, papers, refused } from "./support.ts";

export function workConformance(openStore: OpenStore): void {
  const using = fixture(openStore);

  describe("jobs", () => {
    it("run once, in the order in which they are due", () =>
      using(async ({ store, clock }) => {
        const late = await store.jobs.add({ queue: "q", payload: { n: 2 }, runAt: clock.time + HOUR });
        const soon = await store.jobs.add({ queue: "q", payload: { n: 1 } });
        await store.jobs.add({ queue: "other" });
        const leased = await store.jobs.lease(["q"], 1000);
        expect(leased).toMatchObject({ id: soon.job.id, payload: { n: 1 }, attempts: 1, state: "running" });
        expect(await store.jobs.lease(["q"], 1000)).toBeNull();
        expect(await store.jobs.done(leased as NonNullable<typeof leased>)).toBe(true);
        expect(await store.jobs.done(leased as NonNullable<typeof leased>)).toBe(false);
        clock.pass(HOUR);
        expect((await store.jobs.lease(["q", "x"], 1000))?.id).toBe(late.job.id);
        expect(await store.jobs.lease([], 1000)).toBeNull();
      }));

    it("have at most one unfinished job a key", () =>
      using(async ({ store, clock }) => {
        const first = await store.jobs.add({ queue: "q", key: "k", runAt: clock.time + HOUR });
        const second = await store.jobs.add({ queue: "q", key: "k", runAt: clock.time });
        expect(second).toMatchObject({ added: false, job: { id: first.job.id, runAt: clock.time } });
        expect((await store.jobs.add({ queue: "p", key: "k" })).added).toBe(true);
        const leased = await store.jobs.lease(["q"], 1000);
        expect((await store.jobs.add({ queue: "q", key: "k" })).added).toBe(false);
        await store.jobs.done(leased as NonNullable<typeof leased>);
        expect((await store.jobs.add({ queue: "q", key: "k" })).added).toBe(true);
      }));

    it("go to one worker of many", () =>
      using(async ({ store }) => {
        await store.jobs.add({ queue: "q" });
        const leased = await Promise.all(Array.from({ length: 5 }, () => store.jobs.lease(["q"], 1000)));
        expect(leased.filter((job) => job !== null)).toHaveLength(1);
      }));

    it("come back when their worker dies, until the attempts are used up", () =>
      using(async ({ store, clock }) => {
        const { job } = await store.jobs.add({ queue: "q", maxAttempts: 2 });
        const first = await store.jobs.lease(["q"], 1000);
        clock.pass(500);
        expect(await store.jobs.renew(first as NonNullable<typeof first>, 1000)).toBe(true);
        clock.pass(900);
        expect(await store.jobs.lease(["q"], 1000)).toBeNull();
        clock.pass(101);
        expect((await store.jobs.lease(["q"], 1000))?.attempts).toBe(2);
        expect(await store.jobs.renew(first as NonNullable<typeof first>, 1000)).toBe(false);
        expect(await store.jobs.done(first as NonNullable<typeof first>)).toBe(false);
        clock.pass(1001);
        expect(await store.jobs.lease(["q"], 1000)).toBeNull();
        expect(await store.jobs.get(job.id)).toMatchObject({
          state: "failed",
          attempts: 2,
          finishedAt: clock.time,
        });
      }));

    it("are tried again after a failure, and say what happened", () =>
      using(async ({ store, clock }) => {
        const { job } = await store.jobs.add({ queue: "q", maxAttempts: 2 });
        const first = await store.jobs.lease(["q"], 1000);
        expect(await store.jobs.failed(first as NonNullable<typeof first>, "boom", clock.time + HOUR)).toBe(
          true,
        );
        expect(await store.jobs.get(job.id)).toMatchObject({
          state: "waiting",
          lastError: "boom",
          runAt: clock.time + HOUR,
        });
        clock.pass(HOUR);
        const second = await store.jobs.lease(["q"], 1000);
        await store.jobs.failed(second as NonNullable<typeof second>, "again", clock.time + HOUR);
        expect(await store.jobs.get(job.id)).toMatchObject({ state: "failed", lastError: "again" });
      }));

    it("are listed and pruned", () =>
      using(async ({ store, clock }) => {
        for (let n = 0; n < 5; n++) {
          clock.pass(1);
          await store.jobs.add({ queue: "q", payload: n });
        }
        const job = await store.jobs.lease(["q"], 1000);
        await store.jobs.done(job as NonNullable<typeof job>);
        expect((await all((page) => store.jobs.list(page), 2)).map(({ payload }) => payload)).toEqual([
          4, 3, 2, 1, 0,
        ]);
        expect(await all((page) => store.jobs.list({ ...page, state: "done", queue: "q" }))).toHaveLength(1);
        clock.pass(DAY);
        expect(await store.jobs.prune(clock.time)).toBe(1);
        expect(await store.jobs.prune(clock.time)).toBe(0);
      }));

    it.each([{ queue: "No queue" }, { queue: "q", maxAttempts: 0 }, { queue: "q", runAt: Number.NaN }])(
      "refuse %j",
      (job) =>
        using(async ({ store }) => {
          await refused("invalid", () => store.jobs.add(job), /job\./);
        }),
    );
  });

  describe("intake", () => {
    it("remembers where a source stands", () =>
      using(async ({ store }) => {
        expect(await store.intake.state("arxiv")).toMatchObject({
          cursor: null,
          etag: null,
          succeededAt: null,
        });
        await store.intake.save("arxiv", { cursor: { token: "x" }, etag: '"1"' });
        expect(await store.intake.save("arxiv", { notBefore: 5 })).toMatchObject({
          cursor: { token: "x" },
          etag: '"1"',
          notBefore: 5,
        });
        expect(await store.intake.save("arxiv", { etag: null, cursor: null })).toMatchObject({
          cursor: null,
          etag: null,
          notBefore: 5,
        });
        await store.intake.save("a-source", {});
        expect((await store.intake.states()).map(({ source }) => source)).toEqual(["a-source", "arxiv"]);
      }));

    it("keeps one rejection a record, newest first", () =>
      using(async ({ store }) => {
        const row = (ref: string, reason: string) => ({ source: "s", ref, reason, sample: "" });
        await store.intake.reject([row("1", "old"), row("2", "two")]);
        await store.intake.reject([
          row("1", "new"),
          { ...row("3", "x".repeat(5000)), source: "t", sample: "y\0".repeat(9000) },
        ]);
        const found = await all((page) => store.intake.rejections(page), 2);
        expect(found.map(({ ref, reason }) => [ref, reason.slice(0, 3)])).toEqual([
          ["3", "xxx"],
          ["1", "new"],
          ["2", "two"],
        ]);
        expect([found[0]?.reason.length, found[0]?.sample.length]).toEqual([1000, 2000]);
        await store.intake.accept("s", ["1", "9"]);
        expect((await store.intake.rejections({ source: "s" })).items.map(({ ref }) => ref)).toEqual(["2"]);
      }));

    it("keeps the newest 10,000 rejections", () =>
      using(async ({ store }) => {
        const rows = Array.from({ length: 10_050 }, (_, n) => ({
          source: "s",
          ref: String(n),
          reason: "r",
          sample: "",
        }));
        await store.intake.reject(rows);
        expect(await all((page) => store.intake.rejections(page), 200)).toHaveLength(10_000);
      }));
  });

  describe("settings", () => {
    it("keep values of any JSON type", () =>
      using(async ({ store }) => {
        for (const value of [null, true, 0, "text", [1, { a: null }], {}]) {
          await store.settings.set("key", value);
          expect(await store.settings.get("key")).toEqual(value);
        }
        expect(await store.settings.get("other")).toBeUndefined();
        expect(await store.settings.remove("key")).toBe(true);
        expect(await store.settings.remove("key")).toBe(false);
      }));

    it("are set once by many at once", () =>
      using(async ({ store }) => {
        const values = await Promise.all(
          ["a", "b", "c"].map((value) => store.settings.setOnce("secret", value)),
        );
        expect(new Set(values).size).toBe(1);
        expect(await store.settings.setOnce("secret", "d")).toBe(values[0]);
      }));
  });

  describe("transactions", () => {
    it("happen as a whole", () =>
      using(async ({ store }) => {
        await store.transaction(async (ports) => {
          await ports.papers.upsert(papers(100));
          await ports.intake.save("s", { cursor: 100 });
          expect(await ports.papers.count()).toBe(100);
          expect((await ports.text.search("title")).hits).toHaveLength(100);
        });
        expect(await store.papers.count()).toBe(100);
        expect((await store.intake.state("s")).cursor).toBe(100);
      }));

    it("happen not at all when they throw", () =>
      using(async ({ store }) => {
        const failing = store.transaction(async (ports) => {
          await ports.papers.upsert(papers(100));
          await ports.people.create({ name: "ada" });
          throw new RangeError("stop");
        });
        await expect(failing).rejects.toThrow(new RangeError("stop"));
        expect(await store.papers.count()).toBe(0);
        expect(await store.papers.revision()).toBe(0);
        expect((await store.text.search("title")).hits).toEqual([]);
        expect((await store.people.create({ name: "bo" })).role).toBe("owner");
      }));

    it("undo a call that failed within, and keep the others", () =>
      using(async ({ store }) => {
        await store.transaction(async (ports) => {
          await ports.people.create({ name: "ada" });
          await refused("conflict", () => ports.people.create({ name: "ada" }));
          await ports.people.create({ name: "bo" });
        });
        expect((await store.people.list()).items.map(({ name }) => name).sort()).toEqual(["ada", "bo"]);
      }));

    it("are not seen from outside before they end", () =>
      using(async ({ store }) => {
        let release = () => {};
        const held = new Promise<void>((resolve) => {
          release = resolve;
        });
        let wrote = () => {};
        const written = new Promise<void>((resolve) => {
          wrote = resolve;
        });
        const transaction = store.transaction(async (ports) => {
          await ports.papers.upsert(papers(1));
          wrote();
          await held;
        });
        await written;
        const counted = store.papers.count();
        const seen = await Promise.race([
          counted,
          new Promise((resolve) => setTimeout(resolve, 30, "waits")),
        ]);
        expect([0, "waits"]).toContain(seen);
        release();
        await transaction;
        expect(await store.papers.count()).toBe(1);
      }));

    it("refuse the store itself inside, and their ports afterwards", () =>
      using(async ({ store }) => {
        let leaked: Parameters<Parameters<typeof store.transaction>[0]>[0] | undefined;
        await store.transaction(async (ports) => {
          leaked = ports;
          await refused("conflict", () => store.papers.count(), /Inside a transaction/);
          await refused("conflict", () => store.people.create({ name: "ada" }), /Inside a transaction/);
        });
        await refused("conflict", () => leaked?.papers.count(), /has ended/);
      }));

    it("of many at once come one after another", () =>
      using(async ({ store }) => {
        await store.settings.set("n", 0);
        const add = () =>
          store.transaction(async ({ settings }) => {
            await settings.set("n", ((await settings.get("n")) as number) + 1);
          });
        await Promise.all(Array.from({ length: 20 }, add));
        expect(await store.settings.get("n")).toBe(20);
      }));
  });

  describe("the store", () => {
    it("is well, and says how large it is", () =>
      using(async ({ store }) => {
        await store.papers.upsert(papers(3));
        expect(await store.health()).toMatchObject({ ok: true, problem: null, papers: 3, schemaVersion: 3 });
      }));

    it("refuses calls once it is closed", () =>
      using(async ({ store }) => {
        await Promise.all([store.close(), store.close()]);
        await refused("closed", () => store.papers.count());
        await refused("closed", () => store.settings.set("a", 1));
      }));

    it("finishes what is under way before it closes", () =>
      using(async ({ store }) => {
        const writing = store.papers.upsert(papers(10));
        await store.close();
        expect(await writing).toHaveLength(10);
      }));
  });

  describe("the catalogue", () => {
    it("comes in at every start, and changes nothing the second time", () =>
      using(async ({ store }) => {
        const cards = await loadCatalogue();
        const entries = cards.map((card, index) => ({ card, runnable: index % 2 === 0 }));
        expect(await syncCatalogue(store, entries)).toMatchObject({ inserted: cards.length });
        const revision = await store.papers.revision();
        expect(await syncCatalogue(store, entries)).toEqual({ inserted: 0, changed: 0 });
        expect(await store.papers.revision()).toBe(revision);
        expect(await store.papers.count({ runnable: true })).toBe(Math.ceil(cards.length / 2));
        for (const card of cards) {
          expect(await store.papers.bySlug(card.slug)).toMatchObject({
            id: card.arxivId,
            topics: card.topics,
          });
        }
      }));

    it("leaves what arXiv said", () =>
      using(async ({ store }) => {
        const [card] = await loadCatalogue();
        if (!card) throw new Error("The catalogue is empty.");
        await store.papers.upsert([
          paper({
            id: card.arxivId,
            title: "Real title",
            abstract: "Real.",
            announced: card.published,
            sources: ["arxiv"],
          }),
        ]);
        await syncCatalogue(store, [{ card, runnable: true }]);
        expect(await store.papers.bySlug(card.slug)).toMatchObject({
          title: "Real title",
          abstract: "Real.",
          runnable: true,
        });
        // arXiv comes again: the marks stay.
        await store.papers.upsert([
          paper({ id: card.arxivId, title: "Real title v2", version: 2, sources: ["arxiv"] }),
        ]);
        expect(await store.papers.bySlug(card.slug)).toMatchObject({
          title: "Real title v2",
          runnable: true,
        });
        await syncCatalogue(store, []);
        expect(await store.papers.bySlug(card.slug)).toBeNull();
      }));

    it("is listed by day with the rest", () =>
      using(async ({ store }) => {
        const cards = await loadCatalogue();
        await syncCatalogue(
          store,
          cards.map((card) => ({ card, runnable: true })),
        );
        const listed = ids(
          await all((page) => store.papers.list({ ...page, filter: { runnable: true } }), 10),
        );
        expect(listed).toHaveLength(cards.length);
        const ada = await account(store, "ada");
        expect((await store.activity.vote(listed[0] ?? "", { accountId: ada }, true)).upvotes).toBe(1);
      }));
  });
}
