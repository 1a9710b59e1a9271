import type { LogRecord, UnitRecord } from "@concord/papers";
import picocolors from "picocolors";
import { describe, expect, it } from "vitest";
import { type ProgressView, progressLine, RunProgress } from "./progress.ts";

const colours = picocolors.createColors(false);
const time = "2026-11-20T20:00:00.000Z";

const view: ProgressView = {
  index: 3,
  total: 20,
  unit: "seed-0/contrastive",
  others: 0,
  phase: "training",
  share: 0.625,
  loss: 1.23456,
  samplesPerSecond: 1240.4,
  dataSeconds: 0.42,
  computeSeconds: 12,
  remainingSeconds: 130,
};

describe("progressLine", () => {
  it("says unit, phase, share, ETA, loss, speed, and data apart from computing", () => {
    expect(progressLine(view, { columns: null, colours })).toBe(
      "3/20 seed-0/contrastive · training 62 % · ETA 2 min 10 s · loss 1.235 · 1,240 samples/s · data 0.4 s, compute 12 s",
    );
  });

  it("draws a bar on a terminal", () => {
    expect(progressLine(view, { columns: 140, colours })).toContain("training ━━━━━━━━━━──────  62 % · ETA");
  });

  it.each([140, 120, 100, 80, 65])("fits %i columns, and gives up the last figures first", (columns) => {
    const line = progressLine(view, { columns, colours });
    expect(line.length).toBeLessThanOrEqual(columns);
    expect(line).toContain("ETA 2 min 10 s");
    expect(line.includes("loss")).toBe(columns >= 80);
  });

  it("says how much of the time is waiting where there is no room for both times", () => {
    expect(progressLine(view, { columns: 110, colours })).toMatch(/samples\/s · data 3 %$/);
  });

  it("says '-' for what is not known", () => {
    const unknown = { ...view, phase: null, share: null, loss: null, samplesPerSecond: null };
    const early = { ...unknown, dataSeconds: null, computeSeconds: null, remainingSeconds: null };
    expect(progressLine(early, { columns: null, colours })).toBe("3/20 seed-0/contrastive · working · ETA -");
    expect(progressLine({ ...early, index: 0, unit: null }, { columns: null, colours })).toBe(
      "0/20 starting",
    );
  });

  it("does not let a phase speak to the terminal", () => {
    const line = progressLine({ ...view, phase: "\u001b[2Jtraining" }, { columns: null, colours });
    expect(line).not.toContain("\u001b");
  });
});

const arms = [
  { id: "start", role: "reference" as const },
  { id: "plain", role: "baseline" as const },
  { id: "new", role: "method" as const },
];

function unit(seed: number, arm: string | null, seconds?: number): UnitRecord {
  const id = `seed-${seed}/${arm ?? "prepare"}`;
  return seconds === undefined
    ? { id, seed, arm, status: "pending" }
    : { id, seed, arm, status: "done", seconds };
}

function state(id: string, unitStatus: "running" | "done"): LogRecord {
  return { kind: "state", time, status: "running", unit: id, unitStatus };
}

describe("RunProgress", () => {
  it("estimates what is left from the same arm of other seeds, else from units of the same kind", () => {
    let now = 0;
    const units = [0, 1].flatMap((seed) => [null, "start", "plain", "new"].map((arm) => unit(seed, arm)));
    const progress = new RunProgress({ units }, arms, () => now);
    const work = (id: string, seconds: number) => {
      progress.observe(state(id, "running"));
      now += 1000 * seconds;
      progress.observe(state(id, "done"));
    };
    expect(progress.view()).toMatchObject({ index: 0, total: 8, remainingSeconds: null });
    work("seed-0/prepare", 10);
    work("seed-0/start", 1);
    // Nothing that trains is finished, and an evaluation says nothing about that.
    expect(progress.view().remainingSeconds).toBeNull();
    work("seed-0/plain", 4);
    // new 4, and of seed 1: prepare 10, start 1, plain 4, new 4.
    expect(progress.view().remainingSeconds).toBe(23);
    work("seed-0/new", 6);
    expect(progress.view().remainingSeconds).toBe(10 + 1 + 4 + 6);
    progress.observe(state("seed-1/prepare", "running"));
    now += 3000;
    expect(progress.view()).toMatchObject({ index: 5, remainingSeconds: 7 + 1 + 4 + 6 });
    now += 60_000;
    expect(progress.view().remainingSeconds).toBe(1 + 4 + 6);
  });

  it("knows from the record what a resumed run has done, and counts a repeated preparation as done", () => {
    const units = [unit(0, null, 10), unit(0, "start", 1), unit(0, "plain", 4), unit(0, "new")];
    const progress = new RunProgress({ units }, arms, () => 0);
    expect(progress.view().remainingSeconds).toBe(4);
    progress.observe(state("seed-0/prepare", "done"));
    expect(progress.view()).toMatchObject({ index: 3, remainingSeconds: 4 });
  });

  it("shows the newest progress of the unit at work, and none of the unit before", () => {
    const progress = new RunProgress({ units: [unit(0, "start"), unit(0, "plain")] }, arms, () => 0);
    progress.observe(state("seed-0/start", "running"));
    const report = { kind: "progress", time, phase: "training", steps: 8 } as const;
    progress.observe({ ...report, unit: "seed-0/start", step: 2, loss: 3 });
    progress.observe({ ...report, unit: "seed-0/start", step: 4, loss: 2 });
    expect(progress.view()).toMatchObject({ unit: "seed-0/start", share: 0.5, loss: 2 });
    progress.observe(state("seed-0/start", "done"));
    progress.observe(state("seed-0/plain", "running"));
    expect(progress.view()).toMatchObject({ unit: "seed-0/plain", share: null, loss: null });
  });

  it("shows the unit that began first where several are at work, and divides what is left among them", () => {
    let now = 0;
    const units = [
      unit(0, "start", 2),
      unit(0, "plain", 10),
      unit(1, "plain"),
      unit(1, "new"),
      unit(1, "start"),
    ];
    const progress = new RunProgress({ units }, arms, () => now);
    progress.observe(state("seed-1/plain", "running"));
    progress.observe(state("seed-1/new", "running"));
    const report = { kind: "progress", time, phase: "training", steps: 8 } as const;
    progress.observe({ ...report, unit: "seed-1/new", step: 6 });
    progress.observe({ ...report, unit: "seed-1/plain", step: 2 });
    expect(progress.view()).toMatchObject({ index: 4, unit: "seed-1/plain", others: 1, share: 0.25 });
    expect(progress.view().remainingSeconds).toBe((10 + 10 + 2) / 2);
    now += 4000;
    progress.observe(state("seed-1/plain", "done"));
    expect(progress.view()).toMatchObject({ index: 4, unit: "seed-1/new", others: 0, share: 0.75 });
    expect(progressLine({ ...view, others: 2 }, { columns: null, colours })).toContain(
      "seed-0/contrastive (+2) · training",
    );
  });
});
