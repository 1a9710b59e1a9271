import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { EngineProcess } from "./driver.ts";
import type { EngineRecord } from "./measure.ts";
import { markdownReport, textReport } from "./report.ts";
import { type BenchmarkResult, summarise } from "./result.ts";
import { median } from "./statistics.ts";
import { workloadIds } from "./workload.ts";

function bench(...args: string[]) {
  const main = fileURLToPath(new URL("./main.ts", import.meta.url));
  const flags = ["--conditions=source", "--disable-warning=ExperimentalWarning"];
  return spawnSync(process.execPath, [...flags, main, ...args], { encoding: "utf8" });
}

describe("npm run bench --tiny", () => {
  const folder = mkdtempSync(join(tmpdir(), "concord-bench-test-"));
  let result: BenchmarkResult;
  let output: string;

  beforeAll(() => {
    const file = join(folder, "bench.json");
    const few = ["--rounds", "1", "--steps", "2", "--warmup", "2", "--threads", "1"];
    const run = bench("--tiny", "--engines", "concord,jax-js,tfjs", ...few, "--json", file);
    expect(run.status, run.stderr + run.stdout).toBe(0);
    output = run.stdout;
    result = JSON.parse(readFileSync(file, "utf8")) as BenchmarkResult;
  }, 240_000);

  afterAll(() => rmSync(folder, { recursive: true }));

  it("runs every workload in the engines that were asked for", () => {
    expect(result.workloads.map(({ id }) => id)).toEqual([...workloadIds]);
    expect(result.skipped).toEqual([]);
    for (const { engines, failed, commonStep, size } of result.workloads) {
      expect(failed).toEqual([]);
      expect(engines.map(({ id }) => id)).toEqual(["concord", "jax-js", "tfjs"]);
      expect(size).toBe("tiny");
      expect(commonStep).toBe(5);
    }
  });

  it("measures times and memory", () => {
    for (const engine of result.workloads.flatMap(({ engines }) => engines)) {
      expect(engine.threads).toBe(1);
      expect(engine.rounds.map((steps) => steps.length)).toEqual([2]);
      expect(engine.minimum).toBeLessThanOrEqual(engine.median);
      // The first step builds the model, too.
      expect(engine.firstStep).toBeGreaterThan(engine.minimum);
      expect(engine.modelMemory).toBeGreaterThan(0);
      expect(engine.peakMemory).toBeGreaterThan(engine.modelMemory + 10);
    }
  });

  it("sees every engine learn, at the same losses", () => {
    for (const { engines } of result.workloads) {
      const [concord, ...others] = engines;
      expect(concord?.losses[4]).toBeLessThan(concord?.losses[0] ?? 0);
      for (const { losses } of others)
        losses.forEach((loss, step) => {
          expect(loss).toBeCloseTo(concord?.losses[step] ?? Number.NaN, 3);
        });
    }
  });

  it("relates each engine to Concord and to the peak of the machine", () => {
    for (const { engines, matmulPeak, flops } of result.workloads) {
      const [concord, other] = engines;
      expect(concord?.ratio).toEqual({ median: 1, range: [1, 1] });
      expect(other?.ratio?.median).toBeCloseTo((other?.median ?? 0) / (concord?.median ?? 0), 10);
      expect(matmulPeak.gflops).toBeCloseTo((2 * matmulPeak.size ** 3) / matmulPeak.milliseconds / 1e6, 6);
      expect(flops).toBeGreaterThan(0);
      for (const { gflops: speed, utilisation, median: time } of engines) {
        expect(speed).toBeCloseTo(flops / time / 1e6, 10);
        expect(utilisation).toBeCloseTo(speed / matmulPeak.gflops, 10);
      }
    }
  });

  it("prints one table", () => {
    expect(output).toBe(`${textReport(result)}\n`);
    for (const { title, engines } of result.workloads) {
      expect(output).toMatch(new RegExp(`\\n${title} +concord `));
      for (const { name } of engines) expect(output).toContain(` ${name} `);
    }
    const [header, rule, ...rows] = markdownReport(result).split("\n");
    expect(rule).toMatch(/^\| --- \| --- \|( ---: \|)+$/);
    const columns = header?.split("|").length;
    const table = rows.filter((row) => row.startsWith("|"));
    expect(table.length).toBe(3 * workloadIds.length);
    for (const row of table) expect(row.split("|").length).toBe(columns);
  });
});

describe("the command line", () => {
  it.each([
    [["--rounds", "0"], "--rounds: expected a whole number of at least 1, got '0'"],
    [["--engines", "concord,numpy"], "got 'numpy'"],
    [["--workloads", "cnn,mnist"], "got 'mnist'"],
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
  const record = { name: "engine", threads: 2, firstStep: 100, peakMemory: 500, baseMemory: 120 };
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
  const workload = { id: "cnn", title: "a CNN", size: "full", description: "layers", flops: 1e9 } as const;
  const of = (records: readonly EngineRecord[], peaks: readonly number[] = [10, 20, 30]) =>
    summarise(workload, records, peaks);

  it("gives the median ratio over rounds and its range", () => {
    const [, slower] = of([concord, other]).engines;
    expect(slower?.ratio).toEqual({ median: (33 / 12 + 4) / 2, range: [33 / 12, 4] });
  });

  it("compares only rounds in which both took part", () => {
    const [, slower] = of([concord, { ...other, rounds: [[30, 36]] }]).engines;
    expect(slower?.ratio).toEqual({ median: 33 / 12, range: [33 / 12, 33 / 12] });
  });

  it("takes what was resident before the model off the peak", () => {
    expect(of([concord]).engines[0]?.modelMemory).toBe(380);
  });

  it("compares losses at the last step that all engines reached", () => {
    const summary = of([concord, other]);
    expect(summary.commonStep).toBe(2);
    expect(summary.engines.map(({ commonLoss }) => commonLoss)).toEqual([4.1, 4.1]);
  });

  it("rejects an engine that computes another loss, and one that died", () => {
    const different = { ...other, losses: [4.2, 4.11] };
    const dead = { ...other, id: "pytorch" as const, rounds: [], error: "the process ended" };
    const summary = of([concord, different, dead]);
    expect(summary.engines.map(({ id }) => id)).toEqual(["concord"]);
    expect(summary.failed.map(({ id, reason }) => `${id}: ${reason}`)).toEqual([
      "tfjs: its loss at step 2 is 4.11, that of concord 4.1: it does not compute the same model",
      "pytorch: the process ended",
    ]);
  });

  it("forgives rounding, and what rounding grows to in later steps", () => {
    const rounded = { ...other, losses: [4.2004, 4.1004, 4, 3.5] };
    expect(of([{ ...concord, losses: [4.2, 4.1, 4, 3.9] }, rounded]).failed).toEqual([]);
  });

  it("warns when the matrix products show other work", () => {
    expect(of([concord], [10, 11, 12]).warnings).toEqual([]);
    expect(of([concord]).warnings).toEqual([expect.stringContaining("2.00 times as long as the fastest")]);
  });

  it("needs no Concord", () => {
    expect(of([other]).engines[0]?.ratio).toBeNull();
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
