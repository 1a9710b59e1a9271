import { appendFile, mkdir, writeFile } from "node:fs/promises";
import { createRun, executeRun, type PaperCard, type RunRecord } from "@concord/papers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { temporaryFolder, toyPapers } from "./support.ts";
import { ownForm, type TestApp, testApp } from "./support-app.ts";
import { toyExperiment } from "./toy-experiment.ts";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let site: TestApp;
let done: RunRecord;

beforeAll(async () => {
  folder = await temporaryFolder();
  site = await testApp(folder.path);
  const { id } = await createRun(toyExperiment, site.store, { preset: "smoke" });
  done = await executeRun(toyExperiment, site.store, id);
});
afterAll(() => folder.remove());

async function page(path: string): Promise<string> {
  const answer = await site.app.request(path);
  expect(answer.status, path).toBe(200);
  return answer.text();
}

describe("catalogue", () => {
  it("lists every paper under its day, newest first", async () => {
    const text = await page("/catalogue");
    expect(text.match(/<article /g)).toHaveLength(24);
    expect(text).toContain("24 papers, newest first");
    const days = [...text.matchAll(/id="day-([\d-]+)"/g)].map(([, day]) => day!);
    expect(days).toEqual([...days].sort().reverse());
  });

  it("narrows by words, topic and whether a paper runs here, and says how many are left", async () => {
    expect(await page("/catalogue?q=modality+gap")).toMatch(/<p class="result-count"[^>]*>\d+ of 24 papers/);
    const hashing = await page("/catalogue?q=prompthash&topic=retrieval");
    expect(hashing).toContain("1 of 24 papers");
    expect(hashing).toContain('href="/papers/prompthash"');
    expect(hashing).toContain('<option value="retrieval" selected>');
    const runnable = await page("/catalogue?runs=1");
    expect(runnable).toContain("1 of 24 papers");
    expect(runnable).toContain('href="/papers/clip-refine#run"');
  });

  it("says so when nothing matches, and shows what was typed only escaped", async () => {
    const text = await page(`/catalogue?q=${encodeURIComponent('"><script>alert(1)</script>')}`);
    expect(text).toContain("No paper matches");
    expect(text).not.toContain("<script>alert");
    expect(text).toContain("&lt;script&gt;alert(1)");
  });

  it("refuses a query of more than 200 characters", async () => {
    expect((await site.app.request(`/catalogue?q=${"a".repeat(201)}`)).status).toBe(400);
  });
});

describe("paper", () => {
  it("shows what is known of a paper that does not run here", async () => {
    const text = await page("/papers/swav");
    expect(text).toContain("No experiment of this paper can be run here yet.");
    expect(text).toContain("https://arxiv.org/abs/2006.09882");
    expect(text).toContain("@misc{caron2020unsupervised,");
    expect(text).not.toContain('action="/papers/swav/runs"');
  });

  it("shows claims, arms, metrics, sizes and the command for own data of one that does", async () => {
    const text = await page("/papers/clip-refine");
    for (const { statement } of toyExperiment.claims) expect(text).toContain(statement);
    for (const { label } of [...toyExperiment.arms, ...toyExperiment.metrics]) expect(text).toContain(label);
    expect(text).toContain("lower by at least 50\u00a0% of its value");
    expect(text).toContain("lower by at most 1.0\u00a0points");
    expect(text.replace(/<[^>]+>/g, "")).toContain("run clip-refine --pairs FILE.csv --images FOLDER");
    expect(text).toContain("Not confirmed in the paper itself.");
    expect(text).toContain(`href="/runs/${done.id}"`);
  });

  it("does not offer a size that needs files of the user", async () => {
    const picky = {
      ...toyExperiment,
      validate: async (_: unknown, size: string) => {
        if (size === "paper") throw new Error("give --pairs");
      },
    };
    const { app } = await testApp(folder.path, { papers: { ...toyPapers, experiment: async () => picky } });
    const text = await (await app.request("/papers/clip-refine")).text();
    expect(text).toContain('value="paper" disabled>');
    expect(text).not.toContain('value="default" disabled>');
    const answer = await app.request("/papers/clip-refine/runs", ownForm({ preset: "paper" }));
    expect(answer.status).toBe(400);
    expect(await answer.text()).toContain("give --pairs");
  });

  it("escapes hostile text of a card", async () => {
    const cards = await toyPapers.cards();
    const hostile: PaperCard = {
      ...cards[0]!,
      slug: "hostile",
      title: "<img src=x onerror=alert(1)>",
      authors: ["<b>A</b>"],
      summary: "</p><script>alert(1)</script>",
    };
    const { app } = await testApp(folder.path, { papers: { ...toyPapers, cards: async () => [hostile] } });
    for (const path of ["/", "/papers/hostile"]) {
      const text = await (await app.request(path)).text();
      expect(text).not.toMatch(/<img src=x|<script>alert|<b>A/);
    }
  });

  it("answers 404 for a slug that names no paper", async () => {
    for (const slug of ["nothing", "..%2F..%2Fetc", "%00", "a".repeat(5000)]) {
      expect((await site.app.request(`/papers/${slug}`)).status).toBe(404);
    }
  });
});

describe("run", () => {
  it("draws verdicts, results, curves and maps on the server", async () => {
    expect(done.status).toBe("done");
    const text = await page(`/runs/${done.id}`);
    expect(text.match(/class="chart interval-plot"/g)).toHaveLength(done.verdicts.length);
    expect(text.match(/class="chart line-chart"/g)).toHaveLength(3);
    expect(text.match(/class="chart map-panel"/g)).toHaveLength(toyExperiment.arms.length);
    expect(text).toContain("Mean ± standard deviation over 2 seeds; best in bold");
    expect(text).toContain("3 of 1,203 rows were left out");
    expect(text).toContain("What the paper printed for these arms");
    expect(text).toContain('"events":null');
  });

  it("shows the map of the seed that is asked for", async () => {
    expect(await page(`/runs/${done.id}?seed=1`)).toContain(`data-map="/runs/${done.id}/maps/1"`);
    expect(await page(`/runs/${done.id}?seed=99`)).toContain(`data-map="/runs/${done.id}/maps/0"`);
    const map = await site.app.request(`/runs/${done.id}/maps/1`);
    expect(await map.json()).toMatchObject({ seed: 1 });
    expect((await site.app.request(`/runs/${done.id}/maps/7`)).status).toBe(404);
  });

  it("offers run.json and log.jsonl for download", async () => {
    const record = await site.app.request(`/runs/${done.id}/run.json`);
    expect(record.headers.get("content-disposition")).toContain("attachment");
    expect(await record.json()).toEqual(JSON.parse(JSON.stringify(done)));
    const log = await (await site.app.request(`/runs/${done.id}/log.jsonl`)).text();
    expect(log.trim().split("\n").length).toBeGreaterThan(100);
    for (const name of ["queue.lock", "lock", "..%2Frun.json", "stderr.txt"]) {
      expect((await site.app.request(`/runs/${done.id}/${name}`)).status).toBe(404);
    }
  });

  it("shows a run whose arms and metrics the experiment no longer has", async () => {
    const record = {
      ...done,
      id: `${done.id.slice(0, -6)}abcdef`,
      paper: "forgotten",
      arms: ["<old>"],
      results: [{ arm: "<old>", seed: 0, metrics: { "<m>": 0.5 } }],
    };
    await mkdir(site.store.path(record.id));
    await site.store.write(record);
    await appendFile(
      site.store.path(record.id, "log.jsonl"),
      `not json\n${JSON.stringify({ kind: "note", time: "", unit: "x", level: "info", message: "</script><script>alert(1)" })}\n`,
    );
    const text = await page(`/runs/${record.id}`);
    expect(text).toContain("&lt;old&gt;");
    expect(text).not.toContain("<script>alert");
    expect(text).not.toMatch(/<old>|<m>/);
    await site.store.delete(record.id);
  });

  it("answers 404 for an id that names no run and 500, without details, for a broken record", async () => {
    for (const id of ["x", "..%2f..", "20260101-000000-000-none-abcdef"]) {
      expect((await site.app.request(`/runs/${id}`)).status).toBe(404);
    }
    const id = `${done.id.slice(0, -6)}000000`;
    await mkdir(site.store.path(id));
    await writeFile(site.store.path(id, "run.json"), "{");
    const answer = await site.app.request(`/runs/${id}`);
    expect(answer.status).toBe(500);
    expect(await answer.text()).not.toContain(folder.path);
    expect(site.logged.join("")).toContain("is not JSON");
    await site.store.delete(id);
  });

  it("lists all runs with status and outcomes", async () => {
    const text = await page("/runs");
    expect(text).toContain(`href="/runs/${done.id}"`);
    expect(text).toContain("2 reproduced");
  });
});

it("answers /about, /healthz and assets; everything else is a page that says what is not there", async () => {
  await page("/about");
  expect(await (await site.app.request("/healthz")).json()).toEqual({ status: "ok" });
  const style = /href="(\/assets\/style-[^"]+)"/.exec(await page("/"))![1]!;
  const asset = await site.app.request(style);
  expect(asset.headers.get("content-type")).toContain("text/css");
  expect(asset.headers.get("cache-control")).toContain("immutable");
  const missing = await site.app.request("/assets/none.js");
  expect(missing.status).toBe(404);
  expect(await (await site.app.request("/nothing")).text()).toContain("There is no such page.");
});
