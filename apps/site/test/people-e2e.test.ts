import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Site, startSite } from "../src/index.ts";
import { OUTBOX_FOLDER } from "../src/people/service.ts";
import { axeFindings, follow, hasBrowser, launchBrowser, openPage, type WatchedPage } from "./browser.ts";
import { eventually, temporaryFolder, testSettings, toyCommand, toyPapers } from "./support.ts";

const PASSWORD = "seven wooden kites";
const PAPER = "/papers/clip-refine";
const phone = { viewport: { width: 390, height: 844 } };

describe.skipIf(!hasBrowser)("people in a browser", () => {
  let browser: Browser;
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let site: Site;
  let outbox: string;
  let owner: WatchedPage;

  beforeAll(async () => {
    folder = await temporaryFolder();
    const settings = testSettings(folder.path);
    outbox = join(settings.data.folder, OUTBOX_FOLDER);
    site = await startSite({ settings, command: toyCommand, papers: toyPapers });
    browser = await launchBrowser();
    owner = await openPage(browser, site.url);
    await owner.page.goto(`${site.url}/sign-in`);
    await owner.page.getByLabel("Name", { exact: true }).fill("ada");
    await owner.page.getByLabel("Password").fill(PASSWORD);
    await owner.page.getByRole("button", { name: "Make the account" }).click();
    await owner.page.waitForURL(/\/settings/);
  }, 60_000);

  afterAll(async () => {
    await browser?.close();
    await site?.close();
    await folder.remove();
  });

  /** The link in the newest message that the server kept. */
  async function keptLink(): Promise<string> {
    return eventually(async () => {
      const newest = (await readdir(outbox).catch(() => []))
        .filter((name) => name.endsWith(".eml"))
        .sort()
        .at(-1);
      const text = newest && (await readFile(join(outbox, newest), "utf8"));
      return text && /\/link\/[\w-]{43}/.exec(text.replaceAll("=\r\n", ""))?.[0];
    }, "a message in the outbox");
  }

  async function check(page: Page, path: string): Promise<void> {
    if (path !== "") await page.goto(site.url + path);
    expect(await axeFindings(page), path).toEqual([]);
    const overflow = await page.evaluate<number>("document.documentElement.scrollWidth - innerWidth");
    expect(overflow, `${path} scrolls sideways`).toBeLessThanOrEqual(0);
  }

  it("sign up by a kept message, without scripts, and comment, vote and keep", async () => {
    const { page, context, complaints } = await openPage(browser, site.url, {
      ...phone,
      javaScriptEnabled: false,
    });
    await page.goto(site.url + PAPER);
    await follow(page, page.getByRole("link", { name: "Sign in to comment" }).click());
    await follow(page, page.getByRole("link", { name: "Make an account" }).click());
    expect(await page.locator(".banner").textContent()).toContain("This server sends no mail");
    await page.waitForTimeout(1600);
    await page.getByLabel("E-mail address").fill("grace@example.org");
    await follow(page, page.getByRole("button", { name: "Send me a link" }).click());
    expect(await page.getByRole("heading", { level: 1 }).textContent()).toBe("Look into your mailbox");
    await page.goto(site.url + (await keptLink()));
    await page.getByLabel("Name", { exact: true }).fill("grace");
    await follow(page, page.getByRole("button", { name: "Make the account" }).click());
    await page.goto(site.url + PAPER);
    await page.getByLabel("Say something about this paper").fill("Is it *so*?");
    await follow(page, page.getByRole("button", { name: "Comment", exact: true }).click());
    expect(await page.locator(".comment-text em").textContent()).toBe("so");
    await follow(page, page.locator("header .vote").click());
    expect(page.url()).toContain(PAPER);
    expect(await page.locator("header .vote").getAttribute("aria-pressed")).toBe("true");
    await follow(page, page.locator("header .keep").click());
    await page.goto(`${site.url}/you/bookmarks`);
    expect(await page.locator(".card").count()).toBe(1);
    expect(complaints).toEqual([]);
    await context.close();
  }, 30_000);

  it("vote and keep without a new page, by mouse and by key", async () => {
    const { page, complaints } = owner;
    await page.goto(site.url);
    await page.evaluate("globalThis.stays = true");
    const card = page.locator(".card").nth(1);
    const vote = card.locator(".vote");
    const before = Number(await card.locator("[data-count]").textContent());
    await vote.click();
    await eventually(async () => (await vote.getAttribute("aria-pressed")) === "true", "the vote is shown");
    expect(await card.locator("[data-count]").textContent()).toBe(String(before + 1));
    await card.locator("h3 a").focus();
    await page.keyboard.press("u");
    await eventually(
      async () => (await vote.getAttribute("aria-pressed")) === "false",
      "the vote is taken back",
    );
    expect(await card.locator("[data-count]").textContent()).toBe(String(before));
    await card.locator(".keep").click();
    await eventually(
      async () => (await card.locator(".keep").getAttribute("aria-pressed")) === "true",
      "the paper is kept",
    );
    expect(await page.evaluate("globalThis.stays")).toBe(true);
    expect(complaints).toEqual([]);
  });

  it("use the menu by keyboard; Escape closes it", async () => {
    const { page } = owner;
    await page.goto(site.url);
    const summary = page.locator("details.account > summary");
    await summary.focus();
    await page.keyboard.press("Enter");
    expect(await page.getByRole("link", { name: "Settings" }).isVisible()).toBe(true);
    expect(await axeFindings(page)).toEqual([]);
    await page.keyboard.press("Escape");
    expect(await page.getByRole("link", { name: "Settings" }).isVisible()).toBe(false);
    expect(await page.evaluate("document.activeElement.tagName")).toBe("SUMMARY");
  });

  it("find every page accessible, in both colour schemes, wide and on a phone", async () => {
    const { page } = owner;
    await page.goto(site.url + PAPER);
    await page.locator("details.collect > summary").click();
    await page.getByLabel("Name of a new collection").fill("Alignment");
    await follow(page, page.getByRole("button", { name: "Add" }).click());
    await page.locator(".answer > summary").first().click();
    await page.getByLabel("Your answer").fill("It is **so**.\n\n> quoted\n\n- a\n- b\n\n`code`");
    await follow(page, page.getByRole("button", { name: "Answer", exact: true }).click());
    await page.goto(`${site.url}/you/collections`);
    const collection = (await page.locator(".collections a").first().getAttribute("href"))!;
    await page.goto(site.url + PAPER);
    const report = (await page
      .getByRole("link", { name: /^Report/ })
      .first()
      .getAttribute("href"))!;
    const own = [
      PAPER,
      "/settings",
      "/you/bookmarks",
      "/you/votes",
      "/you/comments",
      "/you/collections",
      "/you/submissions",
      "/submit",
      "/moderation",
      "/people/grace",
      collection,
      report,
    ];
    for (const [colorScheme, viewport] of [
      ["light", { width: 1280, height: 900 }],
      ["dark", phone.viewport],
    ] as const) {
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      await page.setViewportSize(viewport);
      for (const path of own) await check(page, path);
      const visitor = await openPage(browser, site.url, { colorScheme, viewport, reducedMotion: "reduce" });
      for (const path of ["/sign-in", "/sign-up", "/forgot", PAPER, "/people/ada", "/link/x"])
        await check(visitor.page, path);
      await visitor.page.goto(`${site.url}/sign-in`);
      await visitor.page.getByLabel("Name or e-mail address").fill("ada");
      await visitor.page.getByLabel("Password", { exact: true }).fill("wrong");
      await follow(visitor.page, visitor.page.getByRole("button", { name: "Sign in", exact: true }).click());
      await check(visitor.page, "");
      await visitor.context.close();
    }
    await page.emulateMedia({ colorScheme: "light", reducedMotion: "no-preference" });
    await page.setViewportSize({ width: 1280, height: 900 });
    expect(owner.complaints).toEqual([]);
  }, 180_000);
});
