import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { openSqliteStore, paperRecord } from "@concord/feed";
import { DigestPublisher, DigestSender, latestSlot } from "@concord/feed/digest";
import type { Browser, Page } from "playwright-core";
import PostalMime from "postal-mime";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Site, STORE_FILE, startSite } from "../src/index.ts";
import { OUTBOX_FOLDER } from "../src/people/service.ts";
import { createDigest, digestMailer, digestTimes } from "../src/subscribe/service.ts";
import { axeFindings, follow, hasBrowser, launchBrowser, openPage } from "./browser.ts";
import { eventually, temporaryFolder, testSettings, toyCommand, toyPapers } from "./support.ts";

const phone = { viewport: { width: 390, height: 844 } };

describe.skipIf(!hasBrowser)("the digest in a browser", () => {
  let browser: Browser;
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let settings: ReturnType<typeof testSettings>;
  let site: Site;

  beforeAll(async () => {
    folder = await temporaryFolder();
    settings = testSettings(folder.path);
    site = await startSite({ settings, command: toyCommand, papers: toyPapers });
    browser = await launchBrowser();
  }, 60_000);

  afterAll(async () => {
    await browser?.close();
    await site?.close();
    await folder.remove();
  });

  /** The newest kept message whose subject begins so. */
  const kept = (subject: string) =>
    eventually(async () => {
      const outbox = join(settings.data.folder, OUTBOX_FOLDER);
      const names = (await readdir(outbox).catch(() => []))
        .filter((name) => name.endsWith(".eml"))
        .sort()
        .reverse();
      for (const name of names) {
        const mail = await PostalMime.parse(await readFile(join(outbox, name)));
        if (mail.subject?.startsWith(subject)) return mail;
      }
      return null;
    }, `a message “${subject}” in the outbox`);

  async function check(page: Page, where: string, except = /^$/): Promise<void> {
    const findings = (await axeFindings(page)).filter((finding) => !except.test(finding));
    expect(findings, where).toEqual([]);
    const overflow = await page.evaluate<number>("document.documentElement.scrollWidth - innerWidth");
    expect(overflow, `${where} scrolls sideways`).toBeLessThanOrEqual(0);
  }

  it("comes after a confirmation, says what it should, and ends with one click, all without scripts", async () => {
    const { page, context, complaints } = await openPage(browser, site.url, { javaScriptEnabled: false });
    await page.goto(`${site.url}/subscribe?topic=image-text`);
    await page.waitForTimeout(1600);
    await page.getByLabel("E-mail address").fill("ada@example.org");
    expect(await page.getByRole("checkbox", { name: /^image-text/ }).isChecked()).toBe(true);
    await page.getByRole("radio", { name: /Weekly/ }).check();
    await page.getByRole("radio", { name: /Daily/ }).check();
    await follow(page, page.getByRole("button", { name: "Subscribe" }).click());
    expect(await page.getByRole("heading", { level: 1 }).textContent()).toBe("Look into your mailbox");
    const asked = await kept("Do you want");
    const confirm = /\/subscribe\/confirm\/[\w-]{22}/.exec(asked.text ?? "")?.[0] ?? "";
    await page.goto(site.url + confirm);
    await follow(page, page.getByRole("button", { name: "Yes, send it to me" }).click());
    expect(await page.getByRole("heading", { level: 1 }).textContent()).toBe("You are subscribed");
    const manage = new URL(
      (await page.getByRole("link", { name: "Change what you get" }).getAttribute("href")) ?? "",
    ).pathname;

    // Another process, such as the command line, builds and sends it.
    const store = openSqliteStore(join(settings.data.folder, STORE_FILE));
    const times = digestTimes(settings.digest);
    const slot = latestSlot("daily", times, Date.now());
    await store.papers.upsert([
      paperRecord.parse({
        ...{
          id: "2511.00001",
          title: "Spaces that $\\alpha$-agree",
          abstract: "They do.",
          sources: ["test"],
        },
        ...{ announced: slot.day, topics: ["image-text"] },
      }),
    ]);
    const people = { office: { post() {} }, clock: Date.now, secret: "unused" } as never;
    const { links } = await createDigest({ store, people, settings, publicUrl: () => site.url });
    await new DigestPublisher({ store, times, host: () => links.host }).publish(slot);
    const mailer = digestMailer(settings);
    await new DigestSender({ store, mailer, links }).drain();
    await store.close();
    const digest = await kept("Spaces that α-agree");
    const unsubscribe = digest.headers.find(({ key }) => key === "list-unsubscribe")?.value ?? "";

    await page.goto(site.url + manage);
    expect(await page.locator(".history tbody").textContent()).toContain("sent");
    await page.getByRole("checkbox", { name: /^video/ }).check();
    await follow(page, page.getByRole("button", { name: "Save" }).click());
    expect(await page.getByRole("status").textContent()).toBe("Saved.");
    expect(await page.getByRole("checkbox", { name: /^video/ }).isChecked()).toBe(true);
    await page.goto(site.url + new URL(unsubscribe.slice(1, -1)).pathname);
    await follow(page, page.getByRole("button", { name: "Unsubscribe" }).click());
    expect(await page.getByRole("heading", { level: 1 }).textContent()).toBe("You are unsubscribed");
    expect(complaints).toEqual([]);
    await context.close();

    for (const [colorScheme, size] of [
      ["light", {}],
      ["dark", phone],
    ] as const) {
      const seen = await openPage(browser, site.url, { colorScheme, ...size });
      for (const path of [
        "/",
        "/subscribe?q=whitening&category=cs.LG",
        confirm,
        "/subscribe/confirm/none",
        manage,
        new URL(unsubscribe.slice(1, -1)).pathname,
      ]) {
        await seen.page.goto(site.url + path);
        await check(seen.page, `${path} ${colorScheme}`);
      }
      // The dead link answers 410, which browsers report as an error.
      expect(seen.complaints.filter((text) => !/status of 410/.test(text))).toEqual([]);
      // The message itself, outside of the site and its policy. Its landmarks are those of the mail program around it.
      const message = await browser.newPage({ colorScheme, javaScriptEnabled: true, ...size });
      await message.setContent(digest.html ?? "");
      await check(message, `the message, ${colorScheme}`, /^(?:landmark-one-main|region):/);
      await message.close();
      await seen.context.close();
    }
  }, 180_000);

  it("is asked for by keyboard alone", async () => {
    const { page, context } = await openPage(browser, site.url);
    await page.goto(`${site.url}/subscribe`);
    await page.waitForTimeout(1600);
    await page.getByLabel("E-mail address").focus();
    await page.keyboard.type("keys@example.org");
    await page.keyboard.press("Tab");
    await page.keyboard.press("ArrowDown");
    expect(await page.getByRole("radio", { name: /Weekly/ }).isChecked()).toBe(true);
    await page.keyboard.press("Tab");
    await page.keyboard.press("Space");
    const outline = await page.evaluate<string>(
      "getComputedStyle(document.activeElement.nextElementSibling).outlineStyle",
    );
    expect(outline).toBe("solid");
    expect(await page.locator(".choice input:checked").count()).toBe(1);
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Look into your mailbox" }).waitFor();
    await context.close();
  }, 90_000);
});
