import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { temporaryFolder } from "./support.ts";
import { ownForm, testApp, Visitor } from "./support-app.ts";
import { PASSWORD, signedIn } from "./support-people.ts";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
beforeAll(async () => {
  folder = await temporaryFolder();
});
afterAll(() => folder.remove());

describe("sessions and cookies", () => {
  it("get a fresh token at sign-in, whatever was there before", async () => {
    const site = await testApp(folder.path);
    await signedIn(site, "ada");
    const planted = "A".repeat(43);
    const victim = new Visitor((path, init) => site.app.request(path, init));
    victim.cookies.set("session", planted);
    await victim.get("/sign-in");
    await victim.post("/sign-in", { login: "ada", password: PASSWORD });
    const mine = victim.cookies.get("session")!;
    expect(mine).not.toBe(planted);
    // Signing in again ends the session before it: one that was learned by somebody is of no use any more.
    victim.hidden.clear();
    await victim.get("/settings");
    const token = victim.hidden.get("_csrf")!;
    await victim.post("/sign-in", { login: "ada", password: PASSWORD, _csrf: token });
    expect(victim.cookies.get("session")).not.toBe(mine);
    const thief = await site.app.request("/settings", { headers: { cookie: `session=${mine}` } });
    expect(thief.status).toBe(303);
  });

  it("are unreadable for scripts, stay on this site, and over HTTPS on this host", async () => {
    const site = await testApp(folder.path, { proxies: ["127.0.0.1"] });
    await signedIn(site, "ada");
    const plain = await site.app.request("/sign-in", { headers: {} });
    expect(plain.headers.get("set-cookie")).toMatch(
      /^visitor=[^;]+; Max-Age=43200; Path=\/; HttpOnly; SameSite=Lax$/,
    );
    expect(plain.headers.get("strict-transport-security")).toBeNull();
    const https = { "x-forwarded-proto": "https" };
    const visitor = new Visitor((path, init) => site.app.request(path, init), https);
    await visitor.get("/sign-in");
    const answer = await visitor.post("/sign-in", { login: "ada", password: PASSWORD });
    expect(answer.headers.get("strict-transport-security")).toBe("max-age=31536000");
    expect(answer.headers.getSetCookie().find((line) => line.includes("session"))).toMatch(
      /^__Host-session=[\w-]{43}; Max-Age=2592000; Path=\/; HttpOnly; Secure; SameSite=Lax$/,
    );
    // A cookie without the prefix may come from a neighbour: it is not looked at.
    const value = visitor.cookies.get("__Host-session")!;
    const planted = await site.app.request("/settings", {
      headers: { ...https, cookie: `session=${value}` },
    });
    expect(planted.status).toBe(303);
  });

  it("do not believe a header that did not come from a trusted proxy", async () => {
    const site = await testApp(folder.path);
    await site.feed.people.create({ name: "ada" });
    const { headers } = await site.app.request("/sign-in", { headers: { "x-forwarded-proto": "https" } });
    expect(headers.get("set-cookie")).toMatch(/^visitor=/);
    expect(headers.get("strict-transport-security")).toBeNull();
  });

  it("keep personal pages out of every cache", async () => {
    const site = await testApp(folder.path);
    const ada = await signedIn(site, "ada");
    for (const path of [
      "/settings",
      "/you/votes",
      "/you/comments",
      "/moderation",
      "/settings/export/data.json",
      "/submit",
    ])
      expect((await ada.send(path)).headers.get("cache-control"), path).toBe("private, no-store");
    for (const path of ["/", "/papers/swav", "/trending"]) {
      const { headers } = await ada.send(path);
      expect(headers.get("cache-control"), path).toBe("private, no-cache");
      expect(headers.get("vary"), path).toContain("Cookie");
    }
    expect((await site.app.request("/trending")).headers.get("cache-control")).not.toContain("private");
  });
});

describe("who may run papers", () => {
  const start = "/papers/clip-refine/runs";
  const asVisitor = async (options: Parameters<typeof testApp>[1]) => {
    const site = await testApp(folder.path, options);
    return { site, answer: await site.app.request(start, ownForm({ preset: "huge" })) };
  };

  it.each([
    ["anybody on a machine of one's own", {}, 400],
    ["members where others can come", { host: "0.0.0.0" }, 403],
    ["members behind a proxy", { proxies: ["127.0.0.1"] }, 403],
    ["members under a public name", { hosts: ["papers.example.org"] }, 403],
    ["anybody where the settings say so", { host: "0.0.0.0", runs: "anyone" }, 400],
    ["members where the settings say so", { runs: "members" }, 403],
  ] as const)("is %s", async (_, options, expected) => {
    const { answer } = await asVisitor({
      ...options,
      hosts: "hosts" in options ? [...options.hosts] : [],
      proxies: "proxies" in options ? [...options.proxies] : [],
    });
    // 400: the visitor may, but the form names no size.
    expect(answer.status).toBe(expected);
  });

  it("is members behind a proxy that the settings do not name, which the log tells once", async () => {
    const site = await testApp(folder.path, { logLevel: "warn" });
    for (const header of ["x-forwarded-for", "via"]) {
      const form = ownForm({ preset: "huge" });
      const headers = { ...(form.headers as Record<string, string>), [header]: "203.0.113.9" };
      expect((await site.app.request(start, { ...form, headers })).status, header).toBe(403);
    }
    expect(site.logged.filter((line) => line.includes("server.trustedProxies does not name"))).toHaveLength(
      1,
    );
    const { answer } = await asVisitor({});
    expect(answer.status).toBe(400);
  });

  it("is said on the page of a paper, and holds for stopping and deleting", async () => {
    const site = await testApp(folder.path, { runs: "owner" });
    const ada = await signedIn(site, "ada");
    const grace = await signedIn(site, "grace");
    expect(await grace.get("/papers/clip-refine")).toContain("only its owner starts, stops and deletes them");
    expect(await grace.get("/papers/clip-refine")).not.toContain(`action="${start}"`);
    expect((await grace.post(start, { preset: "smoke" })).status).toBe(403);
    expect(await ada.get("/papers/clip-refine")).toContain(`action="${start}"`);
    const run = (await ada.post(start, { preset: "smoke" })).headers.get("location")!;
    expect(await grace.get(run)).not.toContain(`${run}/cancel`);
    expect((await grace.post(`${run}/cancel`)).status).toBe(403);
    expect((await ada.post(`${run}/cancel`)).status).toBe(303);
  });
});
