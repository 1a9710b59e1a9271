import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { adaptLine } from "../src/render/adapt.ts";
import { toyCommand } from "./toy-context.ts";

let folder: string;
let images: string;
let texts: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "concord-cli-adapt-"));
  images = join(folder, "images.csv");
  texts = join(folder, "texts.csv");
  // 120 points of the plane and two more axes that carry nothing; the texts are turned and moved.
  const points = Array.from({ length: 120 }, (_, i) => [
    Math.cos(i * 2.4) * (1 + i / 60),
    Math.sin(i * 2.4) * (1 + i / 60),
  ]);
  const csv = (rows: readonly (readonly number[])[]) =>
    `v0,v1,v2,v3\n${rows.map((row) => row.map((value) => value.toFixed(5)).join(",")).join("\n")}\n`;
  const noise = (i: number) => Math.sin(i * 12.9898) * 0.05;
  await writeFile(images, csv(points.map(([x = 0, y = 0], i) => [x, y, noise(i), noise(i + 500)])));
  await writeFile(
    texts,
    csv(points.map(([x = 0, y = 0], i) => [2 - y, x + 2, noise(i + 900), 1 + noise(i + 1300)])),
  );
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe("concord adapt", () => {
  it("says what it would do, and does nothing", async () => {
    const out = join(folder, "planned");
    const { code, stdout } = await toyCommand().run(
      "adapt",
      "languagebind",
      images,
      texts,
      "--out",
      out,
      "--dry-run",
    );
    expect(code).toBe(0);
    expect(stdout).toContain("languagebind: what would be done");
    expect(stdout).toContain("120 rows");
    expect(stdout).toMatch(/b\s+vector\s+4\s+-\s+stays as it is/);
    await expect(readdir(out)).rejects.toThrow("ENOENT");
  });

  it("adapts, tells before and after, and refuses to overwrite", async () => {
    const out = join(folder, "adapted");
    const args = [
      "adapt",
      "languagebind",
      images,
      texts,
      "--out",
      out,
      "--steps",
      "60",
      "--temperature",
      "0.1",
      "--held-out",
      "0.2",
    ];
    const { code, stdout, stderr } = await toyCommand().run(...args);
    expect(stderr).not.toContain("Error");
    expect(code).toBe(0);
    expect(stdout).toMatch(/^\s*(Improved|Not clearly better|No improvement)/);
    expect(stdout).toMatch(/MRR\s+0\.\d{3} \(/);
    expect(await readdir(out)).toEqual(
      expect.arrayContaining(["a.onnx", "b.onnx", "report.html", "run.json", "example.mjs"]),
    );
    const again = await toyCommand().run(...args);
    expect(again.code).toBe(2);
    expect(again.stderr).toContain("Nothing is overwritten");
    const json = await toyCommand().run(...args, "--resume", "--json");
    expect(JSON.parse(json.stdout)).toMatchObject({
      kind: "concord adapt",
      recipe: "languagebind",
      options: { temperature: 0.1 },
    });
  });

  it("shows a recipe's own options, with their defaults and sources", async () => {
    const { stdout } = await toyCommand().run("adapt", "clip-refine", "--help");
    expect(stdout).toContain("Options of clip-refine");
    expect(stdout.replace(/\s+/g, " ")).toContain(
      "Default 0.5 (section on HyCD, released configuration); 0 to 1.",
    );
    expect((await toyCommand().run("adapt", "--help")).stdout).not.toContain("--lambda-rafa");
  });

  it.each([
    [["adapt"], "Which recipe? There are clip-refine"],
    [["adapt", "clip-refyne"], "Did you mean clip-refine?"],
    [["adapt", "clip-refine"], "Nothing to adapt"],
    [["adapt", "clip-refine", "a.npy", "b.npy"], "Give --out DIR"],
    [
      ["adapt", "clip-refine", "a.npy", "b.npy", "--out", "x", "--alpha", "7"],
      "--alpha must be a number from 0 to 1",
    ],
    [["adapt", "clip-refine", "a.npy", "b.npy", "--out", "x", "--copies", "2"], "unknown option '--copies'"],
    [["adapt", "clip-refine", "--encoder", "image"], "Expected NAME=VALUE"],
    [
      ["adapt", "clip-refine", "--encoder", "image=x", "--column", "text=y", "--out", "x"],
      "no encoder of this name",
    ],
    [["adapt", "clip-refine", "a.npy", "--out", "x"], "takes two encoders"],
    [["adapt", "clip-refine", "a.npy", "b.npy", "--out", "x", "--steps", "ten"], "Expected a number"],
  ])("refuses %j with exit code 2", async (args, message) => {
    const { code, stderr, stdout } = await toyCommand().run(...args);
    expect(stderr).toContain(message);
    expect(code).toBe(2);
    expect(stdout).toBe("");
  });
});

it("one line of progress fits its terminal and keeps waiting for data apart", () => {
  const plain = (text: string) => text;
  const colours = { bold: plain, cyan: plain, dim: plain } as never;
  const progress = {
    phase: "training",
    done: 43,
    total: 100,
    loss: 1.234,
    metric: 0.5,
    best: 0.6,
    samplesPerSecond: 9120,
    dataSeconds: 1,
    computeSeconds: 49,
  } as const;
  expect(adaptLine(progress, { columns: null, colours })).toBe(
    "training 43 % · metric 0.500, best 0.600 · loss 1.23 · 9,120 samples/s · data wait 2 %",
  );
  for (const columns of [40, 60, 80, 120])
    expect(adaptLine(progress, { columns, colours }).length).toBeLessThanOrEqual(columns);
});
