import { brotliDecompressSync, gunzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { acceptedEncoding, buildAssets } from "../src/http/assets.ts";
import { realRecords } from "./real-records.ts";
import { temporaryFolder } from "./support.ts";
import { type TestApp, testApp, Visitor } from "./support-app.ts";

const KB = 1000;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let site: TestApp;

beforeAll(async () => {
  folder = await temporaryFolder();
  site = await testApp(folder.path);
  await site.feed.papers.upsert(realRecords());
});
afterAll(() => folder.remove());

const get = async (path: string, headers: Record<string, string> = {}) => site.app.request(path, { headers });

describe("assets", () => {
  it("keep within the budget: all scripts together below 100 kB as they are, first page with its style below 100 kB as sent", async () => {
    const assets = await buildAssets();
    const sizes = (["theme", "main", "run"] as const).map(
      (name) => assets.file(assets.url(name).slice("/assets/".length))!.body.length,
    );
    expect(sizes.every((size) => size > 100)).toBe(true);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(100 * KB);
    const style = assets.file(assets.url("style").slice("/assets/".length))!;
    const page = Buffer.from(await (await get("/", { "accept-encoding": "gzip" })).arrayBuffer());
    expect(gunzipSync(page).length).toBeGreaterThan(page.length);
    expect(page.length + style.encoded.br.length).toBeLessThan(100 * KB);
  });

  it("are sent compressed as the browser takes them, and stay the same", async () => {
    const path = /href="(\/assets\/style[^"]+)"/.exec(await (await get("/about")).text())![1]!;
    const plain = Buffer.from(await (await get(path)).arrayBuffer());
    const br = await get(path, { "accept-encoding": "gzip, deflate, br, zstd" });
    expect(br.headers.get("content-encoding")).toBe("br");
    expect(br.headers.get("vary")).toBe("Accept-Encoding");
    expect(br.headers.get("cache-control")).toContain("immutable");
    expect(brotliDecompressSync(Buffer.from(await br.arrayBuffer())).equals(plain)).toBe(true);
    const zipped = await get(path, { "accept-encoding": "gzip" });
    expect(zipped.headers.get("content-encoding")).toBe("gzip");
    expect(gunzipSync(Buffer.from(await zipped.arrayBuffer())).equals(plain)).toBe(true);
  });

  it.each([
    [undefined, null],
    ["", null],
    ["identity", null],
    ["gzip", "gzip"],
    ["gzip, br", "br"],
    ["br;q=0, gzip;q=0.5", "gzip"],
    ["BR;q=1.0", "br"],
    ["br; q=0.000, gzip; q=0", null],
  ])("Accept-Encoding %j takes %j", (header, encoding) => {
    expect(acceptedEncoding(header)).toBe(encoding);
  });
});

describe("pages for everybody", () => {
  it.each([
    "/",
    "/trending",
    "/day/2026-11-20",
    "/month/2026-11",
    "/papers/2611.20000",
    "/catalogue",
    "/about",
    "/api",
  ])("%s may be kept by proxies, sets no cookie, and is not sent twice", async (path) => {
    const first = await get(path);
    expect(first.status).toBe(200);
    expect(first.headers.get("cache-control")).toMatch(/^public, max-age=0, must-revalidate, s-maxage=\d+$/);
    expect(first.headers.get("vary")).toMatch(/\bCookie\b/);
    expect(first.headers.get("set-cookie")).toBeNull();
    const tag = first.headers.get("etag")!;
    expect(tag).toMatch(/^W\/"[\w-]{22}"$/);
    for (const asked of [tag, `"other", ${tag}`, tag.slice(2), "*"]) {
      const second = await get(path, { "if-none-match": asked });
      expect(second.status, asked).toBe(304);
      expect(await second.text()).toBe("");
      expect(second.headers.get("etag")).toBe(tag);
      expect(second.headers.get("content-security-policy")).toContain("default-src 'none'");
    }
    expect((await get(path, { "if-none-match": '"other"' })).status).toBe(200);
  });

  it("has another tag when a paper was added", async () => {
    const before = (await get("/")).headers.get("etag");
    const [record] = realRecords();
    await site.feed.papers.upsert([{ ...record!, id: "2611.29999", title: "One more of these" }]);
    expect((await get("/")).headers.get("etag")).not.toBe(before);
  });

  it("errors, forms and private pages are not kept", async () => {
    for (const path of [
      "/nothing",
      "/?after=nonsense",
      "/sign-in",
      "/subscribe",
      "/runs",
      "/you/bookmarks",
    ]) {
      const { headers } = await get(path);
      expect(headers.get("cache-control"), path).not.toContain("public");
      expect(headers.get("etag"), path).toBeNull();
    }
  });
});

it("pages of somebody who is signed in are theirs alone", async () => {
  const visitor = new Visitor((path, init) => site.app.request(path, init));
  await visitor.get("/sign-up");
  const answer = await visitor.post("/sign-up", {
    name: "reader",
    email: "reader@example.org",
    password: "correct horse battery staple",
  });
  expect(answer.status, await answer.clone().text()).toBeLessThan(400);
  for (const path of ["/", "/papers/2611.20000", "/trending"]) {
    const { headers } = await visitor.send(path);
    expect(headers.get("cache-control"), path).toBe("private, no-cache");
    expect(headers.get("vary"), path).toMatch(/\bCookie\b/);
    expect(headers.get("etag"), path).toBeNull();
    const tag = (await get(path)).headers.get("etag")!;
    expect((await visitor.send(path, { headers: { "if-none-match": tag } })).status, path).toBe(200);
  }
});
