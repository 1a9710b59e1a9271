import { paperRecord } from "@concord/feed";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { dailyDetail, dailyItem, dailySearchItem } from "../src/api/daily-shapes.ts";
import { createKey } from "../src/api/keys.ts";
import { RateWindows } from "../src/api/rate-windows.ts";
import { apiPage, apiPaper, apiSearch } from "../src/api/v1-shapes.ts";
import { temporaryFolder } from "./support.ts";
import { type TestApp, testApp } from "./support-app.ts";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let site: TestApp;

beforeAll(async () => {
  folder = await temporaryFolder();
  site = await testApp(folder.path);
});
afterAll(() => folder.remove());

async function get(path: string, init?: RequestInit) {
  const answer = await site.app.request(path, init);
  return { status: answer.status, headers: answer.headers, body: JSON.parse(await answer.text()) };
}

describe("the Daily Papers calls", () => {
  it("list papers in pages with the fields that clients know", async () => {
    const { status, body, headers } = await get("/api/daily_papers?limit=10");
    expect(status).toBe(200);
    expect(body).toHaveLength(10);
    for (const item of body) expect(dailyItem.parse(item)).toEqual(item);
    expect(headers.get("link")).toBe('<http://papers.test/api/daily_papers?limit=10&p=1>; rel="next"');
    const pages = await Promise.all([0, 1, 2, 3].map((p) => get(`/api/daily_papers?limit=10&p=${p}`)));
    const ids = pages.flatMap((page) => page.body.map((item: { paper: { id: string } }) => item.paper.id));
    expect(new Set(ids).size).toBe(24);
    expect(pages[3]!.body).toEqual([]);
  });

  it("take a day, a week and a month", async () => {
    const [day, week, month] = await Promise.all(
      ["date=2025-05-06", "week=2025-W19", "month=2025-05"].map((query) => get(`/api/daily_papers?${query}`)),
    );
    expect(day!.body.map((item: { paper: { id: string } }) => item.paper.id)).toEqual(["2505.03186"]);
    expect(week!.body).toEqual(day!.body);
    expect(month!.body.length).toBeGreaterThanOrEqual(1);
    expect((await get("/api/daily_papers?date=2025-05-07")).body).toEqual([]);
  });

  it.each([
    "date=yesterday",
    "date=2025-02-30",
    "week=2025-W60",
    "month=2025-13",
    "limit=0",
    "limit=101",
    "p=-1",
    "sort=best",
  ])("refuse %s", async (query) => {
    const { status, body } = await get(`/api/daily_papers?${query}`);
    expect(status).toBe(400);
    expect(body.error).toBeTypeOf("string");
  });

  it("show one paper with its comments", async () => {
    const account = await site.feed.people.create({ name: "ada" });
    await site.feed.comments.add({
      paperId: "2006.09882",
      accountId: account.id,
      parentId: null,
      text: "*Good*",
    });
    const { body } = await get("/api/papers/2006.09882");
    expect(dailyDetail.parse(body)).toEqual(body);
    expect(body.comments[0]).toMatchObject({ author: { name: "ada" }, data: { latest: { raw: "*Good*" } } });
    expect((await get("/api/papers/2006.09882v2")).body.id).toBe("2006.09882");
    expect((await get("/api/papers/0000.00000")).status).toBe(404);
    const [known] = (await site.feed.papers.list({ limit: 1 })).items;
    const { title, abstract } = known!;
    await site.feed.papers.upsert([
      paperRecord.parse({ id: "math/0611800", title: `${title} of old`, abstract, sources: ["file"] }),
    ]);
    for (const id of ["math/0611800", "math/0611800v2", "math%2F0611800"]) {
      const old = await get(`/api/papers/${id}`);
      expect(dailyDetail.parse(old.body).id).toBe("math/0611800");
    }
    await site.feed.papers.remove("math/0611800");
    expect((await get("/api/papers/math/0611800")).status).toBe(404);
    expect((await get("/api/arxiv/2006.09882/repos")).body).toEqual({ models: [], datasets: [], spaces: [] });
  });

  it("search, with what was found marked", async () => {
    const { body } = await get("/api/papers/search?q=modality");
    expect(body.length).toBeGreaterThan(0);
    for (const item of body) {
      expect(dailySearchItem.parse(item)).toEqual(item);
      const join = (parts: { text: string }[]) => parts.map(({ text }) => text).join("");
      expect(join(item.highlightedTitle)).toBe(item.title);
    }
    expect((await get("/api/papers/search?q=")).status).toBe(400);
  });
});

describe("Concord's calls", () => {
  it("page through everything once", async () => {
    const ids: string[] = [];
    let cursor: string | null = null;
    do {
      const { body } = await get(
        `/api/v1/papers?limit=7${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`,
      );
      expect(apiPage.parse(body)).toEqual(body);
      ids.push(...body.papers.map(({ id }: { id: string }) => id));
      cursor = body.next;
    } while (cursor !== null);
    expect(new Set(ids).size).toBe(24);
    expect(ids).toHaveLength(24);
  });

  it("filter, search and find what is similar", async () => {
    const runnable = (await get("/api/v1/papers?runnable=true")).body;
    expect(runnable.papers.map(({ slug }: { slug: string }) => slug)).toEqual(["clip-refine"]);
    const found = (await get("/api/v1/search?q=modality+gap")).body;
    expect(apiSearch.parse(found)).toEqual(found);
    const similar = (await get("/api/v1/papers/clip-refine/similar?limit=3")).body;
    for (const paper of similar) expect(apiPaper.parse(paper)).toEqual(paper);
    expect(similar.map(({ slug }: { slug: string }) => slug)).not.toContain("clip-refine");
  });

  it("let a key act for its account, as far as it may", async () => {
    const account = await site.feed.people.create({ name: "grace" });
    const [read, write] = [createKey(), createKey()];
    const stored = ({ keyHash, prefix }: typeof read) => ({ keyHash, prefix });
    await site.feed.people.addApiKey({ accountId: account.id, name: "r", scopes: ["read"], ...stored(read) });
    const { id } = await site.feed.people.addApiKey({
      ...{ accountId: account.id, name: "w", scopes: ["read", "write"] },
      ...stored(write),
    });
    const as = (key: string, method: string) => ({ method, headers: { authorization: `Bearer ${key}` } });
    const path = "/api/v1/papers/2006.09882/vote";
    expect((await get("/api/v1/me", as(read.key, "GET"))).body.name).toBe("grace");
    expect((await get(path, as(read.key, "PUT"))).status).toBe(403);
    expect((await get(path, { method: "PUT" })).status).toBe(401);
    expect((await get(path, as("concord_nonsense", "PUT"))).status).toBe(401);
    expect((await get(path, as(write.key, "PUT"))).body).toEqual({ changed: true, vote: true });
    expect((await get(path, as(write.key, "PUT"))).body).toEqual({ changed: false, vote: true });
    expect((await site.feed.papers.get("2006.09882"))!.upvotes).toBe(1);
    expect((await get(path, as(write.key, "DELETE"))).body).toEqual({ changed: true, vote: false });
    await site.feed.people.revokeApiKey(account.id, id);
    expect((await get(path, as(write.key, "PUT"))).status).toBe(401);
  });

  it("answer in JSON when they refuse", async () => {
    const large = await get("/api/v1/recommendations", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ like: ["x".repeat(20_000)] }),
    });
    expect(large.status).toBe(413);
    expect(large.body.error).toContain("16384 bytes");
    const foreign = await get("http://elsewhere.example/api/papers");
    expect([foreign.status, Object.keys(foreign.body)]).toEqual([421, ["error"]]);
    for (const path of [
      "/api/v1/nothing",
      "/api/v1/papers/none",
      "/api/v1/papers?cursor=x",
      "/api/v1/search?q=",
    ]) {
      const { status, body } = await get(path);
      expect(status, path).toBeGreaterThanOrEqual(400);
      expect(status, path).toBeLessThan(500);
      expect(body.error, path).toBeTypeOf("string");
    }
  });
});

it("describes every call in OpenAPI 3.1", async () => {
  const { body } = await get("/.well-known/openapi.json");
  expect(body.openapi).toBe("3.1.0");
  expect(Object.keys(body.paths)).toEqual(
    expect.arrayContaining(["/api/daily_papers", "/api/papers/search", "/api/papers/{id}", "/api/v1/search"]),
  );
  expect(body.components.schemas).toHaveProperty("DailyItem");
  const page = await site.app.request("/api");
  const text = await page.text();
  for (const path of Object.keys(body.paths)) expect(text).toContain(path);
});

describe("votes by key", () => {
  it("follow the rules of the pages: one of an address block and hour counts, and there is a limit", async () => {
    const own = await testApp(folder.path);
    const path = "/api/v1/papers/2006.09882/vote";
    const voter = async (name: string) => {
      const { id } = await own.feed.people.create({ name });
      const { key, keyHash, prefix } = createKey();
      await own.feed.people.addApiKey({
        accountId: id,
        name: "a",
        keyHash,
        prefix,
        scopes: ["read", "write"],
      });
      return (method: "PUT" | "DELETE") =>
        own.app.request(path, { method, headers: { authorization: `Bearer ${key}` } });
    };
    const ada = await voter("ada");
    expect((await ada("PUT")).status).toBe(200);
    const before = await own.feed.papers.get("2006.09882");
    expect((await (await voter("bo"))("PUT")).status).toBe(200);
    expect(await own.feed.papers.get("2006.09882")).toMatchObject({ upvotes: 2, trend: before?.trend });
    let last = await ada("DELETE");
    for (let n = 0; n < 70 && last.status === 200; n++) last = await ada(n % 2 ? "DELETE" : "PUT");
    expect(last.status).toBe(429);
    expect(await last.json()).toEqual({ error: expect.stringContaining("too often") });
    expect(Number(last.headers.get("retry-after"))).toBeGreaterThan(0);
  });
});

describe("the quota", () => {
  it("counts clients apart, says what is left, and starts again", () => {
    let now = 0;
    const windows = new RateWindows("api", 2, () => now);
    expect(windows.take("a")).toEqual({ left: 1, seconds: 300 });
    expect(windows.take("a").left).toBe(0);
    expect(windows.take("a").left).toBe(-1);
    expect(windows.take("b").left).toBe(1);
    now = 299_000;
    expect(windows.take("a")).toEqual({ left: -1, seconds: 1 });
    now = 300_000;
    expect(windows.take("a").left).toBe(1);
  });

  it("is told in the headers that clients know, and refuses with the time to come again", async () => {
    const own = await testApp(folder.path);
    const answer = await own.app.request("/api/papers/search?q=gap");
    expect(answer.headers.get("ratelimit-policy")).toBe('"fixed window";"search";q=100;w=300');
    let last = answer;
    for (let request = 0; request < 100; request++) last = await own.app.request("/api/papers/search?q=gap");
    expect(last.status).toBe(429);
    expect(Number(last.headers.get("retry-after"))).toBeGreaterThan(0);
  });

  it("is one for all the addresses of a subscriber's IPv6 network", async () => {
    const own = await testApp(folder.path, { proxies: ["127.0.0.1"] });
    const left = async (address: string) => {
      const answer = await own.app.request("/api/papers/x", { headers: { "x-forwarded-for": address } });
      return Number(/;r=(\d+)/.exec(answer.headers.get("ratelimit") ?? "")?.[1]);
    };
    const first = await left("2001:db8:1:2::1");
    expect(await left("2001:db8:1:2:ffff::9")).toBe(first - 1);
    expect(await left("2001:db8:1:3::1")).toBe(first);
    expect(await left("198.51.100.7")).toBe(first);
    expect(await left("198.51.100.8")).toBe(first);
  });
});
