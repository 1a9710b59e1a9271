import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { temporaryFolder } from "./support.ts";
import { linkTo, MINUTE, member, owner, PASSWORD, siteAt } from "./support-people.ts";

const DAY = 24 * 60 * MINUTE;

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
beforeAll(async () => {
  folder = await temporaryFolder();
});
afterAll(() => folder.remove());
const siteOf = (options?: Parameters<typeof siteAt>[1]) => siteAt(folder.path, options);

describe("the first account", () => {
  it("is the owner's, is made without mail, and signs in at once", async () => {
    const site = await siteOf();
    const ada = await owner(site);
    expect(await site.feed.people.byName("ada")).toMatchObject({ role: "owner", emailVerified: false });
    expect(await ada.get("/settings")).toContain("ada@example.org");
    expect(ada.cookies.get("session")).toMatch(/^[\w-]{43}$/);
    // A second visitor who kept the first one's page open gets the usual way.
    const late = site.visitor();
    await late.get("/sign-up");
    await late.post("/sign-up", { name: "eve", email: "eve@example.org", password: PASSWORD });
    expect(await site.feed.people.byName("eve")).toBeNull();
  });

  it("is made once, however many come at the same moment", async () => {
    const site = await siteOf();
    const visitors = Array.from({ length: 5 }, () => site.visitor());
    for (const visitor of visitors) await visitor.get("/sign-up");
    const answers = await Promise.all(
      visitors.map((visitor, at) =>
        visitor.post("/sign-up", { name: `first${at}`, email: "", password: PASSWORD }),
      ),
    );
    expect(answers.filter(({ status }) => status === 303)).toHaveLength(1);
    expect((await site.feed.people.list()).items.map(({ role }) => role)).toEqual(["owner"]);
  });

  it.each([
    [{ name: "a" }, "2 to 32 letters"],
    [{ name: "admin" }, "mistaken for the site"],
    [{ name: "ada lovelace" }, "2 to 32 letters"],
    [{ password: "short" }, "at least 10"],
    [{ password: "password123" }, "first that anybody would try"],
    [{ password: "x".repeat(201) }, "at most 200"],
    [{ name: "adalovelace", password: "AdaLovelace" }, "must not be your name"],
    [{ email: "nobody" }, "Expected an e-mail address"],
    [{ email: "a@b.c\r\nBcc: x@y.z" }, "Expected an e-mail address"],
  ])("is refused with %o, and the form comes back with what was typed", async (fields, words) => {
    const site = await siteOf();
    const visitor = site.visitor();
    await visitor.get("/sign-up");
    const form = { name: "ada", email: "kept@example.org", password: PASSWORD, ...fields };
    const answer = await visitor.post("/sign-up", form);
    expect(answer.status).toBe(400);
    const text = await answer.text();
    expect(text).toContain(words);
    expect(text).not.toContain(`"${form.password}"`);
    if (!("email" in fields)) expect(text).toContain('value="kept@example.org"');
    expect((await site.feed.people.list()).items).toEqual([]);
  });
});

describe("signing up by e-mail", () => {
  it("makes an account with a confirmed address, with or without password", async () => {
    const site = await siteOf();
    await owner(site);
    const grace = await member(site, "grace");
    expect(await site.feed.people.byName("grace")).toMatchObject({
      email: "grace@example.org",
      emailVerified: true,
      role: "member",
    });
    expect(await grace.get("/settings")).toContain("You sign in by links");
  });

  it("does nothing when a mail program opens the link, and works once", async () => {
    const site = await siteOf();
    await owner(site);
    const visitor = site.visitor();
    await visitor.get("/sign-up");
    site.pass(5000);
    await visitor.post("/sign-up", { email: "grace@example.org" });
    const link = await linkTo(site, "grace@example.org");
    for (let look = 0; look < 3; look++) await visitor.get(link);
    expect((await site.feed.people.list()).items).toHaveLength(1);
    // What is typed wrongly does not use the link up.
    expect((await visitor.post(link, { name: "ada", password: "" })).status).toBe(400);
    expect((await visitor.post(link, { name: "grace", password: "short" })).status).toBe(400);
    const both = await Promise.all([
      visitor.post(link, { name: "grace" }),
      visitor.post(link, { name: "hopper" }),
    ]);
    expect(both.filter(({ status }) => status === 303)).toHaveLength(1);
    expect((await site.feed.people.list()).items).toHaveLength(2);
    await visitor.get(link, 410);
  });

  it("ends after 24 hours; a link to sign in after 15 minutes", async () => {
    const site = await siteOf();
    const ada = await owner(site);
    await ada.post("/sign-out");
    const visitor = site.visitor();
    await visitor.get("/sign-up");
    site.pass(5000);
    await visitor.post("/sign-up", { email: "grace@example.org" });
    const signUp = await linkTo(site, "grace@example.org");
    await visitor.get("/sign-in");
    await visitor.post("/sign-in/link", { email: "ADA@example.org" });
    const signIn = await linkTo(site, "ada@example.org");
    site.pass(14 * MINUTE);
    expect(await visitor.get(signIn)).toContain("Welcome back");
    site.pass(2 * MINUTE);
    await visitor.get(signIn, 410);
    expect(await visitor.get(signUp)).toContain("One more step");
    site.pass(DAY);
    await visitor.get(signUp, 410);
  });

  it("is closed where the settings say so, except by an owner's invitation", async () => {
    const site = await siteOf({ signUp: "closed" });
    const ada = await owner(site);
    const visitor = site.visitor();
    expect(await visitor.get("/sign-up")).toContain("Sign-up is closed here");
    await visitor.get("/sign-in");
    site.pass(5000);
    expect((await visitor.post("/sign-up", { email: "eve@example.org" })).status).toBe(403);
    expect((await visitor.post("/sign-in/link", { email: "eve@example.org" })).status).toBe(200);
    await site.people.office.idle();
    expect(site.mails.filter(({ to }) => to === "eve@example.org")).toEqual([]);
    await ada.get("/moderation");
    const page = await (await ada.post("/moderation/invite", { email: "grace@example.org" })).text();
    const link = /http:\/\/papers\.test(\/link\/[\w-]{43})</.exec(page)![1]!;
    await visitor.get(link);
    expect((await visitor.post(link, { name: "grace" })).status).toBe(303);
    expect(await visitor.get("/settings")).toContain("grace@example.org");
  });

  it("sends a stranger one message a day and three a month", async () => {
    const site = await siteOf();
    await owner(site);
    let sent = 0;
    for (let hour = 0; hour < 35 * 24; hour += 8) {
      const visitor = site.visitor();
      await visitor.get("/sign-up");
      site.pass(8 * 60 * MINUTE);
      await visitor.get("/sign-up");
      site.pass(5000);
      expect((await visitor.post("/sign-up", { email: "flooded@example.org" })).status).toBe(200);
      await site.people.office.idle();
      sent = site.mails.filter(({ to }) => to === "flooded@example.org").length;
      if (hour < 24) expect(sent).toBe(1);
      if (hour < 29 * 24) expect(sent).toBeLessThanOrEqual(3);
    }
    expect(sent).toBeGreaterThanOrEqual(4);
    expect(sent).toBeLessThanOrEqual(6);
  });

  it("catches programs: a filled trap is answered like a person and does nothing, a form that comes at once is not taken", async () => {
    const site = await siteOf();
    await owner(site);
    const visitor = site.visitor();
    await visitor.get("/sign-up");
    const early = await visitor.post("/sign-up", { email: "bot@example.org", website: "" });
    expect(early.status).toBe(400);
    site.pass(5000);
    const trapped = await visitor.post("/sign-up", { email: "bot@example.org", website: "http://x" });
    const person = await visitor.post("/sign-up", { email: "person@example.org", website: "" });
    expect(trapped.status).toBe(200);
    expect(await trapped.text()).toBe(await person.text());
    const forged = await visitor.post("/sign-up", { email: "bot@example.org", _at: "0.forged", website: "" });
    expect(forged.status).toBe(400);
    await site.people.office.idle();
    expect(site.mails.map(({ to }) => to)).toEqual(["ada@example.org", "person@example.org"]);
  });
});

describe("passwords", () => {
  it("sign in by name or address, and are kept as scrypt hashes", async () => {
    const site = await siteOf();
    await owner(site);
    for (const login of ["ada", "ADA", "ada@example.org", " Ada@Example.ORG "]) {
      const visitor = site.visitor();
      await visitor.get("/sign-in?next=/trending");
      const answer = await visitor.post("/sign-in", { login, password: PASSWORD, next: "/trending" });
      expect(answer.status, login).toBe(303);
      expect(answer.headers.get("location")).toBe("/trending");
    }
    const { id } = (await site.feed.people.byName("ada"))!;
    const [credential] = await site.feed.people.credentials(id);
    expect(credential!.secret).toMatch(/^\$scrypt\$ln=8,r=8,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/);
  });

  it("are hashed anew when the cost was raised", async () => {
    const site = await siteOf();
    await owner(site);
    const { id } = (await site.feed.people.byName("ada"))!;
    const { Passwords } = await import("@concord/feed/people");
    const weak = await new Passwords({ cost: { logN: 4, r: 8, p: 1 } }).hash(PASSWORD);
    await site.feed.people.setCredential({ accountId: id, kind: "password", ref: "", secret: weak });
    const visitor = site.visitor();
    await visitor.get("/sign-in");
    expect((await visitor.post("/sign-in", { login: "ada", password: PASSWORD })).status).toBe(303);
    expect((await site.feed.people.credentials(id))[0]!.secret).toMatch(/^\$scrypt\$ln=8,/);
  });

  it("are reset by a link, which ends all sessions", async () => {
    const site = await siteOf();
    const ada = await owner(site);
    const visitor = site.visitor();
    await visitor.get("/forgot");
    await visitor.post("/forgot", { email: "ada@example.org" });
    const link = await linkTo(site, "ada@example.org");
    await visitor.get(link);
    expect((await visitor.post(link, { password: "password123" })).status).toBe(400);
    expect((await visitor.post(link, { password: "nine paper lanterns" })).status).toBe(303);
    expect((await ada.send("/settings")).status).toBe(303);
    const fresh = site.visitor();
    await fresh.get("/sign-in");
    expect((await fresh.post("/sign-in", { login: "ada", password: PASSWORD })).status).toBe(403);
    expect((await fresh.post("/sign-in", { login: "ada", password: "nine paper lanterns" })).status).toBe(
      303,
    );
    await site.people.office.idle();
    expect(site.mails.at(-1)!.subject).toBe("Your password was changed");
  });

  it("are reset by a link of the operator's, also where an account has no address", async () => {
    const site = await siteOf();
    const ada = site.visitor();
    await ada.get("/sign-up");
    await ada.post("/sign-up", { name: "ada", email: "", password: PASSWORD });
    const { recoveryLink } = await import("@concord/feed/people");
    const clock = () => Date.UTC(2026, 10, 20, 12);
    const { link } = await recoveryLink(site.feed, "ada", { publicUrl: "http://papers.test", clock });
    const path = new URL(link).pathname;
    const visitor = site.visitor();
    expect(await visitor.get(path)).toContain("Choose a new password");
    expect((await visitor.post(path, { password: "nine paper lanterns" })).status).toBe(303);
    expect(await visitor.get("/settings")).toContain("You have no address here");
    expect((await ada.send("/settings")).status).toBe(303);
  });

  it("are changed only by who knows the one before; other devices are signed out", async () => {
    const site = await siteOf();
    const ada = await owner(site);
    const other = site.visitor();
    await other.get("/sign-in");
    await other.post("/sign-in", { login: "ada", password: PASSWORD });
    expect(
      (await ada.post("/settings/password", { current: "wrong", password: "nine paper lanterns" })).status,
    ).toBe(400);
    expect(
      (await ada.post("/settings/password", { current: PASSWORD, password: "nine paper lanterns" })).status,
    ).toBe(303);
    expect((await ada.send("/settings")).status).toBe(200);
    expect((await other.send("/settings")).status).toBe(303);
  });

  it("may be tried ten times from one place, then not for a quarter of an hour; a right one forgives", async () => {
    const site = await siteOf();
    await owner(site);
    const visitor = site.visitor();
    const attempt = async (password: string) =>
      (await visitor.post("/sign-in", { login: "ada", password })).status;
    await visitor.get("/sign-in");
    for (let at = 0; at < 9; at++) expect(await attempt("wrong")).toBe(403);
    expect(await attempt(PASSWORD)).toBe(303);
    visitor.cookies.delete("session");
    await visitor.get("/sign-in");
    for (let at = 0; at < 10; at++) expect(await attempt("wrong")).toBe(403);
    expect(await attempt(PASSWORD)).toBe(429);
    site.pass(16 * MINUTE);
    await visitor.get("/sign-in");
    expect(await attempt(PASSWORD)).toBe(303);
  });
});

describe("sessions", () => {
  it("are listed, ended one by one or all but this", async () => {
    const site = await siteOf();
    const ada = await owner(site);
    const others = [site.visitor(), site.visitor()];
    for (const other of others) {
      await other.get("/sign-in");
      await other.post(
        "/sign-in",
        { login: "ada", password: PASSWORD },
        { "user-agent": "Firefox/140 Linux" },
      );
    }
    expect(await ada.get("/settings")).toContain("Firefox on Linux");
    const hash = createHash("sha256").update(others[0]!.cookies.get("session")!).digest("hex");
    await ada.post("/settings/sessions/end", { session: hash });
    expect((await others[0]!.send("/settings")).status).toBe(303);
    expect((await others[1]!.send("/settings")).status).toBe(200);
    await ada.post("/settings/sessions/end");
    expect((await others[1]!.send("/settings")).status).toBe(303);
    expect((await ada.send("/settings")).status).toBe(200);
  });

  it("end after thirty days, at signing out, and when the account is suspended", async () => {
    const site = await siteOf();
    const ada = await owner(site);
    const grace = await member(site, "grace");
    await ada.post("/moderation/accounts/grace", { act: "suspend" });
    expect((await grace.send("/settings")).status).toBe(303);
    const kept = ada.cookies.get("session")!;
    await ada.post("/sign-out");
    expect(ada.cookies.has("session")).toBe(false);
    ada.cookies.set("session", kept);
    expect((await ada.send("/settings")).status).toBe(303);
    ada.cookies.delete("session");
    await ada.get("/sign-in");
    await ada.post("/sign-in", { login: "ada", password: PASSWORD });
    site.pass(31 * DAY);
    expect((await ada.send("/settings")).status).toBe(303);
  });
});
