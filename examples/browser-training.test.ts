import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { axeFindings, openPage } from "../apps/site/test/browser.ts";
import { hasBrowser, launchBrowser } from "../packages/tensor/test/browser/browser.ts";
import { exampleFiles, serve } from "./browser-training/serve.ts";

const TRAINING_MS = 60_000;

describe.skipIf(!hasBrowser)("the page that trains", () => {
  let browser: Browser;
  let site: Awaited<ReturnType<typeof serve>>;
  beforeAll(async () => {
    site = await serve(await exampleFiles());
    browser = await launchBrowser();
  });
  afterAll(async () => {
    await browser?.close();
    await site?.close();
  });

  it.each(["light", "dark"] as const)(
    "trains at a press, %s: the loss falls, the device is named",
    async (colorScheme) => {
      const { page, context, complaints } = await openPage(browser, site.url, { colorScheme });
      await page.goto(site.url);
      expect(await axeFindings(page)).toEqual([]);
      await page.getByRole("button", { name: "Train" }).click();
      const status = page.getByRole("status");
      await status.filter({ hasText: /Done|cannot|rror/ }).waitFor({ timeout: TRAINING_MS });
      const text = await status.innerText();
      const found =
        /^Done on onnxruntime-web [\d.]+ wasm, \d+ threads? in .* the loss fell from ([\d.]+) to ([\d.]+)\.$/.exec(
          text,
        );
      expect(found, text).not.toBeNull();
      expect(Number(found?.[1])).toBeGreaterThan(Math.log(48) - 1);
      expect(Number(found?.[2])).toBeLessThan(2);
      expect(await page.locator("#circle .pair").count()).toBe(48);
      expect((await page.locator("#curve .loss").getAttribute("d"))?.length).toBeGreaterThan(500);
      expect(await axeFindings(page)).toEqual([]);
      expect(complaints).toEqual([]);
      await context.close();
    },
  );

  it("fits a phone, and stops when asked", async () => {
    const { page, context } = await openPage(browser, site.url, { viewport: { width: 390, height: 844 } });
    await page.goto(site.url);
    // A training takes two seconds; where it ends before the button is found, the next one is stopped.
    for (let stopped = false, attempt = 0; !stopped && attempt < 5; attempt++) {
      await page.getByRole("button", { name: "Train" }).click();
      await page.getByRole("status").filter({ hasText: "step" }).waitFor({ timeout: TRAINING_MS });
      const stop = page.getByRole("button", { name: "Stop" });
      stopped = await stop.click({ timeout: 2000 }).then(
        () => true,
        () => false,
      );
    }
    expect(await page.getByRole("status").innerText()).toBe("Stopped.");
    expect(
      await page.evaluate<number>("document.documentElement.scrollWidth - innerWidth"),
    ).toBeLessThanOrEqual(0);
    expect(await page.getByRole("button", { name: "Train" }).isEnabled()).toBe(true);
    await context.close();
  });
});
