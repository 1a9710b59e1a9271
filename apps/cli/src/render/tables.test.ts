import { judge, type Metric, type RunRecord } from "@concord/papers";
import picocolors from "picocolors";
import { describe, expect, it } from "vitest";
import { type ExperimentInfo, renderResults } from "./results.ts";
import { renderVerdicts } from "./verdicts.ts";

const plain = { columns: 100, colours: picocolors.createColors(false) };

const experiment: ExperimentInfo = {
  arms: [
    { id: "start", label: "Start", role: "reference", description: "" },
    { id: "plain", label: "Contrastive", role: "baseline", description: "" },
    { id: "new", label: "CLIP-Refine", role: "method", description: "" },
    { id: "less", label: "Without noise", role: "ablation", description: "" },
  ],
  metrics: [
    { id: "recall", label: "Recall at 1", unit: "%", better: "higher", digits: 1, description: "" },
    { id: "gap", label: "Modality gap", better: "lower", digits: 3, description: "" },
    { id: "rank", label: "Rank", better: "neither", digits: 0, description: "" },
  ],
  claims: [
    {
      id: "gap",
      statement: "The gap narrows by at least half.",
      metric: "gap",
      arm: "new",
      against: "start",
      change: "relative",
      direction: "lower",
      margin: 0.5,
      source: "",
    },
    {
      id: "recall",
      statement: "Recall does not suffer.",
      metric: "recall",
      arm: "new",
      against: "plain",
      change: "absolute",
      direction: "higher",
      margin: -1.5,
      source: "",
    },
    {
      id: "noise",
      statement: "Noise helps recall.",
      metric: "recall",
      arm: "new",
      against: "less",
      change: "absolute",
      direction: "higher",
      margin: 2,
      source: "",
    },
  ],
};

const values: Readonly<Record<string, readonly (readonly [recall: number, gap: number, rank: number])[]>> = {
  start: [
    [52, 1, 4],
    [54, 1.02, 5],
  ],
  plain: [
    [47.04, 0.8, 4],
    [47.02, 0.8, 4],
  ],
  new: [
    [57, 0.2, 4],
    [57.2, 0.21, 4],
  ],
  less: [
    [57.1, 0.3, 4],
    [57.1, 0.3, 4],
  ],
};

function record(seeds: readonly number[]): RunRecord {
  const results = seeds.flatMap((seed) =>
    Object.entries(values).map(([arm, list]) => {
      const [recall, gap, rank] = list[seed] as readonly [number, number, number];
      return { arm, seed, metrics: { recall, gap, rank } };
    }),
  );
  const base = { arms: Object.keys(values), seeds: [...seeds], results };
  return {
    ...base,
    verdicts: [...judge(experiment.claims, base).verdicts],
    version: 1,
    id: "20261120-200000-000-toy-000000",
    paper: "toy",
    preset: "smoke",
    inputs: {},
    config: {},
    status: "done",
    createdAt: "2026-11-20T20:00:00.000Z",
    seconds: 1,
    resumes: 0,
    environment: {},
    units: [],
  };
}

describe("renderResults", () => {
  it("shows mean ± deviation, marks roles, and the best as shown in each metric's direction", () => {
    expect(renderResults(record([0, 1]), experiment, plain)).toBe(
      [
        "Arm                      Recall at 1     Modality gap   Rank",
        "                                 % ↑                ↓",
        "Start (reference)       53.0 ± 1.4    1.010 ± 0.014    5 ± 1",
        "Contrastive (baseline)  47.0 ± 0.0    0.800 ± 0.000    4 ± 0",
        "CLIP-Refine (method)    57.1 ± 0.1 *  0.205 ± 0.007 *  4 ± 0",
        "Without noise           57.1 ± 0.0 *  0.300 ± 0.000    4 ± 0",
        "",
        "Mean ± standard deviation over 2 seeds; * best; ↑ higher is better, ↓ lower is better.",
      ]
        .map((line) => line.trimEnd())
        .join("\n"),
    );
  });

  it("says that a single seed has no spread", () => {
    const text = renderResults(record([0]), experiment, plain);
    expect(text).toContain("One seed, so no spread");
    expect(text).not.toContain("±");
  });

  it("splits many metrics into tables that fit, none lost, each with all arms", () => {
    const many = Array.from({ length: 17 }, (_, index): Metric => {
      return { id: `m${index}`, label: `Metric ${index}`, better: "higher", digits: 3, description: "" };
    });
    const base = record([0, 1]);
    const results = base.results.map(({ arm, seed }) => ({
      arm,
      seed,
      metrics: Object.fromEntries(many.map(({ id }, index) => [id, index + seed])),
    }));
    for (const columns of [60, 100, 140]) {
      const text = renderResults(
        { ...base, results },
        { ...experiment, metrics: many },
        { ...plain, columns },
      );
      for (const line of text.split("\n")) expect(line.length).toBeLessThanOrEqual(columns);
      for (const { label } of many) expect(text).toMatch(new RegExp(`${label}( |$)`, "m"));
      const tables = text.match(/^Arm/gm)?.length ?? 0;
      expect(tables).toBeGreaterThan(1);
      expect(text.match(/^CLIP-Refine \(method\)/gm)).toHaveLength(tables);
    }
  });

  it("gets along without the experiment, and with arms and metrics that have no result", () => {
    const { results, ...rest } = record([0]);
    const partial = { ...rest, results: results.filter(({ arm }) => arm === "start") };
    expect(renderResults(partial, null, plain)).toMatch(/^start +52\.0000 +1\.0000 +4\.0000$/m);
    expect(renderResults(partial, experiment, plain)).toMatch(/^CLIP-Refine \(method\) +- +- +-$/m);
  });
});

describe("renderVerdicts", () => {
  it("shows outcome, change, interval and margin of every claim on its line", () => {
    const lines = renderVerdicts(record([0, 1]), experiment, plain).split("\n");
    expect(lines[1]).toMatch(
      /^✓ reproduced +\+79\.7 % +\+\d+\.\d to \+\d+\.\d +50\.0 % {2}The gap narrows by at least half\.$/,
    );
    expect(lines[2]).toMatch(/^✓ reproduced +\+10\.1 points .* -1\.5 points {2}Recall does not suffer\.$/);
    expect(lines[3]).toMatch(/^✗ not reproduced +0\.0 points .* 2\.0 points {2}Noise helps recall\.$/);
  });

  it("says why a single seed gives no verdict", () => {
    const text = renderVerdicts(record([0]), experiment, plain);
    expect(text.match(/^\? inconclusive .* - /gm)).toHaveLength(3);
    expect(text).toContain("One seed gives no interval, so no verdict");
  });

  it("wraps long statements beside the figures", () => {
    const run = record([0, 1]);
    const statement = "A claim of many words. ".repeat(9).trim();
    const text = renderVerdicts(
      { ...run, verdicts: run.verdicts.map((verdict) => ({ ...verdict, statement })) },
      experiment,
      plain,
    );
    for (const line of text.split("\n")) expect(line.length).toBeLessThanOrEqual(100);
    expect(text.replaceAll(/\s+/g, " ").match(/many words\./g)).toHaveLength(27);
  });
});
