import { describe, expect, it } from "vitest";
import type { Store } from "../../src/index.ts";
import { all, DAY, fixture, HOUR, hash, type OpenStore, refused } from "./support.ts";

export function mailConformance(openStore: OpenStore): void {
  const using = fixture(openStore);
  const tokens = (name: string) => ({
    confirm: hash(`${name} c`),
    manage: hash(`${name} m`),
    unsubscribe: hash(`${name} u`),
  });
  const subscribe = (store: Store, name: string, cadence: "daily" | "weekly" = "daily") =>
    store.subscriptions.subscribe({
      email: `${name}@example.org`,
      cadence,
      consent: { form: "v1", addressHash: null },
      tokens: tokens(name),
    });
  async function confirmed(
    store: Store,
    name: string,
    cadence: "daily" | "weekly" = "daily",
  ): Promise<string> {
    await subscribe(store, name, cadence);
    return (await store.subscriptions.confirm(hash(`${name} c`)))?.id ?? "";
  }

  describe("readers", () => {
    it("are pending until they confirm", () =>
      using(async ({ store, clock }) => {
        const { reader, outcome } = await subscribe(store, "ada");
        expect(outcome).toBe("created");
        expect(reader).toMatchObject({
          state: "pending",
          cadence: "daily",
          topics: [],
          confirmedAt: null,
          consent: { at: clock.time, form: "v1" },
        });
        clock.pass(HOUR);
        expect(await store.subscriptions.confirm(hash("ada c"))).toMatchObject({
          id: reader.id,
          state: "confirmed",
          confirmedAt: clock.time,
        });
        clock.pass(HOUR);
        expect((await store.subscriptions.confirm(hash("ada c")))?.confirmedAt).toBe(clock.time - HOUR);
        expect(await store.subscriptions.confirm(hash("other"))).toBeNull();
        expect(await store.subscriptions.counts()).toEqual({
          pending: 0,
          confirmed: 1,
          paused: 0,
          unsubscribed: 0,
          suppressed: 0,
        });
      }));

    it("are not changed by strangers once confirmed", () =>
      using(async ({ store }) => {
        const id = await confirmed(store, "ada");
        const { outcome } = await store.subscriptions.subscribe({
          email: "ADA@example.org",
          cadence: "weekly",
          consent: { form: "v1", addressHash: null },
          tokens: tokens("evil"),
        });
        expect(outcome).toBe("unchanged");
        expect(await store.subscriptions.get(id)).toMatchObject({ cadence: "daily" });
        expect(await store.subscriptions.byToken("manage", hash("evil m"))).toBeNull();
      }));

    it("keep tokens of different purposes apart", () =>
      using(async ({ store }) => {
        await subscribe(store, "ada");
        expect(await store.subscriptions.confirm(hash("ada u"))).toBeNull();
        expect(await store.subscriptions.unsubscribe(hash("ada c"))).toBeNull();
        expect(await store.subscriptions.byToken("unsubscribe", hash("ada u"))).not.toBeNull();
        const id = (await store.subscriptions.byEmail("ada@example.org"))?.id ?? "";
        await store.subscriptions.setTokens(id, { manage: hash("new") });
        expect(await store.subscriptions.byToken("manage", hash("ada m"))).toBeNull();
        expect((await store.subscriptions.byToken("manage", hash("new")))?.id).toBe(id);
      }));

    it("unsubscribe once or again, and can come back by confirming", () =>
      using(async ({ store }) => {
        const id = await confirmed(store, "ada");
        for (let n = 0; n < 2; n++) {
          expect(await store.subscriptions.unsubscribe(hash("ada u"))).toMatchObject({
            id,
            state: "unsubscribed",
          });
        }
        await refused("conflict", () => store.subscriptions.update(id, { state: "confirmed" }));
        expect((await subscribe(store, "ada")).outcome).toBe("renewed");
        expect((await store.subscriptions.get(id))?.state).toBe("unsubscribed");
        expect((await store.subscriptions.confirm(hash("ada c")))?.state).toBe("confirmed");
      }));

    it("change their wishes, pause and go on", () =>
      using(async ({ store }) => {
        const id = await confirmed(store, "ada");
        expect(await store.subscriptions.update(id, { topics: ["video"], cadence: "weekly" })).toMatchObject({
          topics: ["video"],
          cadence: "weekly",
        });
        expect((await store.subscriptions.update(id, { state: "paused" })).state).toBe("paused");
        expect((await store.subscriptions.update(id, { state: "confirmed" })).state).toBe("confirmed");
        await refused("invalid", () => store.subscriptions.update(id, { topics: ["No topic"] }));
        await refused("not-found", () => store.subscriptions.update("none", { cadence: "daily" }));
      }));

    it.each([
      ["hard", 1, "suppressed"],
      ["complaint", 1, "suppressed"],
      ["soft", 2, "confirmed"],
      ["soft", 3, "paused"],
    ] as const)("after %s bounces (%i) are %s", (kind, times, state) =>
      using(async ({ store, clock }) => {
        const id = await confirmed(store, "ada");
        for (let n = 0; n < times; n++) {
          clock.pass(DAY);
          await store.subscriptions.bounced(id, { kind, code: "5.1.1" });
        }
        expect((await store.subscriptions.get(id))?.state).toBe(state);
        expect(await store.subscriptions.bounces(id)).toHaveLength(times);
      }),
    );

    it("forget soft bounces after 14 days, and stay suppressed for good", () =>
      using(async ({ store, clock }) => {
        const id = await confirmed(store, "ada");
        for (let n = 0; n < 5; n++) {
          await store.subscriptions.bounced(id, { kind: "soft", code: "4.2.2" });
          clock.pass(8 * DAY);
        }
        expect((await store.subscriptions.get(id))?.state).toBe("confirmed");
        await store.subscriptions.bounced(id, { kind: "hard", code: "" });
        expect((await store.subscriptions.confirm(hash("ada c")))?.state).toBe("suppressed");
        expect((await subscribe(store, "ada")).outcome).toBe("unchanged");
        expect((await store.subscriptions.unsubscribe(hash("ada u")))?.state).toBe("suppressed");
        expect(await store.subscriptions.bounced("none", { kind: "hard", code: "" })).toBeNull();
      }));

    it("page by state and cadence, and are erased", () =>
      using(async ({ store }) => {
        for (let n = 0; n < 7; n++) await confirmed(store, `r${n}`, n % 2 === 0 ? "daily" : "weekly");
        await subscribe(store, "pending");
        const daily = await all(
          (page) => store.subscriptions.readers({ ...page, state: "confirmed", cadence: "daily" }),
          2,
        );
        expect(daily.map(({ email }) => email).sort()).toEqual(
          ["r0", "r2", "r4", "r6"].map((name) => `${name}@example.org`),
        );
        expect(await store.subscriptions.remove(daily[0]?.id ?? "")).toBe(true);
        expect(await store.subscriptions.remove(daily[0]?.id ?? "")).toBe(false);
      }));

    it("save searches", () =>
      using(async ({ store, clock }) => {
        const ada = (await store.people.create({ name: "ada" })).id;
        const one = await store.subscriptions.saveSearch({
          accountId: ada,
          name: "one",
          query: "gap",
          filter: { topic: "video" },
        });
        clock.pass(1);
        const two = await store.subscriptions.saveSearch({
          accountId: ada,
          name: "two",
          query: "",
          filter: {},
        });
        expect(await store.subscriptions.savedSearches(ada)).toEqual([two, one]);
        expect(await store.subscriptions.savedSearch(one.id)).toEqual(one);
        expect(await store.subscriptions.removeSavedSearch(one.id)).toBe(true);
        expect(await store.subscriptions.savedSearch(one.id)).toBeNull();
        await refused("invalid", () =>
          store.subscriptions.saveSearch({ accountId: ada, name: "x", query: "x".repeat(201), filter: {} }),
        );
      }));
  });

  describe("outbox", () => {
    const host = "daily.example.org";
    const lease = { limit: 10, leaseMs: 60_000 };
    async function filled(store: Store, names: readonly string[]) {
      for (const name of names) await confirmed(store, name);
      const { issue } = await store.outbox.createIssue({
        kind: "daily",
        period: "2026-11-20",
        content: { papers: ["a"] },
      });
      expect(await store.outbox.fill(issue.id, { cadence: "daily", host })).toBe(names.length);
      return issue.id;
    }

    it("freezes an issue", () =>
      using(async ({ store }) => {
        const first = await store.outbox.createIssue({
          kind: "daily",
          period: "2026-11-20",
          content: { n: 1 },
        });
        const second = await store.outbox.createIssue({
          kind: "daily",
          period: "2026-11-20",
          content: { n: 2 },
        });
        expect([first.created, second.created]).toEqual([true, false]);
        expect(second.issue).toEqual(first.issue);
        expect(first.issue.contentHash).toMatch(/^[0-9a-f]{64}$/);
        await store.outbox.createIssue({ kind: "weekly", period: "2026-W47", content: null });
        expect(
          (await all((page) => store.outbox.issues({ ...page, kind: "daily" }))).map(({ id }) => id),
        ).toEqual([first.issue.id]);
      }));

    it("gives a row to those who were confirmed when it was built, and to nobody else", () =>
      using(async ({ store, clock }) => {
        await confirmed(store, "ada");
        await confirmed(store, "weekly", "weekly");
        await subscribe(store, "pending");
        const { issue } = await store.outbox.createIssue({ kind: "daily", period: "p", content: null });
        clock.pass(1000);
        await confirmed(store, "late");
        expect(await store.outbox.lease(lease)).toEqual([]);
        expect(await store.outbox.fill(issue.id, { cadence: "daily", host })).toBe(1);
        expect(await store.outbox.fill(issue.id, { cadence: "daily", host })).toBe(1);
        expect((await store.outbox.issue(issue.id))?.state).toBe("open");
        const [row] = await store.outbox.lease(lease);
        expect(row).toMatchObject({ email: "ada@example.org", attempts: 1, state: "sending" });
        expect(row?.messageId).toMatch(/^<[\w-]+\.[0-9a-f]{22}@daily\.example\.org>$/);
      }));

    it("selects readers", () =>
      using(async ({ store }) => {
        const ada = await confirmed(store, "ada");
        await confirmed(store, "bo");
        const { issue } = await store.outbox.createIssue({ kind: "daily", period: "p", content: null });
        expect(
          await store.outbox.fill(issue.id, { cadence: "daily", host, select: (id) => id === ada }),
        ).toBe(1);
        await refused("invalid", () => store.outbox.fill(issue.id, { cadence: "daily", host: "a b" }));
      }));

    it("fills more readers than a batch holds", () =>
      using(async ({ store }) => {
        const names = Array.from({ length: 450 }, (_, n) => `r${n}`);
        await store.transaction(async (ports) => {
          for (const name of names) {
            await ports.subscriptions.subscribe({
              email: `${name}@example.org`,
              cadence: "daily",
              consent: { form: "v", addressHash: null },
              tokens: tokens(name),
            });
            await ports.subscriptions.confirm(hash(`${name} c`));
          }
        });
        const { issue } = await store.outbox.createIssue({ kind: "daily", period: "p", content: null });
        expect(await store.outbox.fill(issue.id, { cadence: "daily", host })).toBe(450);
        expect((await store.outbox.progress(issue.id)).queued).toBe(450);
      }));

    it("never leases a row twice", () =>
      using(async ({ store }) => {
        const issue = await filled(store, ["a", "b", "c", "d", "e"]);
        const batches = await Promise.all(
          [1, 2, 3, 4].map((limit) => store.outbox.lease({ ...lease, limit })),
        );
        const leased = batches.flat().map(({ id }) => id);
        expect(new Set(leased).size).toBe(5);
        expect(leased).toHaveLength(5);
        for (const row of batches.flat()) expect(await store.outbox.sent(row, "250 ok")).toBe(true);
        expect(await store.outbox.progress(issue)).toMatchObject({ sent: 5, queued: 0, sending: 0 });
        expect(await store.outbox.lease(lease)).toEqual([]);
      }));

    it("settles only by the lease that holds", () =>
      using(async ({ store, clock }) => {
        await filled(store, ["ada"]);
        const [first] = await store.outbox.lease(lease);
        clock.pass(60_001);
        expect(await store.outbox.expire("resend")).toBe(1);
        const [second] = await store.outbox.lease(lease);
        expect(second).toMatchObject({ id: first?.id, messageId: first?.messageId, attempts: 2 });
        expect(await store.outbox.sent(first as NonNullable<typeof first>, "250")).toBe(false);
        expect(await store.outbox.sent(second as NonNullable<typeof second>, "250")).toBe(true);
        expect(await store.outbox.sent(second as NonNullable<typeof second>, "250")).toBe(false);
      }));

    it("resends what is unknown once, or holds it", () =>
      using(async ({ store, clock }) => {
        const issue = await filled(store, ["ada"]);
        await store.outbox.lease(lease);
        clock.pass(60_001);
        expect(await store.outbox.expire("hold")).toBe(1);
        expect(await store.outbox.lease(lease)).toEqual([]);
        expect(await store.outbox.progress(issue)).toMatchObject({ unknown: 1 });
        expect(await store.outbox.expire("resend")).toBe(1);
        await store.outbox.lease(lease);
        clock.pass(60_001);
        expect(await store.outbox.expire("resend")).toBe(1);
        expect(await store.outbox.expire("resend")).toBe(0);
        expect(await store.outbox.progress(issue)).toMatchObject({ unknown: 1, queued: 0 });
      }));

    it("resends more than once where that is asked for", () =>
      using(async ({ store, clock }) => {
        await filled(store, ["ada"]);
        for (const attempts of [1, 2, 3]) {
          expect(await store.outbox.lease(lease)).toMatchObject([{ attempts }]);
          clock.pass(60_001);
          expect(await store.outbox.expire("resend", { attempts: 2 })).toBe(1);
        }
        expect(await store.outbox.lease(lease)).toEqual([]);
      }));

    it("takes back what was not tried, and skips what there is no need to send", () =>
      using(async ({ store, clock }) => {
        const issue = await filled(store, ["ada", "bo"]);
        const [one, two] = await store.outbox.lease(lease);
        expect(await store.outbox.released(one as NonNullable<typeof one>)).toBe(true);
        expect(await store.outbox.released(one as NonNullable<typeof one>)).toBe(false);
        expect(await store.outbox.skipped(two as NonNullable<typeof two>, "nothing chosen")).toBe(true);
        expect(await store.outbox.sent(two as NonNullable<typeof two>, "250")).toBe(false);
        expect(await store.outbox.progress(issue)).toMatchObject({ queued: 1, skipped: 1 });
        const [again] = await store.outbox.lease(lease);
        expect(again).toMatchObject({ id: one?.id, attempts: 1 });
        clock.pass(60_001);
        await store.outbox.expire("hold");
        expect(await store.outbox.released(again as NonNullable<typeof again>)).toBe(true);
      }));

    it("takes a late answer for a row that nobody has leased since", () =>
      using(async ({ store, clock }) => {
        const issue = await filled(store, ["ada"]);
        const [row] = await store.outbox.lease(lease);
        clock.pass(60_001);
        await store.outbox.expire("hold");
        expect(await store.outbox.sent(row as NonNullable<typeof row>, "250")).toBe(true);
        expect(await store.outbox.progress(issue)).toMatchObject({ sent: 1, unknown: 0 });
      }));

    it("tries again later, or gives up", () =>
      using(async ({ store, clock }) => {
        const issue = await filled(store, ["ada", "bo"]);
        const [one, two] = await store.outbox.lease(lease);
        await store.outbox.failed(one as NonNullable<typeof one>, {
          code: "450 later",
          retryAt: clock.time + HOUR,
        });
        await store.outbox.failed(two as NonNullable<typeof two>, { code: "550 no", retryAt: null });
        expect(await store.outbox.lease(lease)).toEqual([]);
        clock.pass(HOUR);
        const [again] = await store.outbox.lease(lease);
        expect(again).toMatchObject({ id: one?.id, attempts: 2, lastCode: "450 later" });
        expect(await store.outbox.progress(issue)).toMatchObject({ failed: 1, sending: 1 });
      }));

    it("sends nothing to those who left between filling and sending", () =>
      using(async ({ store }) => {
        const issue = await filled(store, ["ada", "bo", "cy"]);
        await store.subscriptions.unsubscribe(hash("ada u"));
        const bo = (await store.subscriptions.byEmail("bo@example.org"))?.id ?? "";
        await store.subscriptions.update(bo, { state: "paused" });
        expect((await store.outbox.lease(lease)).map(({ email }) => email)).toEqual(["cy@example.org"]);
        expect(await store.outbox.progress(issue)).toMatchObject({ skipped: 2, sending: 1 });
      }));

    it("stops while an issue is paused", () =>
      using(async ({ store }) => {
        const issue = await filled(store, ["ada"]);
        await store.outbox.pause(issue, true);
        expect(await store.outbox.lease(lease)).toEqual([]);
        await store.outbox.pause(issue, false);
        expect(await store.outbox.lease(lease)).toHaveLength(1);
      }));

    it("shows readers their own history", () =>
      using(async ({ store }) => {
        const issue = await filled(store, ["ada"]);
        const ada = (await store.subscriptions.byEmail("ada@example.org"))?.id ?? "";
        expect(await all((page) => store.outbox.ofReader(ada, page))).toMatchObject([
          { issueId: issue, state: "queued" },
        ]);
      }));
  });
}
