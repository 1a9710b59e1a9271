import { createRun, executeRun, RunStore } from "@concord/papers";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Site, startSite } from "../src/index.ts";
import { axeFindings, follow, hasBrowser, launchBrowser, openPage } from "./browser.ts";
import { manyArms } from "./many-arms.ts";
import { eventually, temporaryFolder, testSettings, toyCommand, toyPapers } from "./support.ts";
import { toyExperiment } from "./toy-experiment.ts";

const phone = { viewport: { width: 390, height: 844 } };

/** Pictures that are drawn: a sheet that did not load, or whose place is wrong, leaves them blank. */
const drawnPictures = `[...document.querySelectorAll("#figures .gallery-plot")].map((plot) => {
  const sheet = plot.querySelector("image");
  const box = plot.querySelector("svg use").getBoundingClientRect();
  return { address: sheet.getAttribute("href"), width: Math.round(box.width) };
})`;

describe.skipIf(!hasBrowser)("figures in a browser", () => {
  let browser: Browser;
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let site: Site;
  let store: RunStore;
  let run: string;

  beforeAll(async () => {
    folder = await temporaryFolder();
    const settings = testSettings(folder.path);
    store = new RunStore(settings.data.runs);
    const { id } = await createRun(manyArms, store, { preset: "smoke" });
    expect((await executeRun(manyArms, store, id)).status).toBe("done");
    run = `/runs/${id}`;
    site = await startSite({
      settings,
      command: toyCommand,
      papers: { ...toyPapers, experiment: async () => manyArms },
    });
    browser = await launchBrowser();
  }, 60_000);
  afterAll(async () => {
    await browser?.close();
    await site?.close();
    await folder?.remove();
  });

  it.each([
    ["light", {}],
    ["dark", phone],
  ] as const)(
    "are free of accessibility faults, all unfolded, in the %s theme",
    {
      timeout: 60_000,
    },
    async (colorScheme, size) => {
      const { page, context, complaints } = await openPage(browser, site.url, { colorScheme, ...size });
      await page.goto(site.url + run);
      await page.evaluate(
        'for (const details of document.querySelectorAll("#figures details")) details.open = true',
      );
      expect(await axeFindings(page, "#figures")).toEqual([]);
      const overflow = await page.evaluate<number>("document.documentElement.scrollWidth - innerWidth");
      expect(overflow).toBeLessThanOrEqual(0);
      expect(complaints).toEqual([]);
      await context.close();
    },
  );

  it("hide and show arms, unfold and change the seed without scripts", async () => {
    const { page, context, complaints } = await openPage(browser, site.url, { javaScriptEnabled: false });
    await page.goto(site.url + run);
    const block = page.locator("#figure-spectrum");
    const names = () => block.locator(".end-text:visible").allTextContents();
    const words = (texts: readonly string[]) => texts.map((text) => text.replace(/\s+/g, " ").trim()).sort();
    expect(words(await names())).toEqual(["CLIP-Refine", "Contrastive", "Pre-trained", "isotropic"]);
    await block.getByRole("checkbox", { name: "Momentum encoder" }).check();
    await block.getByRole("checkbox", { name: "Contrastive" }).uncheck();
    expect(words(await names())).toEqual(["CLIP-Refine", "Momentum encoder", "Pre-trained", "isotropic"]);
    expect(await block.locator(".clip .series:visible").count()).toBe(3);
    // The other figures have switches of their own.
    expect(await page.locator("#figure-plane .end-text:visible").count()).toBe(3);

    const matrices = page.locator("#figure-similarity .matrix-plot:visible");
    expect(await matrices.count()).toBe(3);
    await page.locator("#figure-similarity summary", { hasText: "6 ablations" }).click();
    expect(await matrices.count()).toBe(9);

    await follow(
      page,
      page.locator("#figure-prototypes").getByRole("link", { name: "6 further arms" }).click(),
    );
    expect(await page.locator("#figure-prototypes .gallery-plot").count()).toBe(9);
    await follow(page, page.locator("#figures").getByRole("link", { name: "1", exact: true }).click());
    expect(await page.locator("#figures [aria-current=true]").innerText()).toBe("1");
    expect(complaints).toEqual([]);
    await context.close();
  });

  it("have pictures of whole pixels, from one file an arm, and do not move while they load", async () => {
    const { page, context, complaints } = await openPage(browser, site.url);
    const loaded: string[] = [];
    page.on("response", (answer) => {
      if (answer.url().endsWith(".png")) loaded.push(`${answer.status()} ${new URL(answer.url()).pathname}`);
    });
    await page.goto(site.url + run, { waitUntil: "networkidle" });
    const pictures = await page.evaluate<{ address: string; width: number }[]>(drawnPictures);
    expect(pictures.map(({ address }) => `200 ${address}`).sort()).toEqual(loaded.sort());
    expect(pictures).toHaveLength(3);
    // The whole sheet of eight pictures of 28 pixels, twice enlarged: the drawing cuts one out.
    expect(pictures.map(({ width }) => width)).toEqual([448, 448, 448]);
    const shift = await page.evaluate<number>(`new Promise((resolve) => {
      let sum = 0;
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) sum += entry.value;
      }).observe({ type: "layout-shift", buffered: true });
      setTimeout(() => resolve(sum), 200);
    })`);
    expect(shift).toBe(0);
    expect(complaints).toEqual([]);
    await context.close();
  });

  it("are handed out as drawings that stand alone: what is hidden is not in them, pictures are", async () => {
    const { page, context, complaints } = await openPage(browser, site.url, { colorScheme: "dark" });
    await page.goto(site.url + run);
    const save = async (id: string) => {
      const waiting = page.waitForEvent("download");
      await page.locator(`#figure-${id} .save`).first().click();
      const download = await waiting;
      const parts = await (await download.createReadStream()).toArray();
      return { name: download.suggestedFilename(), text: Buffer.concat(parts).toString() };
    };
    const lines = await save("spectrum");
    expect(lines.name).toMatch(/-spectrum-seed-0\.svg$/);
    expect(lines.text).not.toMatch(/class=|var\(|light-dark/);
    expect(lines.text).toContain(">CLIP-Refine</tspan>");
    expect(lines.text).not.toContain(">Momentum encoder</tspan>");
    const gallery = await save("prototypes");
    expect(gallery.text.match(/<image [^>]*href="data:image\/png;base64,/g)).toHaveLength(24);
    expect(gallery.text).not.toMatch(/href="[/#]/);
    expect(complaints).toEqual([]);
    await context.close();
  });

  it("say what a place of a drawing is: under a mouse, by keys and under a finger, only of arms that are shown", async () => {
    const { page, context, complaints } = await openPage(browser, site.url, { hasTouch: true });
    await page.goto(site.url + run);
    const tip = page.locator(".tip");
    const spectrum = page.locator("#figure-spectrum .lines-plot");
    await spectrum.hover({ position: { x: 150, y: 100 } });
    await tip.waitFor();
    const rows = () => tip.locator(".tip-row").allTextContents();
    const drawn = await page.locator("#figure-spectrum .end-text:visible").count();
    expect((await rows()).length).toBe(drawn);
    expect((await rows()).join()).toMatch(/CLIP-Refine[\d.]+/);
    expect((await rows()).join()).not.toContain("Momentum encoder");
    expect(await page.locator("#figure-spectrum .hover-line").count()).toBe(1);
    await page.mouse.move(2, 2);
    await tip.waitFor({ state: "hidden" });

    // Values are those of the data, not of pixels.
    await page.locator("#figure-spectrum").getByRole("checkbox", { name: "Momentum encoder" }).check();
    await spectrum.focus();
    await page.keyboard.press("Home");
    const spoken = page.locator(".visually-hidden[role=status]");
    await eventually(
      async () => (await spoken.textContent())?.includes("Momentum encoder") === true,
      "the first value",
    );
    const seed = page.url().match(/seed=(\d+)/)?.[1] ?? "0";
    const arms = await page.evaluate<
      { arm: string; figures: { id: string; series: { points: number[][] }[] }[] }[]
    >(
      `fetch(location.pathname + "/figures/${seed}").then((answer) => answer.json()).then(({ arms }) => arms)`,
    );
    const momentum = arms.find(({ arm }) => arm === "momentum")?.figures.find(({ id }) => id === "spectrum");
    const [x = 0, y = 0] = momentum?.series[0]?.points[0] ?? [];
    expect(await spoken.textContent()).toContain(`Momentum encoder: ${Number(y.toPrecision(4))}`);
    expect(await spoken.textContent()).toContain(` ${x}, `);
    const first = await spoken.textContent();
    await page.keyboard.press("ArrowRight");
    await eventually(async () => (await spoken.textContent()) !== first, "the next value");
    await page.keyboard.press("Escape");
    await tip.waitFor({ state: "hidden" });

    const plane = page.locator("#figure-plane .points-plot");
    await plane.scrollIntoViewIfNeeded();
    const middle = await page.evaluate<{ x: number; y: number }>(`(() => {
      const plot = document.querySelector("#figure-plane .points-plot");
      const [, x, y] = /^M([\\d.]+) ([\\d.]+)/.exec(plot.querySelector("path.point").getAttribute("d"));
      const { x: left, y: top } = new DOMPoint(Number(x), Number(y)).matrixTransform(plot.getScreenCTM());
      return { x: left, y: top };
    })()`);
    await page.touchscreen.tap(middle.x, middle.y);
    await tip.waitFor();
    expect(await page.locator("#figure-plane .ring").count()).toBe(1);
    expect((await rows()).length).toBe(2);
    await page.locator("h1").tap();
    await tip.waitFor({ state: "hidden" });
    expect(complaints).toEqual([]);
    await context.close();
  });

  it("appear while a run goes on, and keep what the reader chose", { timeout: 60_000 }, async () => {
    const { id } = await createRun(toyExperiment, store, { preset: "smoke" });
    const queued = await store.read(id);
    await store.write({ ...queued, config: { steps: 20, delayMs: 20 } });
    const { page, context, complaints } = await openPage(browser, site.url);
    await page.goto(`${site.url}/runs/${id}`);
    await page.evaluate("globalThis.sameDocument = true");
    expect(await page.locator("#figures").innerHTML()).toBe("");
    const running = executeRun(toyExperiment, store, id);
    const matrices = page.locator("#figure-similarity .matrix-plot");
    await eventually(async () => (await matrices.count()) > 0, "the first arm's figures");
    await page.locator("#figure-similarity-table summary").click();
    await eventually(async () => (await matrices.count()) === 5, "those of all arms");
    expect(await page.locator("#figure-similarity-table").getAttribute("open")).not.toBeNull();
    expect(await page.evaluate("globalThis.sameDocument")).toBe(true);
    expect((await running).status).toBe("done");
    expect(complaints).toEqual([]);
    await context.close();
  });
});
