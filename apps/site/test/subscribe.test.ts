import { paperRecord } from "@concord/feed";
import { DigestPublisher, DigestSender } from "@concord/feed/digest";
import type { MailMessage } from "@concord/feed/mail";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { temporaryFolder } from "./support.ts";
import { testApp, Visitor } from "./support-app.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const NOON = Date.UTC(2026, 10, 20, 12);

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
beforeAll(async () => {
  folder = await temporaryFolder();
});
afterAll(() => folder.remove());

/** A site whose clock stands until it is moved; visitors come from the address that they are given. */
async function siteAt() {
  let now = NOON;
  const site = await testApp(folder.path, { clock: () => now, hosts: ["papers.test"] });
  const visitor = () => new Visitor((path, init) => site.app.request(path, init));
  const pass = (ms: number) => {
    now += ms;
  };
  const mailed = async () => {
    await site.people.office.idle();
    return site.mails;
  };
  /** Fills in the form as a person does. */
  const ask = async (email: string, fields: Readonly<Record<string, string>> = {}, from = visitor()) => {
    await from.get("/subscribe");
    pass(5000);
    const answer = await from.post("/subscribe", { email, ...fields });
    return { status: answer.status, text: await answer.text() };
  };
  const linkIn = (mail: MailMessage | undefined, path: string) =>
    new RegExp(`http://papers\\.test(/${path}/[\\w-]{22})\\b`).exec(mail?.text ?? "")?.[1] ?? "";
  return { ...site, visitor, pass, mailed, ask, linkIn, now: () => now };
}
type Site = Awaited<ReturnType<typeof siteAt>>;

/** Somebody who has confirmed. @returns the path of their own page */
async function subscribed(site: Site, email: string, fields: Readonly<Record<string, string>> = {}) {
  await site.ask(email, fields);
  const link = site.linkIn((await site.mailed()).at(-1), "subscribe/confirm");
  const visitor = site.visitor();
  await visitor.get(link);
  const text = await (await visitor.post(link)).text();
  return /href="http:\/\/papers\.test(\/subscribe\/manage\/[\w-]{22})"/.exec(text)?.[1] ?? "";
}

const stateOf = async ({ feed }: Site, email: string) =>
  (await feed.subscriptions.byEmail(email))?.state ?? null;

describe("subscribing", () => {
  it("asks for a confirmation, which a button gives and opening the link does not", async () => {
    const site = await siteAt();
    const { status } = await site.ask("Ada@Example.org", { cadence: "weekly", topic: "cs.CV" });
    expect(status).toBe(200);
    const [mail, ...more] = await site.mailed();
    expect(more).toEqual([]);
    expect(mail).toMatchObject({ to: "Ada@Example.org", headers: { "Auto-Submitted": "auto-generated" } });
    const link = site.linkIn(mail, "subscribe/confirm");
    const visitor = site.visitor();
    expect(await visitor.get(link)).toContain("Yes, send it to me");
    expect(await stateOf(site, "ada@example.org")).toBe("pending");
    expect(await (await visitor.post(link)).text()).toContain("You are subscribed");
    const reader = await site.feed.subscriptions.byEmail("ada@example.org");
    expect(reader).toMatchObject({ state: "confirmed", cadence: "weekly", topics: ["cs.CV"] });
    expect(reader?.consent).toMatchObject({ form: "form-2026-11", at: NOON + 5000 });
    expect(reader?.consent.addressHash).toMatch(/^[\w-]{22}$/);
    expect((await visitor.post(link)).status).toBe(200);
  });

  it("says the same of known, unknown, paused and suppressed addresses, and nothing that was typed", async () => {
    const site = await siteAt();
    await subscribed(site, "known@example.org");
    const gone = await subscribed(site, "gone@example.org");
    await subscribed(site, "paused@example.org");
    const { subscriptions } = site.feed;
    const idOf = async (email: string) => (await subscriptions.byEmail(email))?.id ?? "";
    await subscriptions.bounced(await idOf("gone@example.org"), { kind: "hard", code: "550" });
    await subscriptions.update(await idOf("paused@example.org"), { state: "paused" });
    site.pass(2 * DAY);
    const before = (await site.mailed()).length;
    const answers = [];
    for (const name of ["known", "gone", "paused", "new"]) {
      const { status, text } = await site.ask(`${name}@example.org`, {
        topic: "evil-topic",
        q: "<b>Buy this</b>",
      });
      answers.push(`${status} ${text.replace(/name="_(?:csrf|at)" value="[^"]+"/g, "")}`);
    }
    expect(new Set(answers).size).toBe(1);
    const mails = (await site.mailed()).slice(before);
    expect(mails.map(({ to, subject }) => [to, subject])).toEqual([
      ["known@example.org", "Your Daily Papers digest"],
      ["paused@example.org", "Your Daily Papers digest"],
      ["new@example.org", "Do you want the Daily Papers digest?"],
    ]);
    for (const mail of mails) expect(JSON.stringify(mail)).not.toMatch(/Buy this|evil/);
    // Strangers change nothing for those who have it.
    expect((await subscriptions.byEmail("paused@example.org"))?.topics).toEqual([]);
    expect(gone).not.toBe("");
  });

  it("writes to an address once a day and three times a month, without a word to the visitor", async () => {
    const site = await siteAt();
    const days = [0, 0, 1, 2, 3, 4];
    let last = 0;
    for (const day of days) {
      site.pass((day - last) * (DAY + 60_000));
      last = day;
      expect((await site.ask("victim@example.org")).status).toBe(200);
    }
    expect(await site.mailed()).toHaveLength(3);
    site.pass(31 * DAY);
    await site.ask("VICTIM@example.org");
    expect(await site.mailed()).toHaveLength(4);
    // A refused wish leaves the link that was sent before as it is.
    const link = site.linkIn((await site.mailed()).at(-1), "subscribe/confirm");
    await site.ask("victim@example.org", { topic: "other" });
    expect(await site.visitor().get(link)).toContain("victim@example.org".toUpperCase().slice(0, 6));
  });

  it("takes five an hour from a block of addresses, by form and API together", async () => {
    const site = await siteAt();
    for (let n = 0; n < 4; n++) expect((await site.ask(`r${n}@example.org`)).status).toBe(200);
    expect((await apiAsk(site, { email: "r4@example.org" })).status).toBe(202);
    const refused = await site.ask("r5@example.org");
    expect(refused.status).toBe(429);
    expect(refused.text).toContain("too often");
    const api = await apiAsk(site, { email: "r6@example.org" });
    expect(api.status).toBe(429);
    expect(Number(api.headers.get("retry-after"))).toBeGreaterThan(3000);
    site.pass(HOUR);
    expect((await site.ask("r7@example.org")).status).toBe(200);
    expect((await site.mailed()).map(({ to }) => to)).toEqual(
      [0, 1, 2, 3, 4, 7].map((n) => `r${n}@example.org`),
    );
  });

  it("is not for programs: too fast, unsigned, or with the hidden field filled in", async () => {
    const site = await siteAt();
    const visitor = site.visitor();
    await visitor.get("/subscribe");
    expect((await visitor.post("/subscribe", { email: "fast@example.org" })).status).toBe(400);
    site.pass(5000);
    expect((await visitor.post("/subscribe", { email: "x@example.org", _at: "1.abc" })).status).toBe(400);
    const trapped = await visitor.post("/subscribe", { email: "bot@example.org", website: "http://spam" });
    const honest = await visitor.post("/subscribe", { email: "ada@example.org" });
    expect([trapped.status, await trapped.text()]).toEqual([200, await honest.text()]);
    expect((await site.mailed()).map(({ to }) => to)).toEqual(["ada@example.org"]);
    const without = await site.app.request("/subscribe", {
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "cross-site" },
      body: "email=a%40example.org",
    });
    expect(without.status).toBe(403);
  });

  it.each([
    "",
    "ada",
    "a@b",
    "ada@example.org, bo@example.org",
    "a b@example.org",
    `${"x".repeat(300)}@example.org`,
    "a@b.c\nBcc: d@e.f",
  ])("names what is wrong with %j", async (email) => {
    const site = await siteAt();
    const { status, text } = await site.ask(email);
    expect(status).toBe(400);
    expect(text).toContain("Expected one e-mail address");
    expect(text).toContain('aria-invalid="true"');
    expect(await site.mailed()).toEqual([]);
  });

  it("voids a link after seven days, and an old one when a new one was sent", async () => {
    const site = await siteAt();
    await site.ask("ada@example.org");
    const first = site.linkIn((await site.mailed()).at(-1), "subscribe/confirm");
    site.pass(8 * DAY);
    await site.visitor().get(first, 410);
    await site.ask("ada@example.org");
    const second = site.linkIn((await site.mailed()).at(-1), "subscribe/confirm");
    expect(second).not.toBe(first);
    await site.visitor().get(first, 410);
    await site.visitor().get(second);
    await site.visitor().get("/subscribe/confirm/nonsense", 410);
  });
});

async function apiAsk(site: Site, wish: Readonly<Record<string, unknown>>, wait = 5000): Promise<Response> {
  const { ticket } = (await (await site.app.request("/api/v1/subscriptions/ticket")).json()) as {
    ticket: string;
  };
  site.pass(wait);
  return site.app.request("/api/v1/subscriptions", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ ticket, ...wish }),
  });
}

describe("the API", () => {
  it("has the checks of the form", async () => {
    const site = await siteAt();
    const statusOf = async (wish: Readonly<Record<string, unknown>>, wait?: number) =>
      (await apiAsk(site, wish, wait)).status;
    expect(await statusOf({ email: "ada@example.org", cadence: "weekly", topics: ["cs.CV"] })).toBe(202);
    expect(await statusOf({ email: "ada@example.org" })).toBe(202);
    expect(await statusOf({ email: "fast@example.org" }, 100)).toBe(400);
    expect(await statusOf({ email: "bot@example.org", website: "x" })).toBe(202);
    expect(await statusOf({ email: "no address" })).toBe(400);
    expect(await statusOf({ email: "a@example.org", ticket: "forged" })).toBe(400);
    expect(await statusOf({ email: "a@example.org", topics: ["<b>"] })).toBe(400);
    expect((await site.mailed()).map(({ to }) => to)).toEqual(["ada@example.org"]);
    expect(await site.feed.subscriptions.byEmail("ada@example.org")).toMatchObject({
      cadence: "weekly",
      topics: ["cs.CV"],
      consent: { form: "api-v1" },
    });
  });

  it("is described", async () => {
    const site = await siteAt();
    const description = (await (await site.app.request("/.well-known/openapi.json")).json()) as {
      paths: Record<string, Record<string, { responses: object }>>;
    };
    expect(Object.keys(description.paths["/api/v1/subscriptions"]?.post?.responses ?? {})).toEqual([
      "202",
      "400",
      "429",
    ]);
  });
});

describe("one click", () => {
  it("unsubscribes by POST alone, without cookies, as often as it comes", async () => {
    const site = await siteAt();
    await subscribed(site, "ada@example.org");
    const path = new URL(site.digest.links.unsubscribe("ada@example.org")).pathname;
    expect(path).toMatch(/^\/u\/[\w-]{22}$/);
    for (let n = 0; n < 2; n++) {
      const shown = await site.app.request(path);
      expect(shown.status).toBe(200);
      expect(shown.headers.get("set-cookie")).toBeNull();
      expect(await shown.text()).toContain('<form class="stack" method="post"');
    }
    expect(await stateOf(site, "ada@example.org")).toBe("confirmed");
    for (let n = 0; n < 3; n++) {
      const answer = await site.app.request(path, {
        method: "POST",
        headers: { "content-type": "application/x-www-form-urlencoded", origin: "https://mail.example" },
        body: "List-Unsubscribe=One-Click",
      });
      expect(answer.status).toBe(200);
      expect(answer.headers.get("location")).toBeNull();
      expect(await stateOf(site, "ada@example.org")).toBe("unsubscribed");
    }
    const multipart = new FormData();
    multipart.set("List-Unsubscribe", "One-Click");
    expect((await site.app.request(path, { method: "POST", body: multipart })).status).toBe(200);
    expect((await site.app.request(`/u/${"A".repeat(22)}`, { method: "POST" })).status).toBe(200);
    expect((await site.app.request("/u/short", { method: "POST" })).status).toBe(404);
  });
});

describe("one’s own page", () => {
  it("changes, pauses, ends and deletes", async () => {
    const site = await siteAt();
    const path = await subscribed(site, "ada@example.org");
    const visitor = site.visitor();
    expect(await visitor.get(path)).toContain("Nothing was sent yet");
    const reader = () => site.feed.subscriptions.byEmail("ada@example.org");
    const post = async (fields: Readonly<Record<string, string>>) =>
      (await visitor.post(path, fields)).text();
    expect(await post({ action: "save", cadence: "weekly", topic: "cs.CV" })).toContain("Saved.");
    expect(await reader()).toMatchObject({ cadence: "weekly", topics: ["cs.CV"] });
    await post({ action: "pause" });
    expect((await reader())?.state).toBe("paused");
    await post({ action: "resume" });
    expect((await reader())?.state).toBe("confirmed");
    expect((await visitor.post(path, { action: "nonsense" })).status).toBe(400);
    await post({ action: "unsubscribe" });
    expect((await reader())?.state).toBe("unsubscribed");
    await post({ action: "resume" });
    expect((await reader())?.state).toBe("unsubscribed");
    expect(await post({ action: "delete" })).toContain("Your data is deleted");
    expect(await reader()).toBeNull();
    await visitor.get(path, 404);
    await visitor.get("/subscribe/manage/unknown", 404);
  });

  it("needs the form of the page", async () => {
    const site = await siteAt();
    const path = await subscribed(site, "ada@example.org");
    const answer = await site.app.request(path, {
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "same-origin" },
      body: "action=delete",
    });
    expect(answer.status).toBe(403);
    expect(await stateOf(site, "ada@example.org")).toBe("confirmed");
  });

  it("shows what was sent, and lists the digest’s papers by link", async () => {
    const site = await siteAt();
    const path = await subscribed(site, "ada@example.org");
    await site.feed.papers.upsert([
      paperRecord.parse({
        ...{ id: "2511.00001", title: "Spaces that agree", abstract: "They do.", sources: ["test"] },
        ...{ announced: "2026-11-20", categories: ["cs.LG"] },
      }),
    ]);
    site.pass(HOUR);
    const { links, times } = site.digest;
    const publisher = new DigestPublisher({
      store: site.feed,
      times,
      host: () => links.host,
      clock: site.now,
    });
    expect(await publisher.publishDue()).toMatchObject([{ readers: 1, papers: 1 }]);
    const sent: MailMessage[] = [];
    const sender = new DigestSender({
      ...{ store: site.feed, links, clock: site.now },
      mailer: {
        delivers: true,
        async send(message) {
          sent.push(message);
          return { messageId: message.messageId ?? "", response: "250 2.0.0 ok" };
        },
        async close() {},
      },
    });
    expect(await sender.drain()).toMatchObject({ sent: 1 });
    const text = await site.visitor().get(path);
    expect(text).toContain("Friday, 20 November 2026</th>");
    expect(text).toContain("<td>sent</td>");
    // Every link of the message leads somewhere.
    const paths = [...(sent[0]?.html ?? "").matchAll(/href="http:\/\/papers\.test([^"]+)"/g)].map(
      ([, to]) => to ?? "",
    );
    expect(paths).toContain("/papers/2511.00001");
    expect(paths).toContain("/day/2026-11-20");
    for (const to of new Set(paths)) expect((await site.app.request(to)).status, to).toBe(200);
  });
});

describe("saved searches", () => {
  async function signedIn(site: Site) {
    const ada = site.visitor();
    await ada.get("/sign-up");
    await ada.post("/sign-up", { name: "ada", email: "ada@example.org", password: "seven wooden kites" });
    await ada.get("/searches");
    return ada;
  }

  it("are kept once, listed with their feed, and deleted", async () => {
    const site = await siteAt();
    const ada = await signedIn(site);
    for (let n = 0; n < 2; n++)
      expect((await ada.post("/searches", { q: "kernel <i>", category: "cs.CV", code: "1" })).status).toBe(
        303,
      );
    const text = await ada.get("/searches");
    expect(text.match(/kernel &lt;i&gt;”, cs\.CV, has code<\/a>/g)).toHaveLength(1);
    expect(text).toContain("/rss?q=kernel+%3Ci%3E&amp;category=cs.CV&amp;code=1");
    expect((await ada.post("/searches", { q: "" })).status).toBe(400);
    const id = /\/searches\/([^/]+)\/delete/.exec(text)?.[1] ?? "";
    const bo = site.visitor();
    await bo.get("/subscribe");
    expect((await bo.post(`/searches/${id}/delete`)).status).toBe(404);
    expect((await bo.post("/searches", { q: "x" })).status).toBe(403);
    await ada.post(`/searches/${id}/delete`);
    expect(await ada.get("/searches")).toContain("No saved searches yet");
  });

  it("make a digest: of one’s own, or of a search in the address for those without account", async () => {
    const site = await siteAt();
    const ada = await signedIn(site);
    await ada.post("/searches", { q: "kernels" });
    const search = /\/subscribe\?search=([\w-]+)/.exec(await ada.get("/searches"))?.[1] ?? "";
    expect(await ada.get(`/subscribe?search=${search}`)).toContain(`value="${search}" checked`);
    site.pass(5000);
    await ada.post("/subscribe", { email: "ada@example.org", search });
    // Somebody else's search is none of one's own.
    await site.ask("bo@example.org", { search });
    await site.ask("cy@example.org", { q: "graph kernels", category: "cs.LG" });
    await site.mailed();
    const searchesOf = async (email: string) =>
      (await site.feed.subscriptions.byEmail(email))?.savedSearches ?? [];
    expect(await searchesOf("ada@example.org")).toEqual([search]);
    expect(await searchesOf("bo@example.org")).toEqual([]);
    const [own = ""] = await searchesOf("cy@example.org");
    expect(await site.feed.subscriptions.savedSearch(own)).toMatchObject({
      accountId: null,
      query: "graph kernels",
      filter: { category: "cs.LG" },
    });
  });
});
