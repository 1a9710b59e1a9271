// The real command, as processes in pipes.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readVectors } from "@concord/toolkit";
import { beforeAll, describe, expect, it } from "vitest";
import {
  imageFiles,
  imageModel,
  SENTENCES,
  temporaryFolder,
  textFiles,
  textModel,
  WIDTH,
  writeFiles,
} from "../../../packages/toolkit/test/support/tiny-encoders.ts";
import { toyCommand } from "./toy-context.ts";

const main = fileURLToPath(new URL("../src/main.ts", import.meta.url));
const flags = ["--conditions=source", "--disable-warning=ExperimentalWarning"];
const env = { PATH: process.env.PATH, CONCORD_THREADS: "1", NO_COLOR: "1" };

const folder = await temporaryFolder();
const encoder = join(folder, "encoder");
const captions = join(folder, "captions.jsonl");
beforeAll(async () => {
  const whole = { "1_Pooling/config.json": { pooling_mode_mean_tokens: true } };
  await writeFiles(encoder, textFiles(textModel(), whole));
  await writeFiles(folder, {
    "captions.csv": `id,caption\n${SENTENCES.map((text, i) => `c${i},${text}`).join("\n")}\n`,
  });
  const { code } = await concord(["embed", encoder, join(folder, "captions.csv"), "--out", captions]);
  expect(code).toBe(0);
});

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function concord(args: readonly string[], input = ""): Promise<Outcome> {
  const child = spawn(process.execPath, [...flags, main, ...args], { env, cwd: folder });
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (chunk) => {
    stdout += chunk;
  });
  child.stderr.on("data", (chunk) => {
    stderr += chunk;
  });
  child.stdin.on("error", () => {});
  child.stdin.end(input);
  const [code] = (await once(child, "close")) as [number | null];
  return { code, stdout, stderr };
}

/** What is shown while it works comes after a second, on a busy machine that is. */
const withoutProgress = (stderr: string): string => stderr.replace(/^Embedding: .*…\n+/gm, "");

describe("concord embed and search", () => {
  it("embed lines of a pipe as JSON lines, in their order, and name those that are empty", async () => {
    const input = `${SENTENCES[1]}\n\n${SENTENCES[2]}\n`;
    const { code, stdout, stderr } = await concord(["embed", encoder, "--normalize"], input);
    expect(code).toBe(0);
    const rows = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(rows.map(({ text }) => text)).toEqual([SENTENCES[1], SENTENCES[2]]);
    for (const { vector } of rows) {
      expect(vector).toHaveLength(WIDTH);
      expect(Math.hypot(...vector)).toBeCloseTo(1, 6);
    }
    expect(withoutProgress(stderr)).toBe(
      "1 item could not be embedded:\n  standard input:2: the value is empty\n",
    );
  });

  it("work in one pipe, and end quietly when nobody reads on", async () => {
    const command = (...args: string[]) =>
      [process.execPath, ...flags, main, ...args].map((part) => `'${part}'`).join(" ");
    const many = `for i in $(seq 3000); do echo two cats sleep; done`;
    const pipe = `(${many}) | ${command("embed", encoder)} | ${command("search", captions, "-k", "2")} | head -n 4`;
    const child = spawn("sh", ["-c", pipe], { env });
    let [stdout, stderr] = ["", ""];
    child.stdout.on("data", (chunk) => {
      stdout += chunk;
    });
    child.stderr.on("data", (chunk) => {
      stderr += chunk;
    });
    await once(child, "close");
    const hits = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(hits).toHaveLength(4);
    expect(hits[0]).toEqual({
      query: "two cats sleep",
      rank: 1,
      index: 1,
      score: expect.closeTo(1, 5),
      id: "c1",
      caption: "two cats sleep",
    });
    expect(hits.map(({ rank }) => rank)).toEqual([1, 2, 1, 2]);
    expect(withoutProgress(stderr)).toBe("");
  });

  it("leave nothing half-written when they are interrupted", async () => {
    const out = join(folder, "stopped.npy");
    const child = spawn(process.execPath, [...flags, main, "embed", encoder, "--out", out], {
      env,
      cwd: folder,
    });
    const lines = `${SENTENCES.join("\n")}\n`.repeat(200);
    child.stdin.on("error", () => {});
    child.stdin.write(lines);
    // The input stays open: without the signal the command would wait for more.
    for (let i = 0; i < 200 && !(await readdir(folder)).some((name) => name.startsWith("stopped")); i++)
      await new Promise((resolve) => setTimeout(resolve, 50));
    child.kill("SIGINT");
    const [code] = (await once(child, "close")) as [number | null];
    expect(code).toBe(130);
    expect((await readdir(folder)).filter((name) => name.startsWith("stopped"))).toEqual([]);
  });
});

describe("concord search", () => {
  const vectors = async (...args: string[]) => toyCommand().run("search", captions, ...args);

  it("makes texts vectors by an encoder, and prints a JSON line a hit", async () => {
    const texts = SENTENCES.slice(0, 2).flatMap((text) => ["--query-text", text]);
    const { code, stdout } = await vectors("--encoder", encoder, ...texts, "-k", "1", "--fields", "caption");
    expect(code).toBe(0);
    const hits = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(hits).toEqual(
      [0, 1].map((i) => ({
        query: SENTENCES[i],
        rank: 1,
        index: i,
        score: expect.closeTo(1, 5),
        caption: SENTENCES[i],
      })),
    );
  });

  it("prints a table within the terminal's width on a terminal", async () => {
    const command = toyCommand({ isTTY: true, columns: 60, env: { NO_COLOR: "1" } });
    const { stdout } = await command.run(
      "search",
      captions,
      "--encoder",
      encoder,
      "--query-text",
      "snow falls",
    );
    expect(stdout).toMatch(/^snow falls\n +Similarity +Row +id +caption\n/);
    expect(stdout).toMatch(/^1 +0\.\d{4} +\d +c\d /m);
    for (const line of stdout.split("\n")) expect(line.length).toBeLessThanOrEqual(60);
  });

  it("takes queries from a file, with any metric, and by signs", async () => {
    const { values } = await readVectors(captions);
    expect(values).toHaveLength(5 * WIDTH);
    for (const args of [["--metric", "euclidean"], ["--metric", "cosine"], ["--hamming"]]) {
      const { stdout } = await vectors("--query-vectors", captions, "-k", "1", ...args);
      const hits = stdout
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line));
      expect(hits).toHaveLength(5);
      if (args[0] === "--metric") expect(hits.map(({ index }) => index)).toEqual([0, 1, 2, 3, 4]);
      if (args[1] !== "cosine") expect(hits.every(({ score }) => score === 0)).toBe(true);
    }
  });

  it.each([
    [["--query-text", "x"], "give --encoder DIR"],
    [[], "Say what to search for"],
    [["--query-vectors", "none.npy"], "none.npy"],
    [["--query-vectors", captions, "--encoder", "x"], "--query-vectors holds vectors already"],
    [["--query-vectors", captions, "--fields", "nothing"], 'no column "nothing"'],
    [["--query-vectors", captions, "-k", "0"], "Expected a whole number from 1"],
    [["--encoder", encoder, "--query-text", " "], "cannot be encoded: the text is empty"],
  ])("refuses %j with exit code 2", async (args, message) => {
    const { code, stdout, stderr } = await vectors(...args);
    expect(stderr).toContain(message);
    expect(code).toBe(2);
    expect(stdout).toBe("");
  });
});

it.each([
  [["embed", "nowhere", "x.txt"], "There is no encoder at nowhere"],
  [["embed", encoder], "Say what is to be embedded"],
  [["embed", encoder, "--binary", "x.txt"], "give --out FILE.npy"],
  [["embed", encoder, "none.txt"], "none.txt: there is no such file or folder"],
  [["embed", encoder, join(folder, "captions.csv"), "--out", captions], "is there already"],
  [["embed", encoder, join(folder, "captions.csv"), "--column", "x"], "no column 'x'; there are id, caption"],
  [["embed", encoder, join(folder, "captions.csv"), "--output", "x"], "The model gives last_hidden_state"],
])("refuses %j with exit code 2", async (args, message) => {
  const { code, stdout, stderr } = await toyCommand().run(...args);
  expect(stderr).toContain(message);
  expect(code).toBe(2);
  expect(stdout).toBe("");
});

it("stops at the first bad item when strict, and takes the kind of input from the files", async () => {
  const both = join(folder, "both");
  await writeFiles(both, { ...textFiles(textModel()), ...imageFiles(imageModel()) });
  await writeFiles(both, { "onnx/text_model.onnx": textModel(), "bad.png": "no picture" });
  const { code, stderr } = await toyCommand().run("embed", both, join(both, "bad.png"), "--strict");
  expect(stderr).toMatch(/bad\.png: cannot be decoded as a picture/);
  expect(code).toBe(1);
});
