import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { temporaryFolder } from "./support.ts";
import { linkTo, member, owner, PASSWORD, siteAt } from "./support-people.ts";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
beforeAll(async () => {
  folder = await temporaryFolder();
});
afterAll(() => folder.remove());
const siteOf = (options?: Parameters<typeof siteAt>[1]) => siteAt(folder.path, options);

describe("an account", () => {
  it("changes its address only when the new one is confirmed; the old one is told", async () => {
    const site = await siteOf();
    await owner(site);
    const grace = await member(site, "grace", PASSWORD);
    expect((await grace.post("/settings/email", { email: "new@example.org", current: "wrong" })).status).toBe(
      400,
    );
    expect(
      (await grace.post("/settings/email", { email: "new@example.org", current: PASSWORD })).status,
    ).toBe(303);
    expect((await site.feed.people.byName("grace"))!.email).toBe("grace@example.org");
    const link = await linkTo(site, "new@example.org");
    await grace.get(link);
    expect((await site.feed.people.byName("grace"))!.email).toBe("grace@example.org");
    expect((await grace.post(link)).status).toBe(200);
    expect(await site.feed.people.byName("grace")).toMatchObject({
      email: "new@example.org",
      emailVerified: true,
    });
    await site.people.office.idle();
    expect(site.mails.at(-1)).toMatchObject({ to: "grace@example.org" });
    // Somebody else's address is answered alike, and gets no message.
    const before = site.mails.length;
    expect(
      (await grace.post("/settings/email", { email: "ada@example.org", current: PASSWORD })).status,
    ).toBe(303);
    await site.people.office.idle();
    expect(site.mails).toHaveLength(before);
  });

  it("has keys that are shown once and can be revoked", async () => {
    const site = await siteOf();
    const ada = await owner(site);
    const page = await (await ada.post("/settings/keys", { keyName: "script", "scope-read": "1" })).text();
    const key = /concord_[\w-]{32}/.exec(page)![0];
    expect(await ada.get("/settings")).not.toContain(key);
    const call = (path: string) => site.app.request(path, { headers: { authorization: `Bearer ${key}` } });
    expect((await call("/api/daily_papers")).status).toBe(200);
    const id = /name="key" value="([^"]+)"/.exec(await ada.get("/settings"))![1]!;
    await ada.post("/settings/keys/revoke", { key: id });
    expect((await call("/api/daily_papers")).status).toBe(401);
  });

  it("can be taken away as JSON, CSV and BibTeX, and deleted for good after it is confirmed", async () => {
    const site = await siteOf();
    await owner(site);
    const grace = await member(site, "grace", PASSWORD);
    await grace.post("/papers/clip-refine/bookmark", { on: "1" });
    await grace.post("/papers/clip-refine/vote", { up: "1" });
    await grace.post("/papers/clip-refine/comments", { text: "Mine alone" });
    const data = JSON.parse(await grace.get("/settings/export/data.json")) as {
      comments: unknown[];
      votes: unknown[];
    };
    expect(data).toMatchObject({ account: { name: "grace" }, comments: [{ text: "Mine alone" }] });
    expect(data.votes).toHaveLength(1);
    expect(await grace.get("/settings/export/papers.csv")).toMatch(
      /^list,paper,title,added\r\nbookmarks,2504\.12717,/,
    );
    expect(await grace.get("/settings/export/papers.bib")).toContain("@misc{yamaguchi2025post");
    expect((await grace.post("/settings/delete", { name: "grace", current: "wrong" })).status).toBe(400);
    expect((await grace.post("/settings/delete", { name: "nobody", current: PASSWORD })).status).toBe(400);
    expect((await grace.post("/settings/delete", { name: "grace", current: PASSWORD })).status).toBe(303);
    expect(await site.feed.people.byName("grace")).toBeNull();
    const paper = await site.visitor().get("/papers/clip-refine");
    expect(paper).not.toContain("Mine alone");
    expect(/data-count>(\d+)</.exec(paper)![1]).toBe("0");
  });

  it("of the only owner cannot be deleted while others are there", async () => {
    const site = await siteOf();
    const ada = await owner(site);
    await member(site, "grace");
    const answer = await ada.post("/settings/delete", { name: "ada", current: PASSWORD });
    expect(answer.status).toBe(403);
    expect(await answer.text()).toContain("You are the only owner");
  });
});

describe("votes and collections", () => {
  it("count once, go back to where they were given, and answer scripts as JSON", async () => {
    const site = await siteOf();
    const ada = await owner(site);
    const vote = (up: string, headers = {}) =>
      ada.post("/papers/clip-refine/vote", { up, back: "/trending?topic=retrieval#x" }, headers);
    expect((await vote("1")).headers.get("location")).toBe("/trending?topic=retrieval#x");
    const json = { accept: "application/json" };
    expect(await (await vote("1", json)).json()).toEqual({ on: true, count: 1 });
    expect(/aria-pressed="true"[\s\S]{0,600}data-count>1</.test(await ada.get("/"))).toBe(true);
    expect(await (await vote("0", json)).json()).toEqual({ on: false, count: 0 });
    expect((await vote("7")).status).toBe(400);
    const visitor = site.visitor();
    await visitor.get("/sign-in");
    expect((await visitor.post("/papers/clip-refine/vote", { up: "1" })).headers.get("location")).toBe(
      "/sign-in",
    );
  });

  it("are seen by their owner alone until they are public", async () => {
    const site = await siteOf();
    const ada = await owner(site);
    const grace = await member(site, "grace");
    await ada.post("/papers/swav/collect", { name: "Clusters" });
    const [collection] = await site.feed.activity.collections((await site.feed.people.byName("ada"))!.id);
    const path = `/collections/${collection!.id}`;
    expect(await ada.get(path)).toContain("/papers/swav");
    await grace.get(path, 404);
    expect((await grace.post(path, { name: "Stolen" })).status).toBe(404);
    // Characters that turn or hide what stands beside a name are no part of it.
    await ada.post(path, { name: " Clus\u202eters\u200b\n ", public: "1" });
    expect((await site.feed.activity.collection(collection!.id))?.name).toBe("Clusters");
    expect(await grace.get(path)).toContain("/papers/swav");
    expect((await grace.post(path, { name: "Stolen" })).status).toBe(403);
    expect((await grace.post(`${path}/delete`)).status).toBe(403);
    expect((await grace.post("/papers/swav/collect", { collection: collection!.id, on: "0" })).status).toBe(
      404,
    );
    expect(await site.visitor().get("/people/ada")).toContain(path);
    await ada.post("/papers/swav/collect", { collection: collection!.id, on: "0" });
    expect(await ada.get(path)).toContain("Empty");
    await ada.post(`${path}/delete`);
    await ada.get(path, 404);
  });
});

describe("submitting a paper", () => {
  it.each([
    "2301.00001",
    "arXiv:2301.00001v3",
    "https://arxiv.org/abs/2301.00001",
    "http://arxiv.org/pdf/2301.00001v2.pdf",
    " https://arxiv.org/abs/2301.00001?context=cs#top ",
  ])("takes %s, and says that it waits where the server does not fetch", async (id) => {
    const site = await siteOf();
    const ada = await owner(site);
    const answer = await ada.post("/submit", { id });
    expect(answer.headers.get("location")).toBe("/you/submissions?done=1");
    const page = await ada.get("/you/submissions");
    expect(page).toContain("2301.00001");
    expect(page).toContain("does not fetch papers by itself");
    expect((await site.feed.jobs.list()).items).toMatchObject([{ key: "2301.00001", queue: "submit-paper" }]);
    await ada.post("/submit", { id });
    expect((await site.feed.jobs.list()).items).toHaveLength(1);
  });

  it("leads to a paper that is here, and refuses what is no id and too many", async () => {
    const site = await siteOf();
    const ada = await owner(site);
    expect((await ada.post("/submit", { id: "2504.12717v1" })).headers.get("location")).toBe(
      "/papers/2504.12717",
    );
    for (const id of ["", "hello", "2399.00001", "https://evil.example/abs/2301.00001"])
      expect((await ada.post("/submit", { id })).status, id).toBe(400);
    for (let at = 0; at < 10; at++) await ada.post("/submit", { id: `2302.0000${at}` });
    const answer = await ada.post("/submit", { id: "2303.00001" });
    expect(answer.status).toBe(429);
    expect(await answer.text()).toContain("60 minutes");
  });
});
