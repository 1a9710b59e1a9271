import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { safePath } from "../src/http/safe-path.ts";
import { temporaryFolder } from "./support.ts";
import { ownForm, type TestApp, testApp, Visitor } from "./support-app.ts";

const PASSWORD = "seven wooden kites";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
beforeAll(async () => {
  folder = await temporaryFolder();
});
afterAll(() => folder.remove());

async function signedIn(site: TestApp, name: string, headers: Record<string, string> = {}): Promise<Visitor> {
  if ((await site.feed.people.byName(name)) === null) {
    const account = await site.feed.people.create({
      name,
      email: `${name}@example.org`,
      emailVerified: true,
    });
    const secret = await site.people.passwords.hash(PASSWORD);
    await site.feed.people.setCredential({ accountId: account.id, kind: "password", ref: "", secret });
  }
  const visitor = new Visitor((path, init) => site.app.request(path, init), headers);
  await visitor.get("/sign-in");
  expect((await visitor.post("/sign-in", { login: name, password: PASSWORD })).status).toBe(303);
  await visitor.get("/settings");
  return visitor;
}

/** Every route of the site for a method, with values for its parameters. */
function routes(site: TestApp, method: "GET" | "POST", values: Readonly<Record<string, string>>): string[] {
  const paths = site.app.routes
    .filter((route) => route.method === method && !route.path.includes("*"))
    .map(({ path }) =>
      path.replace(
        /:(\w+)(?:\{([^}]*)\})?/g,
        (_, name: string, pattern = "") => values[`${name}{${pattern}}`] ?? values[name] ?? "x",
      ),
    );
  return [...new Set(paths)];
}

describe("GET", () => {
  it("changes nothing, whoever asks and whatever for", async () => {
    const file = join(folder.path, "store.sqlite");
    const site = await testApp(folder.path, { storeFile: file, clock: () => Date.UTC(2026, 10, 20, 12) });
    const ada = await signedIn(site, "ada");
    const grace = await signedIn(site, "grace");
    const written = await grace.post("/papers/clip-refine/comments", { text: "Hello" });
    const id = written.headers.get("location")!.split("#comment-")[1]!;
    await ada.post("/papers/clip-refine/collect", { name: "Some" });
    const [collection] = await site.feed.activity.collections((await site.feed.people.byName("ada"))!.id);
    await ada.post(`/collections/${collection!.id}`, { name: "Some", public: "1" });
    await ada.post("/sign-out");
    await ada.get("/sign-in");
    await ada.post("/sign-in/link", { email: "ada@example.org" });
    await site.people.office.idle();
    const link = /link\/([\w-]{43})/.exec(site.mails.at(-1)!.text)![1]!;
    const owner = await signedIn(site, "ada");

    const plain = (_: string, value: unknown) => {
      if (value instanceof Uint8Array) return Buffer.from(value).toString("hex");
      return typeof value === "bigint" ? `${value}n` : value;
    };
    const dump = () => {
      const database = new DatabaseSync(file, { readOnly: true });
      const tables = database
        .prepare("select name from sqlite_schema where type = 'table' order by name")
        .all();
      const all = tables.map(({ name }) => {
        // The health check proves that the store can be written by writing a mark of its own.
        const marks = name === "sequences" ? "where name <> 'health'" : "";
        const rows = database.prepare(`select * from "${String(name)}" ${marks}`);
        rows.setReadBigInts(true);
        return [name, JSON.stringify(rows.all(), plain)] as const;
      });
      database.close();
      return new Map(all);
    };
    const paths = routes(site, "GET", {
      id,
      slug: "clip-refine",
      name: "grace",
      secret: link,
      tab: "votes",
      file: "data.json",
      kind: "day",
      at: "2025-04-17",
    }).flatMap((path) => {
      const paper = path.replace(/^\/papers\/[^/]+/, "/papers/clip-refine");
      const places = path.startsWith("/collections/") ? [path.replace(id, collection!.id)] : [paper];
      // What one might hope to do by an address.
      return places.flatMap((place) => [
        place,
        `${place}?_method=POST&up=1&on=1&confirm=1&decision=hide&act=suspend`,
      ]);
    });
    expect(paths.length).toBeGreaterThan(80);
    const before = dump();
    const statuses: Record<number, number> = {};
    for (const visitor of [new Visitor((path, init) => site.app.request(path, init)), owner]) {
      for (const path of paths) {
        const answer = await visitor.send(path);
        await answer.arrayBuffer();
        statuses[answer.status] = (statuses[answer.status] ?? 0) + 1;
        expect(answer.status, path).toBeLessThan(500);
      }
      for (const path of paths) await visitor.send(path, { method: "HEAD" });
    }
    expect(statuses[200]).toBeGreaterThan(60);
    const after = dump();
    expect([...before.keys()].filter((table) => before.get(table) !== after.get(table))).toEqual([]);
    await site.feed.close();
  });
});

describe("form tokens", () => {
  let site: TestApp;
  let ada: Visitor;
  let grace: Visitor;
  beforeAll(async () => {
    site = await testApp(folder.path);
    ada = await signedIn(site, "ada");
    grace = await signedIn(site, "grace");
  });
  const vote = "/papers/clip-refine/vote";
  const status = async (visitor: Visitor, fields: Record<string, string>, headers = {}) =>
    (await visitor.post(vote, { up: "1", ...fields }, headers)).status;

  it("are asked for by every route that changes something", async () => {
    const paths = routes(site, "POST", { id: "x", slug: "clip-refine", name: "grace" }).filter(
      (path) => !path.startsWith("/api/") && !path.startsWith("/u/"),
    );
    expect(paths.length).toBeGreaterThan(25);
    for (const path of paths) {
      for (const visitor of [ada, new Visitor((to, init) => site.app.request(to, init))]) {
        const answer = await visitor.post(path, { _csrf: "" });
        expect(answer.status, path).toBe(403);
        expect(await answer.text()).toContain("This page was open for too long");
      }
    }
    expect(await site.feed.people.byName("ada")).not.toBeNull();
  });

  it("are another one in every form, and all good for their session alone", async () => {
    const text = await ada.get("/");
    const tokens = [...text.matchAll(/name="_csrf" value="([^"]+)"/g)].map(([, token]) => token!);
    expect(new Set(tokens).size).toBe(tokens.length);
    expect(tokens.length).toBeGreaterThan(20);
    for (const token of tokens.slice(0, 5)) {
      expect(await status(ada, { _csrf: token })).toBe(303);
      expect(await status(grace, { _csrf: token })).toBe(403);
    }
  });

  it("are refused when they are cut, changed, repeated, a file or in the address", async () => {
    await ada.get("/");
    const token = ada.hidden.get("_csrf")!;
    const flipped = (token[0] === "A" ? "B" : "A") + token.slice(1);
    for (const bad of ["", "x", token.slice(0, -2), `${token}AA`, flipped, "A".repeat(86), token.repeat(50)])
      expect(await status(ada, { _csrf: bad }), bad.slice(0, 20)).toBe(403);
    expect((await ada.post(`${vote}?_csrf=${token}`, { up: "1", _csrf: "" })).status).toBe(403);
    const file = new FormData();
    file.set("_csrf", new File([token], "token.txt"));
    file.set("up", "1");
    const sent = await ada.send(vote, {
      method: "POST",
      headers: { "sec-fetch-site": "same-origin" },
      body: file,
    });
    expect(sent.status).toBe(403);
  });

  it("may come in a header, for scripts of our pages", async () => {
    await ada.get("/");
    const token = ada.hidden.get("_csrf")!;
    expect(await status(ada, { _csrf: "" }, { "x-csrf-token": token })).toBe(303);
    expect(await status(ada, { _csrf: token }, { "x-csrf-token": "wrong" })).toBe(403);
  });

  it("do not help a page elsewhere, and neither does text that looks like a form", async () => {
    await ada.get("/");
    expect(await status(ada, {}, { "sec-fetch-site": "cross-site" })).toBe(403);
    expect(await status(ada, {}, { "sec-fetch-site": "same-site" })).toBe(403);
    const token = ada.hidden.get("_csrf")!;
    for (const type of ["text/plain", "application/json", ""]) {
      const answer = await ada.send(vote, {
        method: "POST",
        headers: { "sec-fetch-site": "same-origin", ...(type !== "" && { "content-type": type }) },
        body: `up=1&_csrf=${token}`,
      });
      expect(answer.status, type).toBe(403);
    }
  });

  it("of visitors need the cookie that came with the form, which only pages with a form set", async () => {
    const visitor = new Visitor((path, init) => site.app.request(path, init));
    for (const path of ["/trending", "/papers/swav", "/catalogue", "/about", "/runs", "/api"])
      await visitor.get(path);
    expect(visitor.cookies.size).toBe(0);
    await visitor.get("/forgot");
    const cookie = visitor.cookies.get("visitor")!;
    // A page with a form is nobody else's, also where the cookie is there already.
    for (const fresh of [new Visitor((path, init) => site.app.request(path, init)), visitor]) {
      const page = await fresh.send("/papers/clip-refine");
      expect(await page.text()).toContain('name="_csrf"');
      expect(page.headers.get("cache-control")).toBe("private, no-cache");
    }
    expect(visitor.cookies.get("visitor")).toBe(cookie);
    const send = async () => (await visitor.post("/forgot", { email: "a@example.org" })).status;
    expect(await send()).toBe(200);
    visitor.cookies.set("visitor", `${cookie.slice(0, -1)}${cookie.endsWith("A") ? "B" : "A"}`);
    expect(await send()).toBe(403);
    const [, ...rest] = cookie.split(".");
    visitor.cookies.set("visitor", ["zzzzzzz", ...rest].join("."));
    expect(await send()).toBe(403);
    visitor.cookies.delete("visitor");
    expect(await send()).toBe(403);
  });

  it("of visitors end after twelve hours", async () => {
    let now = Date.now();
    const timed = await testApp(folder.path, { clock: () => now });
    await timed.feed.people.create({ name: "ada" });
    const visitor = new Visitor((path, init) => timed.app.request(path, init));
    await visitor.get("/forgot");
    now += 11 * 3_600_000;
    expect((await visitor.post("/forgot", { email: "a@example.org" })).status).toBe(200);
    now += 2 * 3_600_000;
    expect((await visitor.post("/forgot", { email: "a@example.org" })).status).toBe(403);
  });

  it("are not needed by the API, which knows no cookies", async () => {
    const answer = await ada.send("/api/v1/papers/2504.12717/vote", { method: "POST" });
    expect([401, 404]).toContain(answer.status);
  });
});

describe("requests", () => {
  let site: TestApp;
  let ada: Visitor;
  beforeAll(async () => {
    site = await testApp(folder.path);
    ada = await signedIn(site, "ada");
  });

  it("of other methods are refused, and cannot pretend", async () => {
    for (const method of ["PUT", "PATCH", "DELETE", "PROPFIND"]) {
      const answer = await ada.send("/settings", { method, headers: { "sec-fetch-site": "same-origin" } });
      expect(answer.status, method).toBe(405);
    }
    const headers = { "x-http-method-override": "POST", "x-method-override": "DELETE" };
    expect((await ada.send("/settings/delete", { headers })).status).toBe(404);
    await ada.post("/settings/profile", { _method: "DELETE", name: "ada", displayName: "Ada" });
    expect(await site.feed.people.byName("ada")).not.toBeNull();
  });

  it("that are too large are refused, each route at its own limit", async () => {
    const big = "x".repeat(20_000);
    expect((await ada.post("/settings/profile", { displayName: big })).status).toBe(413);
    expect((await ada.post("/papers/swav/comments", { text: big })).status).toBe(400);
    expect((await ada.post("/papers/swav/comments", { text: "x".repeat(140_000) })).status).toBe(413);
    expect((await ada.post("/papers/swav/vote", { up: "1", text: big })).status).toBe(413);
  });

  it("with many or strange fields are answered, not failed", async () => {
    const many = Object.fromEntries(Array.from({ length: 900 }, (_, at) => [`f${at}`, "1"]));
    expect((await ada.post("/settings/profile", many)).status).toBe(400);
    for (const name of ["__proto__", "constructor", "toString"])
      expect((await ada.post("/settings/profile", { [name]: "x" })).status).toBe(400);
    const answer = await ada.post("/settings/profile", { name: "ada", displayName: "a\0b\ud800c" });
    expect(answer.status).toBeLessThan(500);
    const broken = await ada.send("/settings/profile", {
      method: "POST",
      headers: { "sec-fetch-site": "same-origin", "content-type": "multipart/form-data; boundary=x" },
      body: "--y\r\nnonsense",
    });
    expect([400, 403]).toContain(broken.status);
  });

  it("lead back to this site only", async () => {
    const elsewhere = [
      "//evil.example",
      "/\\evil.example",
      "https://evil.example",
      "javascript:alert(1)",
      "/\t/evil.example",
      "/%0d%0aSet-Cookie: x=y\r\nX: y",
      "\\\\evil.example",
      "/.//evil.example",
      "/a/..//evil.example",
      "evil.example",
      " //evil.example",
      "/\u0000",
      `/${"a".repeat(3000)}`,
    ];
    for (const path of elsewhere) {
      const location = (await ada.post("/papers/swav/vote", { up: "1", back: path })).headers.get(
        "location",
      )!;
      expect(new URL(location, "http://localhost").host, path).toBe("localhost");
      expect(location).not.toMatch(/[\r\n\t\\]/);
      const visitor = new Visitor((to, init) => site.app.request(to, init));
      await visitor.get("/sign-in");
      const signed = await visitor.post("/sign-in", { login: "ada", password: PASSWORD, next: path });
      expect(new URL(signed.headers.get("location")!, "http://localhost").host, path).toBe("localhost");
    }
    expect(safePath("/day/2026-11-20?topic=a#b")).toBe("/day/2026-11-20?topic=a#b");
    expect(safePath("/a/..//evil.example")).toBe("/");
    expect(safePath(undefined, "/x")).toBe("/x");
  });

  it("cannot write headers of answers or of mail", async () => {
    const evil = "x\r\nSet-Cookie: evil=1\r\n\r\n<b>";
    for (const path of ["/sign-in?next=", "/people/", "/collections/", "/link/", "/?topic="]) {
      const { headers } = await site.app.request(path + encodeURIComponent(evil));
      expect(headers.get("set-cookie") ?? "").not.toContain("evil=");
    }
    const before = site.mails.length;
    for (const email of [
      "a@example.org\r\nBcc: b@example.org",
      "a@example.org, b@example.org",
      "a@exam\u2028ple.org",
    ]) {
      await ada.get("/forgot");
      const answer = await ada.post("/forgot", { email });
      expect(answer.status, JSON.stringify(email)).toBe(400);
    }
    await site.people.office.idle();
    expect(site.mails).toHaveLength(before);
  });
});

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
