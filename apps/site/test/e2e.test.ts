import { existsSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { fileURLToPath } from "node:url";
import { createRun, executeRun, hasExperiment, RunStore } from "@concord/papers";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Site, startSite } from "../src/index.ts";
import { axeFindings, follow, hasBrowser, launchBrowser, openPage } from "./browser.ts";
import { eventually, temporaryFolder, testSettings, toyCommand, toyPapers } from "./support.ts";
import { toyExperiment } from "./toy-experiment.ts";

const RUN_MS = 60_000;
const phone = { viewport: { width: 390, height: 844 } };

/** Starts a run from the page of the toy's paper and ends on the page of the run. */
async function pressRun(page: Page, url: string, size: string): Promise<string> {
  await page.goto(`${url}/papers/clip-refine`);
  await page.locator(`input[name=preset][value=${size}]`).check();
  await page.getByRole("button", { name: "Run", exact: true }).click();
  await page.waitForURL(/\/runs\//);
  return page.url();
}

describe.skipIf(!hasBrowser)("the site in a browser", () => {
  let browser: Browser;
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let site: Site;
  let store: RunStore;
  let doneRun: string;
  let failedRun: string;

  beforeAll(async () => {
    folder = await temporaryFolder();
    store = new RunStore(testSettings(folder.path).data.runs);
    const done = await createRun(toyExperiment, store, { preset: "smoke" });
    await executeRun(toyExperiment, store, done.id);
    doneRun = `/runs/${done.id}`;
    const failed = await createRun(toyExperiment, store, { preset: "smoke" });
    await store.write({ ...failed, status: "failed", error: "The data are empty.\n  at line 3" });
    failedRun = `/runs/${failed.id}`;
    site = await startSite({ settings: testSettings(folder.path), command: toyCommand, papers: toyPapers });
    browser = await launchBrowser();
  });
  afterAll(async () => {
    await browser?.close();
    await site?.close();
    await folder?.remove();
  });

  describe.each(["light", "dark"] as const)("in the %s theme", (colorScheme) => {
    it("every page is free of accessibility faults, errors and policy violations, wide and narrow", {
      timeout: 180_000,
    }, async () => {
      for (const size of [{}, phone]) {
        const { page, context, complaints } = await openPage(browser, site.url, { colorScheme, ...size });
        for (const path of [
          "/",
          "/?q=nothing+at+all",
          "/papers/clip-refine",
          "/papers/swav",
          "/runs",
          doneRun,
          failedRun,
          "/about",
        ]) {
          await page.goto(site.url + path);
          expect(await axeFindings(page), path).toEqual([]);
          const overflow = await page.evaluate<number>("document.documentElement.scrollWidth - innerWidth");
          expect(overflow, `${path} scrolls sideways`).toBeLessThanOrEqual(0);
        }
        await page.getByRole("button", { name: "Keyboard shortcuts" }).click();
        expect(await axeFindings(page), "dialog").toEqual([]);
        expect(complaints).toEqual([]);
        await page.goto(`${site.url}/nothing`);
        expect(await axeFindings(page), "not found").toEqual([]);
        await context.close();
      }
    });
  });

  it("pages do not shift while they load", async () => {
    const { page, context } = await openPage(browser, site.url);
    // Slow enough that the first paint comes before the end of the page.
    const throttle = await context.newCDPSession(page);
    await throttle.send("Emulation.setCPUThrottlingRate", { rate: 8 });
    for (const path of ["/", "/trending", "/catalogue", "/search", "/papers/clip-refine", doneRun]) {
      await page.goto(site.url + path);
      const shift = await page.evaluate<number>(`new Promise((resolve) => {
        let sum = 0;
        new PerformanceObserver((list) => {
          for (const entry of list.getEntries()) sum += entry.value;
        }).observe({ type: "layout-shift", buffered: true });
        setTimeout(() => resolve(sum), 300);
      })`);
      // A box may move by a few pixels beside a label that is half read: a hundredth of what counts as good (0.1).
      expect(shift, path).toBeLessThan(0.001);
    }
    await context.close();
  });

  it("the theme is remembered and set before the first paint", async () => {
    const { page, context } = await openPage(browser, site.url, { colorScheme: "light" });
    const theme = () => page.evaluate<string>("getComputedStyle(document.body).backgroundColor");
    await page.goto(site.url);
    const light = await theme();
    await page.keyboard.press("t");
    const dark = await theme();
    expect(dark).not.toBe(light);
    await page.addInitScript(
      'addEventListener("readystatechange", () => { globalThis.early ??= document.documentElement.dataset.theme; }, true)',
    );
    await page.goto(`${site.url}/about`);
    expect(await theme()).toBe(dark);
    expect(await page.evaluate<string>("early")).toBe("dark");
    await page.getByRole("button", { name: "Switch between light and dark" }).click();
    expect(await theme()).toBe(light);
    await context.close();
  });

  it("can be walked through by keyboard", async () => {
    const { page, context, complaints } = await openPage(browser, site.url);
    await page.goto(site.url);
    await page.keyboard.press("Tab");
    expect(await page.evaluate<string>("document.activeElement.textContent")).toBe("Skip to content");
    const focused = () => page.evaluate<string>('document.activeElement.getAttribute("href")');
    const cards = await page
      .locator("[data-card] h3 a")
      .evaluateAll((links) => links.map((link) => link.getAttribute("href")));
    for (const [key, card] of [
      ["j", 0],
      ["j", 1],
      ["j", 2],
      ["k", 1],
    ] as const) {
      await page.keyboard.press(key);
      expect(await focused()).toBe(cards[card]);
    }
    await page.keyboard.press("?");
    expect(await page.getByRole("dialog").isVisible()).toBe(true);
    await page.getByLabel("Single-key shortcuts are on").uncheck();
    await page.keyboard.press("Escape");
    await page.locator("body").click({ position: { x: 5, y: 300 } });
    await page.keyboard.press("/");
    expect(await page.evaluate<string>("document.activeElement.id")).not.toBe("q");
    await page.keyboard.press("Shift+Tab");
    await page.getByRole("button", { name: "Keyboard shortcuts" }).click();
    await page.getByLabel("Single-key shortcuts are on").check();
    await page.keyboard.press("Escape");
    await page.keyboard.press("/");
    await page.keyboard.type("clip-refine");
    await page.keyboard.press("Enter");
    await page.waitForURL(/q=clip-refine/);
    await page.keyboard.press("j");
    await page.keyboard.press("Enter");
    await page.waitForURL(/papers\/clip-refine/);
    await page.getByRole("button", { name: "Run", exact: true }).focus();
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/runs\//);
    expect(complaints).toEqual([]);
    await context.close();
  });

  it("a run is seen live: curves grow, results and verdicts appear without loading the page again", async () => {
    const { page, context, complaints } = await openPage(browser, site.url);
    await pressRun(page, site.url, "default");
    await page.evaluate("globalThis.sameDocument = true");
    const longest = () =>
      page
        .locator("#curves path.mean")
        .evaluateAll((paths) => Math.max(0, ...paths.map((path) => path.getAttribute("d")?.length ?? 0)));
    const first = await eventually(async () => (await longest()) > 40 && longest(), "a curve appears");
    await eventually(async () => (await longest()) > first, "it grows");
    expect(await axeFindings(page)).toEqual([]);
    await page.locator(".status-text", { hasText: "units done" }).waitFor();
    await page.locator("#results table").waitFor({ timeout: RUN_MS });
    await page.locator(".verdict").first().waitFor({ timeout: RUN_MS });
    expect(await page.locator(".verdict").count()).toBe(toyExperiment.claims.length);
    expect(await page.locator(".map-panel").count()).toBe(toyExperiment.arms.length);
    await page.locator(".status-done").waitFor();
    expect(await page.evaluate("globalThis.sameDocument")).toBe(true);

    const drawn = (of: Page) => of.locator("#curves").evaluate((curves) => curves.innerHTML);
    const second = await context.newPage();
    await second.goto(page.url());
    const onServer = await drawn(second);
    await eventually(async () => (await drawn(page)) === onServer, "script and server draw the same");
    expect(complaints).toEqual([]);
    await context.close();
  });

  it("a run can be cancelled, resumed and deleted", async () => {
    const { page, context, complaints } = await openPage(browser, site.url);
    const url = await pressRun(page, site.url, "paper");
    await page.locator("#curves path.mean").first().waitFor();
    await page.getByRole("button", { name: "Cancel" }).click();
    await page.locator(".status-cancelled").waitFor();
    await page.getByRole("button", { name: "Resume" }).click();
    await page.locator(".status-running").waitFor();
    await page.getByRole("button", { name: "Cancel" }).click();
    await page.locator(".status-cancelled").waitFor();
    await page.locator("summary", { hasText: "Delete" }).click();
    await page.getByRole("button", { name: "Delete this run" }).click();
    await page.waitForURL(/\/runs$/);
    expect(await page.locator(`a[href="${new URL(url).pathname}"]`).count()).toBe(0);
    expect(complaints).toEqual([]);
    await context.close();
  });

  it("tells what a curve and a point on the map are, and hands out drawings that stand alone", async () => {
    const { page, context, complaints } = await openPage(browser, site.url, { colorScheme: "dark" });
    await page.goto(site.url + doneRun);
    await page.locator(".line-chart").nth(1).hover();
    expect(await page.locator(".tip").innerText()).toMatch(/step \d+[\s\S]*CLIP-Refine/);
    const panel = page.locator(".map-panel").first();
    await panel.scrollIntoViewIfNeeded();
    const box = (await panel.boundingBox())!;
    await eventually(async () => {
      for (let x = 5; x < box.width; x += 6) await page.mouse.move(box.x + x, box.y + box.height * 0.4);
      for (let x = 5; x < box.width; x += 4) {
        await page.mouse.move(box.x + x, box.y + box.height * 0.4);
        if ((await page.locator(".ring").count()) > 0) return true;
      }
      return false;
    }, "a point is ringed");
    expect(await page.locator(".tip").innerText()).toMatch(
      /(image|text) \d+[\s\S]*a photo of thing number \d+/,
    );
    expect(await page.locator(".ring").count()).toBe(2 * toyExperiment.arms.length);

    const waiting = page.waitForEvent("download");
    await page.locator("#curves .save").first().click();
    const download = await waiting;
    expect(download.suggestedFilename()).toBe("pre-training-loss.svg");
    const drawing = await (await download.createReadStream())
      .toArray()
      .then((parts) => Buffer.concat(parts).toString());
    expect(drawing).toMatch(/^<svg xmlns="http:\/\/www.w3.org\/2000\/svg"/);
    expect(drawing).not.toMatch(/class=|var\(|light-dark/);
    // Ink of the light theme, although the page is dark.
    expect(drawing).toContain("rgb(83, 90, 97)");
    expect(complaints).toEqual([]);
    await context.close();
  });

  it("works without JavaScript", async () => {
    const { page, context, complaints } = await openPage(browser, site.url, { javaScriptEnabled: false });
    await page.goto(`${site.url}/catalogue`);
    const main = page.locator("main");
    await main.getByLabel("Search").fill("hashing");
    await follow(page, main.getByRole("button", { name: "Show" }).click());
    expect(await main.locator("[data-card]").count()).toBeGreaterThan(0);
    expect(await main.getByRole("status").innerText()).toMatch(/of 24 papers/);
    await main.getByLabel("Runs here").check();
    await main.getByLabel("Search").fill("");
    await follow(page, main.getByRole("button", { name: "Show" }).click());
    expect(await main.locator("[data-card]").count()).toBe(1);
    expect(await page.getByRole("button", { name: "Switch between light and dark" }).isVisible()).toBe(false);
    await pressRun(page, site.url, "smoke");
    await eventually(
      async () => {
        await page.reload();
        return (await page.locator(".status-done").count()) > 0;
      },
      "the run is done",
      RUN_MS,
    );
    expect(await page.locator(".interval-plot").count()).toBe(toyExperiment.claims.length);
    expect(await page.locator(".line-chart path.mean").count()).toBeGreaterThan(5);
    expect(await page.locator(".map-panel path.mark").count()).toBe(2 * toyExperiment.arms.length);
    await follow(page, page.locator("#maps").getByRole("link", { name: "1", exact: true }).click());
    expect(await page.locator("#maps [aria-current=true]").innerText()).toBe("1");
    expect(complaints).toEqual([]);
    await context.close();
  });

  const address = Object.values(networkInterfaces())
    .flat()
    .find((candidate) => candidate?.family === "IPv4" && !candidate.internal)?.address;

  it.skipIf(!address)(
    "starts runs through a plain network address, where browsers say less of themselves",
    async () => {
      const other = await temporaryFolder();
      const open = await startSite({
        settings: testSettings(other.path, { host: "0.0.0.0" }),
        command: toyCommand,
        papers: toyPapers,
      });
      const url = `http://${address}:${new URL(open.url).port}`;
      const { page, context } = await openPage(browser, url);
      // Where others can come, runs need an account; the first one is made here.
      await page.goto(`${url}/papers/clip-refine`);
      await page.locator(".panel").getByRole("link", { name: "Sign in" }).click();
      await page.getByLabel("Name", { exact: true }).fill("ada");
      await page.getByLabel("Password").fill("seven wooden kites");
      await page.getByRole("button", { name: "Make the account" }).click();
      await page.waitForURL(/\/settings/);
      await pressRun(page, url, "smoke");
      await context.close();
      await open.close();
      await other.remove();
    },
  );
});

const cli = fileURLToPath(new URL("../../cli/src/main.ts", import.meta.url));
const real = hasBrowser && existsSync(cli) && (await hasExperiment("clip-refine"));

it.skipIf(!real)(
  "runs CLIP-Refine's smoke size from the page to its verdicts",
  { timeout: 300_000 },
  async () => {
    const folder = await temporaryFolder();
    const command = [process.execPath, "--conditions=source", "--disable-warning=ExperimentalWarning", cli];
    const site = await startSite({ settings: testSettings(folder.path), command });
    const browser = await launchBrowser();
    try {
      const { page, complaints } = await openPage(browser, site.url);
      await pressRun(page, site.url, "smoke");
      await page.locator(".status-done, .status-failed").waitFor({ timeout: 240_000 });
      expect(await page.locator(".error-box").allInnerTexts()).toEqual([]);
      expect(await page.locator(".verdict").count()).toBeGreaterThan(0);
      expect(await page.locator("#results tbody tr").count()).toBeGreaterThan(1);
      expect(await axeFindings(page)).toEqual([]);
      expect(complaints).toEqual([]);
    } finally {
      await browser.close();
      await site.close();
      await folder.remove();
    }
  },
);
