import { spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { hasExperiment } from "@concord/papers";
import { afterEach, beforeEach, expect, it } from "vitest";

const launcher = fileURLToPath(new URL("../bin/concord.js", import.meta.url));

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function start(program: string, args: readonly string[]) {
  const { CONCORD_RUNS: _, NO_COLOR: __, FORCE_COLOR: ___, ...env } = process.env;
  const child = spawn(process.execPath, [program, ...args], { stdio: ["ignore", "pipe", "pipe"], env });
  const written = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name].on("data", (chunk) => {
      written[name] += chunk;
    });
  }
  const ended = once(child, "close").then(([code]): Ended => ({ code, ...written }));
  return { child, ended, written };
}

function concord(...args: string[]): Promise<Ended> {
  return start(launcher, args).ended;
}

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "concord-launcher-"));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

it("hands arguments over, and the exit code back", async () => {
  const version = await concord("--version");
  expect(version).toMatchObject({ code: 0, stderr: "", stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) });
  const refused = [
    [["run", "clip-refyne"], 'Error: Unknown paper "clip-refyne". Did you mean clip-refine?\n'],
    [["run", "clip-refine", "--preset", "huge"], "Known: smoke, default, paper."],
    [["run", "clip-refine", "--pairs", "/none.csv"], "there is no file"],
  ] as const;
  for (const [args, message] of refused) {
    const { code, stdout, stderr } = await concord(...args, "--runs", folder);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain(message);
  }
  expect(await readdir(folder)).toEqual([]);
});

it("teaches: examples, exit codes, and the paper's own flags", async () => {
  const general = await concord();
  expect(general.code).toBe(0);
  for (const text of ["concord run clip-refine --preset smoke", "Exit codes:", "130  cancelled"]) {
    expect(general.stdout).toContain(text);
  }
  const help = await concord("run", "clip-refine", "--help");
  expect(help).toMatchObject({ code: 0, stderr: "" });
  for (const text of ["--pairs <FILE.csv>", "--images <DIR|FILE.tar>", "--strict", "Presets:", "Arms:"]) {
    expect(help.stdout).toContain(text);
  }
});

it("prints clean JSON, and ends quietly when nobody reads it to the end", async () => {
  const { code, stdout, stderr } = await concord("papers", "--json");
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(JSON.parse(stdout).length).toBeGreaterThanOrEqual(24);
  const { child, ended } = start(launcher, ["papers", "--json"]);
  child.stdout.destroy();
  expect((await ended).stderr).toBe("");
});

it("runs the compiled command where there is one", async () => {
  await mkdir(join(folder, "bin"));
  await mkdir(join(folder, "dist"));
  await writeFile(join(folder, "package.json"), '{"type":"module"}');
  await cp(launcher, join(folder, "bin", "concord.js"));
  await writeFile(
    join(folder, "dist", "main.js"),
    "console.log(process.argv.slice(2).join());process.exit(7);",
  );
  const { code, stdout } = await start(join(folder, "bin", "concord.js"), ["a", "b"]).ended;
  expect({ code, stdout }).toEqual({ code: 7, stdout: "a,b\n" });
});

it.skipIf(process.platform === "win32")("starts the site and closes it on SIGTERM", async () => {
  const { child, ended, written } = start(launcher, [
    "start",
    "--port",
    "0",
    ...["--runs", folder, "--data", join(folder, "data")],
  ]);
  while (!written.stdout.includes("Ctrl-C")) await once(child.stdout, "data");
  const url = written.stdout.match(/http:\S+/)?.[0] as string;
  expect((await fetch(url)).status).toBe(200);
  child.kill("SIGTERM");
  const { code, stderr } = await ended;
  expect(code).toBe(0);
  // Before it stands the log, a JSON object a line.
  expect(stderr).toMatch(/(^|\}\n)Stopping\.\n$/);
});

const runsHere = await hasExperiment("clip-refine");

it.skipIf(process.platform === "win32" || !runsHere)(
  "cancels a run on SIGTERM, and goes on with it to the end",
  { timeout: 180_000 },
  async () => {
    const arms = ["--arms", "pre-trained,contrastive,clip-refine"];
    const request = ["run", "clip-refine", "--preset", "smoke", "--seeds", "1", ...arms, "--runs", folder];
    const { child, ended, written } = start(launcher, request);
    while (!written.stderr.includes("starting")) await once(child.stderr, "data");
    child.kill("SIGTERM");
    const cancelled = await ended;
    expect(cancelled.code).toBe(130);
    const [id] = (await readdir(folder)) as [string];
    expect(cancelled.stderr).toContain(`run --resume ${id} --runs ${folder}`);

    const { code, stdout, stderr } = await concord("run", "--resume", id, "--runs", folder, "--json");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const record = JSON.parse(stdout);
    expect(record).toMatchObject({ id, status: "done", seeds: [0] });
    expect(record.results.map(({ arm }: { arm: string }) => arm)).toEqual([
      "pre-trained",
      "contrastive",
      "clip-refine",
    ]);
    for (const { metrics } of record.results) expect(metrics["gap-l2"]).toBeGreaterThan(0);
    const shown = await concord("runs", id, "--runs", folder);
    expect(shown.stdout).toContain("CLIP-Refine (method)");
    expect(shown.stdout).toContain("Claims");
  },
);
