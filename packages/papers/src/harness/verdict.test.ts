import { describe, expect, it } from "vitest";
import type { Claim } from "./contract.ts";
import { judge, outcomeOf } from "./verdict.ts";

const claim: Claim = {
  id: "better",
  statement: "The method is better.",
  metric: "accuracy",
  arm: "method",
  against: "baseline",
  change: "absolute",
  direction: "higher",
  margin: 0,
  source: "Table 1",
};

/** A record in which `baseline` and `method` have these values, one per seed. */
function record(baseline: readonly number[], method: readonly number[]) {
  const results = [
    ...baseline.map((accuracy, seed) => ({ arm: "baseline", seed, metrics: { accuracy } })),
    ...method.map((accuracy, seed) => ({ arm: "method", seed, metrics: { accuracy } })),
  ];
  return { arms: ["baseline", "method"], seeds: baseline.map((_, seed) => seed), results };
}

describe("outcomeOf", () => {
  it.each([
    [[0.5, 1.5], 0.5, "reproduced"],
    [[0.5, 1.5], 0.5000001, "inconclusive"],
    [[0.5, 1.5], 1.5, "inconclusive"],
    [[0.5, 1.5], 1.5000001, "not reproduced"],
    [[0.5, 0.5], 0.5, "reproduced"],
    [[-1, -0.5], -1.5, "reproduced"],
    [[-1, -0.5], -0.75, "inconclusive"],
    [[-1, -0.5], 0, "not reproduced"],
    [null, -100, "inconclusive"],
  ] as const)("interval %j against margin %d: %s", (interval, margin, outcome) => {
    expect(outcomeOf(interval, margin)).toBe(outcome);
  });
});

describe("judge", () => {
  it("pairs seeds: a constant gain is certain however much the seeds differ", () => {
    const { verdicts } = judge([{ ...claim, margin: 1 }], record([10, 50, 90], [11, 51, 91]));
    expect(verdicts).toMatchObject([
      { changes: [1, 1, 1], mean: 1, interval: [1, 1], outcome: "reproduced" },
    ]);
  });

  it("counts a decrease as positive where lower is claimed", () => {
    const { verdicts } = judge([{ ...claim, direction: "lower", margin: 1 }], record([5, 6], [3, 4]));
    expect(verdicts).toMatchObject([{ changes: [2, 2], outcome: "reproduced" }]);
  });

  it("divides a relative change by the size of the reference, whatever its sign", () => {
    const relative = { ...claim, change: "relative", margin: 0.2 } as const;
    expect(judge([relative], record([-10, 20], [-5, 30])).verdicts[0]?.changes).toEqual([0.5, 0.5]);
  });

  it("finds noise inconclusive and a clear loss not reproduced", () => {
    expect(judge([claim], record([10, 10, 10], [11, 9, 11])).verdicts[0]?.outcome).toBe("inconclusive");
    expect(judge([claim], record([10, 10, 10], [9, 9.1, 8.9])).verdicts[0]?.outcome).toBe("not reproduced");
    const tolerant = { ...claim, margin: -1.5 };
    expect(judge([tolerant], record([10, 10, 10], [9, 9.1, 8.9])).verdicts[0]?.outcome).toBe("reproduced");
  });

  it("judges equal arms where the margin is not 0", () => {
    const outcome = (margin: number) =>
      judge([{ ...claim, margin }], record([1, 2], [1, 2])).verdicts[0]?.outcome;
    expect(outcome(0.5)).toBe("not reproduced");
    expect(outcome(-0.5)).toBe("reproduced");
    expect(judge([claim], record([1, 2], [1, 3])).verdicts[0]?.outcome).toBe("inconclusive");
  });

  it("is never conclusive with a single seed", () => {
    const { verdicts } = judge([claim], record([1], [100]));
    expect(verdicts).toMatchObject([{ mean: 99, interval: null, outcome: "inconclusive" }]);
  });

  it("uses only seeds with results of both arms", () => {
    const partial = record([1, 2, 3], [2, 3]);
    expect(judge([claim], partial).verdicts[0]?.changes).toEqual([1, 1]);
  });

  it.each([
    ["arms that were left out", { ...claim, against: "ablation" }, record([1], [2]), "left out: ablation"],
    ["no results yet", claim, { ...record([1], [2]), results: [] }, "no seed has results"],
    [
      "nothing to divide by",
      { ...claim, change: "relative" as const },
      record([1, 0], [1, 1]),
      "accuracy of baseline is 0 for seed 1",
    ],
    [
      "arms that are equal",
      claim,
      record([1, 2], [1, 2]),
      "accuracy of method and baseline is the same in every seed",
    ],
  ])("leaves a claim untested with %s", (_, tested, over, reason) => {
    const { verdicts, untested } = judge([tested], over);
    expect(verdicts).toEqual([]);
    expect(untested[0]?.reason).toContain(reason);
  });
});
