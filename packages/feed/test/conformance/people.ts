import { describe, expect, it } from "vitest";
import { account, all, DAY, fixture, HOUR, hash, ids, type OpenStore, papers, refused } from "./support.ts";

export function peopleConformance(openStore: OpenStore): void {
  const using = fixture(openStore);

  describe("accounts", () => {
    it("make the first one the owner, and only the first", () =>
      using(async ({ store, clock }) => {
        const ada = await store.people.create({ name: "Ada", email: "Ada@Example.ORG" });
        expect(ada).toMatchObject({
          name: "Ada",
          email: "Ada@example.org",
          role: "owner",
          state: "active",
          emailVerified: false,
          createdAt: clock.time,
        });
        expect(ada.id).toMatch(/^[\w-]{22}$/);
        expect((await store.people.create({ name: "bo" })).role).toBe("member");
        expect(await store.people.byName("ADA")).toEqual(ada);
        expect(await store.people.byEmail(" ada@EXAMPLE.org ")).toEqual(ada);
        expect(ids(await store.people.getMany(["x", ada.id]))).toEqual([ada.id]);
      }));

    it("make one owner of two that come at once", () =>
      using(async ({ store }) => {
        const made = await Promise.all(["ada", "bo", "cy"].map((name) => store.people.create({ name })));
        expect(made.filter(({ role }) => role === "owner")).toHaveLength(1);
      }));

    it.each([
      [{ name: "ADA" }, "conflict", /name/],
      [{ name: "bo", email: "ADA@example.org" }, "conflict", /email/],
      [{ name: "a" }, "invalid", /account\.name/],
      [{ name: "a b" }, "invalid", /account\.name/],
      [{ name: "bo", email: "nonsense" }, "invalid", /account\.email/],
      [{ name: "bo", email: "a@b\nBcc: c@d" }, "invalid", /account\.email/],
      [{ name: "bo", displayName: "x".repeat(101) }, "invalid", /displayName/],
    ] as const)("refuse %j", (wanted, code, message) =>
      using(async ({ store }) => {
        await account(store, "ada");
        await refused(code, () => store.people.create(wanted), message);
      }),
    );

    it("change, and need a new proof for a new address", () =>
      using(async ({ store }) => {
        const ada = await store.people.create({ name: "ada", email: "a@b.c", emailVerified: true });
        await account(store, "bo");
        expect(await store.people.update(ada.id, { displayName: "Ada L." })).toMatchObject({
          displayName: "Ada L.",
          emailVerified: true,
        });
        expect(await store.people.update(ada.id, { email: "x@y.z" })).toMatchObject({
          email: "x@y.z",
          emailVerified: false,
        });
        expect(await store.people.update(ada.id, { email: null })).toMatchObject({
          email: null,
          emailVerified: false,
        });
        await refused("conflict", () => store.people.update(ada.id, { name: "BO" }));
        await refused("not-found", () => store.people.update("nobody", { name: "cy" }));
      }));

    it("always leave an owner", () =>
      using(async ({ store }) => {
        const [ada, bo] = [await account(store, "ada"), await account(store, "bo")];
        await refused("conflict", () => store.people.update(ada, { role: "member" }), /last active owner/);
        await refused("conflict", () => store.people.update(ada, { state: "suspended" }));
        await refused("conflict", () => store.people.remove(ada));
        await store.people.update(bo, { role: "owner" });
        expect((await store.people.update(ada, { role: "member" })).role).toBe("member");
      }));

    it("page oldest first", () =>
      using(async ({ store, clock }) => {
        const made: string[] = [];
        for (let n = 0; n < 8; n++) {
          made.push(await account(store, `user-${n}`));
          if (n % 3 === 0) clock.pass(1);
        }
        const listed = ids(await all((page) => store.people.list(page)));
        expect(new Set(listed)).toEqual(new Set(made));
        expect(listed).toHaveLength(8);
        expect(await all((page) => store.people.list({ ...page, role: "owner" }))).toHaveLength(1);
      }));

    it("go with all that is theirs, and leave places of their comments", () =>
      using(async ({ store }) => {
        await account(store, "owner");
        const ada = await account(store, "ada");
        await store.papers.upsert(papers(1));
        await store.activity.vote("2601.00000", { accountId: ada }, true);
        await store.activity.bookmark("2601.00000", { accountId: ada }, true);
        const comment = await store.comments.add({
          paperId: "2601.00000",
          parentId: null,
          text: "hi",
          accountId: ada,
        });
        await store.comments.edit(comment.id, "hello");
        await store.people.openSession({
          tokenHash: hash("s"),
          accountId: ada,
          csrf: "c",
          label: "",
          expiresAt: Number.MAX_SAFE_INTEGER,
        });
        await store.people.setCredential({ accountId: ada, kind: "password", ref: "", secret: "x" });
        await store.subscriptions.saveSearch({ accountId: ada, name: "s", query: "", filter: {} });
        expect(await store.people.remove(ada)).toBe(true);
        expect(await store.people.remove(ada)).toBe(false);
        expect(await store.people.get(ada)).toBeNull();
        expect(await store.people.session(hash("s"))).toBeNull();
        expect(await store.people.credentials(ada)).toEqual([]);
        expect(await store.subscriptions.savedSearches(ada)).toEqual([]);
        expect(await store.papers.get("2601.00000")).toMatchObject({
          upvotes: 0,
          bookmarks: 0,
          comments: 0,
          trend: null,
        });
        expect(await store.comments.get(comment.id)).toMatchObject({
          accountId: null,
          text: "",
          state: "removed",
        });
        expect(await store.comments.history(comment.id)).toEqual([]);
      }));
  });

  describe("credentials", () => {
    it("are set, replaced and removed", () =>
      using(async ({ store, clock }) => {
        const ada = await account(store, "ada");
        await store.people.setCredential({ accountId: ada, kind: "password", ref: "", secret: "one" });
        await store.people.setCredential({ accountId: ada, kind: "password", ref: "", secret: "two" });
        await store.people.setCredential({ accountId: ada, kind: "passkey", ref: "k1", secret: "key" });
        await store.people.touchCredential(ada, "passkey", "k1");
        expect(await store.people.credentials(ada)).toMatchObject([
          { kind: "passkey", usedAt: clock.time },
          { kind: "password", secret: "two", usedAt: null },
        ]);
        expect(await store.people.removeCredential(ada, "passkey", "k1")).toBe(true);
        expect(await store.people.removeCredential(ada, "passkey", "k1")).toBe(false);
        await refused("not-found", () =>
          store.people.setCredential({ accountId: "x", kind: "password", ref: "", secret: "s" }),
        );
      }));
  });

  describe("sessions", () => {
    const session = (accountId: string, secret: string, expiresAt: number) => ({
      tokenHash: hash(secret),
      accountId,
      csrf: "c",
      label: "Firefox",
      expiresAt,
    });

    it("last until they expire", () =>
      using(async ({ store, clock }) => {
        const ada = await account(store, "ada");
        await store.people.openSession(session(ada, "s", clock.time + HOUR));
        expect(await store.people.session(hash("s"))).toMatchObject({
          account: { id: ada },
          session: { csrf: "c" },
        });
        expect(await store.people.session(hash("t"))).toBeNull();
        clock.pass(HOUR);
        expect(await store.people.session(hash("s"))).toBeNull();
        expect(await store.people.sessions(ada)).toEqual([]);
      }));

    it("note use once an hour", () =>
      using(async ({ store, clock }) => {
        const ada = await account(store, "ada");
        const { seenAt } = await store.people.openSession(session(ada, "s", clock.time + DAY));
        clock.pass(HOUR / 2);
        expect((await store.people.session(hash("s")))?.session.seenAt).toBe(seenAt);
        clock.pass(HOUR);
        expect((await store.people.session(hash("s")))?.session.seenAt).toBe(clock.time);
      }));

    it("rotate and close", () =>
      using(async ({ store, clock }) => {
        const ada = await account(store, "ada");
        for (const secret of ["a", "b", "c"]) {
          clock.pass(1);
          await store.people.openSession(session(ada, secret, clock.time + DAY));
        }
        expect(await store.people.rotateSession(hash("a"), hash("a2"))).toBe(true);
        expect(await store.people.rotateSession(hash("a"), hash("a3"))).toBe(false);
        expect(await store.people.session(hash("a"))).toBeNull();
        expect((await store.people.sessions(ada)).map(({ tokenHash }) => tokenHash)).toEqual([
          hash("c"),
          hash("b"),
          hash("a2"),
        ]);
        expect(await store.people.closeSessions(ada, { except: hash("b") })).toBe(2);
        expect(await store.people.closeSession(hash("b"))).toBe(true);
        expect(await store.people.closeSession(hash("b"))).toBe(false);
      }));

    it("end with suspension", () =>
      using(async ({ store, clock }) => {
        await account(store, "owner");
        const ada = await account(store, "ada");
        await store.people.openSession(session(ada, "s", clock.time + DAY));
        await store.people.update(ada, { state: "suspended" });
        expect(await store.people.session(hash("s"))).toBeNull();
      }));

    it("refuse secrets that are no hashes", () =>
      using(async ({ store }) => {
        const ada = await account(store, "ada");
        await refused(
          "invalid",
          () => store.people.openSession({ ...session(ada, "s", 1), tokenHash: "secret" }),
          /SHA-256/,
        );
      }));
  });

  describe("login tokens", () => {
    const token = (secret: string, expiresAt: number) => ({
      tokenHash: hash(secret),
      purpose: "login" as const,
      email: "a@b.c",
      accountId: null,
      expiresAt,
    });

    it("are taken once, by one of many at once", () =>
      using(async ({ store, clock }) => {
        await store.people.addLoginToken(token("t", clock.time + HOUR));
        expect(await store.people.peekLoginToken(hash("t"))).toMatchObject({
          email: "a@b.c",
          purpose: "login",
        });
        const taken = await Promise.all(
          Array.from({ length: 5 }, () => store.people.takeLoginToken(hash("t"))),
        );
        expect(taken.filter((found) => found !== null)).toHaveLength(1);
        expect(await store.people.peekLoginToken(hash("t"))).toBeNull();
      }));

    it("expire", () =>
      using(async ({ store, clock }) => {
        await store.people.addLoginToken(token("t", clock.time + HOUR));
        clock.pass(HOUR);
        expect(await store.people.peekLoginToken(hash("t"))).toBeNull();
        expect(await store.people.takeLoginToken(hash("t"))).toBeNull();
      }));
  });

  describe("API keys", () => {
    it("work until revoked", () =>
      using(async ({ store, clock }) => {
        const ada = await account(store, "ada");
        const key = await store.people.addApiKey({
          accountId: ada,
          name: "k",
          prefix: "ck_ab",
          scopes: ["read"],
          keyHash: hash("k"),
        });
        expect(await store.people.apiKey(hash("k"))).toMatchObject({
          key: { id: key.id, scopes: ["read"], usedAt: clock.time },
          account: { id: ada },
        });
        expect(await store.people.revokeApiKey("someone", key.id)).toBe(false);
        expect(await store.people.revokeApiKey(ada, key.id)).toBe(true);
        expect(await store.people.revokeApiKey(ada, key.id)).toBe(false);
        expect(await store.people.apiKey(hash("k"))).toBeNull();
        expect(await store.people.apiKeys(ada)).toMatchObject([{ id: key.id, revokedAt: clock.time }]);
      }));
  });

  describe("rate limits", () => {
    it("let through what all rules allow, and count nothing otherwise", () =>
      using(async ({ store, clock }) => {
        const rules = [
          { key: "a", limit: 1, windowMs: DAY },
          { key: "a", limit: 3, windowMs: 30 * DAY },
        ];
        expect(await store.limits.take(rules)).toEqual({
          allowed: true,
          remaining: 0,
          resetAt: clock.time + DAY,
        });
        const { time } = clock;
        expect(await store.limits.take(rules)).toEqual({ allowed: false, remaining: 0, resetAt: time + DAY });
        for (let day = 0; day < 2; day++) {
          clock.pass(DAY);
          expect((await store.limits.take(rules)).allowed).toBe(true);
        }
        clock.pass(DAY);
        expect(await store.limits.take(rules)).toEqual({
          allowed: false,
          remaining: 0,
          resetAt: time + 30 * DAY,
        });
        await store.limits.clear("a");
        expect((await store.limits.take(rules)).allowed).toBe(true);
      }));

    it("count every one of many at once", () =>
      using(async ({ store }) => {
        const answers = await Promise.all(
          Array.from({ length: 9 }, () => store.limits.take([{ key: "k", limit: 4, windowMs: HOUR }])),
        );
        expect(answers.filter(({ allowed }) => allowed)).toHaveLength(4);
      }));
  });

  describe("maintenance", () => {
    it("forgets what has expired, and nothing else", () =>
      using(async ({ store, clock }) => {
        const ada = await account(store, "ada");
        for (const [secret, ms] of [
          ["a", HOUR],
          ["b", 10 * DAY],
        ] as const) {
          await store.people.openSession({
            tokenHash: hash(secret),
            accountId: ada,
            csrf: "c",
            label: "",
            expiresAt: clock.time + ms,
          });
          await store.people.addLoginToken({
            tokenHash: hash(secret),
            purpose: "login",
            email: "a@b.c",
            accountId: null,
            expiresAt: clock.time + ms,
          });
          await store.limits.take([{ key: secret, limit: 1, windowMs: ms }]);
        }
        clock.pass(DAY);
        expect((await store.maintain()).expired).toBe(3);
        expect((await store.maintain()).expired).toBe(0);
        expect(await store.people.session(hash("b"))).not.toBeNull();
      }));
  });
}
