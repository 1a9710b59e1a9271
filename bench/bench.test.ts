import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { model } from "./clip-step/model.ts";
import { EngineProcess } from "./driver.ts";
import { markdownReport, textReport } from "./report.ts";
import { type BenchmarkResult, summarise } from "./result.ts";
import { median } from "./statistics.ts";

function bench(...args: string[]) {
  const main = fileURLToPath(new URL("./main.ts", import.meta.url));
  const flags = ["--conditions=source", "--disable-warning=ExperimentalWarning"];
  return spawnSync(process.execPath, [...flags, main, ...args], { encoding: "utf8" });
}

describe("npm run bench", () => {
  const folder = mkdtempSync(join(tmpdir(), "concord-bench-test-"));
  let result: BenchmarkResult;
  let output: string;

  beforeAll(() => {
    const file = join(folder, "bench.json");
    const quick = ["--rounds", "1", "--steps", "1", "--warmup", "0", "--threads", "2"];
    const run = bench("--engines", "concord,jax-js", ...quick, "--json", file);
    expect(run.status, run.stderr).toBe(0);
    output = run.stdout;
    result = JSON.parse(readFileSync(file, "utf8")) as BenchmarkResult;
  }, 120_000);

  afterAll(() => rmSync(folder, { recursive: true }));

  it("runs the engines that were asked for, one step each after the first", () => {
    expect(result.engines.map(({ id }) => id)).toEqual(["concord", "jax-js"]);
    expect(result.failed).toEqual([]);
    expect(result.skipped).toEqual([]);
    expect(result.commonStep).toBe(2);
    for (const engine of result.engines) {
      expect(engine.threads).toBe(2);
      expect(engine.rounds).toEqual([[engine.median]]);
      expect(engine.minimum).toBe(engine.median);
      expect(engine.firstStep).toBeGreaterThan(0);
      expect(engine.peakMemory).toBeGreaterThan(10);
    }
  });

  it("sees every engine start near chance, at the same loss, and learn", () => {
    for (const { firstLoss, commonLoss } of result.engines) {
      expect(Math.abs(firstLoss - Math.log(model.batch))).toBeLessThan(0.2);
      expect(commonLoss).toBeLessThan(firstLoss);
    }
    const [concord, jax] = result.engines;
    expect(jax?.firstLoss).toBeCloseTo(concord?.firstLoss ?? Number.NaN, 4);
    expect(jax?.commonLoss).toBeCloseTo(concord?.commonLoss ?? Number.NaN, 3);
  });

  it("relates each engine to Concord and to the peak of the machine", () => {
    const [concord, jax] = result.engines;
    expect(concord?.ratio).toEqual({ medians: 1, rounds: [1, 1] });
    expect(jax?.ratio?.medians).toBeCloseTo((jax?.median ?? 0) / (concord?.median ?? 0), 10);
    const { size, milliseconds, gflops } = result.matmulPeak;
    expect(gflops).toBeCloseTo((2 * size ** 3) / milliseconds / 1e6, 6);
    for (const { gflops: speed, utilisation } of result.engines)
      expect(utilisation).toBeCloseTo(speed / gflops, 10);
  });

  it("prints the table", () => {
    expect(output).toBe(`${textReport(result)}\n`);
    for (const { name } of result.engines) expect(output).toContain(`\n${name} `);
    expect(markdownReport(result).split("\n")[1]).toMatch(/^\| --- \|( ---: \|)+$/);
  });
});

describe("the command line", () => {
  it.each([
    [["--rounds", "0"], "--rounds: expected a whole number of at least 1, got '0'"],
    [["--engines", "concord,numpy"], "got 'numpy'"],
    [["--colour"], "--colour"],
  ])("%j is an error", (args, message) => {
    const run = bench(...args);
    expect(run.status).toBe(2);
    expect(run.stderr).toContain(message);
    expect(run.stderr).toContain("--engines LIST");
  });
});

describe("an engine process", () => {
  const engineOf = (source: string) =>
    new EngineProcess({ file: process.execPath, args: ["-e", source], env: {} });

  it.each([
    ["dies", "console.error('out of luck'); process.exit(3)", /out of luck/],
    [
      "prints something else",
      "process.stdin.on('data', () => console.log('hello'))",
      /line of JSON, got "hello"/,
    ],
    [
      "computes NaN",
      `process.stdin.on('data', () => console.log('{"milliseconds":[1],"losses":[null]}'))`,
      /finite losses/,
    ],
  ])("that %s is an error", async (_what, source, message) => {
    const engine = engineOf(source);
    await expect(engine.steps(1)).rejects.toThrow(message);
    await engine.close();
  });

  it("that cannot start is an error", async () => {
    const engine = new EngineProcess({ file: "/no/such/program", args: [], env: {} });
    await expect(engine.steps(1)).rejects.toThrow(/ENOENT/);
    await engine.close();
  });
});

describe("summarise", () => {
  const record = { name: "engine", threads: 2, firstStep: 100, peakMemory: 500 };
  const concord = {
    ...record,
    id: "concord" as const,
    rounds: [
      [10, 12, 14],
      [20, 22, 24],
    ],
    losses: [4.2, 4.1, 4],
  };
  const other = {
    ...record,
    id: "tfjs" as const,
    rounds: [
      [30, 36],
      [88, 88],
    ],
    losses: [4.2, 4.1],
  };
  const setting = {
    peakMilliseconds: [10, 20, 30],
    machine: { cpu: "a processor", cores: 2, memory: 8, system: "linux x64", load: 0 },
    threads: 2,
    schedule: { rounds: 2, steps: 3, warmup: 0 },
    skipped: [],
    warnings: [],
  };

  it("gives the ratio of medians and its range over rounds", () => {
    const [, slower] = summarise({ ...setting, records: [concord, other] }).engines;
    expect(slower?.ratio).toEqual({ medians: 62 / 17, rounds: [33 / 12, 4] });
  });

  it("compares losses at the last step that all engines reached", () => {
    const summary = summarise({ ...setting, records: [concord, other] });
    expect(summary.commonStep).toBe(2);
    expect(summary.engines.map(({ commonLoss }) => commonLoss)).toEqual([4.1, 4.1]);
  });

  it("rejects an engine that computes another loss, and one that died", () => {
    const different = { ...other, losses: [4.3, 4.1] };
    const dead = { ...other, id: "pytorch" as const, rounds: [], error: "the process ended" };
    const summary = summarise({ ...setting, records: [concord, different, dead] });
    expect(summary.engines.map(({ id }) => id)).toEqual(["concord"]);
    expect(summary.failed.map(({ id, reason }) => `${id}: ${reason}`)).toEqual([
      "tfjs: its first loss is 4.3, that of concord 4.2: it does not compute the same model",
      "pytorch: the process ended",
    ]);
  });

  it("warns when the matrix products show other work", () => {
    const quiet = summarise({ ...setting, peakMilliseconds: [10, 11, 12], records: [concord] });
    expect(quiet.warnings).toEqual([]);
    const busy = summarise({ ...setting, records: [concord] });
    expect(busy.warnings).toEqual([expect.stringContaining("2.00 times as long as the fastest")]);
  });

  it("needs no Concord", () => {
    expect(summarise({ ...setting, records: [other] }).engines[0]?.ratio).toBeNull();
  });
});

describe("median", () => {
  it.each([
    [[3, 1, 2], 2],
    [[4, 1, 3, 2], 2.5],
    [[], Number.NaN],
  ])("of %j is %d", (values, expected) => {
    expect(median(values)).toBe(expected);
  });
});
