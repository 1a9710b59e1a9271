import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type NDArray, normalArray, randomKey } from "@concord/tensor";
import axe from "axe-core";
import { chromium } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type DiagnoseResult, diagnose, renderReport } from "../../src/index.ts";

const executablePath = process.env.CHROMIUM_PATH ?? "/usr/bin/chromium";
const hasBrowser = existsSync(executablePath);
if (!hasBrowser)
  console.log(
    `The report is not looked at in a browser: there is no Chromium at ${executablePath} (CHROMIUM_PATH).`,
  );

const ROWS = 100;
const WIDTH = 10;
const HOSTILE = `<script>alert(1)</script>"'&`;

const b = normalArray(randomKey(1), [ROWS, WIDTH]);
const a: NDArray<"float32"> = {
  ...b,
  data: b.data.map((value, i) => value * 0.9 + (i % WIDTH === 3 ? 6 : 0)),
};

let gapped: DiagnoseResult;
let mended: DiagnoseResult;
let single: DiagnoseResult;
beforeAll(async () => {
  gapped = await diagnose(a, b, { names: [HOSTILE, "pictures"], modalities: ["image", "text"] });
  mended = await diagnose(b, b, { names: [HOSTILE, "pictures"] });
  const labels = Array.from({ length: ROWS }, (_, i) => (i % 2 === 0 ? HOSTILE : "7"));
  single = await diagnose(a, null, { names: ["features"], labels });
});

function reports(): Readonly<Record<string, string>> {
  return {
    pairs: renderReport({ title: HOSTILE, before: gapped.diagnosis, advice: gapped.advice, footer: HOSTILE }),
    "before and after": renderReport({
      title: "Adaptation",
      before: gapped.diagnosis,
      after: mended.diagnosis,
      notes: [HOSTILE],
    }),
    "one set": renderReport({ title: "One set", before: single.diagnosis, advice: single.advice }),
  };
}

describe("renderReport", () => {
  it("is one file: no script, nothing fetched, every text escaped", () => {
    for (const page of Object.values(reports())) {
      expect(page).not.toMatch(/<script/i);
      expect(page).not.toMatch(/<(?:img|link|iframe|object|embed|base|form)\b/i);
      expect(page).not.toMatch(/\bon\w+=|javascript:|@import|url\(/i);
      expect(page).not.toMatch(/NaN|undefined|\[object/);
      for (const [, href] of page.matchAll(/href="([^"]*)"/g))
        expect(href).toMatch(/^https:\/\/arxiv\.org\/abs\/[\d.]+$/);
    }
    expect(reports().pairs).toContain("&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;");
  });

  it("says the verdict, the numbers and the papers in plain words", () => {
    const page = reports().pairs ?? "";
    expect(page).toContain("live in two separate clouds");
    expect(page).toMatch(/serious problems?:/);
    expect(page).toContain("The term for it: modality gap.");
    expect(page).toContain("What simple changes would do");
    expect(page).toContain("Post-pre-training for Modality Alignment");
    expect(page).toContain("Runs here: concord run clip-refine");
    // Map, retrieval, similarities, spectrum, gap by dimension, hubs of both sets.
    expect(page.match(/<figure>/g)).toHaveLength(7);
  });

  it("puts before and after side by side", () => {
    const page = reports()["before and after"] ?? "";
    expect(page).toContain("What changed");
    expect(page.match(/class="chart map-panel"/g)).toHaveLength(2);
    expect(page.match(/class="chart spectrum-plot"/g)).toHaveLength(2);
    const row = /<th scope="row">modality gap: [^<]*<\/th>.*?<\/tr>/.exec(page)?.[0] ?? "";
    expect(row).toMatch(/badge serious.*badge none/);
    expect(page).toContain("<p>After: ");
  });

  it.runIf(hasBrowser)(
    "is accessible, fits a phone and complains about nothing, in both colour schemes",
    async () => {
      const folder = await mkdtemp(join(tmpdir(), "concord-report-"));
      const browser = await chromium.launch({
        executablePath,
        args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"],
      });
      afterAll(async () => {
        await browser.close();
        await rm(folder, { recursive: true, force: true });
      });
      for (const [name, page] of Object.entries(reports())) {
        const path = join(folder, "report.html");
        await writeFile(path, page);
        // Colours are the same on every page.
        for (const colorScheme of name === "pairs" ? (["light", "dark"] as const) : (["light"] as const)) {
          // The page forbids scripts, so the checker needs the policy lifted; the policy itself is watched below.
          const checked = await browser.newContext({ colorScheme, bypassCSP: true });
          const tab = await checked.newPage();
          await tab.goto(`file://${path}`);
          await tab.evaluate(axe.source);
          const { violations } = (await tab.evaluate("axe.run()")) as axe.AxeResults;
          expect(
            violations.map(({ id, nodes }) => [id, nodes[0]?.html]),
            `${name} ${colorScheme}`,
          ).toEqual([]);
          await checked.close();
        }
        const phone = await browser.newContext({ viewport: { width: 360, height: 800 } });
        const tab = await phone.newPage();
        const complaints: string[] = [];
        tab.on("console", (message) => complaints.push(message.text()));
        await tab.goto(`file://${path}`);
        expect(await tab.evaluate("document.documentElement.scrollWidth"), name).toBeLessThanOrEqual(360);
        expect(complaints).toEqual([]);
        await phone.close();
      }
    },
  );
});
