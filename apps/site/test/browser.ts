import { existsSync } from "node:fs";
import axe from "axe-core";
import {
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  chromium,
  type Page,
} from "playwright-core";

const executablePath = process.env.CHROMIUM_PATH ?? "/usr/bin/chromium";

/** Whether there is a browser to test with; says so once when there is none. */
export const hasBrowser = existsSync(executablePath);
if (!hasBrowser) {
  console.log(
    `Browser tests are skipped: there is no Chromium at ${executablePath}; CHROMIUM_PATH names another place.`,
  );
}

export function launchBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath,
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

/** A page that takes note of everything that must not happen. */
export interface WatchedPage {
  readonly page: Page;
  readonly context: BrowserContext;
  /** Console errors, exceptions, policy violations, requests to other hosts. */
  readonly complaints: string[];
}

export async function openPage(
  browser: Browser,
  origin: string,
  options: BrowserContextOptions = {},
): Promise<WatchedPage> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning")
      complaints.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => complaints.push(`exception: ${error.message}`));
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (url.protocol.startsWith("http") && url.origin !== origin)
      complaints.push(`request to ${request.url()}`);
  });
  return { page, context, complaints };
}

/** Ends when the page that an act leads to is loaded: by itself a click ends before, on a busy machine. */
export async function follow(page: Page, act: Promise<void>): Promise<void> {
  await Promise.all([page.waitForEvent("load"), act]);
}

/** What axe finds wrong on the page, or in a part of it, one line a finding. */
export async function axeFindings(page: Page, within = "html"): Promise<string[]> {
  await page.evaluate(axe.source);
  // Targets of 24 pixels are the one rule of WCAG 2.2 AA that axe leaves out unless it is asked.
  const options = { rules: { "target-size": { enabled: true } } };
  const { violations } = await page.evaluate<axe.AxeResults>(
    `axe.run(${JSON.stringify(within)}, ${JSON.stringify(options)})`,
  );
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${html}\n${failureSummary}`),
  );
}
