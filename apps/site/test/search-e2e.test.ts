import { join } from "node:path";
import { openSqliteStore, paperRecord } from "@concord/feed";
import { retrainEncoder } from "@concord/feed/encoder";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Site, STORE_FILE, startSite } from "../src/index.ts";
import { MODELS_FOLDER } from "../src/search/encoder-service.ts";
import { axeFindings, follow, hasBrowser, launchBrowser, openPage } from "./browser.ts";
import { temporaryFolder, testSettings, toyCommand, toyPapers } from "./support.ts";

const phone = { viewport: { width: 390, height: 844 } };
const themes = ["foxes", "owls", "badgers", "herons"];
const others: Readonly<Record<string, string>> = {
  foxes: "vulpine",
  owls: "nocturnal",
  badgers: "burrowing",
  herons: "wading",
};

describe.skipIf(!hasBrowser)("the search in a browser", () => {
  let browser: Browser;
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let site: Site;

  beforeAll(async () => {
    folder = await temporaryFolder();
    const settings = testSettings(folder.path);
    const store = openSqliteStore(join(settings.data.folder, STORE_FILE));
    await store.papers.upsert(
      Array.from({ length: 120 }, (_, i) => {
        const theme = themes[i % themes.length] as string;
        return paperRecord.parse({
          id: `2605.${10_000 + i}`,
          title: `On ${theme} number ${i}`,
          abstract: `We follow ${others[theme]} creatures of kind ${i} through the year, at $O(n^2)$ cost.`,
          authors: [{ name: "Zoë Lindqvist" }],
          announced: "2026-05-04",
          categories: ["cs.LG"],
          sources: ["test"],
        });
      }),
    );
    await retrainEncoder({
      store,
      modelsFolder: join(settings.data.folder, MODELS_FOLDER),
      threads: 1,
      settings: {
        maxVocabulary: 400,
        width: 32,
        batchSize: 48,
        steps: 60,
        groupSize: 4,
        learningRate: 1e-2,
        lengths: { anchor: 24, title: 8, excerpt: 8 },
      },
    });
    await store.close();
    site = await startSite({ settings, command: toyCommand, papers: toyPapers });
    browser = await launchBrowser();
    // The thread reads its vectors after the server has started.
    const deadline = Date.now() + 20_000;
    while (Date.now() < deadline) {
      const text = await (await fetch(`${site.url}/search?q=owls`)).text();
      if (text.includes("by words and meaning")) break;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }, 60_000);
  afterAll(async () => {
    await browser?.close();
    await site?.close();
    await folder?.remove();
  });

  it.each(["light", "dark"] as const)(
    "every page is free of faults in the %s theme, wide and narrow",
    async (colorScheme) => {
      for (const size of [{}, phone]) {
        const { page, context, complaints } = await openPage(browser, site.url, { colorScheme, ...size });
        for (const path of [
          "/search",
          "/search?q=owls+year&category=cs.LG",
          "/search?q=Zoe+Lindquist",
          "/search?q=qqqqzzzz&mode=words",
          "/search?author=Zo%C3%AB+Lindqvist",
          "/recommended",
          "/recommended?like=2605.10001,2605.10005&unlike=2605.10002",
          "/papers/2605.10004",
        ]) {
          await page.goto(site.url + path);
          expect(await axeFindings(page), path).toEqual([]);
          const overflow = await page.evaluate<number>("document.documentElement.scrollWidth - innerWidth");
          expect(overflow, `${path} scrolls sideways`).toBeLessThanOrEqual(0);
        }
        expect(complaints).toEqual([]);
        await context.close();
      }
    },
    60_000,
  );

  it("by the keyboard: / to the box of the header, words, Enter, j to the first paper", async () => {
    const { page, context } = await openPage(browser, site.url);
    await page.goto(site.url);
    await page.keyboard.press("/");
    await page.keyboard.type("herons year");
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/search\?q=herons/);
    expect(await page.locator("mark").first().textContent()).toBe("herons");
    await page.keyboard.press("j");
    expect(await page.evaluate("document.activeElement.closest('[data-card]') !== null")).toBe(true);
    await page.keyboard.press("/");
    expect(await page.evaluate("document.activeElement.id")).toBe("q");
    await context.close();
  });

  it("without scripts: search, choose how, page on, take an example from there", async () => {
    const { page, context } = await openPage(browser, site.url, { javaScriptEnabled: false });
    await page.goto(`${site.url}/search`);
    await page.locator("#q").fill("nocturnal creatures");
    await page.getByText("Meaning", { exact: true }).click();
    await follow(page, page.getByRole("button", { name: "Search", exact: true }).click());
    expect(page.url()).toContain("mode=meaning");
    expect(await page.locator("[data-card]").count()).toBe(24);
    const first = await page.locator("[data-card] h3").allTextContents();
    await follow(page, page.getByRole("link", { name: "More papers" }).click());
    const second = await page.locator("[data-card] h3").allTextContents();
    expect(second.length).toBeGreaterThan(0);
    expect(second.filter((title) => first.includes(title))).toEqual([]);
    await page.goto(`${site.url}/papers/2605.10001`);
    await follow(page, page.getByRole("link", { name: "More like this" }).click());
    expect(page.url()).toContain("/recommended?like=2605.10001");
    const owls = (await page.locator("[data-card] h3").allTextContents()).slice(0, 8);
    // Every paper of a theme shares its words, and no other does.
    expect(owls.filter((title) => title.includes("owls")).length).toBeGreaterThanOrEqual(6);
    const unlike = page.getByRole("link", { name: /^Not like this/ }).first();
    await follow(page, unlike.click());
    expect(page.url()).toContain("unlike=");
    await context.close();
  });
});
