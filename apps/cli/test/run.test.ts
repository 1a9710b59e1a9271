import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { RunStore } from "@concord/papers";
import { afterEach, beforeEach, expect, it } from "vitest";
import { toyCommand } from "./toy-context.ts";

const ESCAPE = "\u001b";

let runs: string;
beforeEach(async () => {
  runs = await mkdtemp(join(tmpdir(), "concord-cli-"));
});
afterEach(async () => {
  await rm(runs, { recursive: true, force: true });
});

it("prints results, claims, notes and facts to standard output, progress to standard error", async () => {
  const { code, stdout, stderr } = await toyCommand().run("run", "toy", "--runs", runs);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^Slow \(baseline\) +\d\.\d{4} ± \d\.\d{4} +\d\.\d\d ± \d\.\d\d$/m);
  expect(stdout).toMatch(/^Fast \(method\) +\d\.\d{4} ± \d\.\d{4} \* +\d/m);
  expect(stdout).toContain("over 2 seeds");
  expect(stdout).toMatch(/(reproduced|inconclusive) +[+-]?\d+\.\d % .+ 1\.0 % {2}Larger steps come closer\./);
  expect(stdout).toContain("! 2 rows of 10 were rejected. (2 times)");
  const [id] = (await readdir(runs)) as [string];
  for (const fact of ["0, 1", process.version, "threads", join(runs, id)]) expect(stdout).toContain(fact);
  // The toy's two figures have one title.
  expect(stdout.replaceAll(/\s+/g, " ")).toContain(
    "Figures Weights (drawn on the run's page; data in units/seed-0/ARM/figures) ",
  );
  expect(stderr).toContain(id);
  expect(stderr).toContain("starting");
  expect(stdout + stderr).not.toContain(ESCAPE);
});

it("prints nothing but the record under --json", async () => {
  const args = ["run", "toy", "--json", "--runs", runs, "--arms", "fast,slow"];
  const { code, stdout, stderr } = await toyCommand().run(...args);
  expect(code).toBe(0);
  expect(stderr).toBe("");
  const record = JSON.parse(stdout);
  expect(record).toMatchObject({ paper: "toy", status: "done", arms: ["slow", "fast"], seeds: [0, 1] });
  expect(record.verdicts.map(({ claim }: { claim: string }) => claim)).toEqual(["faster"]);
  expect(record.folder).toBe(join(runs, record.id));
});

it("says that claims of arms left out were not tested, and that one seed is too few", async () => {
  const args = ["run", "toy", "--preset", "smoke", "--arms", "slow,fast", "--runs", runs];
  const { stdout } = await toyCommand().run(...args);
  expect(stdout.replaceAll(/\s+/g, " ")).toContain(
    "- not tested - - 0.0000 Training comes closer than no training. (left out: start)",
  );
  expect(stdout).not.toContain("'better-than-nothing'");
  expect(stdout).toMatch(/\? inconclusive .* - +1\.0 % {2}Larger steps come closer\./);
  expect(stdout).toContain("One seed gives no interval");
});

it("hands the paper's own flags to its experiment, also before the paper's name", async () => {
  const pairs = join(runs, "pairs.csv");
  await writeFile(pairs, "");
  const own = ["--pairs", pairs, "--images", runs, "--strict", "--title", "x"];
  const rest = ["--preset=smoke", "--json", "--runs", join(runs, "here")];
  const orders = [
    ["toy", ...own],
    [...own, "toy"],
  ];
  for (const args of orders) {
    const { code, stdout } = await toyCommand().run("run", ...args, ...rest);
    expect(code).toBe(0);
    expect(JSON.parse(stdout).inputs).toEqual({ pairs, images: runs, strict: true, title: "x" });
  }
});

it("takes the seeds that are asked for", async () => {
  const seedsOf = async (...args: string[]): Promise<unknown> => {
    const request = ["run", "toy", "--preset", "smoke", "--queue", "--json", "--runs", runs, ...args];
    return JSON.parse((await toyCommand().run(...request)).stdout).seeds;
  };
  expect(await seedsOf()).toEqual([0]);
  expect(await seedsOf("--seeds", "3")).toEqual([0, 1, 2]);
  expect(await seedsOf("--seed-list", "7,3")).toEqual([7, 3]);
});

it("queues without executing, and executes what was queued", async () => {
  const command = toyCommand();
  const { stdout } = await command.run("run", "toy", "--preset", "smoke", "--queue", "--runs", runs);
  const [id] = (await readdir(runs)) as [string];
  expect(stdout).toContain(`concord run --resume ${id} --runs ${runs}`);
  expect(stdout).toContain(`concord start --runs ${runs}`);
  expect((await command.run("runs", "--runs", runs)).stdout).toContain("queued 0/4");
  expect((await command.run("run", "--resume", id, "--runs", runs)).code).toBe(0);
  expect((await command.run("runs", "--runs", runs)).stdout).toMatch(/ done /);
});

it("is cancelled by a request to stop, says how to go on, and then ends as if never interrupted", async () => {
  const cancelled = toyCommand({
    onPoint(point) {
      if (point === "seed-0/slow training batch 2") cancelled.requestStop();
    },
  });
  const { code, stderr, stdout } = await cancelled.run("run", "toy", "--runs", runs);
  expect(code).toBe(130);
  expect(cancelled.exits).toEqual([]);
  const [id] = (await readdir(runs)) as [string];
  expect(stderr).toContain("once more to stop at once");
  expect(stderr).toContain(`Cancelled. Go on from here with:\n  concord run --resume ${id} --runs ${runs}\n`);
  expect(stdout).toContain("cancelled");
  const shown = await cancelled.run("runs", id, "--runs", runs);
  expect(shown.stdout).toContain(`Go on from here: concord run --resume ${id} --runs ${runs}`);

  const resumed = await toyCommand().run("run", "--resume", id.slice(-6), "--runs", runs, "--json");
  expect(resumed.code).toBe(0);
  const record = JSON.parse(resumed.stdout);
  expect(record).toMatchObject({ id, status: "done", resumes: 1 });
  const whole = JSON.parse((await toyCommand().run("run", "toy", "--runs", runs, "--json")).stdout);
  expect(record.results).toEqual(whole.results);

  const again = await toyCommand().run("run", "--resume", id, "--runs", runs);
  expect(again.code).toBe(0);
  expect(again.stderr).toContain("is done already");
});

it("ends the process at a second request that is not an echo of the first", async () => {
  let exitsAfterEcho: number | undefined;
  const impatient = toyCommand({
    async onPoint(point) {
      if (point !== "seed-0/slow begin") return;
      impatient.requestStop();
      impatient.requestStop();
      exitsAfterEcho = impatient.exits.length;
      await sleep(600);
      impatient.requestStop();
    },
  });
  await impatient.run("run", "toy", "--preset", "smoke", "--runs", runs);
  expect(exitsAfterEcho).toBe(0);
  expect(impatient.exits).toEqual([130]);
});

it("reports a failure with its message, without letting that speak to the terminal", async () => {
  const failing = toyCommand({
    onPoint(point) {
      if (point === "seed-0/fast begin") throw new Error(`row ${ESCAPE}[2Jseven is broken`);
    },
  });
  const args = ["run", "toy", "--preset", "smoke", "--runs", runs];
  const { code, stdout, stderr } = await failing.run(...args);
  expect(code).toBe(1);
  expect(stdout).toContain("Failed: row \\u{1b}[2Jseven is broken");
  expect(stderr).toContain("error.txt");
  expect(stdout + stderr).not.toContain(ESCAPE);
  const json = await failing.run(...args, "--json");
  expect(json.code).toBe(1);
  expect(json.stderr).toBe("");
  expect(JSON.parse(json.stdout).status).toBe("failed");
});

it("refuses to execute a run that another process executes", async () => {
  const command = toyCommand();
  await command.run("run", "toy", "--preset", "smoke", "--queue", "--runs", runs);
  const [id] = (await readdir(runs)) as [string];
  const lock = new RunStore(runs).acquire(id);
  const { code, stderr } = await command.run("run", "--resume", id, "--runs", runs);
  lock.release();
  expect(code).toBe(1);
  expect(stderr).toContain("is being executed by another process");
});

it("redraws one line on a terminal, in colour unless NO_COLOR is set", async () => {
  const args = ["run", "toy", "--preset", "smoke", "--runs", runs];
  const colourful = await toyCommand({ isTTY: true }).run(...args);
  expect(colourful.stderr).toContain(`${ESCAPE}[?25h`);
  // The preset, the id, the warning, and the line that is redrawn.
  expect(colourful.stderr.split("\n").length).toBe(4);
  expect(colourful.stdout).toContain(`${ESCAPE}[32m`);
  const sober = await toyCommand({ isTTY: true, env: { NO_COLOR: "1" } }).run(...args);
  expect(sober.stdout).not.toContain(ESCAPE);
  expect(sober.stderr).not.toContain(`${ESCAPE}[1m`);
});

it.each([
  [["run"], "Which paper?"],
  [["run", "clip-refyne"], "Did you mean clip-refine?"],
  [["run", "gemini"], "has no experiment yet"],
  [["run", "toy", "--preset", "huge"], "Known: smoke, default, paper."],
  [["run", "toy", "--pairs", "/none.csv"], "--pairs: there is no file or folder"],
  [["run", "toy", "--images", "/"], "--images needs --pairs as well."],
  [["run", "toy", "--title", "bad"], "the title is bad"],
  [["run", "toy", "--arms", "fastest"], 'Unknown arm "fastest". Known: start, slow, fast.'],
  [["run", "toy", "--seeds", "0"], "Expected a whole number from 1 to 1000."],
  [["run", "toy", "--parallel", "0"], "Expected a whole number from 1 to 64."],
  [["run", "toy", "--seed-list", "1,x"], "Expected seeds such as 3,4,5."],
  [["run", "toy", "--seeds", "2", "--seed-list", "1"], "cannot be used with"],
  [["run", "toy", "--prest", "smoke"], "Did you mean --preset?"],
  [["run", "toy", "extra"], "too many arguments"],
  [["run", "--pears", "x", "toy"], "unknown option '--pears'"],
  [["run", "--resume", "../../etc"], 'Unknown run "../../etc"'],
  [["run", "--resume", "20260901-101500-123-toy-4f2a1c"], "Unknown run"],
  [["run", "toy", "--resume", "20260901-101500-123-toy-4f2a1c"], "--resume goes on with a run as it was"],
  [
    ["run", "--resume", "20260901-101500-123-toy-4f2a1c", "--seeds", "3"],
    "give only --runs, --parallel and --json",
  ],
  [["runs", "nothing"], 'Unknown run "nothing" in '],
])("refuses %j with exit code 2 and leaves no run behind", async (args, message) => {
  const { code, stdout, stderr } = await toyCommand().run(...args, "--runs", runs);
  expect(stderr).toContain(message);
  expect(stderr).not.toMatch(/^\s+at /m);
  expect(code).toBe(2);
  expect(stdout).toBe("");
  expect(await readdir(runs)).toEqual([]);
});

it("shows where an error arose only when asked", async () => {
  const env = { CONCORD_DEBUG: "1" };
  expect((await toyCommand({ env }).run("run", "clip-refyne")).stderr).toMatch(/^\s+at /m);
});
