import type { RunRecord } from "@concord/papers";
import { describe, expect, it } from "vitest";
import { doneShare, progressText } from "../src/runs/progress.ts";
import { resultRows } from "../src/runs/summary.ts";
import {
  countText,
  dayText,
  differenceUnit,
  durationText,
  numberText,
  signedText,
  timeText,
} from "../src/text.ts";
import { toyExperiment } from "./toy-experiment.ts";

describe("texts", () => {
  it("write days, times, durations and counts", () => {
    expect(dayText("2025-05-06")).toBe("6 May 2025");
    expect(timeText("2026-11-20T19:31:05.123Z")).toBe("20 Nov 2026, 19:31 UTC");
    expect(timeText("soon")).toBe("soon");
    expect(
      [0.04, 8.44, 59.6, 60, 200, 3600, 7500].map((seconds) =>
        durationText(seconds).replaceAll("\u00a0", " "),
      ),
    ).toEqual(["0.0 s", "8.4 s", "1 min", "1 min", "3 min 20 s", "1 h", "2 h 5 min"]);
    expect([countText(1, "seed"), countText(1234, "seed")]).toEqual(["1 seed", "1,234 seeds"]);
  });

  it("write numbers with the typographic minus, and never a negative zero", () => {
    expect(numberText(-1.25, 1)).toBe("\u22121.3");
    expect(numberText(-0.001, 2)).toBe("0.00");
    expect([signedText(2, 1), signedText(-2, 1), signedText(0.04, 1)]).toEqual(["+2.0", "\u22122.0", "0.0"]);
    expect([differenceUnit("%"), differenceUnit("ms"), differenceUnit(undefined)]).toEqual([
      "\u00a0points",
      "\u00a0ms",
      "",
    ]);
  });
});

describe("results", () => {
  const run = (results: RunRecord["results"]): RunRecord => ({
    version: 1,
    id: "x",
    paper: "clip-refine",
    preset: "smoke",
    seeds: [0, 1],
    arms: toyExperiment.arms.map(({ id }) => id),
    inputs: {},
    config: {},
    status: "done",
    createdAt: "",
    seconds: 0,
    resumes: 0,
    environment: {},
    units: [],
    results,
    verdicts: [],
  });

  it("are mean and sample deviation over seeds; the best is marked in the metric's direction, ties as printed", () => {
    const rows = resultRows(
      run([
        { arm: "contrastive", seed: 0, metrics: { recall: 50, gap: 0.2 } },
        { arm: "contrastive", seed: 1, metrics: { recall: 54, gap: 0.4 } },
        { arm: "clip-refine", seed: 0, metrics: { recall: 52.01, gap: 0.5 } },
      ]),
      toyExperiment,
    );
    const cells = (arm: string) => rows.find((row) => row.arm.id === arm)!.cells;
    expect(cells("contrastive")[0]).toEqual({ mean: 52, deviation: Math.sqrt(8), count: 2, best: true });
    expect(cells("clip-refine")[0]).toEqual({ mean: 52.01, deviation: null, count: 1, best: true });
    expect(cells("contrastive")[1]).toMatchObject({ best: true });
    expect(cells("clip-refine")[1]).toMatchObject({ best: false });
    expect(cells("pre-trained")).toEqual([null, null]);
  });

  it("of a single arm have no best", () => {
    const rows = resultRows(
      run([{ arm: "contrastive", seed: 0, metrics: { recall: 50, gap: 0.2 } }]),
      toyExperiment,
    );
    expect(rows.flatMap(({ cells }) => cells).some((cell) => cell?.best)).toBe(false);
  });
});

describe("progress", () => {
  const point = { unit: "b", phase: "training", step: 5, steps: 10 };

  it("counts finished units and the parts of those under way", () => {
    expect(doneShare(4, ["a"], [point])).toBe(0.375);
    expect(doneShare(4, ["a"], [point, { ...point, unit: "c", step: 10 }])).toBe(0.625);
    expect(doneShare(4, ["a", "b"], [point])).toBe(0.5);
    expect(doneShare(0, [], [])).toBe(0);
    expect(doneShare(1, [], [{ ...point, step: 50 }])).toBe(1);
  });

  it("is told in words", () => {
    const told = { ...point, samplesPerSecond: 1240.4, dataSeconds: 1, computeSeconds: 3 };
    const text = "b: training, step 5 of 10 · 1,240 samples a second · 25 % waiting for data";
    expect(progressText([], [told])).toBe(text);
    expect(progressText(["a"], [{ ...point, unit: "a" }, told, { ...point, unit: "c", step: 3 }])).toBe(
      `${text} · c: training, 30 %`,
    );
    expect(progressText(["b"], [told])).toBe("");
  });
});
