import { readFile, rm, writeFile } from "node:fs/promises";
import { createRun, type Experiment, executeRun, type Figure, type RunRecord } from "@concord/papers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { manyArms } from "./many-arms.ts";
import { temporaryFolder, toyPapers } from "./support.ts";
import { type TestApp, testApp } from "./support-app.ts";
import { toyExperiment } from "./toy-experiment.ts";
import { xssPayloads } from "./xss-payloads.ts";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let site: TestApp;
let few: RunRecord;
let many: RunRecord;

const quick: Experiment = { ...toyExperiment, presets: manyArms.presets };

async function run(experiment: Experiment): Promise<RunRecord> {
  const { id } = await createRun(experiment, site.store, { preset: "smoke" });
  return executeRun(experiment, site.store, id);
}

beforeAll(async () => {
  folder = await temporaryFolder();
  site = await testApp(folder.path, { papers: { ...toyPapers, experiment: async () => manyArms } });
  few = await run(quick);
  many = await run(manyArms);
});
afterAll(() => folder.remove());

async function page(path: string): Promise<string> {
  const answer = await site.app.request(path);
  expect(answer.status, path).toBe(200);
  return answer.text();
}

/** The figures' part of a page, and the block of one figure in it. */
const section = (text: string) =>
  text.slice(text.indexOf('<div id="figures"'), text.indexOf('aria-labelledby="curves-title"'));
function block(text: string, id: string): string {
  const own = section(text)
    .split("<article ")
    .find((part) => part.includes(`id="figure-${id}"`));
  if (own === undefined) throw new Error(`no figure ${id}`);
  return own;
}
const count = (text: string, pattern: RegExp) => [...text.matchAll(pattern)].length;

describe("figures of a run", () => {
  it("are drawn once each, with what all arms have of them, in the arms' order", async () => {
    const text = await page(`/runs/${few.id}`);
    expect(count(section(text), /class="figure-block"/g)).toBe(8);
    expect(count(block(text, "spectrum"), /<svg class="chart lines-plot/g)).toBe(1);
    expect(count(block(text, "retrieval"), /<svg class="chart lines-plot/g)).toBe(2);
    expect(count(block(text, "plane"), /class="series [^"]*way/g)).toBe(5);
    expect(count(block(text, "balance"), /<svg class="chart bars-plot/g)).toBe(5);
    expect(count(block(text, "recall-of-kinds"), /<svg class="chart bars-plot/g)).toBe(1);
    expect(count(block(text, "similarity"), /<svg class="chart matrix-plot/g)).toBe(5);
    expect(count(block(text, "prototypes"), /<svg class="chart gallery-plot/g)).toBe(5);
    const names = [...block(text, "similarity").matchAll(/<span class="">([^<]+)</g)].map(([, name]) => name);
    expect(names).toEqual(toyExperiment.arms.map(({ label }) => label));
    expect(section(text)).not.toMatch(/NaN|Infinity|undefined|\sstyle="/);
    // Five arms need no switches, and nothing is folded away but the tables.
    expect(section(text)).not.toContain("arm-switches");
    expect(count(section(text), /<details/g)).toBe(8);
  });

  it("say the same in tables", async () => {
    const text = await page(`/runs/${few.id}`);
    expect(block(text, "similarity")).toContain("<caption>CLIP-Refine: mean cosine</caption>");
    expect(count(block(text, "plane"), /<tr><th scope="row">/g)).toBe(5 * 6);
    expect(block(text, "plane")).toContain('<th scope="row">CLIP-Refine, end</th>');
    expect(block(text, "spectrum")).toContain(
      "share of the variance at some places of direction, strongest first",
    );
    expect(block(text, "retrieval")).toContain('<th scope="row">CLIP-Refine, 64 bits</th>');
    expect(block(text, "balance")).toContain('<th scope="col">smallest</th>');
    expect(block(text, "prototypes")).toMatch(/<td>ring · ring · ring/);
  });

  it("show the reference, the baseline and the method first where there are many arms", async () => {
    const text = await page(`/runs/${many.id}`);
    const spectrum = block(text, "spectrum");
    expect(count(spectrum, /type="checkbox"/g)).toBe(9);
    expect(count(spectrum, /type="checkbox"[^>]* checked>/g)).toBe(3);
    expect(/class="switch-8 switch-folded"[\s\S]*?<\/svg> ([^<]+)/.exec(spectrum)?.[1]).toBe(
      "Momentum encoder",
    );
    expect(spectrum).toContain("arm-8");
    const [shown = "", folded = ""] = block(text, "similarity").split("<details");
    expect(count(shown, /<svg class="chart matrix-plot/g)).toBe(3);
    expect(folded).toContain("6 ablations");
    expect(count(folded, /<svg class="chart matrix-plot/g)).toBe(6);
    const [bars = "", allBars = ""] = block(text, "recall-of-kinds").split("<details");
    expect(count(bars, /class="bars series-\d arm-\d"/g)).toBe(3);
    expect(count(allBars, /class="bars series-\d arm-\d"/g)).toBe(9);
  });

  it("fetch the pictures of further arms on request only", async () => {
    const text = await page(`/runs/${many.id}?seed=1`);
    expect(count(block(text, "prototypes"), /<image /g)).toBe(3);
    const more = /href="([^"]+)">6 further arms/
      .exec(block(text, "prototypes"))?.[1]
      ?.replaceAll("&amp;", "&");
    expect(more).toBe(`/runs/${many.id}?seed=1&all=prototypes#figure-prototypes`);
    expect(count(block(await page(more!), "prototypes"), /<image /g)).toBe(9);
  });

  it("are those of the seed that is asked for, as the maps are", async () => {
    const [zero, one] = [await page(`/runs/${few.id}`), await page(`/runs/${few.id}?seed=1`)];
    expect(section(zero)).toContain('data-seed aria-current="true">0</a>');
    expect(section(one)).toContain('data-seed aria-current="true">1</a>');
    expect(block(zero, "balance")).not.toBe(block(one, "balance"));
    expect(section(await page(`/runs/${few.id}?seed=99`))).toBe(section(zero));
    const answer = await site.app.request(`/runs/${few.id}/figures/1`);
    const { arms } = (await answer.json()) as { arms: { arm: string; figures: Figure[] }[] };
    expect(arms.map(({ arm }) => arm)).toEqual(toyExperiment.arms.map(({ id }) => id));
    expect(arms[0]!.figures.map(({ kind }) => kind)).toContain("gallery");
    expect((await site.app.request(`/runs/${few.id}/figures/7`)).status).toBe(404);
  });

  it("have their pictures in one file an arm", async () => {
    const href = /<image [^>]*href="([^"]+)"/.exec(await page(`/runs/${few.id}`))![1]!;
    expect(href).toBe(`/runs/${few.id}/figures/0/pre-trained/prototypes.png`);
    const answer = await site.app.request(href);
    expect(answer.headers.get("content-type")).toBe("image/png");
    expect(answer.headers.get("x-content-type-options")).toBe("nosniff");
    const bytes = Buffer.from(await answer.arrayBuffer());
    expect([bytes.readUInt32BE(16), bytes.readUInt32BE(20)]).toEqual([8 * 28, 3 * 28]);
    for (const other of [
      href.replace("prototypes", "spectrum"),
      href.replace("pre-trained", "nobody"),
      href.replace("pre-trained", "..%2Fpre-trained"),
      href.replace("prototypes.png", "figures.json"),
      href.replace("/0/", "/9/"),
    ]) {
      expect((await site.app.request(other)).status, other).toBe(404);
    }
  });
});

describe("figures of a folder that cannot be trusted", () => {
  const frame = { title: "T", caption: "C" };

  it("are text wherever they are words", async () => {
    for (let start = 0; start < xssPayloads.length; start += 24) {
      const words = xssPayloads.slice(start, start + 24).map((payload) => payload.slice(0, 200));
      const word = (index: number) => words[index % words.length] || "x";
      const axis = (index: number) => ({ label: word(index) });
      const picture = { width: 1, height: 1, channels: 1, data: new Uint8Array(1) } as const;
      const figures: readonly Figure[] = [
        {
          id: "a",
          kind: "lines",
          title: word(0),
          caption: word(1),
          x: axis(2),
          y: axis(3),
          series: [
            {
              label: word(4),
              points: [
                [0, 0],
                [1, 1],
              ],
            },
            {
              label: word(5),
              guide: true,
              points: [
                [0, 1],
                [1, 0],
              ],
            },
          ],
        },
        {
          id: "b",
          kind: "points",
          title: word(6),
          caption: word(7),
          x: axis(8),
          y: axis(9),
          series: [
            {
              label: word(10),
              points: [
                [0, 0],
                [1, 1],
              ],
              labels: [word(11), word(12)],
            },
          ],
        },
        {
          id: "c",
          kind: "bars",
          title: word(13),
          caption: word(14),
          y: axis(15),
          categories: [word(16), "b"],
          series: [{ label: word(17), values: [1, 2] }],
        },
        {
          id: "d",
          kind: "matrix",
          title: word(18),
          caption: "",
          rows: [word(19)],
          columns: [word(20)],
          values: [[1]],
          range: [0, 1],
          label: word(21),
          digits: 1,
        },
        {
          id: "e",
          kind: "gallery",
          title: "T",
          caption: "",
          rows: [{ label: word(22), items: [{ picture, caption: word(23) }] }],
        },
      ];
      const hostile: Experiment = {
        ...quick,
        async runArm() {
          return { metrics: { recall: 1, gap: 1 }, figures };
        },
      };
      const { id, status, error } = await run({ ...hostile, claims: [], arms: hostile.arms.slice(0, 1) });
      expect(error ?? status).toBe("done");
      const text = section(await page(`/runs/${id}`));
      expect(count(text, /class="figure-block"/g)).toBe(5);
      const tags = new Set([...text.matchAll(/<([a-zA-Z][^\s/>]*)/g)].map(([, name]) => name));
      for (const name of tags) {
        expect(
          "div section h2 h3 nav a article p fieldset legend label input svg g path line text tspan title circle rect defs image use figure figcaption span button details summary table caption thead tbody tr th td".split(
            " ",
          ),
        ).toContain(name);
      }
      expect(text).not.toMatch(/<[a-z]+(?:\s+[a-z-]+(?:="[^"]*")?)*\s+(?:on\w+|style)=/i);
    }
  }, 60_000);

  it("that cannot be read are named, and the page and the other arms are there", async () => {
    const file = site.store.path(few.id, "units", "seed-0", "contrastive", "figures", "figures.json");
    const before = await readFile(file, "utf8");
    await writeFile(file, "{");
    const text = await page(`/runs/${few.id}`);
    expect(section(text)).toContain("The figures of contrastive cannot be read.");
    expect(count(block(text, "similarity"), /<svg class="chart matrix-plot/g)).toBe(4);
    expect(section(text)).not.toContain(folder.path);
    expect(site.logged.join("")).toContain("is not JSON");
    await writeFile(file, before);
    const sheet = site.store.path(few.id, "units", "seed-1", "contrastive", "figures", "prototypes.png");
    await writeFile(sheet, "<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>");
    expect((await site.app.request(`/runs/${few.id}/figures/1/contrastive/prototypes.png`)).status).toBe(500);
    await rm(sheet);
    expect((await site.app.request(`/runs/${few.id}/figures/1/contrastive/prototypes.png`)).status).toBe(404);
  });

  it("with one id and other kinds or categories stand apart", async () => {
    const bars = (categories: readonly string[]): Figure => ({
      ...frame,
      id: "same",
      kind: "bars",
      categories,
      y: { label: "y" },
      series: [{ label: "", values: categories.map(() => 1) }],
    });
    const of: Readonly<Record<string, Figure>> = {
      "pre-trained": bars(["a", "b"]),
      contrastive: bars(["a"]),
      "clip-refine": {
        ...frame,
        id: "same",
        kind: "lines",
        x: { label: "x" },
        y: { label: "y" },
        series: [{ label: "", points: [] }],
      },
      "no-noise": bars(["a", "b"]),
    };
    const { id } = await run({
      ...quick,
      async runArm(arm) {
        return { metrics: { recall: 1, gap: 1 }, figures: of[arm] ? [of[arm]] : [] };
      },
    });
    const text = await page(`/runs/${id}`);
    expect(
      [...section(text).matchAll(/<article class="figure-block" id="([^"]+)"/g)].map(([, own]) => own),
    ).toEqual(["figure-same", "figure-same--2", "figure-same--3"]);
    expect(count(block(text, "same"), /class="bars series-\d arm-\d"/g)).toBe(2);
  });

  it("that no arm left leave no heading either", async () => {
    const { id } = await run({
      ...quick,
      async runArm() {
        return { metrics: { recall: 1, gap: 1 } };
      },
    });
    expect(await page(`/runs/${id}`)).not.toContain("figures-title");
  });
});
