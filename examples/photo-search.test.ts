import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { axeFindings, openPage } from "../apps/site/test/browser.ts";
import { hasBrowser, launchBrowser } from "../packages/tensor/test/browser/browser.ts";
import { exampleFiles } from "./browser-search/serve.ts";
import { serve } from "./browser-training/serve.ts";

const WAIT_MS = 30_000;

it("photo-search: the pictures that are found have the colours that were asked for", async () => {
  const file = new URL("photo-search.ts", import.meta.url).pathname;
  const flags = ["--conditions=source", "--disable-warning=ExperimentalWarning"];
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, file]);
  expect(stdout).toContain("embedded 150 pictures into vectors of 24");
  const found = [...stdout.matchAll(/^ {2}\S+ (\w+)-/gm)].map(([, colour]) => colour);
  expect(found).toEqual(["green", "blue", "yellow"].flatMap((colour) => Array(3).fill(colour)));
}, 60_000);

describe.skipIf(!hasBrowser)("the page that searches", () => {
  let browser: Browser;
  let site: Awaited<ReturnType<typeof serve>>;
  beforeAll(async () => {
    site = await serve(await exampleFiles());
    browser = await launchBrowser();
  }, 60_000);
  afterAll(async () => {
    await browser?.close();
    await site?.close();
  });

  it.each(["light", "dark"] as const)("finds pictures by words in the page, %s", async (colorScheme) => {
    const { page, context, complaints } = await openPage(browser, site.url, { colorScheme });
    await page.goto(site.url);
    const status = page.getByRole("status");
    await status
      .filter({ hasText: /^Ready: 120 pictures, onnxruntime-web .* wasm/ })
      .waitFor({ timeout: WAIT_MS });
    expect(await axeFindings(page)).toEqual([]);
    await page.getByRole("searchbox").fill("green");
    await page.getByRole("button", { name: "Search" }).click();
    await status.filter({ hasText: /“green”: the nearest 12 of 120 in/ }).waitFor({ timeout: WAIT_MS });
    const captions = await page.evaluate<string[]>(
      "[...document.querySelectorAll('#hits img')].map(({ alt }) => alt)",
    );
    expect(captions).toHaveLength(12);
    expect(captions.slice(0, 4).every((caption) => caption.startsWith("green"))).toBe(true);
    await page.getByRole("searchbox").fill("blue zeppelin");
    await page.keyboard.press("Enter");
    await status.filter({ hasText: "Not in the vocabulary: zeppelin." }).waitFor({ timeout: WAIT_MS });
    await page.getByRole("button", { name: "red ring" }).click();
    await status.filter({ hasText: "“red ring”" }).waitFor({ timeout: WAIT_MS });
    expect(await axeFindings(page)).toEqual([]);
    expect(complaints).toEqual([]);
    await context.close();
  });
});
