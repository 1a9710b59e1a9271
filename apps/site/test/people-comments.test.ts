import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { commentMarkup } from "../src/people/markdown.ts";
import { temporaryFolder } from "./support.ts";
import { type TestApp, testApp, Visitor } from "./support-app.ts";

const PASSWORD = "seven wooden kites";
const HOUR = 3_600_000;
const PAPER = "/papers/clip-refine";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let site: TestApp;
let now: number;

beforeAll(async () => {
  folder = await temporaryFolder();
});
afterAll(() => folder.remove());

/** Signs in an account that is made straight in the store. */
async function person(
  name: string,
  options: { verified?: boolean; role?: "owner" | "moderator" | "member" } = {},
): Promise<Visitor> {
  const { verified = true, role } = options;
  const account = await site.feed.people.create({
    name,
    email: `${name}@example.org`,
    emailVerified: verified,
  });
  if (role !== undefined && role !== account.role) await site.feed.people.update(account.id, { role });
  const secret = await site.people.passwords.hash(PASSWORD);
  await site.feed.people.setCredential({ accountId: account.id, kind: "password", ref: "", secret });
  const visitor = new Visitor((path, init) => site.app.request(path, init));
  await visitor.get("/sign-in");
  expect((await visitor.post("/sign-in", { login: name, password: PASSWORD })).status).toBe(303);
  await visitor.get("/settings");
  return visitor;
}

async function fresh(): Promise<{ ada: Visitor; grace: Visitor }> {
  now = Date.UTC(2026, 10, 20, 12);
  site = await testApp(folder.path, { clock: () => now });
  const ada = await person("ada");
  const grace = await person("grace");
  now += 25 * HOUR;
  return { ada, grace };
}

const idIn = (answer: Response) => /#comment-(.+)$/.exec(answer.headers.get("location") ?? "")?.[1] ?? "";

describe("comments", () => {
  it("are shown before they are kept: cleaned as ever, with the text to go on with, and nothing is written", async () => {
    const { grace } = await fresh();
    const text = "A *draft* <img src=x onerror=alert(1)> [here](javascript:alert(1))";
    for (const path of [`${PAPER}/comments`, "/comments/any/edit"]) {
      const preview = await grace.post(path, { text, parent: "some-parent", preview: "1" });
      expect(preview.status).toBe(200);
      expect(preview.headers.get("cache-control")).toBe("private, no-store");
      const page = await preview.text();
      expect(page).toContain("A <em>draft</em> &lt;img src=x onerror=alert(1)&gt;");
      expect(page).not.toContain('href="javascript');
      expect(page).toContain("A *draft* &lt;img");
    }
    const again = await (
      await grace.post(`${PAPER}/comments`, { text, parent: "some-parent", preview: "1" })
    ).text();
    expect(again).toContain('name="parent" value="some-parent"');
    expect(await (await grace.post(`${PAPER}/comments`, { text: " ", preview: "1" })).text()).toContain(
      "Nothing is written yet",
    );
    expect((await site.feed.papers.get((await site.feed.papers.bySlug("clip-refine"))!.id))!.comments).toBe(
      0,
    );
    const stranger = new Visitor((path, init) => site.app.request(path, init));
    await stranger.get("/sign-in");
    expect((await stranger.post(`${PAPER}/comments`, { text, preview: "1" })).status).not.toBe(200);
  });

  it("are written, answered one level deep, edited with their history, and deleted for good", async () => {
    const { ada, grace } = await fresh();
    const first = await grace.post(`${PAPER}/comments`, { text: "Is *this* **so**?" });
    expect(first.status).toBe(303);
    const id = idIn(first);
    const answer = idIn(await ada.post(`${PAPER}/comments`, { text: "It is.", parent: id }));
    const deeper = idIn(await grace.post(`${PAPER}/comments`, { text: "Thanks.", parent: answer }));
    expect((await site.feed.comments.get(deeper))!.parentId).toBe(id);
    const page = await ada.get(PAPER);
    expect(page).toContain("3 comments");
    expect(page).toContain("Is <em>this</em> <strong>so</strong>?");
    expect((await ada.post(`/comments/${id}/edit`, { text: "Not mine" })).status).toBe(403);
    expect((await ada.post(`/comments/${id}/delete`)).status).toBe(403);
    await ada.get(`/comments/${id}/edit`, 404);
    await grace.post(`/comments/${id}/edit`, { text: "Is this so, really?" });
    const history = await ada.get(`/comments/${id}/history`);
    expect(history.indexOf("so, really?")).toBeLessThan(history.indexOf("<strong>so</strong>"));
    await grace.post(`/comments/${id}/delete`);
    const after = await ada.get(PAPER);
    expect(after).toContain("Removed by its author.");
    expect(after).toContain("It is.");
    expect(after).toContain("2 comments");
    await ada.get(`/comments/${id}/history`, 404);
    expect((await ada.post(`${PAPER}/comments`, { text: "Late", parent: id })).status).toBe(403);
  });

  it.each(["", "   \n ", "x".repeat(10_001)])("of %j are refused with what was written", async (text) => {
    const { grace } = await fresh();
    const answer = await grace.post(`${PAPER}/comments`, { text });
    expect(answer.status).toBe(400);
    if (text.length > 10_000) expect(await answer.text()).toContain("at most 10000 characters");
  });

  it("of ten thousand characters of any script fit", async () => {
    const { grace } = await fresh();
    expect((await grace.post(`${PAPER}/comments`, { text: "話".repeat(10_000) })).status).toBe(303);
  });

  it("are few for newcomers: unconfirmed or younger than a day", async () => {
    await fresh();
    const unproved = await person("unproved", { verified: false });
    now += 25 * HOUR;
    const young = await person("young");
    for (const visitor of [unproved, young]) {
      for (let at = 0; at < 3; at++)
        expect((await visitor.post(`${PAPER}/comments`, { text: `Number ${at}` })).status).toBe(303);
      const refused = await visitor.post(`${PAPER}/comments`, { text: "One more" });
      expect(refused.status).toBe(429);
      expect(await refused.text()).toContain(">One more</textarea>");
    }
    now += 25 * HOUR;
    for (let at = 0; at < 10; at++)
      expect((await young.post(`${PAPER}/comments`, { text: `Later ${at}` })).status).toBe(303);
  });
});

describe("moderation", () => {
  it("takes reports, hides and shows, and keeps a log; members see none of it", async () => {
    const { ada, grace } = await fresh();
    const id = idIn(await grace.post(`${PAPER}/comments`, { text: "Buy my pills" }));
    const other = await person("other");
    expect((await other.post(`/comments/${id}/report`, { reason: "" })).status).toBe(400);
    expect((await other.post(`/comments/${id}/report`, { reason: "Advertising" })).status).toBe(200);
    await other.get("/moderation", 404);
    expect((await other.post(`/moderation/comments/${id}`, { decision: "hide" })).status).toBe(404);
    expect((await other.post("/moderation/accounts/grace", { act: "suspend" })).status).toBe(404);
    expect(await ada.get("/moderation")).toContain("Advertising");
    expect((await ada.post(`/moderation/comments/${id}`, { decision: "hide", reason: "Ads" })).status).toBe(
      303,
    );
    expect(await other.get(PAPER)).not.toContain("Buy my pills");
    const moderation = await ada.get("/moderation");
    expect(moderation).toContain("Nothing waits.");
    expect(moderation).toContain("hid a comment");
    await ada.post(`/moderation/comments/${id}`, { decision: "show" });
    expect(await other.get(PAPER)).toContain("Buy my pills");
  });

  it("appoints moderators, who suspend members but no owners", async () => {
    const { ada, grace } = await fresh();
    await ada.post("/moderation/accounts/grace", { act: "moderator" });
    expect(await grace.get("/moderation")).toContain("Open reports");
    expect((await grace.post("/moderation/accounts/ada", { act: "suspend" })).status).toBe(403);
    expect((await grace.post("/moderation/accounts/grace", { act: "owner" })).status).toBe(403);
    expect((await grace.post("/moderation/invite", { email: "x@example.org" })).status).toBe(403);
    await person("spammer");
    expect((await grace.post("/moderation/accounts/spammer", { act: "suspend" })).status).toBe(303);
    const shut = new Visitor((path, init) => site.app.request(path, init));
    await shut.get("/sign-in");
    const answer = await shut.post("/sign-in", { login: "spammer", password: PASSWORD });
    expect(await answer.text()).toContain("This account is suspended");
    expect((await ada.post("/moderation/accounts/ada", { act: "member" })).status).toBe(403);
  });
});

describe("Markdown of comments", () => {
  const made = async (text: string) => String(await commentMarkup(text));

  it("knows emphasis, code, lists, quotations and links", async () => {
    expect(await made("*a* **b** ~~c~~ `d<e`")).toBe(
      "<p><em>a</em> <strong>b</strong> <del>c</del> <code>d&lt;e</code></p>\n",
    );
    expect(await made("> q\n\n1. x\n2. y\n")).toContain("<blockquote>\n<p>q</p>\n</blockquote>\n<ol>");
    expect(await made("# Loud")).toBe("<p><strong>Loud</strong></p>");
    expect(await made("[a](https://example.org/x?y=1&z)")).toBe(
      '<p><a href="https://example.org/x?y=1&amp;z" rel="nofollow ugc noopener external">a</a></p>\n',
    );
    expect(await made("https://example.org")).toContain('<a href="https://example.org" rel="nofollow');
  });

  it("shows tags as text, pictures as their description, and links nowhere else", async () => {
    expect(await made("<b>x</b> <script>alert(1)</script>")).not.toMatch(/<b>|<script/);
    expect(await made("![a cat](https://tracker.example/1.gif)")).toBe("<p>a cat</p>\n");
    for (const href of [
      "javascript:alert(1)",
      "data:text/html,x",
      "vbscript:x",
      "/settings",
      "//evil.example",
      "ftp://x",
    ])
      expect(await made(`[x](${href})`)).not.toContain("href");
  });

  it("takes hostile nesting and repetition in its stride", async () => {
    const patterns =
      "[|*a |`|> |- |<a |![|**_|a@|http://|\\|&|[a](|<!--|a\n> |[a][|_a|a**b|~~a|[]()|[a]: b\n|1. a\n|<";
    const longest = patterns.split("|").map((pattern) => pattern.repeat(10_000 / pattern.length));
    // As many marks as are still parsed.
    const parsed = patterns.split("|").map((pattern) => `${pattern.repeat(400)}x`);
    const stairs = Array.from({ length: 100 }, (_, depth) => `${" ".repeat(depth)}- a`).join("\n");
    const texts = [...longest, ...parsed, stairs];
    const slow: string[] = [];
    for (const text of texts) {
      const start = performance.now();
      const html = await made(text);
      const ms = performance.now() - start;
      // Measured: 60 ms at most on one busy core; something that grows without bound takes seconds.
      if (ms > 400) slow.push(`${text.slice(0, 8)} ${Math.round(ms)} ms`);
      expect(html.length).toBeLessThan(400_000);
    }
    expect(slow).toEqual([]);
  });
});
