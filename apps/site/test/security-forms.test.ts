import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { temporaryFolder } from "./support.ts";
import { type TestApp, testApp, Visitor } from "./support-app.ts";
import { signedIn } from "./support-people.ts";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
beforeAll(async () => {
  folder = await temporaryFolder();
});
afterAll(() => folder.remove());

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
