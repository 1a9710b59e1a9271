import { paperRecord } from "@concord/feed";
import { XMLParser } from "fast-xml-parser";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { commentMarkup } from "../src/people/markdown.ts";
import { temporaryFolder } from "./support.ts";
import { type TestApp, testApp, Visitor } from "./support-app.ts";
import { xssPayloads } from "./xss-payloads.ts";

const PASSWORD = "seven wooden kites";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let site: TestApp;
let ada: Visitor;

beforeAll(async () => {
  folder = await temporaryFolder();
  site = await testApp(folder.path);
  const account = await site.feed.people.create({ name: "ada", emailVerified: true });
  const secret = await site.people.passwords.hash(PASSWORD);
  await site.feed.people.setCredential({ accountId: account.id, kind: "password", ref: "", secret });
  ada = new Visitor((path, init) => site.app.request(path, init));
  await ada.get("/sign-in");
  await ada.post("/sign-in", { login: "ada", password: PASSWORD });
  await ada.get("/settings");
});
afterAll(() => folder.remove());

const SITE_TAGS = new Set(
  `html head meta title link script body a header div nav span svg circle path details summary p ul li form input button
  main article h1 h2 h3 h4 label section ol aside dl dt dd time footer dialog kbd pre code textarea strong em select option
  fieldset legend rect g line text table caption thead tbody tr th td blockquote br del hr progress figure figcaption
  math semantics mrow mi mo mn msup msub msubsup mfrac mtext annotation mspace mstyle mover munder munderover msqrt mtable
  mtr mtd polyline polygon tspan mark`.split(/\s+/),
);

interface Tag {
  readonly name: string;
  readonly attributes: ReadonlyMap<string, string>;
}

/** Every tag of a page as a browser's tokenizer sees it: what stands in text and in attributes is no tag. */
function tagsOf(page: string): Tag[] {
  const tags: Tag[] = [];
  const pattern = /<!--[\s\S]*?-->|<!doctype[^>]*>|<\/?([a-zA-Z][^\s/>]*)((?:[^>"']|"[^"]*"|'[^']*')*)>/g;
  for (const [whole, name, rest = ""] of page.matchAll(pattern)) {
    if (name === undefined || whole.startsWith("</")) continue;
    const attributes = new Map<string, string>();
    for (const [, key = "", double, single, bare] of rest.matchAll(
      /([^\s"'<>/=]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'=<>`]+)))?/g,
    ))
      attributes.set(key.toLowerCase(), double ?? single ?? bare ?? "");
    tags.push({ name: name.toLowerCase(), attributes });
  }
  return tags;
}

const decoded = (text: string) =>
  text
    .replace(/&#x([0-9a-f]+);?/gi, (_, code: string) => String.fromCodePoint(Number.parseInt(code, 16)))
    .replace(/&#(\d+);?/g, (_, code: string) => String.fromCodePoint(Number(code)))
    .replaceAll("&colon;", ":")
    .replaceAll("&amp;", "&")
    .replace(/[\s\p{Cc}]/gu, "");

/** What in a page could run something or load something from elsewhere. */
function dangers(page: string, tags: ReadonlySet<string> = SITE_TAGS): string[] {
  return tagsOf(page).flatMap(({ name, attributes }) => {
    const found: string[] = [];
    if (!tags.has(name)) found.push(`<${name}>`);
    if (name === "script" && !attributes.has("src") && attributes.get("type") !== "application/json")
      found.push("script without address");
    if (name === "meta" && attributes.has("http-equiv")) found.push("meta http-equiv");
    if (
      name === "link" &&
      attributes.get("rel") === "stylesheet" &&
      !attributes.get("href")?.startsWith("/assets/")
    )
      found.push("style sheet of others");
    for (const [key, value] of attributes) {
      if (key.startsWith("on") || key === "style" || key === "srcdoc" || key === "formaction")
        found.push(`${name} ${key}`);
      const isAddress = ["href", "src", "action", "xlink:href", "data", "background"].includes(key);
      if (isAddress && !/^(?:https?:|mailto:|[/?#]|$)/i.test(decoded(value)))
        found.push(`${name} ${key}=${value}`);
      if (key === "src" && !value.startsWith("/assets/")) found.push(`${name} src=${value}`);
    }
    return found;
  });
}

it("the corpus is one, and what looks for dangers finds them", () => {
  expect(new Set(xssPayloads).size).toBe(xssPayloads.length);
  expect(xssPayloads.length).toBeGreaterThanOrEqual(200);
  const elements = xssPayloads.filter(
    (payload) => /^<(?!!|\?|https?:|\/)[a-z]/i.test(payload) && payload.includes(">"),
  );
  expect(elements.length).toBeGreaterThan(60);
  const harmless = elements.filter((payload) => dangers(payload).length === 0);
  expect(harmless).toEqual([]);
});

describe("payloads", () => {
  it("in comments become text or harmless markup", async () => {
    const allowed = new Set("p br strong em del code pre ul ol li blockquote a hr".split(" "));
    for (const payload of xssPayloads) {
      const markup = String(await commentMarkup(payload));
      expect(dangers(markup, allowed), payload).toEqual([]);
      for (const { name, attributes } of tagsOf(markup)) {
        const names = [...attributes.keys()].filter((key) => key !== "/");
        const known = name === "a" ? ["href", "rel"] : name === "ol" ? ["start"] : [];
        expect(
          names.every((key) => known.includes(key)),
          `${payload} -> ${markup}`,
        ).toBe(true);
        if (attributes.has("href")) expect(attributes.get("rel")).toBe("nofollow ugc noopener external");
      }
    }
  });

  it("in comments, written and shown on every page that shows them", async () => {
    const { id } = (await site.feed.papers.bySlug("clip-refine"))!;
    const { id: accountId } = (await site.feed.people.byName("ada"))!;
    for (const payload of xssPayloads) {
      const text = payload.replaceAll("\0", "");
      await site.feed.comments.add({ paperId: id, parentId: null, text, accountId });
    }
    const [last] = (await site.feed.comments.ofAccount(accountId, { limit: 1 })).items;
    const first = (await site.feed.comments.ofPaper(id, { limit: 1 })).items[0]!;
    await site.feed.comments.report({ commentId: first.id, reporterId: accountId, reason: xssPayloads[0]! });
    const paths = [
      "/papers/clip-refine",
      "/you/comments",
      "/people/ada",
      "/moderation",
      `/comments/${last!.id}/edit`,
      `/comments/${last!.id}/history`,
      `/comments/${first.id}/edit`,
      `/comments/${first.id}/report`,
    ];
    for (const path of paths) expect(dangers(await ada.get(path)), path).toEqual([]);
  });

  it("in names, reasons, titles of collections and names of keys", async () => {
    for (const [at, payload] of xssPayloads.entries()) {
      const displayName = payload.slice(0, 60);
      const answer = await ada.post("/settings/profile", { name: "ada", displayName });
      expect([303, 400]).toContain(answer.status);
      if (at % 24 !== 0) continue;
      await ada.post("/collections", { name: payload.slice(0, 100), public: "1" });
      await ada.post("/settings/keys", { keyName: payload.slice(0, 100), "scope-read": "1" });
      for (const path of ["/settings", "/people/ada", "/you/collections", "/papers/clip-refine"])
        expect(dangers(await ada.get(path)), `${path}: ${displayName}`).toEqual([]);
    }
  }, 30_000);

  it("in titles, abstracts, names of authors and remarks of papers", async () => {
    const records = xssPayloads.map((payload, at) =>
      paperRecord.parse({
        id: `2401.${String(at + 10_000).slice(0, 5)}`,
        title: `T ${payload}`,
        abstract: `A ${payload} and $x_{<b>}$`,
        authors: [{ name: `N ${payload.slice(0, 200)}`, affiliation: payload }],
        comment: `C ${payload}`,
        journalRef: `J ${payload}`,
        licence: payload.trim() === "" ? null : payload.slice(0, 200),
        doi: payload.slice(0, 200),
        published: "2024-01-05",
      }),
    );
    await site.feed.papers.upsert(records);
    for (const { id, title } of records) {
      const path = `/papers/${id}`;
      expect(dangers(await ada.get(path)), title).toEqual([]);
    }
    for (let path: string | undefined = "/day/2024-01-05"; path !== undefined; ) {
      const page = await ada.get(path);
      expect(dangers(page), path).toEqual([]);
      path = /<a[^>]*href="([^"]+)"[^>]*rel="next"/.exec(page)?.[1]?.replaceAll("&amp;", "&");
    }
  }, 60_000);

  it("in what is looked for, and in any parameter of an address", async () => {
    for (const [at, payload] of xssPayloads.entries()) {
      const value = encodeURIComponent(payload.slice(0, 190));
      const others = [
        `/catalogue?q=${value}`,
        `/sign-in?next=${value}`,
        `/?topic=${value}`,
        `/people/${value}`,
      ];
      for (const path of [`/search?q=${value}`, ...(at % 8 === 0 ? others : [])]) {
        const answer = await site.app.request(path);
        expect(answer.status, path).toBeLessThan(500);
        expect(dangers(await answer.text()), path).toEqual([]);
      }
    }
  }, 60_000);

  it("in what a form brings back", async () => {
    const others = [
      ["/settings/email", "email"],
      ["/forgot", "email"],
      ["/moderation/invite", "email"],
    ] as const;
    for (const [at, payload] of xssPayloads.entries()) {
      for (const [path, name] of [["/submit", "id"] as const, ...(at % 8 === 0 ? others : [])]) {
        const answer = await ada.post(path, { [name]: payload });
        expect(dangers(await answer.text()), `${path}: ${payload}`).toEqual([]);
      }
    }
  }, 60_000);

  it("in feeds stay text of well-formed XML", async () => {
    for (const path of ["/rss?list=day&at=2024-01-05", "/atom?list=day&at=2024-01-05"]) {
      const answer = await site.app.request(path);
      if (answer.status === 404) continue;
      const text = await answer.text();
      expect(() => new XMLParser({ processEntities: false }).parse(text, true)).not.toThrow();
      expect(text).not.toMatch(/<script|<img|<svg/i);
    }
  });
});
