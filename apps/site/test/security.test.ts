import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { temporaryFolder } from "./support.ts";
import { ownForm, type TestApp, testApp } from "./support-app.ts";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let site: TestApp;

beforeAll(async () => {
  folder = await temporaryFolder();
  site = await testApp(folder.path);
});
afterAll(() => folder.remove());

const start = "/papers/clip-refine/runs";
const queued = async () => (await site.store.list()).length;

describe("headers", () => {
  it.each(["/", "/runs", "/sign-in", "/healthz", "/papers/swav"])("protect %s", async (path) => {
    const { headers } = await site.app.request(path);
    expect(headers.get("content-security-policy")).toBe(
      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    );
    expect(headers.get("x-content-type-options")).toBe("nosniff");
    expect(headers.get("referrer-policy")).toBe("same-origin");
    expect(headers.get("cross-origin-opener-policy")).toBe("same-origin");
    expect(headers.get("cross-origin-resource-policy")).toBe("same-origin");
    expect(headers.get("x-frame-options")).toBe("DENY");
  });

  it("are stricter on pages that say what went wrong", async () => {
    for (const init of [undefined, { method: "POST" }] as const) {
      const { headers } = await site.app.request("/nothing", init);
      const policy = headers.get("content-security-policy");
      expect(policy).toMatch(
        /^default-src 'none'; .*form-action 'self'; frame-ancestors 'none'; base-uri 'none'$/,
      );
      expect(policy).not.toContain("connect-src");
    }
  });

  it("leave nothing inline for the policy to forbid", async () => {
    const text = await (await site.app.request("/papers/clip-refine")).text();
    expect(text).not.toMatch(/<script(?![^>]*\bsrc=)/);
    expect(text).not.toMatch(/\s(style|on\w+)="/);
  });
});

describe("state-changing requests", () => {
  const form = (headers: Record<string, string>): RequestInit => {
    const own = ownForm({ preset: "smoke" });
    const { cookie = "" } = own.headers as Record<string, string>;
    return { ...own, headers: { cookie, ...headers } };
  };

  it.each([
    ["a page elsewhere", { "sec-fetch-site": "cross-site", origin: "http://localhost" }],
    ["a sibling site", { "sec-fetch-site": "same-site" }],
    ["an old browser elsewhere", { origin: "http://evil.example" }],
    ["an old browser with an opaque origin", { origin: "null" }],
    ["something that says nothing of itself", {}],
  ])("from %s are refused", async (_, headers) => {
    const before = await queued();
    const answer = await site.app.request(
      start,
      form({ "content-type": "application/x-www-form-urlencoded", ...headers }),
    );
    expect(answer.status).toBe(403);
    expect(await queued()).toBe(before);
  });

  it("from our own pages are accepted, in old browsers too", async () => {
    expect((await site.app.request(start, ownForm({ preset: "smoke" }))).status).toBe(303);
    const old = form({ "content-type": "application/x-www-form-urlencoded", origin: "http://localhost" });
    expect((await site.app.request(start, old)).status).toBe(303);
  });

  it("are not possible with GET", async () => {
    const run = (await site.store.list())[0]!;
    for (const action of ["cancel", "resume", "delete"]) {
      expect((await site.app.request(`/runs/${run.id}/${action}`)).status).toBe(404);
    }
    expect((await site.app.request(start)).status).toBe(404);
    expect((await site.store.read(run.id)).status).toBe("queued");
  });

  it.each([
    { preset: "huge" },
    { preset: "smoke", seeds: "0" },
    { preset: "smoke", seeds: "21" },
    { preset: "smoke", seeds: "-1" },
    { preset: "smoke", seeds: "2e1" },
    {},
  ])("with a bad form %o are refused", async (fields) => {
    expect((await site.app.request(start, ownForm(fields as Record<string, string>))).status).toBe(400);
  });

  it("for a paper without experiment are refused", async () => {
    expect((await site.app.request("/papers/swav/runs", ownForm({ preset: "smoke" }))).status).toBe(404);
  });

  it("take no inputs: files are not read on behalf of a web page", async () => {
    const answer = await site.app.request(
      start,
      ownForm({ preset: "smoke", pairs: "/etc/passwd", images: "/" }),
    );
    const id = answer.headers.get("location")!.split("/").at(-1)!;
    expect((await site.store.read(id)).inputs).toEqual({});
  });

  it("with a large body are refused", async () => {
    const answer = await site.app.request(start, ownForm({ preset: "smoke", seeds: "1".repeat(20_000) }));
    expect(answer.status).toBe(413);
  });

  it("stop at twenty waiting runs", async () => {
    const answers: number[] = [];
    while (answers.length < 30 && answers.at(-1) !== 429) {
      answers.push((await site.app.request(start, ownForm({ preset: "smoke" }))).status);
    }
    expect(answers.at(-1)).toBe(429);
    expect(await queued()).toBe(20);
  });
});

describe("host names", () => {
  const status = async (site: TestApp, host: string) =>
    (await site.app.request("/", { headers: { host } })).status;

  it("other than this machine's are refused when only this machine is served", async () => {
    for (const host of ["localhost", "localhost:4000", "127.0.0.1:80", "[::1]:80"])
      expect(await status(site, host)).toBe(200);
    for (const host of [
      "evil.example",
      "127.0.0.1.evil.example",
      "192.168.0.9:80",
      "localhost.evil.example",
    ]) {
      expect(await status(site, host)).toBe(421);
    }
  });

  it("that were given are answered, and addresses when others are served", async () => {
    const open = await testApp(folder.path, { host: "0.0.0.0", hosts: ["papers.example.org"] });
    for (const host of ["papers.example.org", "192.168.0.9:80", "[fe80::1]"])
      expect(await status(open, host)).toBe(200);
    expect(await status(open, "evil.example")).toBe(421);
  });
});

describe("actions on a run", () => {
  it("cancel, resume and delete it, each only where its status allows it", async () => {
    const { id } = (await site.store.list()).at(-1)!;
    const act = async (action: string) => (await site.app.request(`/runs/${id}/${action}`, ownForm())).status;
    expect(await act("resume")).toBe(409);
    expect(await act("delete")).toBe(409);
    expect(await act("cancel")).toBe(303);
    expect((await site.store.read(id)).status).toBe("cancelled");
    expect(await act("cancel")).toBe(409);
    expect(await act("resume")).toBe(303);
    expect((await site.store.read(id)).status).toBe("queued");
    await act("cancel");
    expect(await act("delete")).toBe(303);
    expect(await act("cancel")).toBe(404);
  });
});
