import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { normalArray, randomKey } from "@concord/tensor";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { toyCommand } from "./toy-context.ts";

const ROWS = 80;
const WIDTH = 8;

let folder: string;
let captions: string;
let pictures: string;

function csv(values: Float32Array, shift: number): string {
  const head = Array.from({ length: WIDTH }, (_, k) => `v${k}`).join(",");
  const lines = Array.from({ length: ROWS }, (_, i) =>
    Array.from(values.subarray(i * WIDTH, (i + 1) * WIDTH), (value, k) =>
      k === 2 ? value + shift : value,
    ).join(","),
  );
  return `${head}\n${lines.join("\n")}\n`;
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "concord-cli-diagnose-"));
  const { data } = normalArray(randomKey(3), [ROWS, WIDTH]);
  captions = join(folder, "captions.csv");
  pictures = join(folder, "pictures.csv");
  await writeFile(captions, csv(data, 7));
  await writeFile(pictures, csv(data, 0));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe("concord diagnose", () => {
  it("prints the verdict, the cost and the paper, and writes the page", async () => {
    const html = join(folder, "report.html");
    const { code, stdout } = await toyCommand().run(
      ...["diagnose", captions, pictures, "--html", html, "--modalities", "image,text"],
    );
    expect(code).toBe(0);
    expect(stdout).toContain("captions and pictures live in two separate clouds");
    expect(stdout).toMatch(/Cost: Of 100 rows, \d+ find their own partner first among 40\s+candidates/);
    expect(stdout).toMatch(/1\. Post-pre-training for Modality Alignment.*\n.*concord run clip-refine/);
    expect(stdout).toContain("Who finds its partner");
    for (const line of stdout.split("\n")) expect(line.length).toBeLessThanOrEqual(100);
    const page = await readFile(html, "utf8");
    expect(page).toMatch(/^<!doctype html>/);
    expect(page).toContain("<h1>Diagnosis of captions and pictures</h1>");
    expect((await readdir(folder)).filter((name) => name.includes("tmp"))).toEqual([]);
  });

  it("gives everything but the points of plots as JSON", async () => {
    const { code, stdout } = await toyCommand().run("diagnose", captions, pictures, "--json");
    expect(code).toBe(0);
    const report = JSON.parse(stdout);
    expect(report).toMatchObject({ kind: "pairs", pairs: { total: ROWS, sampled: ROWS } });
    const gap = report.findings.find((finding: { id: string }) => finding.id === "modality-gap");
    expect(gap).toMatchObject({ severity: "serious" });
    expect(gap.interval.low).toBeLessThanOrEqual(gap.value);
    expect(report.advice[0]).toMatchObject({ slug: "clip-refine", runnable: true });
    expect(report.plots).toBeUndefined();
  });

  it("takes two sets without pairs, and one set with labels", async () => {
    const unpaired = await toyCommand().run("diagnose", captions, pictures, "--unpaired", "--json");
    expect(JSON.parse(unpaired.stdout)).toMatchObject({ kind: "two sets", pairs: null });
    const labels = join(folder, "labels.txt");
    await writeFile(labels, "a\nb\n".repeat(ROWS / 2));
    const labelled = await toyCommand().run("diagnose", captions, "--labels", labels, "--json");
    expect(JSON.parse(labelled.stdout)).toMatchObject({ kind: "one set", labelled: true });
  });

  it("calls the sets what it is told, and lets no name speak to the terminal", async () => {
    const { stdout } = await toyCommand().run("diagnose", captions, "--names", "\u001b[2Jtexts");
    expect(stdout).toContain("\\u{1b}[2Jtexts");
    expect(stdout).not.toContain("\u001b[2J");
  });

  it.each([
    [["missing.npy"], /missing\.npy/],
    [["CAPTIONS", "--pairs", "p.csv"], /--pairs .* give a second file/],
    [["CAPTIONS", "PICTURES", "--ids", "id"], /--ids .* give --pairs FILE/],
    [["CAPTIONS", "PICTURES", "--pairs", "p.csv", "--unpaired"], /cannot be used with/],
    [["CAPTIONS", "--labels", "no-such-column"], /no-such-column/],
    [["CAPTIONS", "--modalities", "smell"], /Expected some of image/],
    [["CAPTIONS", "--sample", "3"], /at least 20/],
    [["CAPTIONS", "--html", "CAPTIONS"], /one of the files to be read/],
    [["CAPTIONS", "--html", "/no/such/folder/report.html"], /there is no folder/],
    [["CAPTIONS", "--html", "FOLDER"], /is a folder/],
  ])("refuses %j with exit code 2", async (args, message) => {
    const taken = join(folder, "taken");
    await mkdir(taken, { recursive: true });
    const names: Readonly<Record<string, string>> = { CAPTIONS: captions, PICTURES: pictures, FOLDER: taken };
    const { code, stdout, stderr } = await toyCommand().run(
      "diagnose",
      ...args.map((arg) => names[arg] ?? arg),
    );
    expect(stderr).toMatch(message);
    expect(code).toBe(2);
    expect(stdout).toBe("");
  });
});
